"""The EXIF orientation of a JPEG or PNG file, read and applied in plain TensorFlow operations."""

import tensorflow as tf

from mm_keras.data.graph_check import beginning, big_endian, bytes_at, little_endian

MOST_SEGMENTS = 100  # Before the picture; a file of empty ones must not keep a server busy.
MOST_ENTRIES = 64  # Of Exif's first directory.
ORIENTATION, SHORT = 0x0112, 3  # Exif 2.32, 4.6.4.
APP0, APP1, APP15, COMMENT = 0xE0, 0xE1, 0xEF, 0xFE


def jpeg_orientation(contents):
    """Returns 1 to 8, int32 scalar; 1 where the file tells none.

    Exif is looked for where its standard puts it: among the application segments and comments at the
    beginning, before the first table.
    """

    def step(position, found, _):
        head = bytes_at(contents, position, 10)
        marker, size = head[1], head[2] * 256 + head[3]
        is_exif = tf.equal(marker, APP1) & tf.reduce_all(tf.equal(head[4:10], list(b"Exif\0\0")))
        known = ((marker >= APP0) & (marker <= APP15)) | tf.equal(marker, COMMENT)
        known = known & tf.equal(head[0], 0xFF) & (size >= 2)
        return position + 2 + size, tf.where(is_exif, position + 10, found), known & ~is_exif

    return _orientation_at(contents, _find(step, 2))


def png_orientation(contents):
    """Returns 1 to 8, int32 scalar; 1 where the file has no `eXIf` chunk before its pixels."""
    length = tf.strings.length(contents)

    def step(position, found, _):
        head = bytes_at(contents, position, 8)
        is_exif = tf.reduce_all(tf.equal(head[4:], list(b"eXIf")))
        ends = tf.reduce_all(tf.equal(head[4:], list(b"IDAT")))
        size = tf.cast(tf.minimum(big_endian(head[:4]), tf.cast(length, tf.int64)), tf.int32)
        following = tf.minimum(position + 12 + size, length)
        found = tf.where(is_exif, position + 8, found)
        return following, found, ~is_exif & ~ends & (following < length)

    return _orientation_at(contents, _find(step, 8))


def _find(step, start):
    """Returns where Exif's TIFF header begins, int32 scalar; 0 if there is none."""
    _, found, _ = tf.while_loop(
        lambda _, __, goes_on: goes_on,
        step,
        (tf.constant(start), tf.constant(0), tf.constant(True)),
        maximum_iterations=MOST_SEGMENTS,
    )
    return found


def _orientation_at(contents, start):
    order = beginning(tf.strings.substr(contents, tf.minimum(start, tf.strings.length(contents)), 4), 4)
    is_little = tf.equal(order, b"II*\0")
    valid = (start > 0) & (is_little | tf.equal(order, b"MM\0*"))

    def number(values):
        return tf.cast(tf.where(is_little, little_endian(values), big_endian(values)), tf.int32)

    directory = start + tf.clip_by_value(number(bytes_at(contents, start + 4, 4)), 0, 1 << 16)
    count = number(bytes_at(contents, directory, 2))
    entries = tf.reshape(bytes_at(contents, directory + 2, 12 * MOST_ENTRIES), (MOST_ENTRIES, 12))
    pairs = tf.reshape(entries, (MOST_ENTRIES, 6, 2))
    scales = tf.where(is_little, [1, 256], [256, 1])
    words = tf.reduce_sum(pairs * scales, axis=-1)  # Tag, type, two of count, two of value.
    is_named = tf.equal(words[:, 0], ORIENTATION) & tf.equal(words[:, 1], SHORT)
    is_named = is_named & (tf.range(MOST_ENTRIES) < count)
    value = tf.reduce_max(tf.where(is_named, words[:, 4], 0))
    return tf.where(valid & (value >= 1) & (value <= 8), value, 1)


def apply_orientation(pixels, orientation):
    """Turns pixels `(h, w, c)` as Exif's orientation, int32 scalar, says; 1 changes nothing."""

    def turn():
        turned = tf.cond(orientation >= 5, lambda: tf.transpose(pixels, (1, 0, 2)), lambda: pixels)
        rows, columns = [3, 4, 7, 8], [2, 3, 6, 7]
        flips = tf.stack([tf.reduce_any(tf.equal(orientation, which)) for which in (rows, columns)])
        flipped = tf.reverse(turned, tf.boolean_mask([0, 1], flips))
        return tf.ensure_shape(flipped, (None, None, pixels.shape[-1]))

    return tf.cond(orientation > 1, turn, lambda: pixels)
