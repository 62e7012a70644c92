import io
import struct
import zlib

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from mm_keras.data.decode_image import _measure_gif, decode_image
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
        "BMP": ["L", "P", "RGB", "RGBA"],
    }.items()
    for mode in modes
]


def write(image, container, **options):
    file = io.BytesIO()
    image.save(file, container, **options)
    return file.getvalue()


def decode(contents, channels=3, height=H, width=W, max_pixels=1000):
    return decode_image(contents, height, width, channels, max_pixels).numpy()


def read(contents):
    return np.array(Image.open(io.BytesIO(contents)).convert("RGB"))


def png_header(width, height):
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))


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
    assert _measure_gif(tf.constant(contents), bytes_at(contents, 0, 54))[2] == first


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


@pytest.mark.parametrize("channels", [1, 3])
def test_eager_map_and_batched_results_agree(channels):
    files = [
        write(RGB, "PNG"),
        write(RGB, "JPEG"),
        write(RGB, "GIF"),
        write(RGB, "BMP"),
        write(RGB.convert("P"), "BMP"),
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
        (write(RGB.resize((4, 4)).convert("1"), "BMP"), "1 bits, compression 0"),
        (with_bytes(write(RGB.resize((4, 4)), "BMP"), 14, b"\x0c"), "a header of 12 bytes"),
    ],
)
def test_bad_files_are_refused_eagerly_and_in_a_graph(contents, expected):
    graph = tf.function(lambda contents: decode_image(contents, H, W, 3, 599))
    for decoder in (lambda contents: decode_image(contents, H, W, 3, 599), graph):
        with pytest.raises(tf.errors.InvalidArgumentError) as error:
            decoder(tf.constant(contents))
        assert expected in str(error.value)
        assert "`decode_image` expects" in str(error.value)


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
