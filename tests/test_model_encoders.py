"""`build_model` with each encoder that a spec can name: its settings, and that it trains."""

import keras
import numpy as np
import pytest
from test_model import (
    MODALITIES,
    assert_same,
    build,
    compiled,
    inputs_for,
    predict,
    spec_of,
    targets_for,
)

from mm_keras.encoders import ENCODERS
from mm_keras.exporting.export import float32_model
from mm_keras.log_mel import LogMel

pytestmark = [pytest.mark.core, pytest.mark.tensorflow]

AUDIO = {"mel_bins": 6, "window": 0.032, "hop": 0.016, "filters": [3, 2], "units": 4}
WAVEFORM = {"window": 0.01, "hop": 0.002, "filters": [3, 2], "units": 4}
CASES = [
    ("text", {"kind": "gru", "embedding": 4, "units": 4, "pooling": "attention"}, 4),
    ("vec", {"kind": "lstm", "units": 4, "pooling": "max"}, 4),
    ("audio", {**AUDIO, "kind": "conv_recurrent", "pooling": "attention"}, 4),
    ("audio", {**AUDIO, "kind": "residual", "blocks": 2, "pooling": "mean_max"}, 8),
    ("audio", {**AUDIO, "kind": "residual", "compression": "pcen"}, 8),
    ("audio", {**WAVEFORM, "kind": "waveform"}, 8),
    ("text", {"kind": "cnn", "embedding": 4, "units": 3, "windows": [2, 3], "pooling": "mean_max"}, 12),
    ("text", {"kind": "transformer", "embedding": 3, "units": 4, "num_heads": 2, "layers": 1}, 4),
    ("vec", {"kind": "transformer", "units": 4, "num_heads": 1, "layers": 2, "pooling": "attention"}, 4),
    ("image", {"kind": "residual", "filters": [4, 3], "blocks": 2, "units": 5}, 5),
]


def one(name, encoder):
    return spec_of({name: {**MODALITIES[name], "encoder": {"dropout": 0.0, **encoder}}}, ["label"])


@pytest.mark.slow
@pytest.mark.parametrize(("name", "encoder", "width"), CASES)
def test_an_encoder_takes_its_settings_and_trains_every_weight(name, encoder, width):
    spec = one(name, encoder)
    model = build(spec)
    layer = model.get_layer(f"{name}.encoder")
    assert type(layer) is ENCODERS[spec.modalities[name].kind, encoder["kind"]]
    assert layer.output.shape == (None, width)
    config = layer.get_config()
    known = {key: value for key, value in encoder.items() if key in config}
    assert {key: config[key] for key in known} == known
    inputs = inputs_for(spec, batch=6)
    before = [np.array(weight) for weight in layer.trainable_weights]
    compiled(spec, model, 1.0)
    for _ in range(2):  # A residual branch is off until the first step.
        model.train_on_batch(inputs, targets_for(spec, inputs))
    weights = zip(layer.trainable_weights, before, strict=True)
    assert [weight.path for weight, old in weights if (np.array(weight) == old).all()] == []
    assert np.isfinite(predict(model, inputs)["label"]).all()


@pytest.mark.slow
def test_the_gain_control_of_each_mel_bin_learns_and_keeps_its_time():
    encoder = {**AUDIO, "kind": "conv_recurrent", "compression": "pcen"}
    audio = {**MODALITIES["audio"], "encoder": encoder, "augment": {"time_mask": 2}}
    spec = spec_of({"audio": audio}, ["label", "copy"])
    model = build(spec, precision="mixed_bfloat16")
    layer = model.get_layer("audio.pcen")
    assert layer.compute_dtype == "float32" and layer.output.shape == (None, 7, 6)
    np.testing.assert_allclose(layer.smoothing, 0.016 / 0.406)
    inputs = inputs_for(spec)
    compiled(spec, model).train_on_batch(inputs, targets_for(spec, inputs))
    assert all((np.array(weight) != 0).all() for weight in layer.trainable_weights)
    assert predict(model, inputs)["copy_audio"].shape == (3, 7, 6)


@pytest.mark.slow
def test_a_waveform_is_read_without_a_spectrogram_and_rebuilt_as_the_usual_one():
    modality = {**MODALITIES["audio"], "encoder": {**WAVEFORM, "kind": "waveform"}}
    spec = spec_of({"audio": modality}, ["label", "copy"])
    model = build(spec)
    layer = model.get_layer("audio.encoder")
    assert (layer.kernel_size, layer.stride) == (10, 2)
    assert not any(isinstance(layer, LogMel) for layer in model.layers)
    inputs = inputs_for(spec)
    compiled(spec, model).train_on_batch(inputs, targets_for(spec, inputs))
    assert predict(model, inputs)["copy_audio"].shape == (3, 11, 40)


@pytest.mark.slow
def test_a_model_of_keras_trains_and_rebuilds_the_image():
    encoder = {"kind": "application", "model": "MobileNet", "dropout": 0.0}
    image = {"kind": "image", "size": [32, 32], "channels": 1, "encoder": encoder}
    spec = spec_of({"image": image}, ["label", "copy"])
    model = build(spec)
    layer = model.get_layer("image.encoder")
    assert layer.model == "MobileNet" and layer.output.shape == (None, 1024)
    inputs = inputs_for(spec)
    before = layer.get_weights()
    compiled(spec, model).train_on_batch(inputs, targets_for(spec, inputs))
    assert any((new != old).any() for new, old in zip(layer.get_weights(), before, strict=True))
    assert predict(model, inputs)["copy_image"].shape == (3, 32, 32, 1)


@pytest.mark.slow
def test_a_float32_copy_needs_no_file_of_weights():
    encoder = {"kind": "application", "model": "MobileNet"}
    spec = spec_of({"image": {"kind": "image", "size": [32, 32], "encoder": encoder}}, ["label"])
    model = build(spec, precision="mixed_bfloat16")
    copy = float32_model(model)
    for found, wanted in zip(copy.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(found, wanted)
    assert {layer.compute_dtype for layer in copy.layers} == {"float32"}


STEPS = {name: MODALITIES[name] for name in ("audio", "text", "vec")} | {
    "image": {**MODALITIES["image"], "encoder": {"kind": "residual", "filters": [4, 3], "units": 4}}
}
STEPS = {name: {**part, "encoder": {**part["encoder"], "pooling": "none"}} for name, part in STEPS.items()}
ATTENTION = {"units": 8, "num_heads": 2, "block_dropout": 0.0}


@pytest.fixture(scope="module", params=["cross_attention", "bottleneck"])
def attending(request):
    """(spec, model) of four modalities whose steps all reach the fusion, and numbers beside them."""
    keras.utils.set_random_seed(7)
    modalities = {**STEPS, "numbers": MODALITIES["numbers"]}
    spec = spec_of(modalities, ["label"], {"kind": request.param, **ATTENTION})
    model = build(spec)
    tokens = model.get_layer("missing.modality")
    tokens.set_weights([weight + 0.1 * (i + 1) for i, weight in enumerate(tokens.get_weights())])
    return spec, model


@pytest.mark.slow
def test_a_fusion_of_sequences_gets_every_step(attending):
    spec, model = attending
    steps = {name: model.get_layer(f"{name}.encoder").output.shape for name in spec.modality_names}
    assert steps == {
        "audio": (None, 4, 4),
        "image": (None, 4, 4),
        "numbers": (None, 4),
        "text": (None, 5, 4),
        "vec": (None, 3, 4),
    }
    inputs = inputs_for(spec)
    for name in ("text", "vec"):
        turned = {**inputs, name: inputs[name][:, ::-1]}
        assert np.abs(predict(model, turned)["label"] - predict(model, inputs)["label"]).max() > 1e-5, name


@pytest.mark.slow
def test_what_an_absent_sequence_holds_changes_nothing(attending):
    spec, model = attending
    inputs, other = inputs_for(spec, batch=5), inputs_for(spec, batch=5, seed=8)
    inputs["present"] = 1 - np.eye(5, dtype="float32")  # Each row lacks another modality.
    held = {
        name: np.where(np.reshape(np.arange(5) == i, (5,) + (1,) * (x.ndim - 1)), other[name], x)
        for i, (name, x) in enumerate((name, inputs[name]) for name in spec.modality_names)
    }
    assert_same(predict(model, inputs), predict(model, {**held, "present": inputs["present"]}))


@pytest.mark.slow
def test_a_fusion_of_sequences_trains_and_is_written(attending, tmp_path):
    spec, model = attending
    inputs = inputs_for(spec, batch=6)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    inputs["present"][1:4] = [[1, 0, 1, 0, 1], [0, 1, 0, 1, 0], [0, 0, 0, 1, 0]]
    assert_same(predict(again, inputs), predict(model, inputs))
    layers = [again.get_layer(f"{name}.encoder") for name in spec.modality_names]
    before = [[np.array(weight) for weight in layer.trainable_weights] for layer in layers]
    compiled(spec, again, 1.0).train_on_batch(inputs, targets_for(spec, inputs))
    for layer, old in zip(layers, before, strict=True):
        assert any((np.array(x) != y).any() for x, y in zip(layer.trainable_weights, old, strict=True))


def padded(x, shape):
    return np.pad(x, [(0, wanted - length) for wanted, length in zip(shape, x.shape, strict=True)])


@pytest.mark.slow
def test_padding_of_a_sequence_does_not_reach_the_fusion():
    modalities = {name: STEPS[name] for name in ("audio", "text", "vec")}
    fusion, outputs = {"kind": "cross_attention", **ATTENTION, "modality_dropout": 0.0}, {}
    for length in (4, 7):
        modalities["text"] = {**STEPS["text"], "length": length}
        modalities["vec"] = {**STEPS["vec"], "shape": [length, 2]}
        modalities["audio"] = {**STEPS["audio"], "seconds": 0.03 * length}
        spec = spec_of(modalities, ["label"], fusion)
        inputs = inputs_for(spec, batch=2)
        if length == 4:
            short = inputs
            short["audio"][:, -32:] = 0  # A window that reaches beyond the end of all would mirror the sound.
        inputs = {name: padded(x, inputs[name].shape) for name, x in short.items()}
        model = build(spec)
        if length == 4:
            weights = model.get_weights()
        model.set_weights(weights)
        outputs[length] = predict(model, inputs)
    assert_same(outputs[4], outputs[7])
