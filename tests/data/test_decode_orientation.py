import io
import struct

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageOps

from mm_keras.data.decode_image import decode_image
from mm_keras.data.decode_orientation import jpeg_orientation, png_orientation

SHAPE = (20, 30, 3)
IMAGE = Image.fromarray(np.random.default_rng(7).integers(0, 256, (4, 6, 3), dtype=np.uint8)).resize((30, 20))


def exif(order, orientation, kind=3, directory=8):
    """One directory of three entries; the orientation is the second."""
    entries = (
        struct.pack(order + "HHI4s", 0x010F, 2, 4, b"abc\0"),
        struct.pack(order + "HHIHH", 0x0112, kind, 1, orientation, 0),
        struct.pack(order + "HHI4s", 0x8298, 2, 4, b"abc\0"),
    )
    start = (b"II" if order == "<" else b"MM") + struct.pack(order + "HI", 42, directory)
    return (
        b"Exif\0\0"
        + start
        + bytes(directory - 8)
        + struct.pack(order + "H", 3)
        + b"".join(entries)
        + bytes(4)
    )


def write(container, **options):
    file = io.BytesIO()
    IMAGE.save(file, container, **options)
    return file.getvalue()


@pytest.mark.parametrize("container", ["JPEG", "PNG"])
@pytest.mark.parametrize("order", ["<", ">"])
def test_all_orientations_are_applied_as_pillow_applies_them(order, container):
    shapes = set()
    for orientation in range(10):  # 0 and 9 are no orientations.
        contents = write(container, exif=exif(order, orientation))
        expected = np.array(ImageOps.exif_transpose(Image.open(io.BytesIO(contents)))).astype(int)
        decoded = decode_image(contents, *expected.shape[:2], 3, 1000).numpy()
        # JPEG: the two libraries round and interpolate colour a little otherwise.
        np.testing.assert_allclose(decoded, expected, atol=6 if container == "JPEG" else 0)
        shapes.add(expected.shape)
    assert shapes == {SHAPE, (30, 20, 3)}


def test_a_turned_grey_image_is_resized_behind_its_turn():
    contents = write("JPEG", exif=exif(">", 6))
    turned = np.array(ImageOps.exif_transpose(Image.open(io.BytesIO(contents))).convert("L")).astype(int)
    halved = turned.reshape(15, 2, 10, 2).mean(axis=(1, 3))
    decoded = decode_image(contents, 15, 10, 1, 1000).numpy()[..., 0]
    np.testing.assert_allclose(decoded, halved, atol=25)  # The filter is wider than 2 x 2 pixels.
    assert np.abs(decoded - halved[::-1]).max() > 50


@pytest.mark.parametrize(
    "options", [{}, {"comment": b"c" * 300}, {"icc_profile": b"p" * 3000}, {"dpi": (72, 72)}]
)
def test_exif_is_found_between_other_segments(options):
    contents = write("JPEG", exif=exif("<", 8), **options)
    assert jpeg_orientation(contents) == 8
    without = write("JPEG", **options)
    assert jpeg_orientation(without) == 1


def test_png_chunks_before_exif_are_passed_and_a_file_without_has_none():
    assert png_orientation(write("PNG", exif=exif(">", 5), dpi=(72, 72))) == 5
    assert png_orientation(write("PNG", dpi=(72, 72))) == 1
    assert png_orientation(b"\x89PNG\r\n\x1a\n") == 1
    assert png_orientation(b"\x89PNG\r\n\x1a\n" + b"\xff\xff\xff\xffeXIf") == 1


@pytest.mark.parametrize(
    "damaged",
    [
        exif("<", 6)[:20],
        exif("<", 6).replace(b"II", b"XX"),
        exif("<", 6, kind=7),
        exif("<", 600),
        exif(">", 6)[:10] + b"\xff\xff\xff\xff" + exif(">", 6)[14:],
        b"Exif\0\0",
    ],
)
def test_damaged_exif_turns_nothing(damaged):
    contents = write("JPEG", exif=damaged)
    assert b"Exif" in contents
    assert jpeg_orientation(contents) == 1


def test_a_directory_further_on_is_read():
    assert jpeg_orientation(write("JPEG", exif=exif("<", 3, directory=200))) == 3


def test_endless_segments_are_given_up():
    contents = b"\xff\xd8" + b"\xff\xfe\0\2" * 500 + write("JPEG", exif=exif("<", 3))[2:]
    assert jpeg_orientation(contents) == 1


@pytest.mark.slow
def test_eager_and_map_agree():
    files = [write("JPEG", exif=exif(order, value)) for order in "<>" for value in (1, 3, 6)]

    def small(contents):
        return decode_image(contents, 7, 9, 3, 1000)

    mapped = tf.data.Dataset.from_tensor_slices(files).map(small)
    np.testing.assert_array_equal(np.stack(list(mapped)), np.stack([small(contents) for contents in files]))
