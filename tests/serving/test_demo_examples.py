"""Rows to try: of a manifest and of warm-up requests."""

import numpy as np
import pytest
import soundfile
import tiny
from PIL import Image

from mm_keras.exporting.warm_up import write_warm_up
from mm_keras.serving.demo_examples import examples_of_export, examples_of_manifest, is_on_black

MODALITIES = {
    name: tiny.MODALITIES[name] | ({} if name == "numbers" else {"column": name}) for name in tiny.NAMES
}


def test_rows_of_a_manifest_are_those_of_its_test_split(tiny_manifest):
    examples = examples_of_manifest(tiny_manifest, MODALITIES)
    assert len(examples) == 8
    assert all("zanzibar" in row["text"] for row in examples if "text" in row)
    assert {name for row in examples for name in row} == set(tiny.NAMES)
    assert any("image" not in row for row in examples)


def test_few_rows_are_spread_over_the_manifest(tiny_manifest):
    first, last = examples_of_manifest(tiny_manifest, MODALITIES, most=2)
    assert (first["image"].endswith("4.png"), last["image"].endswith("39.png")) == (True, True)


def test_warm_up_requests_become_files(tmp_path):
    image, sound = tmp_path / "a.jpg", tmp_path / "a.wav"
    Image.new("L", (4, 3), 200).save(image)
    soundfile.write(sound, np.zeros(80), 8000)
    raw = {
        "audio": np.array([sound.read_bytes(), b""], object),
        "image": np.array([image.read_bytes(), b""], object),
        "numbers": np.array([[1, 2], [np.nan, np.nan]], np.float32),
        "text": np.array(["drei ü".encode(), b"four"], object),
        "vec": np.array([np.ones(6), np.full(6, np.nan)], np.float32),
    }
    version = tmp_path / "1"
    (version / "assets.extra").mkdir(parents=True)
    write_warm_up("tiny", raw, np.array([[1, 1, 1, 1, 1], [0, 0, 0, 1, 0]]), version / "assets.extra")
    examples = examples_of_export(version, MODALITIES, tmp_path / "files")
    assert len(examples) == 2
    assert examples[1] == {"text": "four"}
    whole = examples[0]
    assert (whole["text"], whole["numbers"]) == ("drei ü", [1.0, 2.0])
    assert whole["image"].endswith("image.jpeg")
    with Image.open(whole["image"]) as read:
        assert read.size == (4, 3)
    assert soundfile.info(whole["audio"]).frames == 80
    np.testing.assert_array_equal(np.load(whole["vec"]), np.ones(6))


def test_an_export_without_warm_up_requests_gives_no_rows(tmp_path):
    assert examples_of_export(tmp_path, MODALITIES, tmp_path / "files") == []


@pytest.mark.parametrize(("border", "expected"), [(0, True), (255, False)])
def test_images_with_a_dark_border_are_white_on_black(tmp_path, border, expected):
    pixels = np.full((5, 5), border, np.uint8)
    pixels[1:4, 1:4] = 255 - border
    Image.fromarray(pixels).save(tmp_path / "a.png")
    assert is_on_black([{"image": str(tmp_path / "a.png")}, {"text": "x"}], MODALITIES) is expected
    assert is_on_black([], MODALITIES) is False
