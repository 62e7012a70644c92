"""Rows of a user's values as raw columns."""

import numpy as np
import pytest
from fake_server import DESCRIPTION

from mm_keras.serving.client_inputs import encode_rows, is_missing, make_inputs

INPUTS = make_inputs(DESCRIPTION["modalities"])


def test_what_is_none_empty_or_left_out_is_missing():
    row = {
        "image": None,
        "audio": "",
        "text": " ",
        "weights": [np.nan, None],
        "motion": np.full((3, 2), np.nan),
    }
    raw = encode_rows(INPUTS, [{**row, "text": "three"}])
    assert raw["image"] == raw["audio"] == [""]
    assert raw["text"] == ["three"]
    assert np.isnan(raw["weights"]).all()
    assert np.isnan(raw["motion"]).all()
    assert raw["weights"].shape == (1, 2)
    assert raw["motion"].shape == (1, 3, 2)
    with pytest.raises(ValueError, match="a modality that is there in each row`?. Received: none in row 1"):
        encode_rows(INPUTS, [row])


@pytest.mark.parametrize(
    "value", [0, 0.0, b"x", [0, np.nan], np.zeros(2), (np.full(3, 0.5), 8000), np.float32(1)]
)
def test_a_zero_or_a_part_is_not_missing(value):
    assert not is_missing(value)


def test_a_row_without_any_value_is_named_by_its_place():
    with pytest.raises(ValueError, match="none in line 9"):
        encode_rows(INPUTS, [{"text": "a"}, {"text": ""}], ["line 4", "line 9"])


def test_an_unknown_modality_is_answered_with_the_nearest_one():
    with pytest.raises(ValueError, match="Received: 'imge'. Did you mean `image`?"):
        encode_rows(INPUTS, [{"imge": b"x"}])


def test_a_file_that_does_not_exist_is_named_with_its_row(tmp_path):
    path = tmp_path / "lost.png"
    with pytest.raises(ValueError, match=rf"for `image`. Received: row 2: {path}, which does not exist"):
        encode_rows(INPUTS, [{"text": "a"}, {"image": path}])
    with pytest.raises(ValueError, match=f"Received: {path}, which does not exist. Check the path."):
        encode_rows(INPUTS, [{"image": str(path)}])


def test_an_empty_file_and_a_folder_are_refused(tmp_path):
    (tmp_path / "a.wav").touch()
    with pytest.raises(ValueError, match=r"a\.wav: the file is empty"):
        encode_rows(INPUTS, [{"audio": tmp_path / "a.wav"}])
    with pytest.raises(ValueError, match="which is a folder"):
        encode_rows(INPUTS, [{"audio": tmp_path}])


def test_numbers_are_one_a_column():
    raw = encode_rows(INPUTS, [{"weights": [1, None]}, {"weights": (2.5, np.nan)}, {"text": "a"}])
    np.testing.assert_array_equal(raw["weights"], np.array([[1, np.nan], [2.5, np.nan], [np.nan] * 2], "f4"))
    with pytest.raises(ValueError, match=r"expects 2 numbers \(a, b\) for `weights`. Received: 3 numbers"):
        encode_rows(INPUTS, [{"weights": [1, 2, 3]}])
    with pytest.raises(ValueError, match="for `weights`. Received: could not convert"):
        encode_rows(INPUTS, [{"weights": ["one", 2]}])


def test_one_number_needs_no_list():
    raw = encode_rows(
        make_inputs({"age": "numbers"}), [{"age": 7}, {"age": None, "age ": None} and {"age": 8.5}]
    )
    np.testing.assert_array_equal(raw["age"], [[7], [8.5]])


def test_text_is_a_string_or_utf8():
    assert encode_rows(INPUTS, [{"text": "é".encode()}])["text"] == ["é"]
    for value in (b"\xff", "\ud800", 5):
        with pytest.raises(ValueError, match="for `text`"):
            encode_rows(INPUTS, [{"text": value}])


@pytest.mark.parametrize(
    ("modalities", "received"),
    [
        ({"image": "imag"}, "'imag'. Did you mean `image`?"),
        ({"image": {}}, "None"),
        ({"motion": "features"}, "none"),
    ],
)
def test_modalities_that_say_too_little_are_refused(modalities, received):
    with pytest.raises(ValueError, match=f"Received: {received}"):
        make_inputs(modalities)
