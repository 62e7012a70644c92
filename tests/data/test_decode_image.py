import functools
import io
import struct
import zlib

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from mm_keras.data.decode_gif import cut_gif, measure_gif
from mm_keras.data.decode_image import decode_image
from mm_keras.data.graph_check import bytes_at

H, W = 20, 30
PIXELS = np.random.default_rng(7).integers(0, 256, (H, W, 3), dtype=np.uint8)
RGB = Image.fromarray(PIXELS)
GREY = np.array([0.299, 0.587, 0.114])
MODES = [
    (mode, container)
    for container, modes in {
        "PNG": ["1", "L", "LA", "P", "RGB", "RGBA"],
        "GIF": ["L", "P", "RGB"],
        "BMP": ["1", "L", "P", "RGB", "RGBA"],
    }.items()
    for mode in modes
]


def write(image, container, **options):
    file = io.BytesIO()
    image.save(file, container, **options)
    return file.getvalue()


def decode(contents, channels=3, height=H, width=W, max_pixels=1000):
    return decode_image(contents, height, width, channels, max_pixels).numpy()


def chunk(name, contents):
    return struct.pack(">I", len(contents)) + name + contents + struct.pack(">I", zlib.crc32(name + contents))


def png(bits, colour, rows, interlace=0):
    header = struct.pack(">IIBBBBB", W, H, bits, colour, 0, 0, interlace)
    parts = chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def read(contents):
    return np.array(Image.open(io.BytesIO(contents)).convert("RGB"))


def png_header(width, height):
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header)


@pytest.mark.parametrize(("mode", "container"), MODES)
def test_lossless_pixels_are_those_of_pillow(mode, container):
    contents = write(RGB.convert(mode), container)
    np.testing.assert_array_equal(decode(contents), read(contents))
    np.testing.assert_array_equal(decode(contents, channels=1)[..., 0], np.round(read(contents) @ GREY))


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
def test_jpeg_pixels_are_near_those_of_pillow(mode):
    contents = write(Image.fromarray(PIXELS // 8 + 100).convert(mode), "JPEG", quality=95)
    # The two libraries round and interpolate colour a little otherwise.
    np.testing.assert_allclose(decode(contents).astype(int), read(contents), atol=6)
    grey = decode(contents, channels=1)[..., 0]
    np.testing.assert_allclose(grey.astype(int), read(contents) @ GREY, atol=6)


PHOTO = np.array(Image.fromarray(PIXELS[:5, :5]).resize((144, 128), Image.BICUBIC))  # Smooth, as photos are.


@pytest.mark.parametrize(("height", "width"), [(32, 30), (33, 30), (16, 12), (8, 8), (9, 20)])
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_a_large_jpeg_is_decoded_smaller_and_stays_near_the_resized_original(height, width, mode):
    """At a half, as it is, at a quarter, at an eighth and, because of the longer side, at a half."""
    photo = Image.fromarray(PHOTO).convert(mode)
    contents = write(photo, "JPEG", quality=95, subsampling=0)
    small = photo.convert("RGB").resize((width, height), Image.BILINEAR)
    np.testing.assert_allclose(decode(contents, 3, height, width, 99999).astype(int), small, atol=9)
    grey = decode(contents, 1, height, width, 99999)[..., 0].astype(int)
    np.testing.assert_allclose(grey, np.array(small) @ GREY, atol=9)


def sizes_while_decoding(contents, height, width, channels):
    """Returns the ratio of the operation that decoded, as the graph that was run tells it."""
    ratios = []
    decode_jpeg = tf.io.decode_jpeg

    def spy(contents, channels, ratio=1):
        ratios.append(ratio)
        return decode_jpeg(contents, channels, ratio=ratio)

    tf.io.decode_jpeg = spy
    try:
        decode(contents, channels, height, width, 99999)
    finally:
        tf.io.decode_jpeg = decode_jpeg
    return ratios


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("container", ["usual", "turned"])
def test_libjpeg_divides_only_where_twice_the_size_is_left(channels, container):
    exif = Image.Exif()
    if container == "turned":
        exif[0x0112] = 6
    contents = write(Image.fromarray(PHOTO), "JPEG", exif=exif)
    found = {size: sizes_while_decoding(contents, size, 8, channels) for size in (33, 32, 16, 8)}
    assert found == {33: [1], 32: [2], 16: [4], 8: [8]}


@pytest.mark.parametrize(("width", "ratio"), [(143, 1), (142, 2), (140, 4), (136, 8)])
def test_libjpeg_divides_only_what_it_divides_exactly(width, ratio):
    contents = write(Image.fromarray(PHOTO[:, :width]), "JPEG")
    assert sizes_while_decoding(contents, 8, 8, 3) == [ratio]


def interlaced_png():
    passes = (
        (0, 0, 8, 8),
        (4, 0, 8, 8),
        (0, 4, 4, 8),
        (2, 0, 4, 4),
        (0, 2, 2, 4),
        (1, 0, 2, 2),
        (0, 1, 1, 2),
    )
    rows = [row for x, y, right, down in passes for row in PIXELS[y::down, x::right] if row.size]
    return png(8, 2, b"".join(b"\0" + row.tobytes() for row in rows), interlace=1)


def moved_gif(left, top):
    """A frame of W x H on a larger screen."""
    contents = bytearray(write(RGB.convert("P"), "GIF"))
    place = contents.index(b"\x2c\0\0\0\0")
    contents[6:10] = struct.pack("<HH", W + 9, H + 7)
    contents[place + 1 : place + 5] = struct.pack("<HH", left, top)
    return bytes(contents)


PALETTE = RGB.convert("P")
TURNED = RGB.transpose(Image.Transpose.ROTATE_180)
ODD = {
    "PNG of 4 bits": write(RGB.quantize(9), "PNG", bits=4),
    "PNG with a transparent palette": write(PALETTE, "PNG", transparency=3),
    "grey PNG with a transparent shade": write(RGB.convert("L"), "PNG", transparency=100),
    "interlaced PNG": interlaced_png(),
    "animated PNG": write(RGB, "PNG", save_all=True, append_images=[TURNED]),
    "PNG with chunks before the pixels": write(RGB, "PNG", dpi=(100, 100)),
    "PNG with bytes behind": write(RGB, "PNG") + b"junk",
    "interlaced GIF": write(PALETTE, "GIF", interlace=1),
    "GIF with a transparent colour": write(PALETTE, "GIF", transparency=5),
    "GIF with bytes behind": write(PALETTE, "GIF") + b"junk",
    "BMP of 4 bits": write(RGB.quantize(9), "BMP"),
    "BMP with bytes behind": write(RGB, "BMP") + b"junk",
}


@pytest.mark.parametrize("kind", ODD)
def test_odd_files_are_read_as_pillow_reads_them(kind):
    expected = read(ODD[kind])
    np.testing.assert_array_equal(decode(ODD[kind], 3, *expected.shape[:2], 9999), expected)


@pytest.mark.parametrize(("left", "top"), [(0, 0), (4, 2)])
def test_around_a_first_frame_that_is_smaller_than_the_screen_is_black(left, top):
    expected = np.zeros((H + 7, W + 9, 3), np.uint8)
    expected[top : top + H, left : left + W] = read(write(PALETTE, "GIF"))
    np.testing.assert_array_equal(decode(moved_gif(left, top), 3, H + 7, W + 9, 9999), expected)


def write_ycck():
    """CMYK as YCC and K, inverted, as Adobe's marker tells by a 2."""
    inverted = 255 - np.array(Image.fromarray(PIXELS // 8 + 100).convert("CMYK"))
    colours = np.array(Image.fromarray(inverted[..., :3].copy()).convert("YCbCr"))
    image = Image.frombytes("CMYK", (W, H), 255 - np.dstack([colours, inverted[..., 3]]))
    contents = write(image, "JPEG", quality=95)
    place = contents.index(b"Adobe") + 11
    return contents[:place] + b"\2" + contents[place + 1 :]


SMOOTH = Image.fromarray(PIXELS // 8 + 100)
ODD_JPEG = {
    "progressive": write(SMOOTH, "JPEG", progressive=True),
    "colours not transformed": write(SMOOTH, "JPEG", keep_rgb=True),
    "YCCK": write_ycck(),
    "comment": write(SMOOTH, "JPEG", comment=b"made by hand"),
    "colour profile": write(SMOOTH, "JPEG", icc_profile=b"p" * 99),
    "bytes behind": write(SMOOTH, "JPEG") + bytes(50),
    "several pictures": write(SMOOTH, "MPO", save_all=True, append_images=[TURNED]),
}


@pytest.mark.parametrize("kind", ODD_JPEG)
def test_odd_jpegs_are_near_what_pillow_reads(kind):
    # The two libraries round and interpolate colour a little otherwise.
    np.testing.assert_allclose(decode(ODD_JPEG[kind]).astype(int), read(ODD_JPEG[kind]), atol=6)


def test_16_bit_colours_keep_their_upper_8_bits():
    numbers = np.random.default_rng(7).integers(0, 65536, (H, W, 3))
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in numbers)
    np.testing.assert_array_equal(decode(png(16, 2, rows)), numbers >> 8)


def test_16_bit_png_keeps_the_upper_8_bits():
    numbers = np.random.default_rng(7).integers(0, 65536, (H, W)).astype(np.uint16)
    contents = write(Image.fromarray(numbers), "PNG")
    np.testing.assert_array_equal(decode(contents, channels=1)[..., 0], numbers >> 8)


def test_alpha_is_dropped_not_blended():
    image = RGB.convert("RGBA")
    image.putalpha(0)
    np.testing.assert_array_equal(decode(write(image, "PNG")), PIXELS)
    np.testing.assert_array_equal(decode(write(image, "BMP")), PIXELS)


def test_the_first_frame_of_an_animation_is_read():
    frames = [Image.fromarray(np.full((H, W), 40 * i, np.uint8)) for i in range(1, 4)]
    contents = write(frames[0], "GIF", save_all=True, append_images=frames[1:], loop=0, comment=b"c" * 600)
    np.testing.assert_array_equal(decode(contents), np.full((H, W, 3), 40))


def test_a_later_frame_of_a_gif_is_never_unpacked():
    first = write(RGB, "GIF")
    frame = b"\x2c" + struct.pack("<HHHHB", 0, 0, 65535, 65535, 0) + b"\x08\xff"
    contents = first[:-1] + frame
    np.testing.assert_array_equal(decode(contents), read(first))
    assert cut_gif(contents, measure_gif(contents, bytes_at(contents, 0, 54))) == first


def test_a_bmp_from_the_top_is_not_turned():
    contents = write(RGB, "BMP")
    rows = np.frombuffer(contents[54:], np.uint8).reshape(H, -1)[::-1].tobytes()
    turned = contents[:22] + struct.pack("<i", -H) + contents[26:54] + rows
    np.testing.assert_array_equal(decode(turned), PIXELS)


@pytest.mark.parametrize("channels", [1, 3])
def test_resizing_antialiases(channels):
    stripes = np.isin(np.arange(64) % 8, (3, 4)) * np.full((64, 1), 255)
    contents = write(Image.fromarray(stripes.astype(np.uint8)), "PNG")
    resized = decode(contents, channels, 16, 8, 5000)
    assert resized.shape == (16, 8, channels)
    assert np.all(np.abs(resized[:, 1:-1].astype(int) - 64) < 8)  # Without antialiasing: 255.
    assert decode(contents, channels, 100, 90, 5000).shape == (100, 90, channels)


@pytest.mark.slow
@pytest.mark.parametrize("channels", [1, 3])
def test_eager_map_and_batched_results_agree(channels):
    files = [
        write(RGB, "PNG"),
        write(RGB, "JPEG"),
        write(RGB, "GIF"),
        write(RGB, "BMP"),
        write(RGB.convert("P"), "BMP"),
        write(RGB.resize((9, 7)), "PNG"),
        write(RGB.resize((9, 7)).convert("L"), "PNG"),
        write(RGB.convert("L"), "JPEG"),
        write(RGB, "JPEG", exif=b"Exif\0\0MM\0*\0\0\0\x08\0\1\1\x12\0\3\0\0\0\1\0\6\0\0\0\0\0\0"),
    ]

    def small(contents):
        return decode_image(contents, 7, 9, channels, 1000)

    eager = np.stack([small(contents) for contents in files])
    mapped = tf.data.Dataset.from_tensor_slices(files).map(small)
    assert mapped.element_spec.shape == (7, 9, channels)
    batched = tf.function(lambda batch: tf.map_fn(small, batch, fn_output_signature=tf.uint8))(
        tf.constant(files)
    )
    np.testing.assert_array_equal(np.stack(list(mapped)), eager)
    np.testing.assert_array_equal(batched, eager)


def with_bytes(contents, start, replacement):
    return contents[:start] + replacement + contents[start + len(replacement) :]


@functools.cache
def in_graph():
    signature = [tf.TensorSpec([], tf.string)]
    return tf.function(lambda contents: decode_image(contents, H, W, 3, 599), input_signature=signature)


TOO_LARGE = "an image of 1 to 599 pixels. Received: width=30, height=20."
BMP = write(RGB, "BMP")
GIF = write(RGB, "GIF")
FRAME = GIF.index(b"\x2c\0\0\0\0") + 5


@pytest.mark.parametrize(
    ("contents", "expected"),
    [
        (b"", "PNG, JPEG, GIF or BMP. Received: contents that begin with ``."),
        (b"\xffRIFFWEBP", "PNG, JPEG, GIF or BMP. Received: contents that begin with"),
        (write(RGB, "TIFF"), "PNG, JPEG, GIF or BMP"),
        (write(RGB, "PNG"), TOO_LARGE),
        (write(RGB, "JPEG"), TOO_LARGE),
        (GIF, TOO_LARGE),
        (BMP, TOO_LARGE),
        (png_header(100_000, 100_000), "Received: width=100000, height=100000."),
        (png_header(2**32 - 1, 2**32 - 1), "Received: width=4294967295, height=4294967295."),
        (png_header(0, 5), "Received: width=0, height=5."),
        (with_bytes(GIF, 6, b"\xff\xff\xff\xff"), "Received: width=65535, height=65535."),
        (with_bytes(GIF, FRAME, b"\xff\xff\xff\xff"), "Received: width=65535, height=65535."),
        (with_bytes(BMP, 22, struct.pack("<i", -(2**31))), "Received: width=30, height=2147483648."),
        (with_bytes(write(RGB.resize((4, 4)).convert("P"), "BMP"), 30, b"\1"), "8 bits, compression 1"),
        (with_bytes(write(RGB.resize((4, 4)), "BMP"), 28, b"\x10"), "16 bits, compression 0"),
        (
            write(SMOOTH.resize((4, 4)).convert("CMYK"), "JPEG").replace(b"Adobe", b"adobe"),
            "a CMYK JPEG with an Adobe marker",
        ),
        (with_bytes(write(RGB.resize((4, 4)), "BMP"), 14, b"\x0c"), "a header of 12 bytes"),
    ],
)
def test_bad_files_are_refused_eagerly_and_in_a_graph(contents, expected):
    for decoder in (lambda contents: decode_image(contents, H, W, 3, 599), in_graph()):
        with pytest.raises(tf.errors.InvalidArgumentError) as error:
            decoder(tf.constant(contents))
        assert expected in str(error.value)
        assert "`decode_image` expects" in str(error.value)


@pytest.mark.parametrize("container", ["PNG", "JPEG", "GIF", "BMP"])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_truncated_files_are_refused_as_such(container, mode):
    contents = write(RGB.convert(mode), container)
    for share in (0.5, 0.7, 0.9, 0.99):
        with pytest.raises(tf.errors.InvalidArgumentError, match="The file is truncated"):
            decode(contents[: int(len(contents) * share)])


def test_a_truncated_jpeg_is_refused_although_its_preview_is_whole():
    preview = b"Exif\0\0" + write(RGB.resize((4, 4)), "JPEG")
    contents = write(RGB, "JPEG", exif=preview)
    assert decode(contents).shape == (H, W, 3)
    with pytest.raises(tf.errors.InvalidArgumentError, match="end-of-image marker.* The file is truncated"):
        decode(contents[:-40])


@pytest.mark.parametrize("container", ["PNG", "JPEG", "GIF", "BMP"])
def test_every_cut_of_a_header_is_an_error_of_tensorflow(container):
    contents = write(RGB.resize((4, 4)), container)
    for length in range(0, 40, 3):
        with pytest.raises(tf.errors.InvalidArgumentError):
            decode(contents[:length])


@pytest.mark.parametrize(("height", "channels"), [(0, 3), (5, 2)])
def test_arguments_are_checked(height, channels):
    with pytest.raises(ValueError, match="`decode_image` expects"):
        decode_image(write(RGB, "PNG"), height, W, channels, 1000)
