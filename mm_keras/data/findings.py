"""What is wrong with single rows of a manifest: one wording and one table of codes for all who look."""

import csv
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mm_keras.checks import message

ERROR, WARNING = "error", "warning"
ROW, CELL, TARGET = "row", "cell", "target"
# code -> (severity, what is hit, title). An error of a CELL costs its row under `quarantine`, and one
# modality under `missing`; one of a ROW or TARGET costs the row. A warning costs nothing.
CODES = {
    "missing_file": (ERROR, CELL, "file is not there"),
    "outside": (ERROR, CELL, "path outside the data folder"),
    "address": (ERROR, CELL, "an address, not a file"),
    "empty": (ERROR, CELL, "empty file"),
    "truncated": (ERROR, CELL, "truncated file"),
    "wrong_type": (ERROR, CELL, "not what its column holds"),
    "undecodable": (ERROR, CELL, "cannot be decoded"),
    "too_large": (ERROR, CELL, "too large to decode"),
    "not_finite": (ERROR, CELL, "NaN or Inf"),
    "wrong_shape": (ERROR, CELL, "array of another shape"),
    "not_text": (ERROR, CELL, "invalid UTF-8"),
    "not_a_number": (ERROR, CELL, "not a number"),
    "damaged_row": (ERROR, ROW, "row that cannot be read"),
    "all_missing": (ERROR, ROW, "every modality missing"),
    "no_label": (ERROR, TARGET, "no label"),
    "unseen_label": (ERROR, TARGET, "label that train lacks"),
    "bad_target": (ERROR, TARGET, "target that is no number"),
    "bad_weight": (ERROR, TARGET, "weight that is no number of at least 0"),
    "unknown_split": (ERROR, ROW, "unknown split"),
    "no_group": (ERROR, ROW, "no group"),
    "ending_differs": (WARNING, CELL, "name ends unlike its contents"),
    "silence": (WARNING, CELL, "silent sound"),
    "blank": (WARNING, CELL, "image of one colour"),
    "duplicate": (WARNING, ROW, "the same inputs as another row"),
    "near_duplicate": (WARNING, CELL, "looks like another row's image"),
    "leak": (WARNING, CELL, "also in another split"),
    "contradiction": (WARNING, TARGET, "the same inputs under another label"),
}
QUARANTINE = "quarantine.csv"
COLUMNS = ("row", "column", "path", "reason", "code")


@dataclass(frozen=True)
class Finding:
    """One fault of one row.

    Args:
        code: str. A key of `CODES`.
        line: int. Line (of a text file) or row (of any other table), from 1.
        column: str. Column of the table, "" = the whole row.
        path: str. The cell as it stands in the table.
        reason: str. What was found, for a person.
        row: int. Row number in the table from 0, -1 = the row could not be taken into the table.
        modality: str. Name of the modality that reads the cell, "" = none.
    """

    code: str
    line: int
    column: str
    path: str
    reason: str
    row: int = -1
    modality: str = ""

    @property
    def severity(self):
        return CODES[self.code][0]

    @property
    def hits(self):
        """What the fault costs: "row", "cell" or "target"."""
        return CODES[self.code][1]


class DataError(ValueError):
    """Too many rows cannot be used, or one where none may be bad.

    Args:
        text: str. The message, with the first findings.
        findings: list of Finding. All of them.
    """

    def __init__(self, text, findings=()):
        super().__init__(text)
        self.findings = list(findings)


def find(table, rows, code, column, reason, cells=None, modality=""):
    """Returns a Finding for each of the rows of a table.

    Args:
        table: Table. Its lines name the rows.
        rows: int array or bool mask `(N,)`.
        code, column, modality: str, as in `Finding`.
        reason: str, or callable cell -> str.
        cells: str array `(N,)` or None. The cells of all rows; None: no cell is named.
    """
    rows = np.flatnonzero(rows) if np.asarray(rows).dtype == bool else np.asarray(rows, int)
    found = []
    for row in rows.tolist():
        cell = "" if cells is None else str(cells[row])
        text = reason(cell) if callable(reason) else reason
        found.append(Finding(code, int(table.lines[row]), column, cell, text, row, modality))
    return found


def check_limit(findings, rows, on_bad, max_bad):
    """Refuses more bad rows than the spec allows.

    Args:
        findings: list of Finding.
        rows: int. Rows of the manifest in all.
        on_bad: "quarantine", "missing" or "fail".
        max_bad: float in [0, 1]. Largest share of bad rows.

    Raises: DataError, with all findings, if there are more.
    """
    errors = [finding for finding in findings if finding.severity == ERROR]
    bad = len({finding.line for finding in errors})
    if not bad or (on_bad != "fail" and bad <= max_bad * rows):
        return
    count = f"{bad} row{'s' if bad > 1 else ''}"
    if on_bad == "fail":
        expected, received = "a manifest without bad rows (`data.on_bad: fail`)", f"{count} of {rows}"
        fix = "Mend them, or set `data.on_bad: quarantine`, which leaves such rows out, up to `data.max_bad`."
    else:
        expected = f"at most {_share(max_bad)} bad rows (`data.max_bad`)"
        received = f"{count} of {rows} ({_share(bad / rows)})"
        fix = "Mend them, or raise `data.max_bad` if it is right to leave them out."
    raise DataError("\n".join([message("data.manifest", expected, received, fix), *describe(errors)]), errors)


def describe(findings, most=20):
    """Returns a line for each of the first findings, and one that counts the others."""
    lines = []
    for finding in findings[:most]:
        column = f", {finding.column}" if finding.column else ""
        cell = f": {finding.path}" if finding.path else ""
        lines.append(f"  line {finding.line}{column}{cell}: {finding.reason}")
    if len(findings) > most:
        lines.append(f"  and {len(findings) - most} more")
    return lines


def write_quarantine(path, findings):
    """Writes a `quarantine.csv`: row, column, path, reason and code of every error, each file once."""
    path = Path(path)
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for finding in sorted(findings, key=lambda finding: (finding.line, finding.column)):
            if finding.severity == ERROR:
                writer.writerow([finding.line, finding.column, finding.path, finding.reason, finding.code])
    return path


def list_of_run(runs, name):
    """Returns where bad rows are listed that keep a training from having a run folder."""
    return Path(runs) / name / QUARANTINE


@contextmanager
def keep_list(path):
    """Writes the whole list of a `DataError` that is raised inside to `path`, and says so in its message."""
    try:
        yield
    except DataError as error:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        write_quarantine(path, error.findings)
        raise DataError(f"{error}\nAll of them: {path}", error.findings) from error


def _share(share):
    return f"{100 * share:.3g}%"
