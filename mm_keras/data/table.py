"""Reads a CSV file as a table of text, and knows the line of every row."""

import csv
import io
import itertools
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from mm_keras.checks import closest, listing, message


class ManifestError(ValueError):
    """A manifest that cannot be used: the message names the column and the lines, and how to mend it."""


@dataclass
class Table:
    """A manifest as it stands in the file.

    Args:
        path: Path. The file.
        frame: pandas.DataFrame of str, object columns. "" = missing.
        lines: int array `(N,)`. Line of each row in the file, from 1.
    """

    path: Path
    frame: pd.DataFrame
    lines: np.ndarray

    def column(self, name, owner):
        """Returns the cells of a column that `owner`, a path of the spec, names: object array `(N,)`."""
        if name not in self.frame:
            columns = list(self.frame.columns)
            fix = f"{closest(name, columns)}The columns are {listing(columns, 24)}."
            raise ManifestError(message(owner, f"a column of {self.path.name}", f"`{name}`", fix))
        return self.frame[name].to_numpy()

    def name_lines(self, rows, most=10):
        """Returns "line 3" or "lines 3, 7 and 12 more" for row numbers or a mask of rows."""
        rows = np.flatnonzero(rows) if np.asarray(rows).dtype == bool else np.asarray(rows)
        shown = ", ".join(str(line) for line in self.lines[rows[:most]])
        more = f" and {len(rows) - most} more" if len(rows) > most else ""
        return f"line{'s' if len(rows) > 1 else ''} {shown}{more}"


def read_manifest(path):
    """Reads a CSV manifest.

    Args:
        path: str or path. UTF-8 text with a header; `.tsv`: tabs between the cells, else commas.

    Returns: pandas.DataFrame of str without spaces around. A cell is "" where it is empty; "NA" stays text.
    Raises: ManifestError, if the file cannot be read or is no such table.
    """
    return read_table(path).frame


def read_table(path):
    """Reads a CSV manifest as a `Table`; see `read_manifest`."""
    path = Path(path)
    text = _read_text(path)
    separator = "\t" if path.suffix.lower() == ".tsv" else ","
    rows = _Rows(text, separator, path)
    header = _read_header(next(rows, None), separator, path)
    columns, lines = _read_columns(rows, header)
    if not lines:
        fix = "Write a line for each row below the header."
        raise ManifestError(message(str(path), "rows below the header", "the header alone", fix))
    return Table(path, pd.DataFrame(dict(zip(header, columns, strict=True)), dtype=object), np.array(lines))


def _read_text(path):
    if path.is_dir():
        raise ManifestError(message(str(path), "a CSV file", "a folder", "Name the table in it."))
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        fix = "Check the path; the spec's `data.manifest` is relative to the spec file."
        raise ManifestError(message(str(path), "a CSV file", "no such file", fix)) from error
    except OSError as error:
        received = error.strerror or str(error)
        raise ManifestError(message(str(path), "a CSV file", received, "Check its permissions.")) from error
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise ManifestError(message(str(path), "UTF-8 text", "UTF-16 text", "Save the file as CSV UTF-8."))
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        column = error.start - (content.rfind(b"\n", 0, error.start) + 1) + 1
        received = f"the byte 0x{content[error.start]:02x} in line {line}, byte {column}"
        raise ManifestError(
            message(str(path), "UTF-8 text", received, "Save the file as CSV UTF-8.")
        ) from error
    if "\0" in text:
        raise ManifestError(
            message(str(path), "a CSV file", "binary data", "Name the table, not another file.")
        )
    return text


class _Rows:
    """Iterates over the rows of a CSV text as lists of cells; `line` is where the last one began."""

    def __init__(self, text, separator, path):
        self.reader = csv.reader(
            io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=separator == ",", strict=True
        )
        self.path, self.line = path, 1

    def __iter__(self):
        return self

    def __next__(self):
        row = []
        while not any(map(str.strip, row)):  # Spreadsheets end with such lines: they are no rows.
            self.line = self.reader.line_num + 1
            try:
                row = next(self.reader)
            except csv.Error as error:
                received = f"{error} in the row that begins in line {self.line}"
                fix = 'Close each quote, and write a quote inside quotes twice: "".'
                raise ManifestError(message(str(self.path), "a CSV file", received, fix)) from error
        return row


def _read_columns(rows, header, size=4096):
    """Returns the columns, stripped, and each row's line. Columns hold far less memory than lists of rows."""
    columns, lines, wrong = [[] for _ in header], [], []
    while chunk := [(rows.line, row) for row in itertools.islice(rows, size)]:
        wrong += [(line, len(row)) for line, row in chunk if len(row) != len(header)]
        if not wrong:
            lines += [line for line, _ in chunk]
            for column, cells in zip(columns, zip(*[row for _, row in chunk], strict=True), strict=True):
                column += map(str.strip, cells)
    if wrong:
        line, width = wrong[0]
        received = f"{width} in line {line}"
        if len(wrong) > 1:
            others = Table(rows.path, None, np.array([line for line, _ in wrong[1:]]))
            received += f", and other numbers in {others.name_lines(np.arange(len(wrong) - 1))}"
        fix = "Put a cell that holds a comma in quotes, and keep the commas of empty cells."
        expected = f"{len(header)} cells in each row, as in the header"
        raise ManifestError(message(str(rows.path), expected, received, fix))
    return columns, lines


def _read_header(cells, separator, path):
    if cells is None:
        fix = "Write a header such as `image,text,label` and a line for each row."
        raise ManifestError(message(str(path), "a table", "an empty file", fix))
    header = [cell.strip() for cell in cells]
    if len(header) == 1:
        for other, word in ((";", "semicolons"), ("\t", "tabs"), ("|", "bars"), (",", "commas")):
            if other != separator and other in header[0]:
                wanted = "tabs" if separator == "\t" else "commas"
                fix = "Save the table as CSV with commas, or with tabs as .tsv."
                raise ManifestError(message(str(path), f"{wanted} between the columns", f"{word}", fix))
    # A table saved with its row numbers has a column without a name.
    header = [name or f"column_{position}" for position, name in enumerate(header, start=1)]
    twice = sorted({name for name in header if header.count(name) > 1})
    if twice:
        fix = "Rename or remove the repeated columns."
        raise ManifestError(message(str(path), "each column name once", f"{listing(twice)} repeated", fix))
    return header
