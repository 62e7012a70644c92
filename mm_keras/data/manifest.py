"""From a manifest and a spec to rows: what each cell holds, which split it is in, what it teaches."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from mm_keras.checks import listing, message
from mm_keras.data.cells import columns_of, read_cells
from mm_keras.data.findings import ERROR, check_limit, describe, find
from mm_keras.data.numbers import wrong_numbers
from mm_keras.data.reading import read_manifest, read_table
from mm_keras.data.splits import split_by_column, split_by_shares
from mm_keras.data.table import ManifestError
from mm_keras.data.targets import read_captions, read_numbers_target, read_sounds, read_target

__all__ = ["Manifest", "ManifestError", "Rows", "load_manifest", "load_rows", "read_manifest"]


@dataclass
class Rows:
    """The inputs of a manifest's rows.

    Args:
        root: Path. Folder that paths are relative to; absolute.
        table: pandas.DataFrame of str. Every column of the file; "" = missing.
        lines: int array `(N,)`. Line of each row in the file, from 1.
        cells: dict, modality -> pandas string array `(N,)` of absolute paths or of texts, "" where missing;
            numbers: float32 `(N, n)`, NaN where missing.
        present: float32 `(N, M)`. 1 where the modality (sorted by name) is there.
        records: Records or None. Shards that hold the contents of files.
    """

    root: Path
    table: pd.DataFrame
    lines: np.ndarray
    cells: dict
    present: np.ndarray
    records: object = None


@dataclass
class Manifest(Rows):
    """The rows of a manifest, with their splits and targets.

    Args:
        splits: dict, train, validation and test -> int array of rows, ascending. Each good row is in one, a
            bad one in none.
        labels: dict, classification output -> list of str. Classes of train; numbers sorted by value.
        targets: dict, classification output -> int32 `(N,)`, index of the class, -1 = no label; multi-label:
            float32 `(N, C)` of 0 and 1; regression output -> float32 `(N, n)`; caption output -> pandas
            string array `(N,)` of cells; speech output -> the same of absolute paths, "" where there is none.
        target_weights: dict, output -> float32 `(N,)`. Sample weight times class weight, 0 = no target.
        findings: list of Finding. What is wrong with rows.
    """

    splits: dict = field(default_factory=dict)
    labels: dict = field(default_factory=dict)
    targets: dict = field(default_factory=dict)
    target_weights: dict = field(default_factory=dict)
    findings: list = field(default_factory=list)

    def cells_of(self, name):
        """Returns the cells of a modality, or the paths of an output whose answers are files."""
        return self.cells[name] if name in self.cells else self.targets[name]

    def has(self, name):
        """Returns bool `(N,)`: the rows that have the modality, or such an answer."""
        if name in self.cells:
            return self.present[:, sorted(self.cells).index(name)] > 0
        return np.asarray(self.targets[name] != "", bool)

    @property
    def rows_in_all(self):
        """Rows of the table, those that could not be read among them."""
        return len(self.lines) + sum(finding.row < 0 for finding in self.findings)

    def hide(self, findings):
        """Takes the cells that findings are about as missing, and adds the findings to those known."""
        for place, name in enumerate(sorted(self.cells)):
            rows = [finding.row for finding in findings if finding.modality == name]
            if rows:
                self.present[rows, place] = 0
                self.cells[name] = _emptied(self.cells[name], rows)
        for name in {finding.modality for finding in findings} & self.targets.keys():
            rows = [finding.row for finding in findings if finding.modality == name]
            self.targets[name] = _emptied(self.targets[name], rows)
            self.target_weights[name][rows] = 0
        self.findings += findings

    def drop_bad(self, on_bad):
        """Takes rows out of their splits: those with an error, or of `missing`, with nothing left."""
        errors = [finding for finding in self.findings if finding.severity == ERROR and finding.row >= 0]
        bad = np.zeros(len(self.lines), bool)
        bad[[f.row for f in errors if on_bad != "missing" or f.hits != "cell"]] = True
        self._drop(bad)
        hidden = np.zeros(len(self.lines), bool)
        hidden[[f.row for f in errors]] = True
        self._drop(hidden & ~self.present.any(axis=1))

    def _drop(self, bad):
        self.splits = {name: rows[~bad[rows]] for name, rows in self.splits.items()}


def load_manifest(spec, labels=None, unsplit=False, table=None, tolerant=False):
    """Reads and checks the manifest of a spec.

    Args:
        spec: Spec. `data.manifest` absolute, or relative to the working folder.
        labels: dict, classification output -> list of str, or None. The classes that a model knows, to
            evaluate it; there need be no train rows then. None takes the classes of the train rows.
        unsplit: bool. All rows are test rows if the table has no such split column: a table to evaluate on.
        table: pandas.DataFrame, Hugging Face or tf.data dataset, or None, which reads `data.manifest`. Paths
            in it are relative to the folder of `data.manifest`.
        tolerant: bool. Do not refuse more bad rows than `data.max_bad` allows: the caller reports them.

    Returns: Manifest. Rows with a fault that costs them, as `data.on_bad` says, are in no split.
    Raises: ManifestError, with the column and the lines, if the table does not fit the spec. DataError, if
        more rows are bad than the spec allows.
    """
    table = _read(spec, table)
    table.check_fit(spec.files)
    targeted = {name: output for name, output in spec.outputs.items() if output.target_columns}
    for output, column in [(name, c) for name, part in targeted.items() for c in part.target_columns]:
        table.column(column, f"outputs.{output}.column")
    cells, present, found = read_cells(table, spec.modalities, table.root)
    splits, unsplit_rows = _split(table, spec, labels is None, unsplit)
    lost = [finding for finding in table.findings if finding.row < 0]
    manifest = Manifest(
        table.root, table.frame, table.lines, cells, present, table.records, splits, findings=lost + found
    )
    manifest.findings += unsplit_rows
    # Before the targets too: without its bad rows the table may lack whole classes.
    _drop_bad(manifest, spec.data, tolerant)
    _read_targets(manifest, table, spec, targeted, labels)
    _drop_bad(manifest, spec.data, tolerant)
    if labels is None and not manifest.splits["train"].size:
        fix = "Mend the rows: `mm-keras doctor` lists what is wrong."
        raise ManifestError(message(table.path.name, "a good row to train on", "none", fix))
    return manifest


def _drop_bad(manifest, data, tolerant):
    manifest.drop_bad(data.on_bad)
    if not tolerant:
        check_limit(manifest.findings, manifest.rows_in_all, data.on_bad, data.max_bad)


def _emptied(cells, rows):
    """Returns a copy of a modality's cells that are empty in `rows`."""
    cells = cells.copy()
    cells[rows] = np.nan if isinstance(cells, np.ndarray) else ""
    return cells


def load_rows(path, modalities, root=None):
    """Reads rows to predict: no labels, no splits.

    Args:
        path: str or path. The manifest. Columns of no modality are ignored; a modality whose column is not
            there is missing in each row, and at least one must be there.
        modalities: dict, name -> Modality of the spec.
        root: str or path. Folder that paths are relative to; default: the manifest's own.

    Returns: Rows.
    Raises: ManifestError, if the table cannot be read or a cell cannot be used.
    """
    table = read_table(path, root=root)
    table.check_fit(modalities)
    _refuse_records(table, modalities)
    cells, present, found = read_cells(table, modalities, table.root, partial=True)
    found = [finding for finding in table.findings if finding.row < 0] + found
    if found:
        rows = len({finding.line for finding in found})
        received = f"{rows} that cannot be used"
        fix = "Mend these rows, or take them out."
        text = message(table.path.name, "rows that can be answered", received, fix)
        raise ManifestError("\n".join([text, *describe(found)]))
    return Rows(table.root, table.frame, table.lines, cells, present, table.records)


def _refuse_records(table, modalities):
    held = table.records.columns if table.records is not None else ()
    columns = [c for name, modality in modalities.items() for c in columns_of(modality, name) if c in held]
    if columns:
        fix = "Name a table of paths to the files; `mm-keras evaluate` reads such tables."
        received = f"contents in record shards for {listing(columns)}"
        raise ManifestError(message(table.path.name, "a table whose cells are paths", received, fix))


def _read(spec, table):
    """Reads the table of a spec; of Parquet, which holds each column apart, the columns that are used."""
    source, root, columns = table, None, None
    if table is None:
        source = spec.data.manifest
        columns = _columns_used(spec) if "parquet" in Path(source).suffix else None
    else:
        root = Path(spec.data.manifest).absolute().parent
    rates = {part.column: part.rate for part in spec.of_kind("audio", "speech").values()}
    folder = Path(spec.data.cache_folder) / "records"
    return read_table(source, columns, root=root, folder=folder, rates=rates)


def _columns_used(spec):
    split = spec.data.split
    used = [split if isinstance(split, str) else split.group, spec.data.weight, "id"]
    used += [c for name, modality in spec.modalities.items() for c in columns_of(modality, name)]
    used += [c for output in spec.outputs.values() for c in output.target_columns]
    return [column for column in dict.fromkeys(used) if column]


def _split(table, spec, learn, unsplit):
    column = table.split_of(spec.data.split)
    if unsplit and not (isinstance(column, str) and column in table.frame):
        nothing = np.zeros(0, int)
        return {"train": nothing, "validation": nothing, "test": np.arange(len(table.frame))}, []
    if isinstance(column, str):
        return split_by_column(table, column, learn)
    columns = [c for name, modality in spec.modalities.items() for c in columns_of(modality, name)]
    columns += [c for output in spec.outputs.values() for c in output.target_columns]
    strata = None
    for output in spec.outputs.values():  # In the spec's order: the first one decides.
        if output.kind == "classification" and not output.multi_label and strata is None:
            strata = table.frame[output.column].array
    return split_by_shares(table, spec.data.split, list(dict.fromkeys(columns)), strata)


def _read_targets(manifest, table, spec, targeted, labels):
    """Fills in labels, targets and weights, and adds the findings about them."""
    sample_weights, found = _read_weights(table, spec.data.weight)
    for name, output in targeted.items():
        if output.kind == "regression":
            target = read_numbers_target(table, name, output, manifest.splits, learn=labels is None)
        elif output.kind == "caption":
            target = read_captions(table, name, output, manifest.splits, learn=labels is None)
        elif output.kind == "speech":
            target = read_sounds(table, name, output, manifest.splits, learn=labels is None)
        else:
            target = read_target(table, name, output, manifest.splits, labels and labels[name])
            manifest.labels[name] = target.labels
        manifest.targets[name] = target.values
        manifest.target_weights[name] = (target.weights * sample_weights).astype("float32")
        found += target.findings
    if len(targeted) == len(spec.outputs):
        columns = [column for output in targeted.values() for column in output.target_columns]
        empty = np.all([table.frame[column].array == "" for column in columns], axis=0)
        reason = f"no label ({listing(columns)}); fill it in, or learn from such rows too with an autoencoder"
        found += find(table, empty, "no_label", columns[0], reason)
    used = np.zeros(len(table.frame), bool)
    for rows in manifest.splits.values():
        used[rows] = True
    manifest.findings += [finding for finding in found if used[finding.row]]


def _read_weights(table, column):
    """Returns the sample weights float32 `(N,)`, 1 where the cell is empty, and the findings."""
    if column is None:
        return np.ones(len(table.frame), "float32"), []
    cells = table.column(column, "data.weight")
    values, wrong = wrong_numbers(cells)
    wrong |= values < 0
    reason = "no weight; write a number of at least 0, or nothing for 1"
    weights = np.where(np.isnan(values) | wrong, np.float32(1), values)
    return weights, find(table, wrong, "bad_weight", column, reason, cells)
