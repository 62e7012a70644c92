"""How the preparation of a data set looks on a terminal."""

import shlex
from pathlib import Path

from mm_keras.console import duration, make_list, show_commands, show_paths, size

STORED = {"as it was": "the files as they are", "bmp": "BMP", "png": "PNG", "pcm16": "16-bit WAV"}


def show_prepared(out, result):
    """Prints what `prepare` returned, and what to type next."""
    grid = make_list()
    counts = ", ".join(f"{count:,} {split}" for split, count in result["rows"].items() if count)
    grid.add_row("Rows", counts)
    for title, column in zip(_titles("Files"), result["columns"].items(), strict=False):
        grid.add_row(title, _describe(*column))
    written = f"{result['shards']:,}, {size(result['bytes'])}"
    if result["kept"] and not result["finished_before"]:
        written += f"; {result['kept']:,} were there before"
    grid.add_row("Shards", written)
    if not result["finished_before"]:
        rate = sum(result["rows"].values()) / max(result["seconds"], 1e-9)
        grid.add_row("Time", f"{duration(result['seconds'])}, {rate:,.0f} rows/s")
    out.print(grid)
    folder = Path(result["folder"])
    if result["finished_before"]:
        out.print("The folder was finished before; nothing was written.", style="green")
    if result["bad_rows"]:
        words = f"{result['bad_rows']:,} bad rows"
        out.print(f"{words}; quarantine.csv says why.", style="yellow")
        show_paths(out, "Bad rows", [folder / "quarantine.csv"])
    show_paths(out, "Folder", [folder])
    show_commands(out, [f"mm-keras train {shlex.quote(str(folder / 'spec.yaml'))}"])


def show_checked(out, result):
    """Prints what `check_folder` returned."""
    words = f"{result['files']:,} files, {size(result['bytes'])}, {result['rows']:,} rows"
    out.print(f"As it was written: {words}.", style="green")


def _titles(first):
    """Yields a title, then nothing for the lines below it."""
    yield first
    while True:
        yield ""


def _describe(name, column):
    words = f"{name}: {column['kind']}, {STORED[column['stored']]}"
    if "size" in column:
        words += f", {column['size'][0]} x {column['size'][1]}"
    if "rate" in column:
        words += f", {column['rate']:,} Hz, up to {column['samples'] / column['rate']:g} s"
    return words
