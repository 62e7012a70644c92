"""Reads the label columns: classes of train, class indices, and how much each row counts."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from mm_keras.checks import closest, listing, message
from mm_keras.data.table import ManifestError


@dataclass
class Target:
    """What one classification output learns.

    Args:
        labels: list of str. Classes of train, sorted; numbers by value.
        values: int32 `(N,)`, index of the class, -1 = no label; multi-label: float32 `(N, C)` of 0 and 1.
        weights: float32 `(N,)`. 0 = no label, else the weight of its class; multi-label: the mean of them.
    """

    labels: list
    values: np.ndarray
    weights: np.ndarray


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

    Returns: Target.
    Raises: ManifestError, if train has too few classes, or another split a class that train has not.
    """
    cells = table.column(output.column or name, f"outputs.{name}.column")
    codes, distinct = pd.factorize(cells)
    sets = [_labels_of(cell, output) for cell in distinct]
    counts = np.bincount(codes[splits["train"]], minlength=len(distinct))
    known, labels = labels, labels or _classes(sets, counts, name, output)
    index = {label: number for number, label in enumerate(labels)}
    _refuse_unseen(sets, index, codes, table, output.column or name)
    of_class = [1.0] * len(labels)
    if known is None and output.class_weights != "none":
        of_class = _class_weights(sets, counts, distinct != "", labels, name, output)
    weights = [np.mean([of_class[index[word]] for word in words]) if words else 1.0 for words in sets]
    weights = (np.array(weights) * (distinct != "")).astype("float32")
    if not output.multi_label:
        values = np.array([index[words[0]] if words else -1 for words in sets], "int32")
        return Target(labels, values[codes], weights[codes])
    hot = np.zeros((len(distinct), len(labels)), "float32")
    for row, words in enumerate(sets):
        hot[row, [index[word] for word in words]] = 1
    return Target(labels, hot[codes], weights[codes])


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


def _refuse_unseen(sets, index, codes, table, column):
    unseen = sorted({word for words in sets for word in words} - set(index))
    if not unseen:
        return
    rows = np.array([not index.keys() >= set(words) for words in sets])[codes]
    received = f"{listing(unseen)} in {table.name_lines(rows)}"
    fix = "Move a row of each such class to train, or remove these rows."
    raise ManifestError(message(f"column {column}", "only classes that the train rows have", received, fix))


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
