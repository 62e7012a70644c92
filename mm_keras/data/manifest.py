"""From a manifest and a spec to rows: what each cell holds, which split it is in, what it teaches."""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from mm_keras.checks import listing, message
from mm_keras.data.cells import read_cells
from mm_keras.data.splits import split_by_column, split_by_shares
from mm_keras.data.table import ManifestError, read_manifest, read_table
from mm_keras.data.targets import read_target

__all__ = ["Manifest", "ManifestError", "Rows", "load_manifest", "load_rows", "read_manifest"]


@dataclass
class Rows:
    """The inputs of a manifest's rows.

    Args:
        root: Path. Folder that paths are relative to; absolute.
        table: pandas.DataFrame of str. Every column of the file; "" = missing.
        lines: int array `(N,)`. Line of each row in the file, from 1.
        cells: dict, modality -> object array `(N,)` of absolute paths or of texts, "" where missing; numbers:
            float32 `(N, n)`, NaN where missing.
        present: float32 `(N, M)`. 1 where the modality (sorted by name) is there.
    """

    root: Path
    table: pd.DataFrame
    lines: np.ndarray
    cells: dict
    present: np.ndarray


@dataclass
class Manifest(Rows):
    """The rows of a manifest, with their splits and targets.

    Args:
        splits: dict, train, validation and test -> int array of rows, ascending. Each row is in one.
        labels: dict, classification output -> list of str. Classes of train; numbers sorted by value.
        targets: dict, classification output -> int32 `(N,)`, index of the class, -1 = no label; multi-label:
            float32 `(N, C)` of 0 and 1.
        target_weights: dict, classification output -> float32 `(N,)`. Class weight, 0 = no label.
    """

    splits: dict
    labels: dict
    targets: dict
    target_weights: dict


def load_manifest(spec, labels=None, unsplit=False):
    """Reads and checks the manifest of a spec.

    Args:
        spec: Spec. `data.manifest` absolute, or relative to the working folder.
        labels: dict, classification output -> list of str, or None. The classes that a model knows, to
            evaluate it; there need be no train rows then. None takes the classes of the train rows.
        unsplit: bool. All rows are test rows if the table has no such split column: a table to evaluate on.

    Returns: Manifest.
    Raises: ManifestError, with the column and the lines, if the table does not fit the spec.
    """
    table = read_table(spec.data.manifest)
    root = _root_of(table, None)
    outputs = spec.of_kind("classification")
    for name, output in outputs.items():
        table.column(output.column, f"outputs.{name}.column")
    cells, present = read_cells(table, spec.modalities, root)
    splits = _split(table, spec, outputs, labels is None, unsplit)
    found = {
        name: read_target(table, name, output, splits, labels and labels[name])
        for name, output in outputs.items()
    }
    if len(outputs) == len(spec.outputs):
        _refuse_rows_without_target(table, outputs)
    return Manifest(
        root=Path(root),
        table=table.frame,
        lines=table.lines,
        cells=cells,
        present=present,
        splits=splits,
        labels={name: target.labels for name, target in found.items()},
        targets={name: target.values for name, target in found.items()},
        target_weights={name: target.weights for name, target in found.items()},
    )


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
    table = read_table(path)
    root = _root_of(table, root)
    cells, present = read_cells(table, modalities, root, partial=True)
    return Rows(Path(root), table.frame, table.lines, cells, present)


def _columns_of(modality):
    return modality.columns if modality.kind == "numbers" else [modality.column]


def _root_of(table, root):
    return os.path.abspath(table.path.parent if root is None else root)


def _split(table, spec, outputs, learn, unsplit):
    column = spec.data.split
    if unsplit and not (isinstance(column, str) and column in table.frame):
        nothing = np.zeros(0, int)
        return {"train": nothing, "validation": nothing, "test": np.arange(len(table.frame))}
    if isinstance(column, str):
        return split_by_column(table, column, learn)
    labels = [output.column for output in outputs.values()]
    columns = [column for modality in spec.modalities.values() for column in _columns_of(modality)]
    strata = None
    for name in spec.outputs:  # In the spec's order: the first one decides.
        if name in outputs and not outputs[name].multi_label and strata is None:
            strata = table.frame[outputs[name].column].to_numpy()
    return split_by_shares(table, spec.data.split, list(dict.fromkeys(columns + labels)), strata)


def _refuse_rows_without_target(table, outputs):
    columns = [output.column for output in outputs.values()]
    empty = (table.frame[columns] == "").all(axis=1).to_numpy()
    if empty.any():
        received = f"none in {table.name_lines(empty)}"
        fix = "Fill it in, remove these rows, or learn from them too with an output of `kind: autoencoder`."
        raise ManifestError(
            message(table.path.name, f"a label ({listing(columns)}) in each row", received, fix)
        )
