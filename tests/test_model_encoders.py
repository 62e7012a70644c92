"""`build_model` with each encoder that a spec can name: its settings, and that it trains."""

import numpy as np
import pytest
from test_model import (
    MODALITIES,
    build,
    compiled,
    fitted_for,
    inputs_for,
    predict,
    spec_of,
    targets_for,
)

from mm_keras.encoders import ENCODERS
from mm_keras.exporting.export import float32_model

pytestmark = [pytest.mark.core, pytest.mark.tensorflow]

AUDIO = {"mel_bins": 6, "window": 0.032, "hop": 0.016, "filters": [3, 2], "units": 4}
CASES = [
    ("text", {"kind": "gru", "embedding": 4, "units": 4, "pooling": "attention"}, 4),
    ("vec", {"kind": "lstm", "units": 4, "pooling": "max"}, 4),
    ("audio", {**AUDIO, "kind": "conv_recurrent", "pooling": "attention"}, 4),
    ("audio", {**AUDIO, "kind": "residual", "blocks": 2, "pooling": "mean_max"}, 8),
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
    compiled(spec, model, 1.0).train_on_batch(inputs, targets_for(spec, inputs))
    weights = zip(layer.trainable_weights, before, strict=True)
    assert [weight.path for weight, old in weights if (np.array(weight) == old).all()] == []
    assert np.isfinite(predict(model, inputs)["label"]).all()


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
    spec.modalities["image"].encoder.weights = "gone.weights.h5"
    copy = float32_model(model, spec, fitted_for(spec))
    for found, wanted in zip(copy.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(found, wanted)
    assert spec.modalities["image"].encoder.weights == "gone.weights.h5"
