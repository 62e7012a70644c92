"""How results look on a terminal; plain and wide when the output is not one. Imports no TensorFlow."""

import os
import shlex
import sys
from contextlib import contextmanager

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

PIPED_WIDTH = 160


def make_console(stderr=False):
    """Returns a rich Console that takes no text for markup: paths with [brackets] stay as they are."""
    stream = sys.stderr if stderr else sys.stdout
    wide = not stream.isatty() and "COLUMNS" not in os.environ
    width = PIPED_WIDTH if wide else None
    return Console(stderr=stderr, markup=False, highlight=False, emoji=False, width=width)


def show_error(title, text):
    out = make_console(stderr=True)
    parts = [(f"{title}: ", "bold red")] if title else []
    out.print(Text.assemble(*parts, text), soft_wrap=not out.is_terminal)


@contextmanager
def working(out, text):
    """Shows that something takes a while; nothing where the output is no terminal."""
    if not out.is_terminal:
        yield
        return
    with out.status(Text(f"{text} ..."), spinner_style="cyan"):
        yield


def percent(share):
    return "-" if share is None else f"{100 * share:.1f}%"


def duration(seconds):
    """Returns "0.4 s", "12 s", "2:05" or "1:02:05"."""
    if seconds < 59.5:
        return f"{seconds:.1f} s" if seconds < 9.95 else f"{seconds:.0f} s"
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def size(count):
    """Returns "812 B", "34.5 kB" or "2.5 MB"."""
    for unit in ("B", "kB", "MB"):
        if count < 999.5:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"


def number(value, digits=4):
    """Returns a number of any unit with so many digits, or all before the point: "0.1235", "1,234,568"."""
    return f"{value:,.0f}" if 10 ** (digits - 1) <= abs(value) < 1e9 else f"{value:.{digits}g}"


def difference(value):
    return "0" if value == 0 else f"{value:.1e}"


def make_table(*titles):
    """Returns a table; a title that ends in "<" heads a column of text, any other one of numbers."""
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for name in titles:
        if name.endswith("<"):
            table.add_column(name[:-1], justify="left", overflow="fold")
        else:
            table.add_column(name, justify="right", no_wrap=True)
    return table


def show_table(out, table, title=""):
    out.print(f"\n{title}".rstrip(), style="bold")
    out.print(table)


def show_warnings(out, sentences):
    """Prints what a training or an evaluation warns of, a paragraph each."""
    for sentence in sentences:
        out.print(f"\nWarning: {sentence}", style="yellow", soft_wrap=True)


def make_list():
    """Returns a grid of names and values."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    return grid


def show_commands(out, commands, title="Next"):
    """Prints commands to type, each on a line of its own that is never broken."""
    out.print(f"\n{title}", style="bold")
    for command in commands:
        out.print(f"  {command}", style="cyan", soft_wrap=True)


def show_paths(out, title, paths):
    for index, path in enumerate(paths):
        out.print(f"{title if not index else '':{len(title)}}  {path}", soft_wrap=True)


def describe(name, part):
    """Returns a modality or output in a few words."""
    if part.kind == "image":
        words = f"image {part.size[0]} x {part.size[1]}, " + ("grey" if part.channels == 1 else "colour")
    elif part.kind == "audio":
        words = f"audio, {part.seconds:g} s at {part.rate:,} Hz"
    elif part.kind == "text":
        words = f"text, up to {part.length} tokens"
    elif part.kind == "features":
        words = f"features {' x '.join(map(str, part.shape))}"
    elif part.kind == "numbers":
        words = f"numbers ({', '.join(part.columns)})"
    elif part.kind == "regression":
        words = f"regression of column{'s' if len(part.columns) > 1 else ''} {', '.join(part.columns)}"
    elif part.kind == "caption":
        words = f"text like that of column {part.column}, up to {part.length} tokens"
    elif part.kind == "speech":
        words = f"sound like those of column {part.column}, up to {part.seconds:g} s at {part.rate:,} Hz"
    elif part.kind == "autoencoder":
        words = f"autoencoder of {', '.join(part.modalities)}"
    elif part.kind == "contrastive":
        words = f"contrast of {', '.join(part.modalities)}, {part.units} wide"
    else:
        words = f"{'multi-label ' if part.multi_label else ''}classification of column {part.column}"
    return words


def show_start(out, spec, manifest):
    """Prints what is learned from how many rows."""
    show_spec(out, spec, {split: len(rows) for split, rows in manifest.splits.items()})


def show_spec(out, spec, counts=()):
    """Prints inputs and outputs of a spec, and the counts, split -> rows, where they are known."""
    grid = make_list()
    for title, parts in (("Input", spec.modalities), ("Output", spec.outputs)):
        for name, part in parts.items():
            grid.add_row(title, f"{name}: {describe(name, part)}")
            title = ""
    if counts:
        grid.add_row("Rows", ", ".join(f"{count:,} {split}" for split, count in counts.items() if count))
    out.print(grid)


def show_written_spec(out, spec, path):
    show_spec(out, spec)
    show_paths(out, "Written", [path])
    out.print("Read it through; it says what each line does.", style="dim")
    show_commands(out, [f"mm-keras train {shlex.quote(str(path))}"])


def artefacts(result):
    """Yields (format, artefact) of what `export` returned."""
    for kind, name in (("saved_model", "SavedModel"), ("tflite", "TFLite")):
        if kind in result:
            yield name, result[kind]


def latency(parity):
    """Returns the milliseconds of one example: of `serving_default` where there are several signatures."""
    times = parity["latency_ms"]
    if isinstance(times, dict):
        times = times.get("serving_default", next(iter(times.values()), None))
    return "-" if times is None else f"{times:.2f} ms"


def show_export(out, result):
    """Prints what `export` returned."""
    table = make_table("Artefact<", "Size", "Largest difference", "Equal labels", "One example")
    for name, artefact in artefacts(result):
        parity = artefact["parity"]
        table.add_row(
            name,
            size(artefact["bytes"]),
            difference(parity["max_difference"]),
            percent(parity["equal_labels"] if parity["labels"] else None),
            latency(parity),
        )
    show_table(out, table)
    checked = next(artefact["parity"] for _, artefact in artefacts(result))
    words = f"Compared on {checked['rows']:,} examples; a difference of {checked['tolerance']:g} is allowed."
    out.print(f"{words}\n", style="dim")
    for name, artefact in artefacts(result):
        show_paths(out, f"{name:10}", [artefact["path"]])


def predict_commands(result, options):
    paths = [shlex.quote(artefact["path"]) for _, artefact in artefacts(result)]
    return [f"mm-keras predict {path} {options}" for path in paths]


def show_comparison(out, comparison):
    """Prints the answers of the three models to the same examples, side by side."""
    kinds = [kind for kind in ("Keras", "SavedModel", "TFLite") if kind in comparison[0].answers]
    table = make_table("Row<", "Given<", "True<", *[f"{kind}<" for kind in kinds])
    for row in comparison:
        cells = [f"{row.answers[kind][0]} {percent(row.answers[kind][1]):>6}" for kind in kinds]
        table.add_row(row.name, " + ".join(row.given), row.truth, *cells)
    show_table(out, table)


def show_quickstart(out, steps):
    """Prints the one table that quickstart ends with, and what to type next."""
    out.print("\nAll in one", style="bold cyan")
    grid = make_list()
    name = next(iter(steps.spec.of_kind("classification")))
    subsets = steps.evaluation["subsets"]
    for index, (subset, accuracy) in enumerate(subsets.items()):
        grid.add_row(
            "Accuracy" if not index else "", f"{percent(accuracy[name]):>6}  {subset.replace('+', ' + ')}"
        )
    for title, artefact in artefacts(steps.exported):
        parity = artefact["parity"]
        words = f"{size(artefact['bytes'])}, {latency(parity)} an example, difference "
        words += f"{difference(parity['max_difference'])}, {percent(parity['equal_labels'])} equal labels"
        grid.add_row(title, words)
    grid.add_row("Time", duration(steps.seconds))
    out.print(grid)
    show_commands(out, steps.next_commands())
