"""Pixels of any size -> pixels of one size, in plain TensorFlow operations."""

import tensorflow as tf

from mm_keras.data.graph_check import outlined

SMALL = 128**2  # Pixels of a result for which turning the image costs more than it gains.
GREY = (0.299, 0.587, 0.114)  # ITU-R BT.601, section 2.5.1.


def resize_pixels(pixels, height, width, channels):
    """Resizes by bilinear interpolation with antialiasing; at their own size pixels stay as they are.

    Args:
        pixels: uint8 tensor `(h, w, c)`, where c is `channels`, or 3 if `channels` is 1.
        height, width: int > 0. Size of the result in pixels.
        channels: 1 or 3. Grey (luma of ITU-R BT.601) or RGB.

    Returns: uint8 tensor `(H, W, C)`.
    """
    fits = tf.reduce_all(tf.equal(tf.shape(pixels), [height, width, channels]))

    def convert(pixels):
        if channels == 3:
            resized = _resize(pixels, height, width)
        else:  # It may be colour of the right size.
            same = tf.reduce_all(tf.equal(tf.shape(pixels)[:2], [height, width]))
            resized = tf.cond(
                same, lambda: tf.cast(pixels, tf.float32), lambda: _resize(pixels, height, width)
            )
            resized = tf.cond(tf.equal(tf.shape(pixels)[2], 3), lambda: _luma(resized), lambda: resized)
        # The weights of one pixel sum to 1 but for rounding: no pixel leaves 0 to 255.
        return tf.cast(tf.round(resized), tf.uint8)

    resized = tf.cond(fits, lambda: pixels, lambda: outlined(convert, pixels))
    return tf.ensure_shape(resized, (height, width, channels))


def _luma(pixels):
    return tf.reduce_sum(pixels * tf.constant(GREY), axis=-1, keepdims=True)


def _resize(pixels, height, width):
    """Returns what `tf.image.resize` returns, float32 `(H, W, c)`, for larger results in less time.

    Its kernel is slow along rows, whose weights it applies to one pixel's channels at a time, and quick along
    columns. So rows are made columns, and each pass treats a whole row as the channels of one pixel.
    """
    if height * width <= SMALL:
        return tf.image.resize(pixels, (height, width), antialias=True)
    channels = tf.shape(pixels)[2]

    def pass_down(pixels, size):
        """`(n, m, c)` -> `(size, m, c)`."""
        found, rest = tf.shape(pixels)[0], tf.shape(pixels)[1]
        scale = tf.cast(size, tf.float32) / tf.cast(found, tf.float32)
        resized = tf.raw_ops.ScaleAndTranslate(
            images=tf.reshape(pixels, [1, found, 1, rest * channels]),
            size=[size, 1],
            scale=tf.stack([scale, 1.0]),
            translation=[0.0, 0.0],
            kernel_type="triangle",
            antialias=True,
        )
        return tf.reshape(resized, [size, rest, channels])

    across = tf.transpose(pass_down(pixels, height), (1, 0, 2))
    return tf.transpose(pass_down(across, width), (1, 0, 2))
