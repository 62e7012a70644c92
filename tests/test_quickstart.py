"""The quickstart on few rows, end to end, and what it prints."""

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from mm_keras import progress
from mm_keras.quickstart import SPEC, Quickstart, run_quickstart
from mm_keras.spec_file import load_spec

SUBSETS = ["audio", "image", "note", "audio+image", "audio+note", "image+note", "audio+image+note"]


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_spec_is_written_once_and_then_used_as_it_stands(here):
    spec = Quickstart(rows=100).write()
    assert spec.modality_names == ["audio", "image", "note"]
    assert [output.kind for output in spec.outputs.values()] == ["classification", "autoencoder"]
    path = here / "keypad" / "spec.yaml"
    path.write_text(SPEC.replace("batch_size: 32", "batch_size: 16"), encoding="utf-8")
    again = Quickstart(rows=100, epochs=2).write()
    assert again.training.batch_size == 16
    assert again.training.epochs == 2
    assert load_spec(path).training.epochs != 2


def test_another_folder_of_the_same_name_is_refused(here):
    (here / "keypad").mkdir()
    (here / "keypad" / "mine.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(ValueError, match="write_keypad"):
        Quickstart(rows=100).write()
    assert [path.name for path in (here / "keypad").iterdir()] == ["mine.txt"]


@pytest.mark.slow
def test_every_step_gives_its_artefact_and_the_last_table_names_them(here):
    out = Console(file=io.StringIO(), width=80, markup=False, highlight=False, emoji=False)
    steps = Quickstart(epochs=1, rows=100)
    progress.watch_quickstart(out, steps)
    text = out.file.getvalue()
    assert [line[:3] for line in text.splitlines() if line[1:3] == "/5"] == [
        "1/5",
        "2/5",
        "3/5",
        "4/5",
        "5/5",
    ]
    assert list(steps.evaluation["subsets"]) == SUBSETS
    assert (steps.run.folder / "evaluation.json").is_file()
    for kind, place in (("saved_model", "serving/1/saved_model.pb"), ("tflite", "mobile/1/model.tflite")):
        assert (here / "saved_models" / "keypad" / place).is_file()
        assert steps.exported[kind]["parity"]["equal_labels"] == 1.0
    check_comparison(steps.comparison, steps.data)
    last = text[text.index("All in one") :]
    for subset in SUBSETS:
        assert subset.replace("+", " + ") in last
    for words in ("SavedModel", "TFLite", "ms", "Time", "mm-keras predict", "mm-keras init"):
        assert words in last
    for command in steps.next_commands()[:2]:
        for word in command.split()[2:]:
            if word.startswith(("keypad/", "saved_models/", "runs/")):
                assert Path(word).exists(), word


def check_comparison(comparison, data):
    assert len(comparison) == 5
    assert [row.given for row in comparison[3:]] == [["image", "note"], ["audio"]]
    for row in comparison:
        assert row.truth in data.preprocessor.labels["label"]
        assert list(row.answers) == ["Keras", "SavedModel", "TFLite"]
        labels = {label for label, _ in row.answers.values()}
        scores = [score for _, score in row.answers.values()]
        assert len(labels) == 1
        assert max(scores) - min(scores) < 1e-4


@pytest.mark.slow
def test_from_python_one_format_alone(here):
    folder = here / "data"
    Quickstart(folder, rows=100).write()
    text = SPEC.replace("[saved_model, tflite]", "[tflite]").replace("epochs: 25", "epochs: 1")
    assert text.count("[tflite]") == 1
    (folder / "spec.yaml").write_text(text, encoding="utf-8")
    steps = run_quickstart(folder, rows=100, runs=here / "r", saved_models=here / "s")
    assert list(steps.comparison[0].answers) == ["Keras", "TFLite"]
    assert json.loads((steps.run.folder / "training.json").read_text(encoding="utf-8"))["epochs"] == 1
    assert (here / "s" / "keypad" / "mobile" / "1" / "model.tflite").is_file()
