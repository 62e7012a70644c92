"""PNG, JPEG, GIF and BMP bytes -> pixels of one size, in plain TensorFlow operations."""

import tensorflow as tf

from mm_keras.checks import check_choice, check_positive_int
from mm_keras.data.decode_bmp import check_bmp, decode_bmp, measure_bmp
from mm_keras.data.decode_gif import check_gif, decode_gif, measure_gif
from mm_keras.data.decode_orientation import apply_orientation, jpeg_orientation, png_orientation
from mm_keras.data.decode_resize import resize_pixels
from mm_keras.data.graph_check import (
    WHOLE,
    beginning,
    big_endian,
    bytes_at,
    ending,
    outlined,
    require,
)

PNG, GIF, BMP = range(3)
# The first bytes of each format but JPEG; the second row of a pair is the mask of those that count.
MAGIC = ((137, 80, 78, 71, 13, 10), (71, 73, 70, 56, 0, 97), (66, 77, 0, 0, 0, 0))
COUNTS = ((1, 1, 1, 1, 1, 1), (1, 1, 1, 1, 0, 1), (1, 1, 0, 0, 0, 0))
PNG_END = b"IEND\xaeB`\x82"
JPEG_END = b"\xff\xd9"


def decode_image(contents, height, width, channels, max_pixels):
    """Decodes a PNG, JPEG, GIF or BMP file to one size.

    The size is read from the header first, and a larger image is refused before memory is taken for it. Of
    an animation the first frame is read. The orientation of EXIF is applied. Alpha is dropped, not blended:
    pixels keep the colour they have beneath it. 16 bits a channel become their upper 8. CMYK (JPEG, with
    Adobe's marker) becomes RGB by TensorFlow's simple rule, no colour profile. Resizing is bilinear with
    antialiasing; at the image's own size pixels stay as they are.

    Args:
        contents: string tensor, scalar. The bytes of the file.
        height, width: int > 0. Size of the result in pixels.
        channels: 1 or 3. Grey (luma of ITU-R BT.601) or RGB.
        max_pixels: int > 0. Most pixels (width x height) of the file's image.

    Returns: uint8 tensor `(H, W, C)`.
    Raises: tf.errors.InvalidArgumentError, at run time, if it is none of these formats, has too many pixels
        or none, is a BMP of a kind that is not read (16 bits a pixel, run-length coded, OS/2) or CMYK without
        Adobe's marker, is truncated or damaged. ValueError, if an argument is not as above.
    """
    for name, value in (("height", height), ("width", width), ("max_pixels", max_pixels)):
        check_positive_int("decode_image", name, value)
    check_choice("decode_image", "channels", channels, (1, 3))
    contents = tf.convert_to_tensor(contents, tf.string)

    def decode_jpeg(contents):
        return resize_pixels(_decode_jpeg(contents, channels, max_pixels), height, width, channels)

    def decode_other(contents):
        return resize_pixels(_decode_other(contents, max_pixels), height, width, channels)

    def decode():
        is_jpeg = tf.equal(beginning(contents, 3), b"\xff\xd8\xff")
        return tf.cond(
            is_jpeg, lambda: outlined(decode_jpeg, contents), lambda: outlined(decode_other, contents)
        )

    if height * width > max_pixels:
        decoded = decode()
    else:
        fits = _is_plain_png(contents, height, width, channels)
        decoded = tf.cond(fits, lambda: tf.io.decode_png(contents, channels), decode)
    return tf.ensure_shape(decoded, (height, width, channels))


def _is_plain_png(contents, height, width, channels):
    """Returns whether it is a whole PNG of this size and, for 1 channel, grey, its pixels behind its header.

    Images that are made ready once are of this kind, and are then read several times as fast.
    """
    # Signature, header of 13 bytes, its measures, colour type and the name of the chunk behind it.
    header = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + width.to_bytes(4) + height.to_bytes(4)
    header += bytes(13) + b"IDAT"
    counts = bytearray(b"\xff" * 24 + bytes(13) + b"\xff" * 4)
    counts[25] = 0xFF if channels == 1 else 0  # Grey is colour type 0.
    found = tf.io.decode_raw(contents, tf.uint8, fixed_length=len(header))
    mask, expected = tf.constant(list(counts), tf.uint8), tf.constant(list(header), tf.uint8)
    same = tf.equal(tf.bitwise.bitwise_and(found, mask), expected)
    return tf.reduce_all(same) & tf.equal(ending(contents, 8), PNG_END)


def _decode_jpeg(contents, channels, max_pixels):
    """Returns the pixels as uint8 `(h, w, 3)`, or `(h, w, 1)` for 1 channel of a grey file."""
    whole = tf.cond(
        tf.equal(ending(contents, 2), JPEG_END),
        lambda: tf.constant(True),
        lambda: outlined(_require_jpeg_end, contents),
    )
    with tf.control_dependencies([whole]):
        shape = tf.image.extract_jpeg_shape(contents)
    measures = tf.cast(shape, tf.int64)
    checked = require("decode_image", _check_pixels(measures[1], measures[0], max_pixels))
    with tf.control_dependencies([checked]):
        contents = tf.identity(contents)

    def decode(contents, shape):
        if channels == 3:
            return tf.io.decode_jpeg(contents, 3)
        pixels = tf.cond(
            tf.equal(shape[2], 1),
            lambda: tf.io.decode_jpeg(contents, 1),
            lambda: tf.io.decode_jpeg(contents, 3),
        )
        return tf.ensure_shape(pixels, (None, None, None))

    def decode_odd(contents, shape):
        with tf.control_dependencies([_require_adobe(contents, shape)]):
            return apply_orientation(decode(contents, shape), jpeg_orientation(contents))

    # Tables right at the beginning, or behind the 18 bytes of JFIF's segment: there is no Exif.
    markers = tf.gather(tf.io.decode_raw(contents, tf.uint8, fixed_length=24), [2, 3, 4, 5, 20, 21])
    without = tf.reduce_all(tf.equal(markers, [0xFF, 0xE0, 0, 16, 0xFF, 0xDB]))
    without = without | tf.reduce_all(tf.equal(markers[:2], [0xFF, 0xDB]))
    usual = without & tf.not_equal(shape[2], 4)
    return tf.cond(usual, lambda: decode(contents, shape), lambda: outlined(decode_odd, contents, shape))


def _require_jpeg_end(contents):
    """Refuses unless an end-of-image marker stands behind the last start of a scan, as in a padded file."""
    values = tf.io.decode_raw(contents, tf.uint8)
    places = tf.where(tf.equal(values[:-1], 0xFF))[:, 0]
    markers = tf.gather(values, places + 1)
    scan, end = (
        tf.reduce_max(tf.where(tf.equal(markers, marker), places, -1)) for marker in (0xDA, JPEG_END[1])
    )
    whole = (end > scan) & (scan > 0)
    expected, size = "a JPEG up to its end-of-image marker", tf.strings.length(contents)
    return require("decode_image", (whole, expected, "{} bytes without it", (size,), WHOLE))


def _require_adobe(contents, shape):
    """Refuses CMYK that is stored as it is: TensorFlow takes all CMYK to be inverted, as Adobe writes it."""
    named = tf.not_equal(shape[2], 4) | tf.strings.regex_full_match(contents, r"(?s)\C*\x00\x0eAdobe\C*")
    fix = "Convert the file to RGB."
    return require("decode_image", (named, "a CMYK JPEG with an Adobe marker", "one without", (), fix))


def _decode_other(contents, max_pixels):
    """Returns the pixels of a PNG, GIF or BMP as uint8 `(h, w, 3)`."""
    head = bytes_at(contents, 0, 54)
    matches = tf.reduce_all((head[:6] == tf.constant(MAGIC)) | (tf.constant(COUNTS) == 0), axis=1)
    known = require(
        "decode_image",
        (
            tf.reduce_any(matches),
            "PNG, JPEG, GIF or BMP",
            "contents that begin with {}",
            (beginning(contents, 8),),
            "Convert the file to PNG or JPEG.",
        ),
    )
    with tf.control_dependencies([known]):
        kind = tf.argmax(tf.cast(matches, tf.int32), output_type=tf.int32)
    ways = (_decode_png, _decode_gif, _decode_bmp)
    branches = [lambda way=way: outlined(lambda *x: way(*x, max_pixels), contents, head) for way in ways]
    return tf.ensure_shape(tf.switch_case(kind, branches), (None, None, 3))


def _decode_png(contents, head, max_pixels):
    whole = tf.equal(ending(contents, 8), PNG_END)
    whole = whole | tf.strings.regex_full_match(contents, r"(?s)\C*IEND\C*")
    checked = require(
        "decode_image",
        _check_pixels(big_endian(head[16:20]), big_endian(head[20:24]), max_pixels),
        (whole, "a PNG up to its IEND chunk", "{} bytes without it", (tf.strings.length(contents),), WHOLE),
    )
    with tf.control_dependencies([checked]):
        pixels = tf.io.decode_png(contents, 3)
    return apply_orientation(pixels, png_orientation(contents))


def _decode_gif(contents, head, max_pixels):
    gif = measure_gif(contents, head)
    checks = _check_pixels(gif.width, gif.height, max_pixels), check_gif(contents, gif)
    with tf.control_dependencies([require("decode_image", *checks)]):
        contents = tf.identity(contents)
    return decode_gif(contents, gif)


def _check_pixels(width, height, max_pixels):
    return (
        # Each factor is below 2**32: cut to 2**31, their product fits.
        (width > 0) & (height > 0) & (tf.minimum(width, 1 << 31) * tf.minimum(height, 1 << 31) <= max_pixels),
        f"an image of 1 to {max_pixels} pixels",
        "width={}, height={}",
        (width, height),
        "It is too large or empty: shrink the image, or raise `data.max_pixels` in the spec.",
    )


def _decode_bmp(contents, head, max_pixels):
    bmp = measure_bmp(contents, head)
    checked = require("decode_image", _check_pixels(bmp.width, bmp.height, max_pixels), *check_bmp(bmp))
    with tf.control_dependencies([checked]):
        contents = tf.identity(contents)
    return decode_bmp(contents, bmp)
