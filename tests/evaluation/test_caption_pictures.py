"""Pictures of captions: where each token looked."""

import numpy as np
import pytest
from PIL import Image

from mm_keras.data.keypad import write_keypad
from mm_keras.data.pipeline import make_datasets
from mm_keras.evaluation import draw_captions
from mm_keras.evaluation.caption_pictures import maps_of
from mm_keras.model import build_model
from mm_keras.spec_file import make_spec


@pytest.mark.parametrize(
    ("places", "size", "shape"),
    [
        (16, (28, 28), (4, 4)),
        (12, (30, 40), (3, 4)),
        (12, (40, 30), (4, 3)),
        (7, (20, 30), (1, 7)),
        (8, (16, 64), (1, 8)),
    ],
)
def test_places_become_a_map_of_the_images_shape_line_by_line(places, size, shape):
    attention = np.arange(2 * 3 * places).reshape(2, 3, places)
    maps = maps_of(attention, size)
    assert maps.shape == (2, 3, *shape)
    np.testing.assert_array_equal(maps.reshape(attention.shape), attention)


def test_one_place_is_no_map():
    assert maps_of(np.ones((2, 3, 1)), (8, 8)) is None


@pytest.mark.slow
@pytest.mark.parametrize(
    ("pooling", "decoder", "names"),
    [
        ("none", {"units": 8}, ["caption", "summary"]),
        ("flatten", {"kind": "transformer", "units": 8, "layers": 1}, ["caption"]),
    ],
)
def test_a_picture_of_each_caption_output_is_drawn(tmp_path, pooling, decoder, names):
    manifest = write_keypad(tmp_path / "keypad", rows=100, empty=0.2, captions=True)
    image = {"kind": "image", "size": [8, 8], "channels": 1, "encoder": {"filters": [4], "units": 4}}
    image["encoder"]["pooling"] = pooling
    spec = make_spec(
        {
            "name": "keypad",
            "data": {"manifest": str(manifest), "split": "split"},
            "modalities": {
                "image": image,
                "note": {"kind": "text", "encoder": {"kind": "cnn", "windows": [2]}},
            },
            "outputs": {
                name: {"kind": "caption", "separator": "|", "length": 12, "decoder": decoder}
                for name in names
            },
            "training": {"strategy": "none", "precision": "float32"},
        }
    )
    data = make_datasets(spec)
    paths = draw_captions(build_model(spec, data), spec, data, "train", tmp_path)
    assert [path.name for path in paths] == [f"captions_{name}.png" for name in names]
    wide, high = Image.open(paths[0]).size
    assert high > 300 and (wide > high if pooling == "none" else wide < high)  # A square for each token.


@pytest.mark.slow
def test_without_an_image_or_a_caption_output_nothing_is_drawn(trained, tmp_path):
    run, data = trained
    assert draw_captions(run.model, run.spec, data, "test", tmp_path) == []
