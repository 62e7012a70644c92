"""PNG, JPEG, GIF and BMP bytes -> pixels of one size, in plain TensorFlow operations."""

import tensorflow as tf

from mm_keras.checks import check_choice, check_positive_int
from mm_keras.data.graph_check import beginning, big_endian, bytes_at, little_endian, require

PNG, JPEG, GIF, BMP = range(4)
# The first bytes of each format; the second row of a pair is the mask of those that count.
MAGIC = ((137, 80, 78, 71, 13, 10), (255, 216, 255, 0, 0, 0), (71, 73, 70, 56, 0, 97), (66, 77, 0, 0, 0, 0))
COUNTS = ((1, 1, 1, 1, 1, 1), (1, 1, 1, 0, 0, 0), (1, 1, 1, 1, 0, 1), (1, 1, 0, 0, 0, 0))
GREY = (0.299, 0.587, 0.114)  # ITU-R BT.601, section 2.5.1.
MOST_BLOCKS = 1 << 16  # Of a GIF, up to the end of its first frame: 16 MiB in full blocks.
EXTENSION, FRAME = 0x21, 0x2C


def decode_image(contents, height, width, channels, max_pixels):
    """Decodes a PNG, JPEG, GIF or BMP file to one size.

    The size is read from the header first, and a larger image is refused before memory is taken for it. Of
    a GIF the first frame is read. Alpha is dropped, not blended: pixels keep the colour they have beneath
    it. 16 bits a channel become their upper 8. CMYK (JPEG) becomes RGB by TensorFlow's simple rule, no
    colour profile. The EXIF rotation is not applied. Resizing is bilinear with antialiasing; at the
    image's own size pixels stay as they are.

    Args:
        contents: string tensor, scalar. The bytes of the file.
        height, width: int > 0. Size of the result in pixels.
        channels: 1 or 3. Grey (luma of ITU-R BT.601) or RGB.
        max_pixels: int > 0. Most pixels (width x height) of the file's image.

    Returns: uint8 tensor `(H, W, C)`.
    Raises: tf.errors.InvalidArgumentError, at run time, if it is none of these formats, has too many pixels
        or none, is a BMP of a kind that is not read (below 8 bits a pixel, run-length coded, OS/2), or is
        damaged. ValueError, if an argument is not as above.
    """
    for name, value in (("height", height), ("width", width), ("max_pixels", max_pixels)):
        check_positive_int("decode_image", name, value)
    check_choice("decode_image", "channels", channels, (1, 3))
    contents = tf.convert_to_tensor(contents, tf.string)
    pixels = _decode(contents, max_pixels)
    resized = tf.image.resize(pixels, (height, width), "bilinear", antialias=True)
    if channels == 1:
        resized = tf.reduce_sum(resized * tf.constant(GREY), axis=-1, keepdims=True)
    rounded = tf.cast(tf.clip_by_value(tf.round(resized), 0, 255), tf.uint8)
    return tf.ensure_shape(rounded, (height, width, channels))


def _decode(contents, max_pixels):
    """Returns the pixels as uint8 `(h, w, 3)`."""
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
    measures = (
        lambda: (big_endian(head[16:20]), big_endian(head[20:24]), contents),
        lambda: _measure_jpeg(contents),
        lambda: _measure_gif(contents, head),
        lambda: (little_endian(head[18:22]), _bmp_height(head), contents),
    )
    width, height, contents = tf.switch_case(kind, measures)
    checked = require(
        "decode_image", _check_pixels(width, height, max_pixels), _check_bmp(tf.equal(kind, BMP), head)
    )
    with tf.control_dependencies([checked]):
        contents = tf.identity(contents)

    def decode():
        pixels = tf.io.decode_image(contents, channels=3, expand_animations=False)
        return tf.ensure_shape(pixels, (None, None, 3))

    is_palette = tf.equal(kind, BMP) & tf.equal(head[28], 8)
    return tf.cond(is_palette, lambda: _decode_palette_bmp(contents, head), decode)


def _check_pixels(width, height, max_pixels):
    return (
        # Each factor is below 2**32: cut to 2**31, their product fits.
        (width > 0) & (height > 0) & (tf.minimum(width, 1 << 31) * tf.minimum(height, 1 << 31) <= max_pixels),
        f"an image of 1 to {max_pixels} pixels",
        "width={}, height={}",
        (width, height),
        "Shrink the image, or raise `data.max_pixels` in the spec.",
    )


def _measure_jpeg(contents):
    shape = tf.cast(tf.image.extract_jpeg_shape(contents), tf.int64)
    return shape[1], shape[0], contents


def _measure_gif(contents, head):
    """Returns the larger of screen and first frame, and the file cut behind that frame.

    TensorFlow unpacks every frame before it takes the first: a later one could ask for any amount of memory.
    """
    frame, end = _find_gif_frame(tf.cast(tf.io.decode_raw(contents, tf.uint8), tf.int32), head)
    size = bytes_at(contents, frame + 5, 4)
    width = tf.maximum(little_endian(head[6:8]), little_endian(size[:2]))
    height = tf.maximum(little_endian(head[8:10]), little_endian(size[2:]))
    return width, height, tf.strings.join([tf.strings.substr(contents, 0, end), b";"])


def _find_gif_frame(values, head):
    """Returns where the first frame's descriptor stands and where its blocks end, int32 scalars."""
    length = tf.size(values)
    values = tf.pad(values, [[0, 16]])

    def step(position, frame, inside):
        value = values[position]
        is_frame = ~inside & tf.equal(value, FRAME)
        known = is_frame | tf.equal(value, EXTENSION)
        # A frame: descriptor, colour table, one byte for the code size. An extension: two bytes.
        opened = position + tf.where(is_frame, 11 + _colour_table(values[position + 9]), 2)
        following = tf.where(inside, position + 1 + value, tf.where(known, opened, length))
        return (
            tf.minimum(following, length),
            tf.where(is_frame, position, frame),
            tf.where(inside, value > 0, known),
        )

    end, frame, _ = tf.while_loop(
        # Behind the frame's last block, which is empty, it ends.
        lambda position, frame, inside: (position < length) & (inside | tf.equal(frame, length)),
        step,
        (tf.minimum(13 + _colour_table(head[10]), length), length, tf.constant(False)),
        maximum_iterations=MOST_BLOCKS,
    )
    return frame, end


def _colour_table(flags):
    """Returns the bytes of the colour table that the flags of a GIF's screen or frame announce."""
    size = 3 * tf.bitwise.left_shift(2, tf.bitwise.bitwise_and(flags, 7))
    return tf.where(flags >= 128, size, 0)


def _bmp_height(head):
    """Returns the rows of a BMP; a negative number means that they run from the top."""
    height = little_endian(head[22:26])
    return tf.where(height >= 1 << 31, (1 << 32) - height, height)


def _check_bmp(is_bmp, head):
    header, bits, coding = little_endian(head[14:18]), little_endian(head[28:30]), little_endian(head[30:34])
    plain = tf.equal(coding, 0) & (tf.equal(bits, 8) | tf.equal(bits, 24))
    readable = plain | (tf.equal(bits, 32) & (tf.equal(coding, 0) | tf.equal(coding, 3)))
    return (
        ~is_bmp | ((header >= 40) & readable),
        "a BMP of 8, 24 or 32 bits a pixel, not compressed",
        "{} bits, compression {}, a header of {} bytes",
        (bits, coding, header),
        "Convert the file to PNG.",
    )


def _decode_palette_bmp(contents, head):
    """Looks up the colours: TensorFlow takes the numbers of the palette for grey."""
    places = tf.io.decode_bmp(contents, channels=0)
    start = tf.cast(14 + little_endian(head[14:18]), tf.int32)
    stored = tf.reshape(bytes_at(contents, start, 1024), (256, 4))  # Blue, green, red, 0.
    palette = stored[:, 2::-1]
    return tf.cast(tf.gather(palette, tf.cast(places[:, :, 0], tf.int32)), tf.uint8)
