"""What the console prints: numbers, tables, and text of the user that looks like markup."""

import io

import pytest
from rich.console import Console

from mm_keras import console
from mm_keras.spec_file import make_spec

SPEC = {
    "name": "tiny",
    "data": {"manifest": "manifest.csv"},
    "modalities": {
        "photo": {"kind": "image", "size": [8, 12], "channels": 1},
        "sound": {"kind": "audio", "rate": 8000, "seconds": 0.5},
        "note": {"kind": "text", "length": 6},
        "vector": {"kind": "features", "shape": [3, 4]},
        "person": {"kind": "numbers", "columns": ["age", "height"]},
    },
    "outputs": {
        "label": {"kind": "classification"},
        "again": {"kind": "autoencoder", "modalities": ["note"]},
        "price": {"kind": "regression"},
        "place": {"kind": "regression", "columns": ["north", "east"]},
    },
}
PARITY = {
    "rows": 256,
    "max_difference": 4.2e-7,
    "equal_labels": 1.0,
    "labels": {"serving_default/label": 1.0},
    "tolerance": 1e-4,
    "latency_ms": {"tensors": 1.0, "serving_default": 2.5},
}
EXPORTED = {
    "version": 3,
    "saved_model": {"path": "saved models/tiny/serving/3", "bytes": 8_700_000, "parity": PARITY},
    "tflite": {
        "path": "saved models/tiny/mobile/3/model.tflite",
        "bytes": 45_678,
        "parity": {**PARITY, "latency_ms": {"tensors": 0.5}},
    },
}


def printed(show, *arguments, width=80):
    """Returns what a function prints on a console of this width that is no terminal."""
    out = Console(file=io.StringIO(), width=width, markup=False, highlight=False, emoji=False)
    show(out, *arguments)
    return out.file.getvalue()


@pytest.mark.parametrize(
    ("share", "text"), [(None, "-"), (0, "0.0%"), (0.98765, "98.8%"), (1, "100.0%"), (0.99951, "100.0%")]
)
def test_a_percentage_has_one_decimal(share, text):
    assert console.percent(share) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.04, "0.0 s"),
        (9.94, "9.9 s"),
        (9.96, "10 s"),
        (59.4, "59 s"),
        (59.6, "1:00"),
        (125, "2:05"),
        (3725, "1:02:05"),
    ],
)
def test_a_duration_reads_as_a_clock(seconds, text):
    assert console.duration(seconds) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (999, "999 B"), (45_678, "45.7 kB"), (8_700_000, "8.7 MB"), (2e9, "2.0 GB")],
)
def test_a_size_has_a_unit(count, text):
    assert console.size(count) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.000123456, "0.0001235"),
        (12.3456, "12.35"),
        (999.96, "1000"),
        (-1234.5678, "-1,235"),
        (2.5e9, "2.5e+09"),
    ],
)
def test_a_number_has_four_digits_or_all_before_the_point(value, text):
    assert console.number(value) == text


def test_a_number_of_more_digits_keeps_them():
    assert [console.number(value, 6) for value in (1998.3712, 123456.7)] == ["1998.37", "123,457"]


def test_a_difference_of_nothing_is_zero():
    assert [console.difference(value) for value in (0.0, 4.2e-7)] == ["0", "4.2e-07"]


def test_an_error_keeps_brackets_and_long_paths_whole(capsys):
    path = "data/[bold]pictures[/bold]/" + "x" * 300 + ".png"
    console.show_error("Error", f"{path} expects a file.")
    captured = capsys.readouterr()
    assert captured.err == f"Error: {path} expects a file.\n"
    assert captured.out == ""


def test_text_of_the_user_is_no_markup(capsys):
    table = console.make_table("[b]Name[/b]<")
    table.add_row("[red]dog[/red] :smile:")
    console.make_console().print(table)
    text = capsys.readouterr().out
    assert "[b]Name[/b]" in text
    assert "[red]dog[/red] :smile:" in text


def test_commands_are_never_broken():
    command = "mm-keras predict " + " ".join(f"--modality_{i} value" for i in range(30))
    assert f"  {command}\n" in printed(console.show_commands, [command])


def test_a_pipe_is_wide_unless_columns_is_set(monkeypatch):
    monkeypatch.setattr("sys.stdout", io.StringIO())
    monkeypatch.delenv("COLUMNS", raising=False)
    assert console.make_console().width == console.PIPED_WIDTH
    monkeypatch.setenv("COLUMNS", "72")
    assert console.make_console().width == 72


@pytest.mark.parametrize("width", [80, 120])
def test_a_spec_is_told_in_words(width):
    text = printed(
        console.show_spec, make_spec(SPEC), {"train": 1234, "validation": 0, "test": 56}, width=width
    )
    assert "photo: image 8 x 12, grey" in text
    assert "sound: audio, 0.5 s at 8,000 Hz" in text
    assert "note: text, up to 6 tokens" in text
    assert "vector: features 3 x 4" in text
    assert "person: numbers (age, height)" in text
    assert "label: classification of column label" in text
    assert "again: autoencoder of note" in text
    assert "price: regression of column price" in text
    assert "place: regression of columns north, east" in text
    assert "1,234 train, 56 test" in text
    assert "validation" not in text


def test_an_export_shows_size_difference_labels_and_latency():
    text = printed(console.show_export, EXPORTED)
    rows = [line.split() for line in text.splitlines() if line.startswith(("SavedModel ", "TFLite "))]
    assert rows[0] == ["SavedModel", "8.7", "MB", "4.2e-07", "100.0%", "2.50", "ms"]
    assert rows[1] == ["TFLite", "45.7", "kB", "4.2e-07", "100.0%", "0.50", "ms"]
    assert rows[2][-1] == "models/tiny/serving/3"
    assert "on 256 examples; a difference of 0.0001 is allowed" in text


def test_an_export_without_classification_has_no_equal_labels():
    parity = {**PARITY, "labels": {}}
    exported = {**EXPORTED, "tflite": {**EXPORTED["tflite"], "parity": parity}}
    text = printed(console.show_export, exported)
    row = next(line.split() for line in text.splitlines() if line.startswith("TFLite "))
    assert row == ["TFLite", "45.7", "kB", "4.2e-07", "-", "2.50", "ms"]


def test_commands_of_an_export_quote_its_paths():
    commands = console.predict_commands(EXPORTED, "--note hello")
    assert commands[1] == "mm-keras predict 'saved models/tiny/mobile/3/model.tflite' --note hello"
