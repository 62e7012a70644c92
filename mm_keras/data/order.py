"""The order in which rows are read: batches of row numbers, shuffled without holding them all."""

import numpy as np
import tensorflow as tf

WINDOW = 32  # Batches among which rows are sorted by length.


def index_batches(rows, batch_size, seed=None, lengths=None):
    """Returns a dataset of int64 batches `(B,)` of the row numbers `rows`.

    With a seed each epoch has an order of its own, drawn by `index_shuffle`, which computes the place of
    each row: no buffer is filled, however many rows there are. With `lengths`, an array over all rows of
    the manifest, the rows of 32 batches at a time are sorted by length and cut into batches, which are
    then shuffled.
    """
    if seed is None:
        numbers = tf.constant(np.asarray(rows, np.int64))
        starts = tf.data.Dataset.range(0, len(rows), batch_size)
        return starts.map(lambda start: numbers[start : start + batch_size], tf.data.AUTOTUNE)
    return seeds(seed).take(1).flat_map(lambda drawn: epoch_batches(rows, batch_size, drawn, lengths))


@tf.autograph.experimental.do_not_convert
def epoch_batches(rows, batch_size, epoch_seed, lengths=None):
    """Returns the batches of one epoch of `index_batches`, in the order of a seed, int tensor `(2,)`."""
    count = len(rows)
    with tf.init_scope():  # Captured by the graph, not a part of it: there may be millions.
        numbers = tf.constant(np.asarray(rows, np.int64))
        known = None if lengths is None else tf.constant(np.asarray(lengths, np.float32))
    window = batch_size * (1 if lengths is None else WINDOW)

    def take(start):
        places = tf.range(start, tf.minimum(start + window, count))
        places = tf.random.experimental.index_shuffle(places, tf.cast(epoch_seed, tf.uint32), count - 1)
        return tf.gather(numbers, places)

    batches = tf.data.Dataset.range(0, count, window).map(take, tf.data.AUTOTUNE, deterministic=True)
    if known is None:
        return batches
    return batches.flat_map(lambda some: sorted_batches(some, known, batch_size, epoch_seed))


def sorted_batches(rows, lengths, batch_size, seed):
    """Returns a dataset of batches of `rows`, int64 `(W,)`: of similar length, in a random order."""
    rows = tf.gather(rows, tf.argsort(tf.gather(lengths, rows), stable=True))
    starts = tf.range(0, tf.size(rows), batch_size)
    starts = tf.random.experimental.stateless_shuffle(starts, tf.cast(seed, tf.int32))
    starts = tf.data.Dataset.from_tensor_slices(starts)
    return starts.map(lambda start: rows[start : start + batch_size])


def seeds(seed):
    """Returns an endless dataset of int64 pairs, drawn by `seed`, others in each epoch."""
    drawn = tf.data.Dataset.random(seed=seed, rerandomize_each_iteration=True)
    return drawn.map(lambda number: number % (2**31 - 1)).batch(2, drop_remainder=True)
