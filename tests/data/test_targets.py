"""Targets of a regression: numbers, unknown ones, and cells that are none; and of a caption output."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mm_keras.data.table import TEXT, ManifestError, Table
from mm_keras.data.targets import read_captions, read_numbers_target
from mm_keras.spec_outputs import CaptionOutput, RegressionOutput

PLACE = RegressionOutput(kind="regression", columns=["north", "east"])
ONE = RegressionOutput(kind="regression", columns=["x"])


def table_of(**columns):
    frame = pd.DataFrame(columns, dtype=TEXT)
    return Table(Path("rows.csv"), frame, np.arange(2, len(frame) + 2))


def everything(table):
    return {"train": np.arange(len(table.frame)), "validation": np.zeros(0, int), "test": np.zeros(0, int)}


def test_numbers_are_read_by_column_and_an_unknown_one_has_no_weight():
    table = table_of(north=["1", "", "3", "-5e-1"], east=["10", "20", "", "40"])
    target = read_numbers_target(table, "place", PLACE, everything(table))
    assert target.values.dtype == target.weights.dtype == np.float32
    mean = (1 + 3 - 0.5) / 3
    np.testing.assert_allclose(target.values[:, 0], [1, mean, 3, -0.5], rtol=1e-6)
    np.testing.assert_allclose(target.values[:, 1], [10, 20, 70 / 3, 40], rtol=1e-6)
    assert target.weights.tolist() == [1, 0, 0, 1]
    assert (target.labels, target.findings) == (None, [])


def test_a_cell_that_is_no_number_is_found_and_has_no_weight():
    table = table_of(x=["1", "2,5", "nan", "3", "1e99"])
    target = read_numbers_target(table, "x", ONE, everything(table))
    assert target.weights.tolist() == [1, 0, 0, 1, 0]
    assert np.isfinite(target.values).all()
    found = [(finding.code, finding.line, finding.column, finding.path) for finding in target.findings]
    assert found == [("bad_target", line, "x", cell) for line, cell in ((3, "2,5"), (4, "nan"), (6, "1e99"))]
    assert "no finite number; write numbers such as 3" in target.findings[0].reason


def test_a_column_that_is_not_there_is_named():
    table = table_of(north=["1", "2"])
    with pytest.raises(ManifestError, match=r"`outputs.place.columns` expects a column .* `east`"):
        read_numbers_target(table, "place", PLACE, everything(table))


@pytest.mark.parametrize(
    ("cells", "received"),
    [(["7", "", "7.0"], "only 7"), (["", "", "x"], "none in a row that has all of its targets")],
)
def test_a_number_that_never_differs_is_refused_unless_nothing_is_learned(cells, received):
    table = table_of(x=cells)
    with pytest.raises(
        ManifestError, match=f"at least 2 different numbers in the train rows. Received: {received}"
    ):
        read_numbers_target(table, "x", ONE, everything(table))
    target = read_numbers_target(table, "x", ONE, everything(table), learn=False)
    assert target.weights.tolist() == [float(cell.startswith("7")) for cell in cells]


def test_only_train_rows_must_differ():
    table = table_of(x=["7", "7", "8"])
    splits = {"train": np.array([0, 1]), "validation": np.array([2]), "test": np.zeros(0, int)}
    with pytest.raises(ManifestError, match="Received: only 7"):
        read_numbers_target(table, "x", ONE, splits)


@given(
    st.lists(
        st.one_of(st.none(), st.floats(width=32, allow_nan=False, allow_infinity=False)),
        min_size=1,
        max_size=8,
    )
)
def test_any_float32_is_read_as_itself(numbers):
    table = table_of(x=["" if number is None else repr(number) for number in numbers])
    target = read_numbers_target(table, "x", ONE, everything(table), learn=False)
    known = np.array([number is not None for number in numbers])
    assert target.weights.tolist() == known.astype(float).tolist()
    wanted = np.array([number for number in numbers if number is not None], "float32")
    np.testing.assert_allclose(target.values[known, 0], wanted, rtol=1e-6)
    assert np.isfinite(target.values).all()


def test_captions_are_the_cells_and_one_of_none_has_no_weight():
    table = table_of(caption=["a b", "", "c|d", " | "])
    output = CaptionOutput(kind="caption", separator="|")
    target = read_captions(table, "caption", output, everything(table))
    assert list(target.values) == ["a b", "", "c|d", " | "]
    assert target.weights.tolist() == [1, 0, 1, 0] and target.weights.dtype == np.float32
    assert output.captions_of("c| d |") == ["c", "d"]
    assert CaptionOutput(kind="caption").captions_of("c|d") == ["c|d"]


@pytest.mark.parametrize("cells", [["a", "a", ""], ["", "", ""]])
def test_captions_that_never_differ_are_refused_unless_nothing_is_learned(cells):
    table, output = table_of(caption=cells), CaptionOutput(kind="caption")
    with pytest.raises(ManifestError, match="`column caption` expects at least 2 different texts"):
        read_captions(table, "caption", output, everything(table))
    assert len(read_captions(table, "caption", output, everything(table), learn=False).values) == 3
