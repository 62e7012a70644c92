"""The spec's own rules: defaults, names, values that exclude each other."""

import copy

import pytest
from pydantic import ValidationError

from mm_keras.spec import Spec

BASE = {
    "name": "digits",
    "data": {"manifest": "manifest.csv"},
    "modalities": {"image": {"kind": "image"}, "sound": {"kind": "audio", "column": "wav"}},
    "outputs": {"label": {"kind": "classification"}},
}


def spec_with(**parts):
    return Spec(**{**copy.deepcopy(BASE), **parts})


def test_columns_default_to_names():
    spec = spec_with(modalities={**BASE["modalities"], "age": {"kind": "numbers"}})
    assert spec.modalities["image"].column == "image"
    assert spec.modalities["sound"].column == "wav"
    assert spec.modalities["age"].columns == ["age"]
    assert spec.outputs["label"].column == "label"


def test_autoencoder_rebuilds_every_modality_in_sorted_order():
    spec = spec_with(outputs={"rebuilt": {"kind": "autoencoder"}, "label": {"kind": "classification"}})
    assert spec.output_names == ["rebuilt_image", "rebuilt_sound", "label"]
    assert spec.modality_names == ["image", "sound"]


def test_autoencoder_modality_named_twice_is_rebuilt_once():
    spec = spec_with(outputs={"r": {"kind": "autoencoder", "modalities": ["sound", "sound"]}})
    assert spec.output_names == ["r_sound"]


def test_a_regression_reads_the_column_of_its_name():
    spec = spec_with(outputs={"price": {"kind": "regression"}, "label": {"kind": "classification"}})
    price = spec.outputs["price"]
    assert (price.columns, price.target_columns, price.loss) == (["price"], ["price"], "huber")
    assert spec.keys_of("price") == ["price"]
    assert spec.of_kind("regression") == {"price": price}
    assert price.titles("cost") == ["cost"]


def test_a_regression_of_several_columns_heads_each():
    outputs = {"place": {"kind": "regression", "columns": ["north", "east"], "loss": "mae"}}
    place = spec_with(outputs=outputs).outputs["place"]
    assert place.titles("place") == ["place:north", "place:east"]


def test_number_labels_of_class_weights_are_text():
    spec = spec_with(outputs={"label": {"kind": "classification", "class_weights": {3: 2.0}}})
    assert spec.outputs["label"].class_weights == {"3": 2.0}


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ({"outputs": {"image": {"kind": "classification", "column": "y"}}}, "a name that no modality has"),
        ({"outputs": {"present": {"kind": "classification"}}}, "names other than `present`, `embedding`"),
        (
            {"outputs": {"r": {"kind": "autoencoder", "modalities": ["imag"]}}},
            "`outputs.r.modalities` expects names among `image`, `sound`. "
            "Received: `imag`. Did you mean `image`?",
        ),
        (
            {"outputs": {"r": {"kind": "autoencoder"}, "r_image": {"kind": "classification"}}},
            "no modality or other output named `r_image`",
        ),
        (
            {"outputs": {"label": {"kind": "classification", "column": "wav"}}},
            "`wav`, read by modality `sound`",
        ),
        (
            {"outputs": {"y": {"kind": "regression", "columns": ["a", "wav"]}}},
            "`outputs.y.columns` expects a column that no modality reads: the model would see the answer. "
            "Received: `wav`, read by modality `sound`",
        ),
        ({"outputs": {"y": {"kind": "regression", "columns": ["a", "b", "a"]}}}, "`a` 2 times"),
        ({"outputs": {"image": {"kind": "regression"}}}, "a name that no modality has"),
        (
            {"outputs": {"label": {"kind": "classification"}, "label_scores": {"kind": "regression"}}},
            "no modality or other output named `label_scores`",
        ),
        (
            {"outputs": {"label": {"kind": "classification"}, "label_score": {"kind": "regression"}}},
            "no modality or other output named `label_score`",
        ),
        (
            {"outputs": {"y": {"kind": "regression", "loss": "rmse"}}},
            "Input should be 'huber', 'mse' or 'mae'",
        ),
        ({"data": {"manifest": "m", "split": {"validation": 0.5, "test": 0.5}}}, "validation=0.5, test=0.5"),
        ({"modalities": {"s": {"kind": "audio", "seconds": 0.01}}}, "at least `encoder.window`"),
        (
            {"modalities": {"f": {"kind": "features", "shape": [4], "encoder": {"kind": "gru"}}}},
            "`dense` where `shape` is one vector",
        ),
        ({"modalities": {"n": {"kind": "numbers", "columns": ["a", "b", "a"]}}}, "`a` 2 times"),
    ],
)
def test_values_that_exclude_each_other_are_refused(parts, words):
    with pytest.raises(ValidationError) as caught:
        spec_with(**parts)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    "training",
    [{"epochs": True}, {"epochs": "40"}, {"batch_size": 2.5}, {"learning_rate": "1e-3"}, {"warmup": 1}],
)
def test_numbers_are_not_guessed_from_other_types(training):
    with pytest.raises(ValidationError):
        spec_with(training=training)


SOUND = {"kind": "audio"}
TRACK = {"kind": "features", "shape": [9, 2], "encoder": {"kind": "gru"}}


@pytest.mark.parametrize("rebuilt", [{"kind": "text"}, SOUND, TRACK])
def test_bucketing_excludes_sequences_that_are_rebuilt(rebuilt):
    flat = {"kind": "features", "shape": [9, 2]}  # Read whole, each step by its place.
    others = {"age": {"kind": "numbers"}, "flat": flat, "vec": {"kind": "features", "shape": [9]}}
    parts = {"modalities": {"long": rebuilt, **others}, "input": {"bucketing": True}}
    with pytest.raises(ValidationError, match="no text, sound or sequence that an autoencoder.*`long`"):
        spec_with(**parts, outputs={"copy": {"kind": "autoencoder"}})
    copy = {"kind": "autoencoder", "modalities": sorted(others)}
    assert spec_with(**parts, outputs={"copy": copy}).input.bucketing


HEART = {"heart": {"kind": "audio"}, "heart_rate": {"kind": "numbers"}}
LATENT = {"kind": "variational"}


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ({"modalities": HEART, "outputs": {"copy": {"kind": "autoencoder"}}}, "`copy_heart_rate` twice"),
        (
            {
                "modalities": {"latent": {"kind": "numbers"}},
                "outputs": {"copy": {"kind": "autoencoder", "latent": LATENT}},
            },
            "`copy_latent` twice",
        ),
        (
            {
                "modalities": {"sound": {"kind": "audio", "encoder": {"window": 0.02, "hop": 0.03}}},
                "outputs": {"copy": {"kind": "autoencoder"}},
            },
            "at most `window`",
        ),
        (
            {
                "modalities": {"image": {"kind": "image", "augment": {}}},
                "outputs": {"copy": {"kind": "autoencoder", "denoise": True}},
            },
            "a modality with `augment`",
        ),
        (
            {
                "modalities": {"image": {"kind": "image", "augment": {"noise": 0.1}}},
                "outputs": {"copy": {"kind": "autoencoder", "denoise": True}},
                "training": {"mixup": 0.2},
            },
            "false where `training.mixup`",
        ),
    ],
)
def test_autoencoders_that_could_not_answer_or_learn_are_refused(parts, words):
    with pytest.raises(ValidationError) as caught:
        spec_with(**parts)
    assert words in str(caught.value)


def test_a_code_has_an_output_of_its_own_where_it_costs_something():
    kinds = {"joint": {}, "separate": {"kind": "separate"}, "variational": LATENT}
    keys = {
        name: spec_with(outputs={"copy": {"kind": "autoencoder", "latent": latent}}).output_names
        for name, latent in kinds.items()
    }
    assert keys["joint"] == keys["separate"] == ["copy_image", "copy_sound"]
    assert keys["variational"] == ["copy_image", "copy_sound", "copy_latent"]
