"""Backbones of KerasHub: tiny presets that the tests write, from the spec to the exported files."""

import importlib
import shutil

import keras
import numpy as np
import pytest
import tensorflow as tf
import tiny

from mm_keras.data.pipeline import make_datasets
from mm_keras.data.transforms import RESERVED_TOKENS
from mm_keras.exporting import export
from mm_keras.hub import load_backbone, load_hub, load_scaling, load_vocabulary
from mm_keras.model import build_model
from mm_keras.prediction import load_predictor
from mm_keras.training import compile_arguments, train

keras_hub = pytest.importorskip("keras_hub")
WORDS = ["[PAD]", "[unused0]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "red", "blue", "one", "##s"]


@pytest.fixture(scope="module")
def presets(tmp_path_factory):
    """Two folders, of an image and of a text backbone, with drawn weights."""
    keras.utils.set_random_seed(7)
    image, text = tmp_path_factory.mktemp("image"), tmp_path_factory.mktemp("text")
    size = {"num_layers": 1, "num_heads": 2, "hidden_dim": 8}
    keras_hub.models.ViTBackbone((8, 8, 3), 4, mlp_dim=16, **size).save_to_preset(image)
    scaling = {"scale": 1 / 127.5, "offset": -1.0}
    keras_hub.layers.ViTImageConverter(image_size=(8, 8), **scaling).save_to_preset(image)
    size |= {"vocabulary_size": len(WORDS), "intermediate_dim": 16, "max_sequence_length": 6}
    keras_hub.models.BertBackbone(**size).save_to_preset(text)
    keras_hub.models.BertTokenizer(vocabulary=WORDS, lowercase=True).save_to_preset(text)
    return {"image": str(image), "text": str(text)}


def hub_spec(manifest, presets, **changes):
    spec = tiny.tiny_spec(manifest, ("image", "text"), ["label"], max_bad=0.1, **changes)
    mapping = spec.model_dump(mode="json", exclude_unset=True)
    for name, preset in presets.items():
        mapping["modalities"][name]["encoder"] = {"kind": "keras_hub", "preset": preset}
    return tiny.make_spec(mapping)


def test_a_model_is_trained_read_without_the_preset_and_exported(tiny_manifest, presets, tmp_path):
    for name, folder in presets.items():
        shutil.copytree(folder, tmp_path / name)
    spec = hub_spec(tiny_manifest, {name: str(tmp_path / name) for name in presets})
    run, data = train(spec, tmp_path / "runs")
    assert data.preprocessor.vocabularies["text"][:7] == [*RESERVED_TOKENS, "[unused0]", "a"]
    for name in presets:
        shutil.rmtree(tmp_path / name)
    result = export(run.model, spec, data, tmp_path / "saved")
    rows = {"image": ["", ""], "text": ["a red one", "blue"]}
    want = load_predictor(run.folder).predict(rows)["label_scores"]
    for form in ("saved_model", "tflite"):
        assert result[form]["parity"]["max_difference"] < 1e-5
        given = load_predictor(result[form]["path"]).predict(rows)["label_scores"]
        np.testing.assert_allclose(given, want, atol=1e-5)


def test_texts_reach_the_backbone_with_the_numbers_of_its_own_tokenizer(tiny_manifest, presets):
    spec = hub_spec(tiny_manifest, presets)
    data = make_datasets(spec)
    model = build_model(spec, data)
    texts = ["A red one", "blues, reds"]
    tokenizer = keras_hub.models.BertTokenizer.from_preset(presets["text"])
    layer = model.get_layer("text.encoder")
    ids = data.preprocessor.tensors({"image": tf.constant([b"", b""]), "text": tf.constant(texts)})["text"]
    given = np.take(layer.token_ids, ids)
    for text, row in zip(texts, given, strict=True):
        own = [tokenizer.cls_token_id, *tokenizer(text).numpy()][:5] + [tokenizer.sep_token_id]
        np.testing.assert_array_equal(row[: len(own)], own)
    mask = (ids.numpy() != 0).astype("int32")
    backbone = keras_hub.models.Backbone.from_preset(presets["text"])
    inputs = {"token_ids": given, "segment_ids": np.zeros_like(given), "padding_mask": mask}
    steps = backbone(inputs)["sequence_output"].numpy()
    mean = (steps * mask[:, :, None]).sum(axis=1) / mask.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(layer(ids), mean, atol=1e-5)


def test_pixels_are_scaled_as_the_preset_says(presets):
    assert load_scaling(presets["image"]) == (1 / 127.5, -1.0)
    backbone = load_backbone(presets["image"])
    drawn = load_backbone(presets["image"], weights=False)
    pairs = zip(backbone.get_weights(), drawn.get_weights(), strict=True)
    assert any((one != other).any() for one, other in pairs)


@pytest.mark.slow
def test_a_frozen_backbone_keeps_its_weights_in_half_precision(tiny_manifest, presets):
    spec = hub_spec(tiny_manifest, presets, training={"precision": "mixed_bfloat16"})
    for name in presets:
        spec.modalities[name].encoder.trainable = False
    data = make_datasets(spec)
    model = build_model(spec, data)
    model.compile(**compile_arguments(spec, data))
    before = model.get_layer("text.encoder").get_weights()
    assert np.isfinite(model.train_on_batch(*next(iter(data.train)), return_dict=True)["loss"])
    for one, other in zip(before, model.get_layer("text.encoder").get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    assert model.get_layer("image.encoder").backbone.compute_dtype == "bfloat16"


def test_what_a_preset_lacks_is_named(presets, tmp_path):
    with pytest.raises(ValueError, match=r"expects a preset with its Backbone. Received: preset='.*none'"):
        load_backbone(str(tmp_path / "none"))
    with pytest.raises(ValueError, match="expects a preset with its Tokenizer"):
        load_vocabulary(presets["image"], RESERVED_TOKENS)
    with pytest.raises(ValueError, match="expects a preset with its ImageConverter"):
        load_scaling(presets["text"])
    pieces = keras_hub.models.GPT2Tokenizer({"<|endoftext|>": 0, "a": 1, "b": 2, "ab": 3}, ["a b"])
    pieces.save_to_preset(tmp_path / "gpt")
    keras_hub.models.GPT2Backbone(4, 1, 2, 8, 16, max_sequence_length=6).save_to_preset(tmp_path / "gpt")
    with pytest.raises(ValueError, match="WordPiece tokenizer, such as .*Received: .* of GPT2Tokenizer"):
        load_vocabulary(str(tmp_path / "gpt"), RESERVED_TOKENS)


def test_settings_that_the_preset_contradicts_are_refused(tiny_manifest, presets):
    spec = hub_spec(tiny_manifest, presets)
    spec.modalities["text"].lowercase = False
    with pytest.raises(ValueError, match="`lowercase` expects `lowercase: true`, as preset .* has it"):
        make_datasets(spec)
    spec = hub_spec(tiny_manifest, presets)
    spec.modalities["text"].length = 9
    data = make_datasets(spec)
    with pytest.raises(ValueError, match="`length` expects at most 6 tokens, .*Received: length=9"):
        build_model(spec, data)
    spec = hub_spec(tiny_manifest, presets)
    spec.modalities["image"].size = [12, 8]
    data = make_datasets(spec)
    with pytest.raises(ValueError, match=r"expects images of \(8, 8, 3\). Received: .*12, 8, 3"):
        build_model(spec, data)


def test_its_absence_is_told_with_what_to_install(monkeypatch):
    def absent(name):
        raise ImportError(f"No module named {name!r}")

    monkeypatch.setattr(importlib, "import_module", absent)
    with pytest.raises(ValueError, match=r"pip install \"mm_keras\[hub\]\""):
        load_hub()
