"""Arrow columns of every type as text, and which of them hold the contents of files."""

import datetime
import decimal
import math

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mm_keras.data.arrow_text import CONTENTS, PATHS, TEXTS, UNDECIDED, contents_of, kind_of, to_text

PNG = b"\x89PNG\r\n\x1a\n"
NOT_UTF8 = pa.array([b"a", b"\xffz", None], pa.binary())
BROKEN = pa.Array.from_buffers(pa.string(), 3, NOT_UTF8.buffers(), null_count=1)


@pytest.mark.parametrize(
    ("array", "texts"),
    [
        (pa.array([1.0, None, math.nan, 0.1, 1e300, math.inf]), ["1", "", "", "0.1", "1e+300", "inf"]),
        (pa.array([0.1, 1 / 3], pa.float32()), ["0.1", "0.33333334"]),
        (pa.array(np.array([0.5], "float16")), ["0.5"]),
        (pa.array([2**64 - 1, None], pa.uint64()), ["18446744073709551615", ""]),
        (pa.array([True, False, None]), ["true", "false", ""]),
        (pa.array([" a ", None, "é"]), ["a", "", "é"]),
        (pa.array(["a"]).cast(pa.string_view()), ["a"]),
        (pa.array(["a", None, "b", "a"]).dictionary_encode(), ["a", "", "b", "a"]),
        (pa.array([decimal.Decimal("1.50")]), ["1.50"]),
        (pa.array([datetime.date(2024, 2, 29)]), ["2024-02-29"]),
        (pa.array([datetime.datetime(2024, 2, 29, 1)], pa.timestamp("s")), ["2024-02-29 01:00:00"]),
        (pa.array([None, None]), ["", ""]),
        (pa.array([["a", " b "], [], None, [None, "c"]]), ["a|b", "|", "", "c"]),
        (pa.array([["x"], [1, 2], [3]][1:]), ["1|2", "3"]),
        (pa.array([[9], [1, 2], [3]]).slice(1), ["1|2", "3"]),
        (pa.array([["a", "b"]], pa.list_(pa.string(), 2)), ["a|b"]),
        (pa.array([b"text", None, b""]), ["text", "", ""]),
    ],
)
def test_cells_become_text(array, texts):
    assert kind_of(array) in (TEXTS, UNDECIDED)
    found, wrong = to_text(array)
    assert found.type == pa.large_string()
    assert found.to_pylist() == texts
    assert wrong == {}


@pytest.mark.parametrize(
    ("array", "texts"),
    [
        (BROKEN, ["a", "", ""]),
        (BROKEN.dictionary_encode(), ["a", "", ""]),
        (pa.ListArray.from_arrays([0, 1, 2], BROKEN), ["a", ""]),
    ],
)
def test_bytes_that_are_no_text_are_named(array, texts):
    found, wrong = to_text(array)
    assert found.to_pylist() == texts
    assert wrong == {1: r"\xffz"}


@given(st.lists(st.floats(width=64), max_size=5), st.lists(st.floats(width=32), max_size=5))
def test_numbers_round_trip(doubles, singles):
    for values, kind in ((doubles, "float64"), (singles, "float32")):
        texts = to_text(pa.array(np.array(values, kind)))[0].to_pylist()
        read = np.array([float(text or "nan") for text in texts]).astype(kind)
        np.testing.assert_array_equal(read, np.array(values, kind))


@pytest.mark.parametrize(
    ("array", "kind"),
    [
        (pa.array([None, PNG]), CONTENTS),
        (pa.array([b"RIFF\x00"]), CONTENTS),
        (pa.array([b"text", PNG]), CONTENTS),
        (pa.array([{"bytes": PNG, "path": "a"}, None]), CONTENTS),
        (pa.array([{"bytes": None, "path": "a"}]), PATHS),
        (pa.array([{"bytes": None, "path": None}, None]), UNDECIDED),
        (pa.array([[1.5, 2.0]]), CONTENTS),
        (pa.array([[[1, 2], [3, 4]]]), CONTENTS),
        (pa.array([None, None], pa.list_(pa.float32())), UNDECIDED),
        (pa.array([{"a": 1}]), None),
        (pa.array([[["a"]]]), None),
        (pa.array([[{"a": 1}]]), None),
        (pa.array([[("k", 1)]], pa.map_(pa.string(), pa.int64())), None),
    ],
)
def test_kinds_of_columns(array, kind):
    assert kind_of(array) == kind


def test_contents_are_bytes_and_arrays():
    assert contents_of(pa.array([PNG, None])) == [PNG, None]
    assert contents_of(pa.array([{"bytes": PNG, "path": "a"}, None, {"bytes": None, "path": "b"}])) == [
        PNG,
        None,
        None,
    ]
    whole = pa.StructArray.from_arrays([pa.array([PNG, PNG])], ["bytes"], mask=pa.array([False, True]))
    assert contents_of(whole) == [PNG, None]
    vector, nothing = contents_of(pa.array([[1.5, 2.0], None], pa.list_(pa.float32())))
    assert vector.dtype == np.float32
    assert vector.tolist() == [1.5, 2.0]
    assert nothing is None
    rows, ragged = contents_of(pa.array([[[1, 2], [3, 4]], [[1], [2, 3]]]))
    assert rows.tolist() == [[1, 2], [3, 4]]
    assert ragged is None
