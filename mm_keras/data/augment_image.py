"""Random changes of images: flip, rotation, crop, colour and RandAugment, drawn for each image."""

import tensorflow as tf

from mm_keras.data.draws import seed_for
from mm_keras.data.keras_draws import BatchSeeds, adjust, keras_layer, saturation_layer
from mm_keras.data.rand_augment import RandAugmentation

GREY = 128.0


class ImageAugmentation:
    """Changes images by Keras's preprocessing layers, in this order: flip, rotation, crop, colour,
    RandAugment; then come noise, and a mask of patches.

    Args:
        modality: ImageModality of the spec, with `augment`.

    Call arguments:
        images: uint8 tensor `(B, H, W, C)`.
        seed: int tensor `(2,)`.

    Returns: uint8 tensor `(B, H, W, C)`.
    """

    def __init__(self, modality):
        augment = modality.augment
        self.crop, self.noise, self.mask = augment.crop, augment.noise, augment.mask
        self.places, self.colours = [], []
        if augment.flip in ("horizontal", "both"):
            self.places.append(keras_layer("RandomFlip", mode="horizontal"))
        if augment.flip in ("vertical", "both"):  # A layer of its own: Keras's "both" flips both or none.
            self.places.append(keras_layer("RandomFlip", mode="vertical"))
        if augment.rotation:
            self.places.append(keras_layer("RandomRotation", factor=augment.rotation / 360))
        if augment.brightness:
            self.colours.append(keras_layer("RandomBrightness", factor=augment.brightness))
        if augment.contrast:
            self.colours.append(keras_layer("RandomContrast", factor=(augment.contrast, augment.contrast)))
        if augment.saturation:
            self.colours.append(saturation_layer(augment.saturation))
        if augment.hue:  # Keras turns by up to half of its factor.
            self.colours.append(keras_layer("RandomHue", factor=2 * augment.hue))
        drawn = augment.rand_augment
        self.rand_augment = RandAugmentation(drawn.layers, drawn.magnitude) if drawn else None

    def __call__(self, images, seed):
        seeds = BatchSeeds(seed_for(seed, "layers"))
        x = tf.cast(images, tf.float32)
        for layer in self.places:
            x = adjust(layer, x, seeds)
        if self.crop:
            x = self._cut(x, seed_for(seed, "crop"))
        for layer in self.colours:
            x = adjust(layer, x, seeds)
        if self.rand_augment:
            x = self.rand_augment(x, seed_for(seed, "rand_augment"))
        if self.noise:
            x += 255.0 * self.noise * tf.random.stateless_normal(tf.shape(x), seed_for(seed, "noise"))
        if self.mask:
            x = self._hide(x, seed_for(seed, "mask"))
        return tf.cast(tf.round(tf.clip_by_value(x, 0.0, 255.0)), tf.uint8)

    def _hide(self, x, seed):
        """Hides patches by mid grey. Source: He et al. 2022, arXiv:2111.06377, section 3."""
        (high, wide), side = x.shape[1:3], self.mask.patch
        draws = tf.random.stateless_uniform([tf.shape(x)[0], -(-high // side), -(-wide // side)], seed)
        hidden = tf.repeat(tf.repeat(draws < self.mask.share, side, axis=1), side, axis=2)
        return tf.where(hidden[:, :high, :wide, None], GREY, x)

    def _cut(self, x, seed):
        # Keras's RandomCrop takes one place for the whole batch, and leaves a smaller image.
        count = tf.shape(x)[0]
        draws = tf.random.stateless_uniform([count, 2, 2], seed)
        away = draws[:, 0] * self.crop
        start = draws[:, 1] * away
        boxes = tf.concat([start, start + 1 - away], axis=1)  # (B, 4): top, left, bottom, right.
        cut = tf.image.crop_and_resize(x, boxes, tf.range(count), tf.shape(x)[1:3])
        return tf.ensure_shape(cut, x.shape)
