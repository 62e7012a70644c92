"""How long decoded sounds and sequences are before their padding, and batches cut to what they hold."""

import numpy as np
import pyarrow.compute as pc
import tensorflow as tf

from mm_keras.data.cells import as_arrow

PIECES = 32  # A batch's texts, sounds and sequences are cut to a multiple of so many parts of the whole.
LONGEST_WORD = 32  # Letters of a token, at most, that tell how long a text is.


def steps_of(batch):
    """Returns the steps of each example `(B, T)` or `(B, T, D)` before its padding, int32 `(B,)`.

    Padding is what follows the last step that is not all zeros.
    """
    filled = batch != 0 if batch.ndim == 2 else np.any(batch != 0, axis=2)
    behind = np.argmax(filled[:, ::-1], axis=1)
    return np.where(filled.any(axis=1), filled.shape[1] - behind, 0).astype(np.int32)


class SequenceLengths:
    """Collects the steps of the decoded sequences of all rows.

    Args:
        modalities: dict, name -> Modality. Of files.
        rows: int > 0. Rows of the table.
    """

    def __init__(self, modalities, rows):
        names = sorted(name for name, modality in modalities.items() if modality.is_sequence)
        self.steps = {name: np.zeros(rows, np.int32) for name in names}

    def add(self, batch):
        """Takes in a batch {"row/index", modality: array `(B, ...)`}."""
        for name, steps in self.steps.items():
            steps[batch["row/index"]] = steps_of(batch[name])


def relative_lengths(rows, modalities, cells, steps):
    """Returns how long each row's texts, sounds and sequences are, float32 `(N,)`: each in 0 to 1, summed.

    Args:
        rows: int > 0. Rows `N` of the table.
        modalities: dict, name -> Modality.
        cells: dict, modality -> column of the table; those of texts are used.
        steps: dict, modality -> int array `(N,)`.
    """
    lengths = np.zeros(rows, np.float32)
    for name, modality in modalities.items():
        if modality.kind == "text":
            letters = pc.utf8_length(as_arrow(cells[name])).to_numpy(zero_copy_only=False)
            lengths += np.minimum(letters / (LONGEST_WORD * modality.length), 1.0).astype(np.float32)
        elif name in steps:
            lengths += (steps[name] / modality.example_shape[0]).astype(np.float32)
    return lengths


def trim(x, modality):
    """Cuts the padding that all sequences of a batch share; one part of 32 of the whole is the least."""
    whole = modality.example_shape[0]
    part = -(-whole // PIECES)
    filled = tf.not_equal(x, 0)
    held = tf.reduce_any(filled, axis=[0, *range(2, x.shape.rank)])  # (T,)
    longest = tf.reduce_max(tf.where(held, tf.range(1, whole + 1), 0)) + modality.margin
    wanted = tf.clip_by_value(-(-longest // part) * part, part, whole)
    return x[:, :wanted]
