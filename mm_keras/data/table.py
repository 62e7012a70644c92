"""A manifest as a table of text: columns of Arrow strings, and the line of every row."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from mm_keras.checks import closest, listing, message

# Arrow buffers, not Python objects: a row of a long table costs its characters and 8 bytes a cell.
TEXT = pd.StringDtype("pyarrow", na_value=np.nan)


class ManifestError(ValueError):
    """A manifest that cannot be used: the message names the column and the lines, and how to mend it."""


@dataclass
class Table:
    """A manifest as it stands in the file.

    Args:
        path: Path. The file or folder, for messages.
        frame: pandas.DataFrame of `TEXT`. "" = missing; no cell is NaN.
        lines: int array `(N,)`. Line of each row in a text file, else its number, from 1.
        root: Path. Folder that paths in cells are relative to; absolute.
        findings: list of Finding. Rows that could not be taken into the frame (row -1), and cells that had
            to be emptied.
        records: Records or None. Shards that hold the contents of the files named in the cells.
        names: list of str. Every column of the file, read into the frame or not.
        left_out: dict, column -> type. Columns of the file that no frame of text can hold.
    """

    path: Path
    frame: pd.DataFrame
    lines: np.ndarray
    root: Path = None
    findings: list = field(default_factory=list)
    records: object = None
    names: list = None
    left_out: dict = field(default_factory=dict)

    def __post_init__(self):
        self.path = Path(self.path)
        self.root = Path(self.root or self.path.parent).absolute()
        if self.names is None and self.frame is not None:
            self.names = list(self.frame.columns)

    def column(self, name, owner):
        """Returns the cells of a column that `owner`, a path of the spec, names: array of `TEXT` `(N,)`."""
        if name in self.left_out:
            expected = "a column of texts, numbers, lists of these, or the contents of files"
            fix = "Write its parts as columns of their own."
            raise ManifestError(message(owner, expected, f"`{name}` of type {self.left_out[name]}", fix))
        if name not in self.frame:
            fix = f"{closest(name, self.names)}The columns are {listing(self.names, 24)}."
            raise ManifestError(message(owner, f"a column of {self.path.name}", f"`{name}`", fix))
        return self.frame[name].array

    def check_fit(self, files):
        """Refuses what the table cannot serve of `Spec.files`: a prepared one may lack some."""

    def split_of(self, asked):
        """Returns `data.split` as this table takes it: a prepared one has frozen its split."""
        return asked

    def name_lines(self, rows, most=10):
        """Returns "line 3" or "lines 3, 7 and 12 more" for row numbers or a mask of rows."""
        rows = np.flatnonzero(rows) if np.asarray(rows).dtype == bool else np.asarray(rows)
        shown = ", ".join(str(line) for line in self.lines[rows[:most]])
        more = f" and {len(rows) - most} more" if len(rows) > most else ""
        return f"line{'s' if len(rows) > 1 else ''} {shown}{more}"


def text_column(chunks):
    """Returns Arrow string arrays, one after another, as a pandas array of `TEXT` without a copy.

    Args:
        chunks: list of pyarrow arrays of any string type, without nulls.
    """
    whole = pa.chunked_array([chunk.cast(pa.large_string()) for chunk in chunks], pa.large_string())
    return pd.array(whole, dtype=TEXT)
