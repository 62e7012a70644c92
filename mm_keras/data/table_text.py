"""What tables in text files share: opening them, telling other files apart, columns that grow by chunks."""

import codecs
import gzip
import io
import re
import zlib
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from mm_keras.checks import listing, message
from mm_keras.data.findings import Finding
from mm_keras.data.table import ManifestError, Table, text_column

CHUNK = 8192
MANY_DAMAGED = 1000
SNIFFED = 1 << 16
MOST_NOT_UTF8 = 0.1
MARKS = {
    codecs.BOM_UTF32_LE: "UTF-32",
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
}
SURROGATE = re.compile("[\ud800-\udfff]")
# Read errors of a file that is there; a damaged .gz ends in one of the last three.
READ_ERRORS = (OSError, EOFError, zlib.error)


def open_text(path, kind):
    """Opens the text file of a table; `.gz` is unpacked while it is read.

    Args:
        path: Path.
        kind: str. What is expected, such as "a CSV file".

    Returns: text file. Bytes that are no UTF-8 become surrogates; line ends stay as they are.
    Raises: ManifestError, if it cannot be opened or is no UTF-8 text.
    """
    if path.is_dir():
        raise ManifestError(message(str(path), kind, "a folder", "Name the table in it."))
    try:
        file = gzip.open(path) if path.suffix.lower() == ".gz" else open(path, "rb")
        with file:
            _check_start(file.read(SNIFFED), path, kind)
        file = gzip.open(path) if path.suffix.lower() == ".gz" else open(path, "rb")
    except READ_ERRORS as error:
        raise unreadable(path, kind, error) from error
    return io.TextIOWrapper(file, encoding="utf-8-sig", errors="surrogateescape", newline="")


def unreadable(path, kind, error):
    """Returns the ManifestError for a file that the system cannot open or read."""
    if isinstance(error, FileNotFoundError):
        fix = "Check the path; the spec's `data.manifest` is relative to the spec file."
        return ManifestError(message(str(path), kind, "no such file", fix))
    damaged = isinstance(error, (EOFError, zlib.error, gzip.BadGzipFile))
    fix = "Write the file again." if damaged else "Check its permissions."
    return ManifestError(message(str(path), kind, getattr(error, "strerror", None) or str(error), fix))


def _check_start(content, path, kind):
    """Refuses other files from their first bytes: binary ones, and text in another encoding."""
    encoding = next((name for mark, name in MARKS.items() if content.startswith(mark)), None)
    if encoding is None and b"\0" in content:
        if max(content[::2].count(0), content[1::2].count(0)) < 0.4 * len(content):
            fix = "Name the table, not another file."
            raise ManifestError(message(str(path), kind, "binary data", fix))
        encoding = "UTF-16"
    if encoding:
        received = f"{encoding} text"
        raise ManifestError(message(str(path), "UTF-8 text", received, "Save the file as CSV UTF-8."))
    lines = content.split(b"\n")
    if len(content) == SNIFFED and len(lines) > 1:
        lines.pop()  # It may end within a character.
    wrong = [number for number, line in enumerate(lines) if not _is_utf8(line)]
    if not wrong or (wrong[0] > 0 and len(wrong) <= MOST_NOT_UTF8 * len(lines)):
        return
    line = lines[wrong[0]]
    start = _first_wrong_byte(line)
    received = f"the byte 0x{line[start]:02x} in line {wrong[0] + 1}, byte {start + 1}"
    # Of the one-byte encodings, only Latin-1 and its kin leave the bytes 0x80 to 0x9f free.
    latin = not any(0x80 <= byte < 0xA0 for number in wrong for byte in lines[number])
    fix = "Save the file as CSV UTF-8" + ("; it looks like Latin-1 text." if latin else ".")
    raise ManifestError(message(str(path), "UTF-8 text", received, fix))


def _is_utf8(line):
    return line.isascii() or _first_wrong_byte(line) is None


def _first_wrong_byte(line):
    try:
        line.decode("utf-8")
    except UnicodeDecodeError as error:
        return error.start
    return None


def read_header(cells, path, separator=","):
    """Returns the names of columns, stripped; refuses a header that names one twice.

    Args:
        cells: list of str.
        path: Path. For messages.
        separator: str. What stands between the columns.
    """
    header = [cell.strip() for cell in cells]
    if len(header) == 1:
        for other, word in ((";", "semicolons"), ("\t", "tabs"), ("|", "bars"), (",", "commas")):
            if other != separator and other in header[0]:
                wanted = "tabs" if separator == "\t" else "commas"
                fix = "Save the table as CSV with commas, or with tabs as .tsv."
                raise ManifestError(message(str(path), f"{wanted} between the columns", f"{word}", fix))
    # A table saved with its row numbers has a column without a name.
    return check_names([name or f"column_{position}" for position, name in enumerate(header, start=1)], path)


def check_names(names, path):
    """Returns the names of columns, each of which must be there once."""
    twice = sorted({name for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []
    if twice:
        fix = "Rename or remove the repeated columns."
        raise ManifestError(message(str(path), "each column name once", f"{listing(twice)} repeated", fix))
    return names


def outnumber(damaged, rows):
    """Returns whether the damaged rows of a table are too many for findings: it is no such table."""
    return bool(damaged) and (not rows or damaged > max(MANY_DAMAGED, rows))


class TextColumns:
    """Collects the cells of a text file chunk by chunk as Arrow strings, without spaces around them.

    Args:
        path: Path. The file.
        columns: list of str or None. The columns to keep; None: all.
    """

    def __init__(self, path, columns=None):
        self.path = Path(path)
        self.columns = None if columns is None else set(columns)
        self.chunks, self.lines, self.findings, self.names = {}, [], [], []
        self.rows = 0

    def add(self, cells, lines, keep_empty=False):
        """Appends a chunk of rows.

        Args:
            cells: dict, column -> list of str, each `(N,)`. A column that is not there is empty here.
            lines: int array `(N,)`.
            keep_empty: bool. Keep rows of which every cell is empty.
        """
        arrays, wrong = {}, []
        for name, values in cells.items():
            arrays[name], found = _to_arrow(values)
            wrong += [(name, position, shown) for position, shown in found.items()]
        kept = np.full(len(lines), keep_empty)
        for array in arrays.values():
            kept |= pc.not_equal(array, "").to_numpy(zero_copy_only=False)
        kept[[position for _, position, _ in wrong]] = True
        rows = self.rows + np.cumsum(kept) - 1
        for name, position, shown in wrong:
            if self.columns is None or name in self.columns:
                self._find(name, int(lines[position]), shown, int(rows[position]))
        self._append(arrays, lines, kept)

    def _find(self, name, line, shown, row):
        reason = "bytes that are no UTF-8 text; save the file as UTF-8"
        self.findings.append(Finding("not_text", line, name, shown, reason, row))

    def _append(self, arrays, lines, kept):
        count = int(kept.sum())
        for name in arrays:
            if name not in self.names:
                self.names.append(name)
                if self.columns is None or name in self.columns:
                    self.chunks[name] = [_blank(self.rows)] if self.rows else []
        for name, chunks in self.chunks.items():
            array = arrays.get(name)
            if array is None:
                chunks.append(_blank(count))
            else:
                chunks.append(array if count == len(lines) else array.filter(pa.array(kept)))
        self.lines.append(lines[kept])
        self.rows += count

    def to_table(self):
        """Returns the Table."""
        frame = pd.DataFrame({name: text_column(chunks) for name, chunks in self.chunks.items()})
        lines = np.concatenate(self.lines)
        return Table(self.path, frame, lines, findings=self.findings, names=self.names)


def _blank(count):
    return pa.repeat(pa.scalar("", pa.large_string()), count)


def _to_arrow(values):
    """Returns (Arrow strings, dict of position -> shown text for cells that are no text: those are empty)."""
    wrong = {}
    try:
        array = pa.array(values, pa.large_string())
    except UnicodeEncodeError:
        values = list(values)
        for position, value in enumerate(values):
            if not value.isascii() and SURROGATE.search(value):
                wrong[position] = _show(value)
                values[position] = ""
        array = pa.array(values, pa.large_string())
    return pc.utf8_trim_whitespace(array), wrong


def _show(value, most=80):
    """Returns a text with the bytes that are no UTF-8 as \\xe9."""
    shown = value.strip().encode("utf-8", "backslashreplace").decode("utf-8")
    shown = re.sub(r"\\udc([89a-f][0-9a-f])", r"\\x\1", shown)
    return shown if len(shown) <= most else f"{shown[:most]}..."
