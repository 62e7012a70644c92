"""What a person sees while files are read and a model trains: a live line on a terminal, plain lines elsewhere."""

import time

import keras
import numpy as np
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.text import Text

from mm_keras.console import duration, percent

BEST = "best"


class DecodingProgress:
    """A bar while files are decoded; called with (rows decoded, rows in all).

    Args:
        console: rich Console.
    """

    def __init__(self, console):
        self.console = console
        self.bar = Progress(
            TextColumn("Reading files", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("rows", markup=False),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self.task = self.bar.add_task("", total=None)
        self.began = None

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.bar.stop()

    def __call__(self, done, total):
        if self.began is None:
            self.began = time.perf_counter()
            self.bar.start()
        self.bar.update(self.task, completed=done, total=total)
        if done >= total:
            self.bar.stop()
            seconds = time.perf_counter() - self.began
            self.console.print(f"Read {total:,} rows in {duration(seconds)}.", style="dim")


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
        self.bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[status]}", markup=False),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self.task = self.bar.add_task("", total=self.steps, status="")

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
        self.bar.update(self.task, description=description, completed=0, total=self.steps, status=status)

    def on_train_batch_end(self, batch, logs=None):
        done = batch + 1
        elapsed = time.perf_counter() - self.began
        status = f"loss {(logs or {}).get('loss', float('nan')):.4g}"
        if self.seconds:
            left = self._epoch_seconds() * (self.epochs - len(self.seconds)) - elapsed
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
            self.columns = [*choose_columns(self.spec, logs, self.console.width)]
            self.console.print(self._line("Epoch", [title for title, *_ in self.columns], "Rows/s", "Left", ""))
        values = [show(logs[key]) for _, key, show in self.columns]
        left = self._epoch_seconds() * (self.epochs - epoch - 1)
        speed = f"{self.rows / self.seconds[-1]:,.0f}"
        line = self._line(f"{epoch + 1}/{self.epochs}", values, speed, duration(left), BEST if better else "")
        if better:
            line.highlight_words([BEST], "bold green")
        self.console.print(line)

    def _line(self, epoch, values, speed, left, mark):
        cells = [epoch.rjust(2 * len(str(self.epochs)) + 1).rjust(7)]
        cells += [value.rjust(max(9, len(title))) for value, (title, *_) in zip(values, self.columns, strict=True)]
        cells += [speed.rjust(8), left.rjust(8), mark]
        return Text("  ".join(cells).rstrip(), style="bold" if epoch == "Epoch" else "", no_wrap=True)

    def _epoch_seconds(self):
        """Returns the seconds of an epoch: without the first one, which builds the graph, if there are others."""
        return float(np.median(self.seconds[1:][-5:] or self.seconds))

    def _is_better(self, logs):
        """Tells whether the checkpoint `best` was written: by the same rule as `training.make_callbacks`."""
        monitor = "val_loss" if "val_loss" in logs else "loss"
        value = logs.get(monitor, float("nan"))
        return value < (self.best[1][monitor] if self.best else float("inf"))


def choose_columns(spec, logs, width):
    """Returns (title, key of the logs, function value -> text) of the columns that fit into `width`.

    First both losses, then how well each classification does on the validation rows, then the losses of the
    other outputs.
    """
    prefix = "val_" if "val_loss" in logs else ""
    word = "val " if prefix else ""
    columns = [("loss", "loss", loss), *([("val loss", "val_loss", loss)] if prefix else [])]
    classifications = spec.of_kind("classification")
    for name, output in classifications.items():
        metric = "macro_f1" if output.multi_label else "accuracy"
        # Keras leaves the output's name away where there is only one.
        key = next((k for k in (f"{prefix}{name}_{metric}", f"{prefix}{metric}") if k in logs), None)
        title = metric.replace("_f1", " F1") if len(classifications) == 1 else name
        if key:
            columns.append((f"{word}{title}", key, percent))
    for name in spec.output_names:
        if name not in classifications and f"{prefix}{name}_loss" in logs:
            columns.append((f"{word}{name}", f"{prefix}{name}_loss", loss))
    room = width - 7 - 10 - 10 - 6
    fitting, used = [], 0
    for column in columns:
        used += max(9, len(column[0])) + 2
        if used > room:
            break
        fitting.append(column)
    return fitting


def loss(value):
    return f"{value:.4f}" if abs(value) < 1e4 else f"{value:.3e}"
