"""Captions of the keypad data set say what is measured."""

import csv

import numpy as np
import pytest

from mm_keras.data import keypad_texts
from mm_keras.data.keypad import write_keypad
from mm_keras.data.keypad_texts import slant, stroke_width, write_captions, write_summaries


def bar(width, shear=0.0, size=24):
    """Returns a bar of a width in pixels, whose ink moves by `shear` columns with each row downwards."""
    y, x = np.mgrid[:size, :size] - (size - 1) / 2
    inside = (np.abs(x - shear * y) <= width / 2) & (np.abs(y) <= size / 2 - 3)
    return inside.astype("float64")


@pytest.mark.parametrize("width", [2, 4])
def test_the_stroke_of_a_long_bar_is_its_width(width):
    image = bar(width)
    height = image.any(axis=1).sum()
    found = stroke_width(image[None])[0]
    assert found == pytest.approx(2 * width * height / (2 * width + 2 * height))  # Its ends count too.
    assert 0.8 * width < found < width


@pytest.mark.parametrize("shear", [-0.3, 0.0, 0.4])
def test_the_slant_is_how_far_a_bar_moves_with_each_row(shear):
    assert slant(bar(3, shear)[None])[0] == pytest.approx(shear, abs=0.05)


def test_nothing_is_divided_by_zero_where_there_is_no_ink():
    assert np.isfinite([stroke_width(np.zeros((1, 8, 8))), slant(np.zeros((1, 8, 8)))]).all()


def test_a_caption_names_stroke_digit_and_lean_and_near_a_limit_both_words(monkeypatch):
    monkeypatch.setattr(keypad_texts, "stroke_width", lambda scans: np.array([1.0, 1.2, 1.5, 1.12]))
    monkeypatch.setattr(keypad_texts, "slant", lambda scans: np.array([0.3, 0.0, -0.3, -0.06]))
    assert write_captions(np.zeros((4, 8, 8)), [3, 0, 7, 9]) == [
        "a thin three, leaning left",
        "a zero, upright",
        "a bold seven, leaning right",
        "a thin nine, leaning right|a thin nine, upright|a nine, leaning right|a nine, upright",
    ]


def test_a_summary_names_the_key_and_its_place():
    places = np.array([(3, 1), *((row, column) for row in range(3) for column in range(3))])
    assert write_summaries([3, 0], places) == [
        "three: top row, right column",
        "zero: bottom row, middle column",
    ]


def test_the_data_set_gets_its_texts_on_request_and_everything_is_whole(tmp_path):
    manifest = write_keypad(tmp_path / "texts", seed=3, rows=100, captions=True)
    with open(manifest, encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0])[-2:] == ["caption", "summary"]
    words = dict(enumerate(keypad_texts.WORDS))
    for row in rows:
        word = words[int(row["label"])]
        assert all(f"{word}, " in caption for caption in row["caption"].split("|"))
        assert row["summary"].startswith(f"{word}: ")
    assert len({row["caption"] for row in rows}) > 20
    assert not [row["note"] for row in rows if "row" in row["note"] or "column" in row["note"]]
    assert write_keypad(tmp_path / "texts", seed=3, rows=100, captions=True) == manifest
    with pytest.raises(ValueError, match="`folder` to be new, empty, or the keypad data set"):
        write_keypad(tmp_path / "texts", seed=3, rows=100)
