"""Reads CSV and TSV files as tables of text, row by row, and knows the line of each."""

import csv
from dataclasses import dataclass, field

import numpy as np

from mm_keras.checks import message
from mm_keras.data.findings import Finding
from mm_keras.data.table import ManifestError, Table
from mm_keras.data.table_text import (
    CHUNK,
    MANY_DAMAGED,
    READ_ERRORS,
    TextColumns,
    open_text,
    outnumber,
    read_header,
    unreadable,
)

KIND = "a CSV file"


def read_csv(path, columns=None):
    """Reads a CSV file; `.tsv`: with tabs between the cells, else commas.

    Args:
        path: Path. UTF-8 text with a header; `.csv.gz` and `.tsv.gz` are unpacked while they are read.
        columns: list of str or None. The columns to keep; None: all.

    Returns: Table. Rows with another number of cells than the header are not in it: its findings name them.
    Raises: ManifestError, if the file cannot be read, is no such table or has no rows.
    """
    separator = "\t" if ".tsv" in [suffix.lower() for suffix in path.suffixes[-2:]] else ","
    with open_text(path, KIND) as file:
        try:
            return _read(file, path, separator, columns)
        except READ_ERRORS as error:
            raise unreadable(path, KIND, error) from error


def _read(file, path, separator, columns):
    rows = _Rows(file, separator, path)
    header = rows.read_header()
    table = TextColumns(path, columns)
    wrong = []
    while (chunk := rows.read_chunk()) is not None:
        if set(map(len, chunk.cells)) - {len(header)}:
            chunk, others = _part(chunk, len(header), path)
            wrong += others
        if chunk.cells:
            table.add(dict(zip(header, zip(*chunk.cells, strict=True), strict=True)), np.array(chunk.lines))
        if len(wrong) + len(rows.refused) > max(MANY_DAMAGED, table.rows):
            break
    if outnumber(len(wrong) + len(rows.refused), table.rows):
        raise _other_widths(wrong, len(header), path) if wrong else rows.refusal_of_most()
    if not table.rows:
        fix = "Write a line for each row below the header."
        raise ManifestError(message(str(path), "rows below the header", "the header alone", fix))
    reason = f"{{}} cells, where the header has {len(header)}"
    table.findings += [Finding("damaged_row", line, "", "", reason.format(width)) for line, width in wrong]
    table.findings += rows.refused
    return table.to_table()


@dataclass
class _Chunk:
    """Rows of a CSV file, the lines where they begin and those where they end: lists of one length."""

    cells: list = field(default_factory=list)
    lines: list = field(default_factory=list)
    ends: list = field(default_factory=list)


class _Rows:
    """Reads the rows of a CSV file in chunks.

    Args:
        file: text file.
        separator: str.
        path: Path. For messages.
    """

    def __init__(self, file, separator, path):
        self.reader = csv.reader(file, delimiter=separator, skipinitialspace=separator == ",", strict=True)
        self.separator, self.path, self.refused = separator, path, []

    def read_header(self):
        try:
            header = next((cells for cells in self.reader if any(map(str.strip, cells))), None)
        except csv.Error as error:
            raise self._refusal(error, 1) from error
        if header is None:
            fix = "Write a header such as `image,text,label` and a line for each row."
            raise ManifestError(message(str(self.path), "a table", "an empty file", fix))
        return read_header(header, self.path, self.separator)

    def read_chunk(self):
        """Returns the next rows, at most `CHUNK`; None: no more. A line that csv refuses is a finding."""
        chunk, start = _Chunk(), self.reader.line_num
        before = start
        for _ in range(CHUNK):
            try:
                cells = next(self.reader, None)
            except csv.Error as error:
                if self.reader.line_num > before + 1:
                    raise self._refusal(error, before + 1) from error
                self.refused.append(Finding("damaged_row", before + 1, "", "", f"no row of CSV: {error}"))
            else:
                if cells is None:
                    break
                chunk.cells.append(cells)
                chunk.lines.append(before + 1)
                chunk.ends.append(self.reader.line_num)
            before = self.reader.line_num
        return chunk if before > start else None

    def refusal_of_most(self):
        return self._refusal(self.refused[0].reason, self.refused[0].line)

    def _refusal(self, error, line):
        received = f"{error} in the row that begins in line {line}"
        fix = 'Close each quote, and write a quote inside quotes twice: "".'
        return ManifestError(message(str(self.path), KIND, received, fix))


def _part(chunk, width, path):
    """Returns the rows as wide as the header, and (line, number of cells) of others that are not empty."""
    kept, others = _Chunk(), []
    for cells, line, end in zip(chunk.cells, chunk.lines, chunk.ends, strict=True):
        if len(cells) == width:
            kept.cells.append(cells)
            kept.lines.append(line)
        elif end > line:
            received = f"{len(cells)} in the row of lines {line} to {end}"
            fix = 'Close each quote, and write a quote inside quotes twice: "".'
            raise ManifestError(message(str(path), _cells_of(width), received, fix))
        elif any(map(str.strip, cells)):
            others.append((line, len(cells)))
    return kept, others


def _other_widths(wrong, width, path):
    line, cells = wrong[0]
    received = f"{cells} in line {line}"
    if len(wrong) > 1:
        others = Table(path, None, np.array([line for line, _ in wrong[1:]]))
        received += f", and other numbers in {others.name_lines(np.arange(len(wrong) - 1))}"
    fix = "Put a cell that holds a comma in quotes, and keep the commas of empty cells."
    return ManifestError(message(str(path), _cells_of(width), received, fix))


def _cells_of(width):
    return f"{width} cells in each row, as in the header"
