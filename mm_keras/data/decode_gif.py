"""The first frame of a GIF, in plain TensorFlow operations."""

from typing import NamedTuple

import tensorflow as tf

from mm_keras.data.graph_check import WHOLE, bytes_at, little_endian

MOST_BLOCKS = 1 << 16  # Up to the end of the first frame: 16 MiB in full blocks.
EXTENSION, FRAME = 0x21, 0x2C


class Gif(NamedTuple):
    """Where the first frame of a GIF stands.

    Args:
        width, height: of the picture: the screen, and as much more as the frame takes; int64 scalars.
        left, top: of the frame within it; int64 scalars.
        frame: int32 scalar. Where the frame's descriptor begins in the file.
        end: int32 scalar. Where the frame ends in the file.
        is_whole: bool scalar. Whether the file reaches so far.
    """

    width: tf.Tensor
    height: tf.Tensor
    left: tf.Tensor
    top: tf.Tensor
    frame: tf.Tensor
    end: tf.Tensor
    is_whole: tf.Tensor


def measure_gif(contents, head):
    """Returns a Gif; `head` are the first bytes, int32."""
    frame, end, is_whole = _find_frame(tf.cast(tf.io.decode_raw(contents, tf.uint8), tf.int32), head)
    size = bytes_at(contents, frame + 1, 8)
    left, top, width, height = (little_endian(size[place : place + 2]) for place in (0, 2, 4, 6))
    width = tf.maximum(little_endian(head[6:8]), left + width)
    height = tf.maximum(little_endian(head[8:10]), top + height)
    return Gif(width, height, left, top, frame, end, is_whole)


def check_gif(contents, gif):
    """Returns what `require` takes: a GIF whose first frame is whole."""
    size = tf.strings.length(contents)
    return gif.is_whole, "a GIF up to the end of its first frame", "{} bytes without it", (size,), WHOLE


def decode_gif(contents, gif):
    """Returns the pixels as uint8 `(h, w, 3)`, black where the frame leaves the screen free."""
    first = cut_gif(contents, gif)
    pixels = tf.io.decode_image(first, channels=3, expand_animations=False)
    pixels = tf.ensure_shape(pixels, (None, None, 3))
    size = tf.shape(pixels, tf.int64)
    rows = tf.stack([gif.top, gif.height - gif.top - size[0]])
    columns = tf.stack([gif.left, gif.width - gif.left - size[1]])
    return tf.pad(pixels, tf.stack([rows, columns, tf.zeros_like(rows)]))


def cut_gif(contents, gif):
    """Returns the file cut behind its first frame, which is moved to the screen's corner.

    TensorFlow unpacks every frame before it takes the first: a later one could ask for any amount of memory.
    And it cuts off what of the first frame lies further right and down than the frame is large.
    """
    before = tf.strings.substr(contents, 0, gif.frame + 1)
    return tf.strings.join(
        [before, b"\0\0\0\0", tf.strings.substr(contents, gif.frame + 5, gif.end - gif.frame - 5), b";"]
    )


def _find_frame(values, head):
    """Returns where the first frame's descriptor stands, where its blocks end, and whether they end."""
    length = tf.size(values)
    values = tf.pad(values, [[0, 16]])

    def step(position, frame, inside):
        value = values[position]
        is_frame = ~inside & tf.equal(value, FRAME)
        known = is_frame | tf.equal(value, EXTENSION)
        # A frame: descriptor, colour table, one byte for the code size. An extension: two bytes.
        opened = position + tf.where(is_frame, 11 + _colour_table(values[position + 9]), 2)
        following = tf.where(inside, position + 1 + value, tf.where(known, opened, length + 1))
        return (
            tf.minimum(following, length + 1),
            tf.where(is_frame, position, frame),
            tf.where(inside, value > 0, known),
        )

    end, frame, inside = tf.while_loop(
        # Behind the frame's last block, which is empty, it ends.
        lambda position, frame, inside: (position < length) & (inside | tf.equal(frame, length)),
        step,
        (tf.minimum(13 + _colour_table(head[10]), length), length, tf.constant(False)),
        maximum_iterations=MOST_BLOCKS,
    )
    return frame, tf.minimum(end, length), ~inside & (frame < length) & (end <= length)


def _colour_table(flags):
    """Returns the bytes of the colour table that the flags of a GIF's screen or frame announce."""
    size = 3 * tf.bitwise.left_shift(2, tf.bitwise.bitwise_and(flags, 7))
    return tf.where(flags >= 128, size, 0)
