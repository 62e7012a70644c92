"""Keras's random preprocessing layers without their state: each batch draws from its own seed."""

import keras
import tensorflow as tf


class BatchSeeds(keras.random.SeedGenerator):
    """Gives Keras's random functions one seed after another, all derived from the seed of a batch.

    Keras's own generator counts in a variable: under `tf.data`'s parallel `map` the order of batches, and so
    their draws, would differ from run to run.

    Args:
        seed: int tensor `(2,)`.
    """

    def __init__(self, seed):
        self.seed, self.drawn = seed, 0

    def next(self, ordered=True):
        self.drawn += 1
        return tf.random.experimental.stateless_fold_in(self.seed, self.drawn)


def keras_layer(kind, **arguments):
    """Returns a layer of `keras.layers` for images of 0 to 255 that computes with TensorFlow in float32,
    whatever Keras's backend, precision and image format are."""
    layer = getattr(keras.layers, kind)(**arguments, data_format="channels_last", dtype="float32")
    layer.backend.set_backend("tensorflow")
    return layer


def saturation_layer(change):
    """Returns the layer that scales saturation by 1 - change to 1 + change."""
    low, high = ((1 + sign * change) / (2 + sign * change) for sign in (-1, 1))  # Keras: f / (1 - f).
    # Saturation lies in [0, 1] for images of 0 to 255 too; Keras clips it to `value_range`.
    return keras_layer("RandomSaturation", factor=(low, high), value_range=(0, 1))


def adjust(layer, images, seeds):
    """Applies a layer to float32 images `(B, H, W, C)`, with draws from `BatchSeeds`."""
    drawn = layer.get_random_transformation(images, training=True, seed=seeds)
    return layer.transform_images(images, drawn, training=True)
