"""What the console prints of answers, and of what was written, filled in, found."""

import io
from types import SimpleNamespace

import numpy as np
from rich.console import Console

from mm_keras.console_answers import (
    show_answers,
    show_example,
    show_found,
    show_imputed,
    show_sync,
    show_written,
)
from mm_keras.data.preprocessor import Preprocessor
from mm_keras.spec_file import make_spec

SPEC = make_spec(
    {
        "name": "tiny",
        "data": {"manifest": "manifest.csv"},
        "modalities": {
            "photo": {"kind": "image", "size": [8, 12], "channels": 1},
            "note": {"kind": "text", "length": 6},
            "person": {"kind": "numbers", "columns": ["age", "height"]},
        },
        "outputs": {
            "label": {"kind": "classification"},
            "again": {"kind": "autoencoder"},
            "price": {"kind": "regression"},
            "place": {"kind": "regression", "columns": ["north", "east"]},
        },
    }
)
LABELS = {"label": ["cat", "dog", "[red]cow[/red]"]}


def fitted_on(*names):
    """Returns the preprocessor of some of the outputs."""
    labels = {name: LABELS[name] for name in names if name in LABELS}
    vocabularies = {"note": ["[PAD]", "[UNK]", "[START]", "[END]", "[MASK]", "a"]}
    return Preprocessor(
        SPEC.modalities, {name: SPEC.outputs[name] for name in names}, vocabularies, labels, {}
    )


def printed(show, *arguments, width=80):
    """Returns what a function prints on a console of this width that is no terminal."""
    out = Console(file=io.StringIO(), width=width, markup=False, highlight=False, emoji=False)
    show(out, *arguments)
    return out.file.getvalue()


def test_an_example_shows_its_best_classes_first():
    answers = {"label": np.array(["dog"], object), "label_scores": np.array([[0.1, 0.7, 0.2]])}
    text = printed(show_example, answers, fitted_on("label", "again"))
    assert text.startswith("label: dog\n")
    rows = [line.split() for line in text.splitlines() if "%" in line]
    assert [row[:2] for row in rows] == [["dog", "70.0%"], ["[red]cow[/red]", "20.0%"], ["cat", "10.0%"]]
    assert [len(row[2]) for row in rows] == [21, 6, 3]


def test_an_example_shows_what_was_rebuilt():
    preprocessor = fitted_on("again")
    answers = {"again_note": np.array(["press [b]one"], object), "again_photo": np.zeros((1, 8, 12, 1))}
    text = printed(show_example, answers, preprocessor)
    assert "again_note: press [b]one\n" in text
    assert "again_photo: (8, 12, 1) values" in text


def test_answers_to_a_manifest_say_how_many_rows_are_not_shown():
    part = SimpleNamespace(
        answers={
            "label": np.array(["dog", "cat"], object),
            "label_scores": np.array([[0.1, 0.9, 0], [1.0, 0, 0]]),
        },
        lines=np.array([2, 3]),
        ids=np.array(["a", "[b]"], object),
    )
    text = printed(show_answers, part, fitted_on("label", "again"), 1000)
    rows = [line.split() for line in text.splitlines() if "%" in line]
    assert rows == [["2", "a", "dog", "90.0%"], ["3", "[b]", "cat", "100.0%"]]
    assert "The first 2 of 1,000 rows. All of them: --output answers.csv" in text
    assert "The first" not in printed(show_answers, part, fitted_on("label", "again"), 2)


NUMBERS = {
    "price": np.array([[1998.3712], [0.5]], "float32"),
    "place": np.array([[1.0, -2.5], [3.0, 4.0]], "float32"),
}


def test_an_example_shows_each_number():
    text = printed(show_example, NUMBERS, fitted_on("price", "place"))
    assert text.splitlines() == ["price: 1998.37", "place:north: 1", "place:east: -2.5"]


def test_answers_to_a_manifest_have_a_column_for_each_number():
    part = SimpleNamespace(answers=NUMBERS, lines=np.array([2, 3]), ids=None)
    rows = [line.split() for line in printed(show_answers, part, fitted_on("price", "place"), 2).splitlines()]
    assert ["Line", "price", "place:north", "place:east"] in rows
    assert rows[-2:] == [["2", "1998.37", "1", "-2.5"], ["3", "0.5", "3", "4"]]


def test_what_was_written_is_told_by_its_text_its_numbers_or_its_file():
    answers = {
        "again_note": np.array(["press [b]one"], object),
        "again_person": np.array([[31.5, 1.75]], "float32"),
        "again_photo": np.array(["made/again_photo.png"], object),
    }
    lines = printed(show_written, answers, fitted_on("label", "again")).splitlines()
    assert lines == [
        "again_note: press [b]one",
        "again_person: 31.5, 1.75",
        "again_photo: made/again_photo.png",
    ]


def test_what_was_filled_in_is_counted():
    made = {"photo": 1200, "note": 0}
    text = printed(show_imputed, {"rows": 5000, "made": made, "manifest": "filled.csv", "folder": None})
    assert "5,000 rows" in text and ["photo", "1,200"] in [line.split() for line in text.splitlines()]
    assert text.splitlines()[-1] == "Written  filled.csv"


def test_an_offset_is_told_as_late_early_or_in_time():
    found = {"score": 0.5, "confidence": 0.25, "frames": 1000, "windows": 20}
    words = [printed(show_sync, {**found, "offset": offset}) for offset in (0.34, -0.02, 0.0)]
    assert [text.splitlines()[0] for text in words] == [
        "The sound is 0.340 s late", "The sound is 0.020 s early", "The sound is in time",
    ]  # fmt: skip
    assert "1,000 frames" in words[0] and "0.25 above the median" in words[0].replace("\n", " ")


def test_paths_are_never_broken():
    path = "/data/" + "a" * 120 + ".wav"
    found = [{"line": 7, "cell": path, "score": 0.9}]
    written = {"again_photo": np.array([path], object)}
    assert path in printed(show_found, found, "audio")
    assert path in printed(show_written, written, fitted_on("again"))


def test_what_was_found_stands_in_its_order():
    found = [
        {"line": 7, "id": "[b]", "cell": "a.wav", "score": 0.9},
        {"line": 3, "id": "c", "cell": [1.5, 2.0], "score": -0.1},
    ]
    rows = [line.split() for line in printed(show_found, found, "audio").splitlines()[-2:]]
    assert rows == [["1", "7", "[b]", "a.wav", "0.9000"], ["2", "3", "c", "1.5,", "2", "-0.1000"]]
