"""A few rows of a split that reports show."""

import numpy as np
import tensorflow as tf


def choose_rows(data, split, has=None, count=4):
    """Returns up to `count` rows of a split, evenly drawn from those that have a modality or a true sound.

    Args:
        data: Datasets.
        split: str.
        has: str or None. Name of the modality, or of a speech output; None: any row.
        count: int > 0.
    """
    rows = np.asarray(data.rows[split], int)
    if has is not None:
        rows = rows[data.manifest.has(has)[rows]]
    return rows[np.unique(np.linspace(0, max(len(rows) - 1, 0), min(count, len(rows))).astype(int))]


def inputs_of(data, rows):
    """Returns (the model's inputs of rows, what was decoded of each, true sounds among it)."""
    decoded = data.decode(rows)
    return data.preprocessor.finish(decoded, tf.constant(data.manifest.present[rows])), decoded
