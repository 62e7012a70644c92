"""Reads the target columns: classes, numbers or texts, and how much each row counts."""

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from mm_keras.checks import closest, listing, message
from mm_keras.data.cells import faults_of_table, read_paths
from mm_keras.data.findings import find
from mm_keras.data.numbers import NO_NUMBER, wrong_numbers
from mm_keras.data.table import ManifestError


@dataclass
class Target:
    """What one classification, regression, caption or speech output learns.

    Args:
        labels: list of str. Classes of train, sorted; numbers by value. None of a regression.
        values: int32 `(N,)`, index of the class, -1 = no label; multi-label: float32 `(N, C)` of 0 and 1;
            regression: float32 `(N, n)`, an unknown number replaced by the mean of the known ones; caption:
            pandas string array `(N,)`, the cell; speech: the same of absolute paths, "" where there is
            none.
        weights: float32 `(N,)`. 0 = no label, else the weight of its class; multi-label: the mean of them;
            regression: 1, or 0 if a number of the row is unknown; caption and speech: 1, or 0 if there is
            none.
        findings: list of Finding. Rows whose target cannot be used; their weight is 0.
    """

    labels: list | None
    values: np.ndarray
    weights: np.ndarray
    findings: list = field(default_factory=list)


def read_target(table, name, output, splits, labels=None):
    """Reads the column of a classification output.

    A multi-label cell that holds the separator alone has no label of any class, which is something to
    learn; an empty cell is an unknown one.

    Args:
        table: Table.
        name: str. The output's name.
        output: ClassificationOutput.
        splits: dict, split name -> int array of rows.
        labels: list of str or None. The classes that a model knows; None takes those of the train rows.

    Returns: Target. Its findings are rows of another split with a class that train has not.
    Raises: ManifestError, if train has too few classes.
    """
    cells = table.column(output.column or name, f"outputs.{name}.column")
    codes, distinct = pd.factorize(cells)
    sets = [_labels_of(cell, output) for cell in distinct]
    counts = np.bincount(codes[splits["train"]], minlength=len(distinct))
    known, labels = labels, labels or _classes(sets, counts, name, output)
    index = {label: number for number, label in enumerate(labels)}
    unseen = np.array([not index.keys() >= set(words) for words in sets], bool)
    found = find(
        table, unseen[codes], "unseen_label", output.column or name, _describe_unseen(index, output), cells
    )
    sets = [[] if lost else words for words, lost in zip(sets, unseen, strict=True)]
    of_class = [1.0] * len(labels)
    if known is None and output.class_weights != "none":
        of_class = _class_weights(sets, counts, distinct != "", labels, name, output)
    weights = [np.mean([of_class[index[word]] for word in words]) if words else 1.0 for words in sets]
    weights = (np.array(weights) * (distinct != "") * ~unseen).astype("float32")
    if not output.multi_label:
        values = np.array([index[words[0]] if words else -1 for words in sets], "int32")
        return Target(labels, values[codes], weights[codes], found)
    hot = np.zeros((len(distinct), len(labels)), "float32")
    for row, words in enumerate(sets):
        hot[row, [index[word] for word in words]] = 1
    return Target(labels, hot[codes], weights[codes], found)


def read_numbers_target(table, name, output, splits, learn=True):
    """Reads the columns of a regression output.

    Args:
        table: Table.
        name: str. The output's name.
        output: RegressionOutput.
        splits: dict, split name -> int array of rows.
        learn: bool. There must be train rows with numbers that differ.

    Returns: Target. Its findings are cells that are neither empty nor finite numbers.
    Raises: ManifestError, if a column is not there, or holds no two different numbers to learn from.
    """
    columns, found = [], []
    for column in output.columns or [name]:
        cells = table.column(column, f"outputs.{name}.columns")
        values, wrong = wrong_numbers(cells)
        found += find(table, wrong, "bad_target", column, NO_NUMBER, cells)
        columns.append(values)
    values = np.stack(columns, axis=1)
    known = np.isfinite(values)
    whole = known.all(axis=1)
    if learn:
        _refuse_constant(values[splits["train"]][whole[splits["train"]]], output.columns or [name])
    # A number in place of NaN, which is NaN in loss and metrics even times a weight of 0.
    sums = np.where(known, values, 0).sum(axis=0, dtype="float64")
    means = (sums / np.maximum(known.sum(axis=0), 1)).astype("float32")
    return Target(None, np.where(known, values, means), whole.astype("float32"), found)


def read_captions(table, name, output, splits, learn=True):
    """Reads the column of a caption output.

    Args:
        table: Table.
        name: str. The output's name.
        output: CaptionOutput.
        splits: dict, split name -> int array of rows.
        learn: bool. There must be train rows with captions that differ.

    Returns: Target.
    Raises: ManifestError, if the column is not there, or holds no two different captions to learn from.
    """
    cells = table.column(output.column or name, f"outputs.{name}.column")
    codes, distinct = pd.factorize(cells)
    known = np.array([bool(output.captions_of(cell)) for cell in distinct], bool)
    if learn and len(np.unique(codes[splits["train"]][known[codes[splits["train"]]]])) < 2:
        fix = "Check the column and the split; a text that never differs cannot be learned."
        expected = "at least 2 different texts in the train rows"
        raise ManifestError(message(f"column {output.column or name}", expected, "fewer", fix))
    return Target(None, cells, known[codes].astype("float32"))


def read_sounds(table, name, output, splits, learn=True):
    """Reads the column of a speech output.

    Args:
        table: Table.
        name: str. The output's name.
        output: SpeechOutput.
        splits: dict, split name -> int array of rows.
        learn: bool. There must be train rows with sounds.

    Returns: Target. Its findings are cells that name no file to use.
    Raises: ManifestError, if the column is not there, or train has no sound.
    """
    column = output.column or name
    cells = table.column(column, f"outputs.{name}.column")
    paths, found = read_paths(table, column, cells, table.root, name)
    found += faults_of_table(table, [column], name)
    known = np.asarray(paths != "", bool)
    known[[finding.row for finding in found]] = False
    if learn and not known[splits["train"]].any():
        fix = "Write paths of sound files, relative to the table's folder."
        received = f"none, but {found[0].path!r} and the like: {found[0].reason}" if found else "none"
        raise ManifestError(message(f"column {column}", "sounds in the train rows", received, fix))
    return Target(None, paths, known.astype("float32"), found)


def _refuse_constant(values, columns):
    """Refuses columns `(rows, n)` of which one holds fewer than two different numbers."""
    for column, numbers in zip(columns, values.T, strict=True):
        if not len(numbers) or numbers.min() == numbers.max():
            received = f"only {numbers[0]:g}" if len(numbers) else "none in a row that has all of its targets"
            fix = "Check the column and the split; a number that never differs cannot be learned."
            expected = "at least 2 different numbers in the train rows"
            raise ManifestError(message(f"column {column}", expected, received, fix))


def _labels_of(cell, output):
    if not output.multi_label:
        return [cell] if cell else []
    return sorted({word.strip() for word in cell.split(output.separator)} - {""})


def _classes(sets, counts, name, output):
    words = {word for words, count in zip(sets, counts, strict=True) if count for word in words}
    least = 1 if output.multi_label else 2
    if len(words) < least:
        received = f"only {listing(words)}" if words else "none"
        fix = "Check the column and the split; a class that never differs cannot be learned."
        expected = f"at least {least} class{'es' if least > 1 else ''} in the train rows"
        raise ManifestError(message(f"column {output.column or name}", expected, received, fix))
    return sort_labels(words)


def sort_labels(words):
    """Returns labels in the order of their classes: by value if all are numbers, else as text."""
    values = pd.to_numeric(pd.Series(sorted(words), dtype=object), errors="coerce").to_numpy("float64")
    if np.isfinite(values).all():
        return [word for _, word in sorted(zip(values, sorted(words), strict=True))]
    return sorted(words)


def _describe_unseen(index, output):
    """Returns the function that says of a cell which of its labels no train row has."""

    def describe(cell):
        words = [word for word in _labels_of(cell, output) if word not in index]
        return f"no train row has {listing(words)}; move such a row to train, or remove this one"

    return describe


def _class_weights(sets, counts, labelled, labels, name, output):
    """Returns label -> weight as a list in the order of `labels`; `counts` are train's rows of each cell."""
    if output.class_weights == "balanced":
        rows = dict.fromkeys(labels, 0)
        for words, count in zip(sets, counts, strict=True):
            if count:
                rows.update({word: rows[word] + count for word in words})
        return [counts[labelled].sum() / (len(labels) * rows[label]) for label in labels]
    for label in output.class_weights:
        if label not in labels:
            fix = f"{closest(label, labels)}Name classes of the column."
            owner = f"outputs.{name}.class_weights"
            raise ManifestError(message(owner, f"labels among {listing(labels)}", f"`{label}`", fix))
    return [output.class_weights.get(label, 1.0) for label in labels]
