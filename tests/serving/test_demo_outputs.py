"""How answers become what the page shows."""

import importlib
import io

import numpy as np
import pytest
from PIL import Image

gradio = pytest.importorskip("gradio")

demo_outputs = importlib.import_module("mm_keras.serving.demo_outputs")

DESCRIPTION = {
    "modalities": {
        "image": {"kind": "image", "size": [2, 2], "channels": 1},
        "audio": {"kind": "audio", "rate": 8000, "seconds": 1.0},
        "text": {"kind": "text"},
        "weights": {"kind": "numbers", "columns": ["a", "b"]},
        "motion": {"kind": "features", "shape": [3, 2]},
    },
    "outputs": {
        "label": {"kind": "classification"},
        "tags": {"kind": "classification", "multi_label": True},
        "size": {"kind": "regression", "columns": ["kg"]},
        "words": {"kind": "caption"},
        "voice": {"kind": "speech"},
        "near": {"kind": "contrastive", "modalities": ["audio", "image", "text"]},
        "copy": {"kind": "autoencoder", "modalities": ["audio", "image", "motion", "text", "weights"]},
    },
    "labels": {"label": ["<b>", "c"], "tags": ["x", "y"]},
}
SOUND = np.arange(5, dtype=np.int16)


def png():
    file = io.BytesIO()
    Image.new("L", (2, 2), 7).save(file, "PNG")
    return file.getvalue()


ANSWERS = {
    "label": "<b>",
    "label_scores": np.array([0.75, 0.25], np.float32),
    "tags": "",
    "tags_scores": np.array([0.1, 0.2], np.float32),
    "size": np.array([2.5], np.float32),
    "words": "a dog",
    "voice": SOUND,
    "voice_samples": np.int32(3),
    "voice_rate": np.int32(8000),
    "near_audio": np.array([1.0, 0.0]),
    "near_image": np.array([0.6, 0.8]),
    "near_text": np.zeros(2),
}
GENERATED = {
    "words": np.array(["a <dog>", "a cat", ""], object),
    "words_scores": np.array([np.log(0.5), np.log(0.25), -np.inf]),
    "copy_image": png(),
    "copy_audio": SOUND,
    "copy_audio_samples": np.int32(0),
    "copy_audio_rate": np.int32(8000),
    "copy_text": "three",
    "copy_weights": np.array([1.0, 2.0]),
    "copy_motion": np.ones((3, 2)),
}


@pytest.fixture(scope="module")
def values():
    with gradio.Blocks(analytics_enabled=False):
        panels = demo_outputs.make_panels(DESCRIPTION) + demo_outputs.make_copies(DESCRIPTION)
    read = demo_outputs.read_panels(panels, ANSWERS, GENERATED)
    return {panel.component.label: value for panel, value in zip(panels, read, strict=True)}


def test_a_classification_is_the_score_of_each_label(values):
    assert values["label"] == {"<b>": 0.75, "c": 0.25}


def test_labels_of_which_none_is_given_are_named_none(values):
    assert values["tags: labels that are given"] == "none"


def test_numbers_carry_their_column(values):
    assert "<th>kg</th><td>2.5</td>" in values["size"]


def test_texts_are_listed_with_their_probability_and_escaped(values):
    assert "a &lt;dog&gt; <span class='dim'>0.5</span>" in values["words"]
    assert values["words"].count("<li>") == 2  # A beam that found nothing is left out.


def test_a_sound_is_cut_to_its_length_and_left_out_where_there_is_none(values):
    rate, samples = values["voice"]
    assert (rate, samples.tolist()) == (8000, [0, 1, 2])
    assert values["audio"] is None


def test_vectors_are_compared_of_the_modalities_that_are_there(values):
    assert "<th>audio ~ image</th><td>0.600</td>" in values["near: how alike (cosine)"]
    assert "text" not in values["near: how alike (cosine)"]


def test_copies_are_shown_as_what_they_are(values):
    assert values["image"].getpixel((0, 0)) == 7
    assert values["text"] == "three"
    assert "<th>b</th><td>2</td>" in values["weights"]
    assert "<td>3 × 2</td>" in values["motion"]


def test_generate_is_asked_only_of_a_model_that_writes():
    assert demo_outputs.asks_generate(DESCRIPTION)
    assert not demo_outputs.asks_generate({"outputs": {"voice": {"kind": "speech"}}})
