"""What is asked of a model on the command line, and its answers."""

import os
import re
import shlex
import textwrap
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mm_keras.checks import closest, listing, message
from mm_keras.data.manifest import load_rows
from mm_keras.data.table import ManifestError

SUFFIXES = (".csv", ".jsonl")
PATH_KINDS = ("image", "audio", "features")
ROWS_AT_ONCE = 256
# What an assertion of a graph says stands in brackets.
SENTENCES = re.compile(r"\[(?P<assertion>`[^`]+` expects .+)\]$|(?P<plain>`[^`]+` expects .+)$")


@dataclass
class Answers:
    """Answers to rows, one after another.

    Args:
        answers: dict of `Predictor.predict`, a row per example.
        lines: int array `(N,)`. Lines of the manifest, or None for a single example.
        ids: str array `(N,)`. The manifest's column `id`, or None where it has none.
    """

    answers: dict
    lines: np.ndarray | None = None
    ids: np.ndarray | None = None


def parse_arguments(arguments, command="predict", both=False):
    """Parts the arguments of a command into (model, manifest or None, dict of the options); with `both` there
    must be a manifest and options.

    The options are named after the model's modalities, which are not known before it is loaded: every
    `--name value` and `--name=value` is taken.
    """
    places, options = [], {}
    remaining = iter(arguments)
    for argument in remaining:
        if not argument.startswith("--"):
            places.append(argument)
            continue
        name, equals, value = argument[2:].partition("=")
        value = value if equals else next(remaining, None)
        if value is None:
            raise ValueError(message(f"--{name}", "a value", "none", f"Write --{name} VALUE."))
        if name in options:
            raise ValueError(
                message(f"--{name}", "one value", "two", "Put several examples into a manifest.")
            )
        options[name] = value
    if not 1 <= len(places) <= 2:
        fix = "Put text that holds spaces in quotes." if places else "Name the model first."
        raise ValueError(message(command, "MODEL and at most one MANIFEST", listing(places) or "none", fix))
    if both and len(places) < 2:
        raise ValueError(message(command, "MODEL and MANIFEST", listing(places), "Name a table to look in."))
    if len(places) == 2 and options and not both:
        fix = "Remove the manifest to predict one example, or these options to predict its rows."
        received = ", ".join(f"--{name}" for name in options)
        raise ValueError(message(command, "a manifest or one example", f"both: {received}", fix))
    return places[0], places[1] if len(places) == 2 else None, options


def check_output(path):
    if path is not None and path.suffix not in SUFFIXES:
        fix = "Name it answers.csv or answers.jsonl."
        raise ValueError(message("--output", f"a file that ends in {listing(SUFFIXES)}", str(path), fix))


def check_modality(owner, name, preprocessor):
    if name not in preprocessor.modalities:
        fix = f"{closest(name, preprocessor.modalities)}Name a modality of the model."
        raise ValueError(message(owner, listing(preprocessor.modalities), f"{name!r}", fix))


def read_example(options, preprocessor, command="predict"):
    """Turns the options of one example into cells: modality -> list of one path, text or row of numbers.

    Raises: ValueError, if an option is no modality, none is given, or a value cannot be used.
    """
    modalities, cells = preprocessor.modalities, {}
    for option, value in options.items():
        name = option if option in modalities else option.replace("-", "_")
        if name not in modalities:
            names = [f"--{name}" for name in modalities]
            near = closest(f"--{option}", names)
            fix = f"{near}The options are the model's modalities."
            raise ValueError(message(command, listing(names), f"--{option}", fix))
        if value.strip():
            cells[name] = [_read_cell(name, modalities[name], value)]
    if not cells:
        options = listing(f"--{name}" for name in modalities)
        if command == "retrieve":  # Which has a manifest to look in.
            raise ValueError(
                message(command, "an example to look for", "none", f"Give at least one of {options}.")
            )
        fix = f"Give at least one of {options}, or a manifest."
        raise ValueError(message(command, "an example or a manifest", "neither", fix))
    return cells


def _read_cell(name, modality, value):
    if modality.kind == "numbers":
        return _read_numbers(name, modality.columns or [name], value)
    if modality.kind in PATH_KINDS and not Path(value).is_file():
        received = f"{value}, which " + ("is a folder" if Path(value).is_dir() else "does not exist")
        raise ValueError(message(f"--{name}", f"a file of kind {modality.kind}", received, "Check the path."))
    return value


def _read_numbers(name, columns, value):
    words = value.split(",")
    try:
        if len(words) != len(columns):
            raise ValueError(f"{len(words)} numbers")
        return [float(word) if word.strip() else float("nan") for word in words]
    except ValueError as error:
        example = ",".join(str(number) for number in range(1, len(columns) + 1))
        expected = f"{len(columns)} number{'s' if len(columns) > 1 else ''} ({', '.join(columns)})"
        fix = f"Write --{name} {example}, with nothing between the commas for an unknown one."
        raise ValueError(message(f"--{name}", expected, value, fix)) from error


def example_options(data, most=60):
    """Returns the options that ask for a real row of `Datasets`, the first one with every modality if any."""
    manifest = data.manifest
    rows = next(data.rows[split] for split in ("test", "validation", "train") if len(data.rows[split]))
    row = rows[np.argmax(manifest.present[rows].sum(axis=1))]
    words = []
    for index, (name, modality) in enumerate(data.preprocessor.modalities.items()):
        cell = manifest.cells[name][row]
        in_records = manifest.records is not None and modality.kind in PATH_KINDS
        if not manifest.present[row, index] or in_records:  # Contents in shards have no path to type.
            continue
        if modality.kind == "numbers":
            text = ",".join("" if np.isnan(number) else f"{number:g}" for number in cell)
        elif modality.kind == "text":
            text = textwrap.shorten(cell, most, placeholder="")
        else:
            near = os.path.relpath(cell)
            text = cell if near.startswith("..") else near
        words.append(
            f"--{name}={shlex.quote(text)}" if text.startswith("-") else f"--{name} {shlex.quote(text)}"
        )
    return " ".join(words)


def predict_example(predictor, cells):
    """Returns the `Answers` to one example."""
    with _naming(predictor, cells, "predict"):
        return Answers(predictor.predict(cells))


def read_rows(predictor, manifest):
    """Reads the rows of a manifest that the model can answer; see `load_rows`."""
    return load_rows(manifest, predictor.preprocessor.modalities)


def predict_rows(predictor, rows, size=ROWS_AT_ONCE, progress=None):
    """Answers the rows of a manifest, `size` of them at once.

    Args:
        predictor: Predictor.
        rows: Rows.
        size: int. Rows whose files and answers are held in memory.
        progress: callable or None, called with the number of rows answered since the last call.

    Yields: Answers.
    Raises: ManifestError, naming the line and its cells, if a file cannot be read.
    """
    ids = rows.table["id"].to_numpy() if "id" in rows.table else None
    for start in range(0, len(rows.lines), size):
        part = slice(start, start + size)
        cells = {name: cells[part] for name, cells in rows.cells.items()}
        try:
            answers = predictor.predict(cells)
        except Exception:
            _find_fault(predictor, cells, rows.lines[part])
            raise
        yield Answers(answers, rows.lines[part], None if ids is None else ids[part])
        if progress:
            progress(len(rows.lines[part]))


def _find_fault(predictor, cells, lines):
    """Asks row by row, and raises with the line of the first one that fails."""
    for index, line in enumerate(lines):
        row = {name: column[index : index + 1] for name, column in cells.items()}
        with _naming(predictor, row, f"line {line}"):
            predictor.predict(row)


@contextmanager
def _naming(predictor, cells, place):
    """Turns what a row of cells raises into an error that names the place and the row's files."""
    try:
        yield
    except Exception as error:
        reason = _reason_of(error)
        files = {
            modality.kind: str(cells[name][0])
            for name, modality in predictor.preprocessor.modalities.items()
            if modality.kind in PATH_KINDS and name in cells and cells[name][0]
        }
        if not files:
            raise
        # A decoder is named after the kind that it reads.
        named = [file for kind, file in files.items() if f"decode_{kind}" in reason] or list(files.values())
        if not any(file in reason for file in named):
            reason = f"{', '.join(named)}: {reason}"
        raise ManifestError(f"{place}: {reason}") from error


def _reason_of(error):
    """Returns the sentences of the package inside an error, without TensorFlow's words around them."""
    lines = str(getattr(error, "message", None) or error).strip().splitlines()
    found = [match for match in map(SENTENCES.search, lines) if match]
    if not found:
        return lines[-1].strip() if lines else type(error).__name__
    reason = found[-1]["assertion"] or found[-1]["plain"]
    return reason.replace("row 1: ", "").replace("\\\\", "\\")
