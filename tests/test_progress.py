"""The lines of a training: columns, the best epoch, time left, and what is kept when it is stopped."""

import io
from types import SimpleNamespace

import pytest
from rich.console import Console

from mm_keras import progress
from mm_keras.spec_file import make_spec

SPEC = {
    "name": "tiny",
    "data": {"manifest": "manifest.csv"},
    "modalities": {"note": {"kind": "text"}, "person": {"kind": "numbers"}},
    "outputs": {
        "label": {"kind": "classification"},
        "again": {"kind": "autoencoder"},
    },
    "training": {"epochs": 3, "batch_size": 4},
}
LOGS = {
    "loss": 2.0,
    "label_accuracy": 0.5,
    "val_loss": 1.0,
    "val_label_accuracy": 0.25,
    "val_again_note_loss": 3.0,
    "val_again_person_loss": 4.0,
}


def make_output(width=120):
    return Console(file=io.StringIO(), width=width, markup=False, highlight=False)


def watched(losses, seconds=1.0, monkeypatch=None):
    """Returns the callback and its lines; each look at the clock takes `seconds`."""
    out = make_output()
    if monkeypatch:
        clock = iter(seconds * i for i in range(1000))
        monkeypatch.setattr(progress.time, "perf_counter", lambda: next(clock))
    with progress.TrainingProgress(out, make_spec(SPEC), rows=12) as watch:
        watch.set_params({"epochs": 3})
        watch.on_train_begin()
        for epoch, loss in enumerate(losses):
            watch.on_epoch_begin(epoch)
            for batch in range(3):
                watch.on_train_batch_end(batch, {"loss": 2.0})
            watch.on_epoch_end(epoch, {**LOGS, "val_loss": loss})
        watch.on_train_end()
    return watch, out.file.getvalue().splitlines()


def test_an_epoch_is_a_line_below_a_header():
    _, lines = watched([1.0, 0.5, 0.75])
    titles = "Epoch loss val loss val accuracy val note loss val person loss Rows/s Left"
    assert lines[0].split() == titles.split()
    assert [line.split()[:5] for line in lines[1:]] == [
        ["1/3", "2.0000", "1.0000", "25.0%", "3.0000"],
        ["2/3", "2.0000", "0.5000", "25.0%", "3.0000"],
        ["3/3", "2.0000", "0.7500", "25.0%", "3.0000"],
    ]


def test_the_best_epoch_is_marked_and_kept():
    watch, lines = watched([1.0, 0.5, 0.75])
    assert [line.endswith("best") for line in lines[1:]] == [True, True, False]
    assert watch.best[0] == 2
    assert watch.best[1]["val_loss"] == 0.5


def test_of_equal_epochs_the_first_is_the_best():
    assert watched([1.0, 1.0])[0].best[0] == 1


def test_a_loss_that_is_no_number_is_never_the_best():
    watch, _ = watched([float("nan"), 2.0])
    assert watch.best[0] == 2


def test_speed_and_time_left_follow_the_clock(monkeypatch):
    # Calls of the clock: epoch begins, 3 batches, epoch ends: an epoch takes 4 of them, a batch 1.
    _, lines = watched([3.0, 2.0, 1.0], 0.5, monkeypatch)
    cells = [line.split() for line in lines[1:]]
    assert [row[6] for row in cells] == ["8", "8", "8"]  # 12 rows in 3 batches of 0.5 s.
    assert cells[0][7:9] == ["3.0", "s"]  # The first epoch counts without the building of the graph.
    assert cells[1][7:9] == ["2.0", "s"]
    assert cells[2][7:] == ["best"]


def test_files_that_were_read_are_told_once():
    out = make_output()
    with progress.DecodingProgress(out) as decoding:
        decoding(50, 1234)
        decoding(1234, 1234)
    assert out.file.getvalue().startswith("Read 1,234 examples in ")
    assert out.file.getvalue().count("\n") == 1


def make_run(parent, name, finished):
    (parent / name).mkdir(parents=True)
    if finished:
        (parent / name / progress.BEST).write_bytes(b"model")


@pytest.mark.parametrize(
    ("finished", "words"), [(True, "the best epoch so far is kept in {}"), (False, "no epoch was finished")]
)
def test_a_stopped_training_says_what_is_kept(finished, words, tmp_path, monkeypatch):
    make_run(tmp_path / "tiny", "before", True)

    def stop(spec, runs, callbacks, decoding, manifest):
        make_run(runs / "tiny", "now", finished)
        raise KeyboardInterrupt

    monkeypatch.setattr(progress, "train", stop)
    manifest = SimpleNamespace(splits={"train": range(12)})
    with pytest.raises(KeyboardInterrupt, match=words.format(tmp_path / "tiny" / "now")):
        progress.train_watched(make_output(), make_spec(SPEC), tmp_path, manifest)


def test_another_table_is_read_with_the_classes_of_the_run(tmp_path, monkeypatch):
    (tmp_path / "other.csv").write_text("note,person,label\nhello,31,dog\n", encoding="utf-8")
    fitted = SimpleNamespace(labels={"label": ["cat", "dog"]})
    run = SimpleNamespace(spec=make_spec(SPEC), preprocessor=fitted)
    monkeypatch.setattr(progress, "make_datasets", lambda spec, **given: given)
    given = progress.read_datasets(make_output(), run, tmp_path / "other.csv")
    assert given["preprocessor"] is fitted
    assert given["manifest"].labels == fitted.labels
    assert given["manifest"].targets["label"].tolist() == [1]
    assert given["manifest"].splits["test"].tolist() == [0]


def test_what_training_warns_of_is_shown_once_below_its_summary(tmp_path, monkeypatch):
    run = SimpleNamespace(folder=tmp_path, warnings=["`note` has not been learned."])
    data = SimpleNamespace(manifest=SimpleNamespace(findings=[]))
    monkeypatch.setattr(progress, "train", lambda *_: (run, data))
    monkeypatch.setattr(progress, "show_training", lambda console, *_: console.print("Best epoch 1"))
    out = make_output()
    manifest = SimpleNamespace(splits={"train": range(12)})
    assert progress.train_watched(out, make_spec(SPEC), tmp_path, manifest) == (run, data)
    lines = out.file.getvalue().splitlines()
    assert lines == ["Best epoch 1", "", "Warning: `note` has not been learned."]
