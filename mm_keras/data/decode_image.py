"""PNG, JPEG, GIF and BMP bytes -> pixels of one size, in plain TensorFlow operations."""

import functools

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
HEAD = 41  # Bytes of a file that tell a plain one: up to the name of a PNG's second chunk.
PNG_END = b"IEND\xaeB`\x82"
JPEG_START, JPEG_END = (0xFF, 0xD8, 0xFF), b"\xff\xd9"
REDUCTIONS = (1, 2, 4, 8)  # By which libjpeg divides height and width while it decodes.
GAP = 2  # A JPEG stays at least so many times as large as wanted: the rest is for antialiasing.


def decode_image(contents, height, width, channels, max_pixels):
    """Decodes a PNG, JPEG, GIF or BMP file to one size.

    The size is read from the header first, and a larger image is refused before memory is taken for it. Of
    an animation the first frame is read. The orientation of EXIF is applied. Alpha is dropped, not blended:
    pixels keep the colour they have beneath it. 16 bits a channel become their upper 8. CMYK (JPEG, with
    Adobe's marker) becomes RGB by TensorFlow's simple rule, no colour profile. Resizing is bilinear with
    antialiasing; at the image's own size pixels stay as they are. A JPEG of which both sides are even, and at
    least 4 times the longer side of the result, is decoded at a half, a quarter or an eighth of its size,
    never below twice that side: libjpeg then leaves out the finest parts of its cosine transform, which
    resizing would remove, and large photos take a fraction of the time.

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

    wanted = {"height": height, "width": width, "channels": channels, "max_pixels": max_pixels}

    def decode_other(contents):
        return resize_pixels(_decode_other(contents, max_pixels), height, width, channels)

    head = tf.io.decode_raw(contents, tf.uint8, fixed_length=HEAD)
    is_jpeg = tf.reduce_all(tf.equal(head[:3], JPEG_START))
    ways = [lambda: _decode_jpeg(contents, head, **wanted), lambda: outlined(decode_other, contents)]
    kind = tf.where(is_jpeg, 0, 1)
    if height * width <= max_pixels:
        ways.append(lambda: tf.io.decode_png(contents, channels))
        kind = tf.where(is_plain_png(contents, head, height, width, channels), 2, kind)
    return tf.ensure_shape(tf.switch_case(kind, ways), (height, width, channels))


def is_plain_png(contents, head, height, width, channels):
    """Tells which files are whole PNG of this size and, for 1 channel, grey, the pixels behind the header.

    Images that are made ready once are of this kind, and are then read several times as fast.

    Args:
        contents: string tensor of any shape.
        head: uint8 tensor `(..., HEAD)`. The first bytes of each.
        height, width, channels: int, as of `decode_image`.

    Returns: bool tensor of the shape of `contents`.
    """
    # Signature, header of 13 bytes, its measures, colour type and the name of the chunk behind it.
    header = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + width.to_bytes(4) + height.to_bytes(4)
    header += bytes(13) + b"IDAT"
    counts = bytearray(b"\xff" * 24 + bytes(13) + b"\xff" * 4)
    counts[25] = 0xFF if channels == 1 else 0  # Grey is colour type 0.
    mask, expected = tf.constant(list(counts), tf.uint8), tf.constant(list(header), tf.uint8)
    same = tf.equal(tf.bitwise.bitwise_and(head, mask), expected)
    return tf.reduce_all(same, axis=-1) & tf.equal(ending(contents, 8), PNG_END)


def _decode_jpeg(contents, head, height, width, channels, max_pixels):
    """Returns the pixels at the wanted size.

    A file of which nothing need be refused, told or turned is decoded at once; the others one by one.
    """
    # Tables right at the beginning, or behind the 18 bytes of JFIF's segment: there is no Exif.
    markers = tf.gather(head, [2, 3, 4, 5, 20, 21])
    without = tf.reduce_all(tf.equal(markers, [0xFF, 0xE0, 0, 16, 0xFF, 0xDB]))
    without = without | tf.reduce_all(tf.equal(markers[:2], [0xFF, 0xDB]))
    usual = without & tf.equal(ending(contents, 2), JPEG_END)

    # Of the others no shape, which gives four channels: they go the last way, as CMYK does.
    shape = tf.cond(
        usual, lambda: tf.image.extract_jpeg_shape(contents), lambda: tf.constant([1, 1, 4], tf.int32)
    )
    way = _reduction(shape, height, width)
    if channels == 1:  # A grey file is decoded as it is, colour by our own rule.
        way += tf.where(tf.equal(shape[2], 1), 0, len(REDUCTIONS))
    within = tf.reduce_prod(tf.cast(shape[:2], tf.int64)) <= max_pixels
    way = tf.where(within & tf.not_equal(shape[2], 4), way, -1)
    ways = [
        lambda ratio=ratio, found=found: _at_any_size(tf.io.decode_jpeg(contents, found, ratio=ratio))
        for found in ((3,) if channels == 3 else (1, 3))
        for ratio in REDUCTIONS
    ]
    odd = functools.partial(
        _decode_odd_jpeg, height=height, width=width, channels=channels, max_pixels=max_pixels
    )
    ways.append(lambda: outlined(odd, contents))
    return resize_pixels(tf.switch_case(way, ways), height, width, channels)


def _reduction(shape, height, width):
    """Returns the place in `REDUCTIONS` of the largest that leaves `GAP` times the wanted size."""
    # Of the shorter and the longer side, so that it does not matter how the image will be turned.
    spare = tf.reduce_min(shape[:2]) // (GAP * max(height, width))
    ratios = tf.constant(REDUCTIONS[1:])
    # A size that it does not divide would be rounded up, and the image a little displaced.
    exact = tf.equal(shape[0] % ratios, 0) & tf.equal(shape[1] % ratios, 0)
    return tf.reduce_sum(tf.cast((spare >= ratios) & exact, tf.int32))


def _at_any_size(pixels):
    return tf.ensure_shape(pixels, (None, None, None))


def _decode_odd_jpeg(contents, height, width, channels, max_pixels):
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
    with tf.control_dependencies([checked, _require_adobe(contents, shape)]):
        contents = tf.identity(contents)

    def decode(found):
        ways = [
            lambda ratio=ratio: _at_any_size(tf.io.decode_jpeg(contents, found, ratio=ratio))
            for ratio in REDUCTIONS
        ]
        return tf.switch_case(_reduction(shape, height, width), ways)

    if channels == 3:
        pixels = decode(3)
    else:
        pixels = tf.cond(tf.equal(shape[2], 1), lambda: decode(1), lambda: decode(3))
    return apply_orientation(pixels, jpeg_orientation(contents))


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
