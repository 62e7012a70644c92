"""Random numbers that depend on a seed and on what they are for, and on nothing else."""

import zlib

import tensorflow as tf


def seed_for(seed, purpose):
    """Returns the seed, int `(2,)`, of one purpose (str) within a batch of seed `(2,)`."""
    # `fold_in` takes an int32 or int64; a checksum is the same in every process, Python's hash is not.
    return tf.random.experimental.stateless_fold_in(seed, zlib.crc32(purpose.encode()) & 0x7FFFFFFF)


def uniform(batch, seed, purpose, low=0.0, high=1.0):
    """Returns one number in [low, high) for each example of a batch, float32 `(B,)`."""
    return tf.random.stateless_uniform(tf.shape(batch)[:1], seed_for(seed, purpose), low, high)
