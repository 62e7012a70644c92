"""What is read from the page's inputs; how they work in a browser, `test_demo.py` tests."""

import asyncio
import importlib

import numpy as np
import pytest
from PIL import Image

gradio = pytest.importorskip("gradio")

demo_inputs = importlib.import_module("mm_keras.serving.demo_inputs")

MODALITIES = {
    "image": {"kind": "image", "size": [4, 8], "channels": 1},
    "audio": {"kind": "audio", "rate": 8000, "seconds": 1.0},
    "text": {"kind": "text"},
    "weights": {"kind": "numbers", "columns": ["a", "b"]},
    "motion": {"kind": "features", "shape": [3, 2]},
}
EMPTY = [demo_inputs.PICTURE, None, None, False]


@pytest.fixture(scope="module")
def inputs():
    with gradio.Blocks(analytics_enabled=False):
        return [demo_inputs.make_input(name, modality) for name, modality in MODALITIES.items()]


@pytest.fixture
def picture(tmp_path):
    path = tmp_path / "a.png"
    Image.new("L", (3, 2)).save(path)
    return str(path)


def canvas(ink):
    """Returns what a canvas gives whose ink is black where `ink` is true."""
    layer = np.zeros((*np.shape(ink), 4), np.uint8)
    layer[..., 3] = 255 * np.asarray(ink)
    composite = np.full((*np.shape(ink), 4), 255, np.uint8)
    composite[..., :3][ink] = 0
    return {"background": None, "layers": [layer], "composite": composite}


def test_what_is_given_is_read(inputs, picture):
    values = [True, demo_inputs.PICTURE, picture, None, False, True, "a.wav", True, "three"]
    row = demo_inputs.read_row(inputs, [*values, True, "1e0", " ", True, "a.npy"])
    assert row.pop("weights") == pytest.approx([1, np.nan], nan_ok=True)
    assert {name: str(value) for name, value in row.items()} == {
        "image": picture,
        "audio": "a.wav",
        "text": "three",
        "motion": "a.npy",
    }


def test_what_is_switched_off_is_left_out(inputs, picture):
    values = [False, demo_inputs.PICTURE, picture, None, False, False, "a.wav", True, "three"]
    assert demo_inputs.read_row(inputs, [*values, False, "1", "2", False, "a.npy"]) == {"text": "three"}


def test_what_is_empty_is_left_out(inputs):
    values = [True, *EMPTY, True, None, True, "  ", True, "", None, True, None]
    assert demo_inputs.read_row(inputs, values) == {}


def test_a_drawing_is_read_in_place_of_a_picture(inputs, picture):
    values = [True, demo_inputs.DRAW, picture, canvas(np.eye(4, dtype=bool)), False]
    rest = [False, None, False, "", False, None, None, False, None]
    pixels = demo_inputs.read_row(inputs, [*values, *rest])["image"]
    np.testing.assert_array_equal(pixels[..., 0], 255 * (1 - np.eye(4)))


def test_a_drawing_can_be_white_on_black_and_is_missing_where_nothing_is_drawn():
    np.testing.assert_array_equal(
        demo_inputs.read_drawing(canvas(np.eye(4, dtype=bool)), inverted=True)[..., 2], 255 * np.eye(4)
    )
    assert demo_inputs.read_drawing(canvas(np.zeros((4, 4), bool)), inverted=True) is None
    assert demo_inputs.read_drawing(None, inverted=False) is None


def test_the_canvas_has_the_shape_of_the_images(inputs):
    assert inputs[0].parts[2].canvas_size == (320, 160)


def test_a_webp_picture_is_decoded_and_a_broken_one_is_named(tmp_path, picture):
    path = tmp_path / "a.webp"
    Image.new("RGB", (3, 2), (255, 0, 0)).save(path, lossless=True)
    assert demo_inputs.read_picture(path).getpixel((0, 0)) == (255, 0, 0)
    assert demo_inputs.read_picture(picture) == picture
    path.write_bytes(path.read_bytes()[:20])
    with pytest.raises(ValueError, match=r"a readable image. Received: a\.webp: "):
        demo_inputs.read_picture(path)


@pytest.mark.parametrize("place", ["http://127.0.0.1:1/a.png", "https://example.com/a.png"])
def test_a_request_cannot_name_an_address(inputs, place):
    move = importlib.import_module("gradio.processing_utils").async_move_files_to_cache
    value = {"path": place, "meta": {"_type": "gradio.FileData"}}
    for component in [component for part in inputs for component in part.parts]:
        with pytest.raises(gradio.Error, match="expects an upload"):
            asyncio.run(move(value, component, check_in_upload_folder=True))


@pytest.mark.parametrize("text", ["two", "1,5", "nan", "inf", "1e999"])
def test_what_is_no_number_is_refused_by_its_name(text):
    with pytest.raises(ValueError, match=f"a number for `kg`. Received: {text!r}"):
        demo_inputs.read_numbers(["m", "kg"], ["1", text])
