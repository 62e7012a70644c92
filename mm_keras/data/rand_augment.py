"""RandAugment: operations drawn for each image."""

import tensorflow as tf

from mm_keras.data.draws import seed_for
from mm_keras.data.keras_draws import BatchSeeds, adjust, keras_layer, saturation_layer


class RandAugmentation:
    """Applies a few of eleven operations to each image, drawn for each image.

    Each operation runs on the images that drew it, so all of them cost as much as one. Built from the
    layers of Keras, not from `keras.layers.RandAugment`: that one draws its operations once for the whole
    batch, computes all of them for all images, and some of its operations are strongest at the lowest
    `factor`.

    Args:
        layers: int > 0. Operations on each image, one after another.
        magnitude: float in (0, 1]. Strength; each draw is uniform up to it.

    Call arguments:
        images: float32 tensor `(B, H, W, C)` of 0 to 255, C = 3.
        seed: int tensor `(2,)`.

    Returns: float32 tensor `(B, H, W, C)` of 0 to 255.
    Source: Cubuk et al. 2020, arXiv:1909.13719, with the ranges of Cubuk et al. 2019, arXiv:1805.09501,
        table 6. We draw each strength up to the magnitude, to either side; brightness is added, not scaled;
        Equalize is left out, whose Keras layer takes one histogram of the whole batch.
    """

    def __init__(self, layers, magnitude):
        self.layers, self.magnitude = layers, magnitude
        change = 0.9 * magnitude
        bits = 8 - round(4 * magnitude)
        self.operations = [
            keras_layer("AutoContrast"),
            keras_layer("RandomRotation", factor=magnitude * 30 / 360),
            keras_layer("RandomShear", x_factor=0.3 * magnitude, y_factor=0.3 * magnitude),
            keras_layer("RandomTranslation", height_factor=0.45 * magnitude, width_factor=0.45 * magnitude),
            keras_layer("RandomBrightness", factor=0.5 * magnitude),
            keras_layer("RandomContrast", factor=(change, change)),
            keras_layer("RandomSharpness", factor=(0.5 - change / 2, 0.5 + change / 2)),
            keras_layer("RandomPosterization", factor=(bits, 8)),
            saturation_layer(change),
            _Solarization(magnitude),
            _Identity(),
        ]

    def __call__(self, images, seed):
        places = tf.range(tf.shape(images)[0])
        count = len(self.operations)
        x = images
        for layer in range(self.layers):
            drawn = seed_for(seed, f"layer {layer}")
            chosen = tf.random.stateless_uniform(tf.shape(places), drawn, 0, count, tf.int32)
            parts = tf.dynamic_partition(x, chosen, count)
            changed = [
                self._change(i, part, seed_for(drawn, f"operation {i}")) for i, part in enumerate(parts)
            ]
            x = tf.dynamic_stitch(tf.dynamic_partition(places, chosen, count), changed)
        return tf.ensure_shape(x, images.shape)

    def _change(self, i, part, seed):
        # Not every layer takes an empty batch.
        some = tf.shape(part)[0] > 0
        return tf.cond(some, lambda: adjust(self.operations[i], part, BatchSeeds(seed)), lambda: part)


class _Identity:
    def get_random_transformation(self, images, training, seed):
        return None

    def transform_images(self, images, drawn, training):
        return images


class _Solarization:
    """Inverts what is brighter than a drawn threshold. Keras's own takes its lowest threshold as 0."""

    def __init__(self, magnitude):
        self.lowest = 255 * (1 - magnitude)

    def get_random_transformation(self, images, training, seed):
        shape = [tf.shape(images)[0], 1, 1, 1]
        return tf.random.stateless_uniform(shape, seed.next(), self.lowest, 255.0)

    def transform_images(self, images, drawn, training):
        return tf.where(images > drawn, 255.0 - images, images)
