"""What a person sees while a model trains: a live bar on a terminal, plain lines elsewhere."""

import os
import shlex
import time
from collections import Counter
from contextlib import contextmanager
from pathlib import Path

import keras
import numpy as np
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.text import Text

from mm_keras.console import (
    duration,
    make_list,
    show_commands,
    show_comparison,
    show_export,
    show_paths,
    show_quickstart,
    show_start,
    show_warnings,
    working,
)
from mm_keras.console_evaluation import show_evaluation
from mm_keras.console_training import choose_columns
from mm_keras.data.findings import CODES, ERROR, QUARANTINE
from mm_keras.data.manifest import load_manifest
from mm_keras.data.pipeline import make_datasets
from mm_keras.run_folder import BEST
from mm_keras.training import monitored, train

MARK = "best"


class DecodingProgress:
    """A bar while files are decoded; called with (examples decoded, examples in all).

    Args:
        console: rich Console.
    """

    def __init__(self, console):
        self.console = console
        self.bar, self.task = make_bar(console, "Reading files", status="examples")
        self.began = None

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.bar.stop()

    def __call__(self, done, total):
        if self.began is None:
            self.began = time.perf_counter()
            self.bar.update(self.task, total=total)
            self.bar.start()
        self.bar.update(self.task, completed=done)
        if done >= total:
            self.bar.stop()
            seconds = time.perf_counter() - self.began
            self.console.print(f"Read {total:,} examples in {duration(seconds)}.", style="dim")


class TrainingProgress(keras.callbacks.Callback):
    """A table that grows by a line an epoch, and on a terminal a bar of the running epoch below it.

    Args:
        console: rich Console.
        spec: Spec.
        rows: int. Training rows.
    """

    def __init__(self, console, spec, rows):
        super().__init__()
        self.console = console
        self.spec = spec
        self.rows = rows
        self.steps = -(-rows // spec.training.batch_size)
        self.seconds = []
        self.best = None  # (epoch from 1, logs)
        self.columns = None
        self.bar, self.task = make_bar(console, total=self.steps)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.bar.stop()

    def on_train_begin(self, logs=None):
        self.epochs = self.params.get("epochs") or self.spec.training.epochs
        self.bar.start()

    def on_train_end(self, logs=None):
        self.bar.stop()

    def on_epoch_begin(self, epoch, logs=None):
        self.began = time.perf_counter()
        description = f"Epoch {epoch + 1}/{self.epochs}"
        status = "building the graph" if not self.seconds else ""
        self.first = None
        self.bar.update(self.task, description=description, completed=0, total=self.steps, status=status)

    def on_train_batch_end(self, batch, logs=None):
        done, now = batch + 1, time.perf_counter()
        if self.first is None:
            self.first = self.last = (done, now)
        self.last = (done, now)
        status = f"loss {(logs or {}).get('loss', float('nan')):.4g}"
        if self.seconds:
            left = self._epoch_seconds() * (self.epochs - len(self.seconds)) - (now - self.began)
            status += f", {duration(max(left, 0))} left"
        self.bar.update(self.task, completed=done, total=max(done, self.steps), status=status)

    def on_test_begin(self, logs=None):
        if self.seconds or self.bar.tasks[0].completed:
            self.bar.update(self.task, status="validating")

    def on_epoch_end(self, epoch, logs=None):
        logs = logs or {}
        self.seconds.append(time.perf_counter() - self.began)
        better = self._is_better(logs)
        if better:
            self.best = (epoch + 1, dict(logs))
        if self.columns is None:
            self.columns = choose_columns(self.spec, logs, self.console.width)
            titles = [title for title, *_ in self.columns]
            self.console.print(self._line("Epoch", titles, "Rows/s", "Left", ""))
        values = [show(logs[key]) for _, key, show in self.columns]
        left = self._epoch_seconds() * (self.epochs - epoch - 1)  # 0 in the last epoch.
        speed = f"{self.rows / self._steady_seconds():,.0f}"
        line = self._line(
            f"{epoch + 1}/{self.epochs}",
            values,
            speed,
            duration(left) if left else "",
            MARK if better else "",
        )
        if better:
            line.highlight_words([MARK], "bold green")
        self.console.print(line)

    def _line(self, epoch, values, speed, left, mark):
        widths = [max(9, len(title)) for title, *_ in self.columns]
        cells = [epoch.rjust(7), *(value.rjust(width) for value, width in zip(values, widths, strict=True))]
        cells += [speed.rjust(8), left.rjust(8), mark]
        return Text("  ".join(cells).rstrip(), style="bold" if epoch == "Epoch" else "", no_wrap=True)

    def _steady_seconds(self):
        """Returns the seconds of the last epoch's training steps, as if all had taken what those after its
        first call took: the first call of a training builds the graph."""
        (first, began), (last, ended) = self.first, self.last
        if last > first:
            return (ended - began) / (last - first) * last
        return ended - self.began

    def _epoch_seconds(self):
        """Returns the seconds of an epoch to come, validation included."""
        if len(self.seconds) == 1:
            return self._steady_seconds()
        return float(np.median(self.seconds[1:][-5:]))

    def _is_better(self, logs):
        """Tells whether the checkpoint `best` was written: by the same rule as `training.make_callbacks`."""
        monitor = monitored(self.spec, "val_loss" in logs)
        value = logs.get(monitor, float("nan"))
        return value < (self.best[1][monitor] if self.best else float("inf"))


def make_bar(console, text="", total=None, status=""):
    """Returns a bar with one task, shown on a terminal alone, and gone when it stops."""
    columns = [TextColumn("{task.description}", markup=False), BarColumn(bar_width=24), MofNCompleteColumn()]
    columns += [TextColumn("{task.fields[status]}", markup=False)]
    bar = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
    return bar, bar.add_task(text, total=total, status=status)


@contextmanager
def counting(console, text, total):
    """Shows a bar, and gives a function that advances it by a number of rows."""
    bar, task = make_bar(console, text=text, total=total, status="rows")
    with bar:
        yield lambda count: bar.advance(task, count)


def read_datasets(console, run, table=None):
    """Reads the rows of a run, or those of another table, with the run's own preprocessing and classes.

    All rows of another table are test rows, if it has no such split column.
    """
    if table is not None:
        run.spec.data.manifest = os.path.abspath(table)
    manifest = load_manifest(run.spec, run.preprocessor.labels, unsplit=table is not None)
    with DecodingProgress(console) as decoding:
        return make_datasets(run.spec, progress=decoding, preprocessor=run.preprocessor, manifest=manifest)


def show_training(out, run, progress, commands=True):
    """Prints how a training ended, from the `TrainingProgress` that watched it."""
    epoch, logs = progress.best
    measures = [f"{title} {show(logs[key])}" for title, key, show in progress.columns[:3]]
    grid = make_list()
    grid.add_row("Best epoch", f"{epoch} of {len(progress.seconds)}: {', '.join(measures)}")
    spent = sum(progress.seconds)
    speed = progress.rows / float(np.median(progress.seconds[1:] or progress.seconds))
    grid.add_row("Time", f"{duration(spent)} for {len(progress.seconds)} epochs, {speed:,.0f} rows/s")
    grid.add_row("Weights", f"{run.model.count_params():,}")
    out.print()
    out.print(grid)
    show_paths(out, "Run       ", [run.folder])
    if commands:
        folder = shlex.quote(str(run.folder))
        logs = shlex.quote(str(run.folder / "logs"))
        show_commands(
            out, [f"mm-keras evaluate {folder}", f"mm-keras export {folder}", f"tensorboard --logdir {logs}"]
        )


def show_bad(out, findings, on_bad, path):
    """Prints how many rows had to be left out, or lost a modality, and where they are listed."""
    errors = [finding for finding in findings if finding.severity == ERROR]
    if not errors:
        return
    kinds = Counter(CODES[finding.code][2] for finding in errors).most_common()
    rows = len({finding.line for finding in errors})
    what = "left out, or without the modality that is bad" if on_bad == "missing" else "left out"
    words = f"{rows:,} bad row{'s' if rows > 1 else ''} {what}: "
    words += ", ".join(f"{count} {kind}" for kind, count in kinds)
    out.print(f"{words}. Listed in {path}", style="yellow", soft_wrap=True)


def train_watched(console, spec, runs, manifest, commands=True):
    """Trains under a live display, shows how it ended, and returns (Run, Datasets).

    Raises: what `train` raises; KeyboardInterrupt with a message that says what was kept.
    """
    parent = Path(runs) / spec.name
    before = set(parent.glob("*"))
    try:
        rows = len(manifest.splits["train"])
        with DecodingProgress(console) as decoding, TrainingProgress(console, spec, rows) as watch:
            run, data = train(spec, runs, [watch], decoding, manifest)
    except KeyboardInterrupt:
        kept = [folder for folder in sorted(parent.glob("*")) if (folder / BEST).is_file()]
        kept = [folder for folder in kept if folder not in before]
        words = (
            f"the best epoch so far is kept in {kept[-1]}"
            if kept
            else "no epoch was finished, nothing is kept"
        )
        raise KeyboardInterrupt(f"{words}.") from None
    show_bad(console, data.manifest.findings, spec.data.on_bad, run.folder / QUARANTINE)
    show_training(console, run, watch, commands)
    show_warnings(console, run.warnings)
    return run, data


def watch_quickstart(console, steps):
    """Takes the steps of a `Quickstart` and shows what each gives."""
    _show_step(console, 1, "Write the data set: which key of a telephone keypad was meant?")
    steps.write()
    show_paths(console, "Data", [steps.folder / "manifest.csv"])
    show_paths(console, "Spec", [steps.folder / "spec.yaml"])
    _show_step(console, 2, "Train a classifier and an autoencoder in one graph")
    manifest = load_manifest(steps.spec)
    show_start(console, steps.spec, manifest)
    steps.run, steps.data = train_watched(console, steps.spec, steps.runs, manifest, commands=False)
    _show_step(console, 3, "Evaluate, with each subset of the modalities")
    with working(console, "Evaluating the test rows"):
        steps.evaluate()
    show_evaluation(console, steps.evaluation, classes=False)
    _show_step(console, 4, "Export, reload in a fresh process, compare")
    with working(console, "Exporting"):
        steps.export()
    show_export(console, steps.exported)
    _show_step(console, 5, "Ask Keras, the SavedModel and the TFLite file the same")
    with working(console, "Predicting"):
        steps.compare()
    show_comparison(console, steps.comparison)
    show_quickstart(console, steps)


def _show_step(console, number, text):
    console.print(f"\n{number}/5  {text}", style="bold cyan")
