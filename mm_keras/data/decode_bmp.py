"""BMP bytes -> pixels, in plain TensorFlow operations."""

from typing import NamedTuple

import tensorflow as tf

from mm_keras.data.graph_check import WHOLE, bytes_at, little_endian


class Bmp(NamedTuple):
    """What the header of a BMP says, int64 scalars.

    Args:
        width, height: pixels.
        is_from_top: bool scalar. Whether the first row is the top one.
        bits: of a pixel.
        coding: 0 = none, 3 = masks of the colours.
        header: bytes of the second header; behind it stands the palette.
        start: where the pixels begin.
        row: bytes of a row.
        found: bytes of the file.
    """

    width: tf.Tensor
    height: tf.Tensor
    is_from_top: tf.Tensor
    bits: tf.Tensor
    coding: tf.Tensor
    header: tf.Tensor
    start: tf.Tensor
    row: tf.Tensor
    found: tf.Tensor


def measure_bmp(contents, head):
    """Returns a Bmp; `head` are the first 54 bytes, int32."""
    width, height = little_endian(head[18:22]), little_endian(head[22:26])
    is_from_top = height >= 1 << 31  # A negative number of rows.
    bits = little_endian(head[28:30])
    return Bmp(
        width,
        tf.where(is_from_top, (1 << 32) - height, height),
        is_from_top,
        bits,
        little_endian(head[30:34]),
        little_endian(head[14:18]),
        little_endian(head[10:14]),
        (width * bits + 31) // 32 * 4,
        tf.cast(tf.strings.length(contents), tf.int64),
    )


def check_bmp(bmp):
    """Returns what `require` takes: a BMP of a kind that is read, and whole."""
    plain = tf.equal(bmp.coding, 0) & tf.reduce_any(tf.equal(bmp.bits, [1, 4, 8, 24]))
    readable = plain | (tf.equal(bmp.bits, 32) & (tf.equal(bmp.coding, 0) | tf.equal(bmp.coding, 3)))
    # The number of pixels is checked before: nothing wraps around.
    needed = bmp.start + bmp.row * bmp.height
    return (
        (
            (bmp.header >= 40) & readable,
            "a BMP of 1, 4, 8, 24 or 32 bits a pixel, not compressed",
            "{} bits, compression {}, a header of {} bytes",
            (bmp.bits, bmp.coding, bmp.header),
            "Convert the file to PNG.",
        ),
        (
            needed <= bmp.found,
            "{} bytes of BMP, as its header says",
            "{} bytes",
            (needed, bmp.found),
            WHOLE,
        ),
    )


def decode_bmp(contents, bmp):
    """Returns the pixels as uint8 `(h, w, 3)`."""
    size = bmp.row * bmp.height

    def decode_colours():
        # Bytes behind the pixels would be refused.
        whole = tf.strings.substr(contents, tf.zeros_like(bmp.start), bmp.start + size)
        return tf.io.decode_image(whole, channels=3, expand_animations=False)

    def decode_palette():
        # TensorFlow takes the numbers of the palette for grey, and knows no pixels below 8 bits.
        packed = tf.reshape(
            tf.io.decode_raw(tf.strings.substr(contents, bmp.start, size), tf.uint8), (bmp.height, bmp.row, 1)
        )
        bits = tf.cast(bmp.bits, tf.int32)
        shifts = tf.range(8 - bits, -1, -bits)
        places = tf.bitwise.right_shift(tf.cast(packed, tf.int32), shifts) % tf.bitwise.left_shift(1, bits)
        places = tf.reshape(places, (bmp.height, -1))[:, : bmp.width]
        places = tf.cond(bmp.is_from_top, lambda: places, lambda: places[::-1])
        start = tf.cast(14 + bmp.header, tf.int32)
        stored = tf.reshape(bytes_at(contents, start, 1024), (256, 4))  # Blue, green, red, 0.
        return tf.cast(tf.gather(stored[:, 2::-1], places), tf.uint8)

    return tf.cond(bmp.bits <= 8, decode_palette, decode_colours)
