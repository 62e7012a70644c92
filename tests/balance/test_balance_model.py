"""Every kind of balance around models whose encoders give sequences; a spec of none changes nothing."""

import numpy as np
import pytest
import tiny

from mm_keras.balance import balance_model
from mm_keras.data.pipeline import make_datasets
from mm_keras.model import build_model
from mm_keras.training import compile_arguments

KINDS = [{"kind": "auxiliary"}, {"kind": "ogm_ge"}, {"kind": "gradient_blending", "epochs": 1}]


def sequence_spec(manifest, balance):
    """Returns a spec whose fusion reads the steps of a text beside a vector."""
    spec = tiny.quick_spec(
        manifest,
        modalities=("text", "vec"),
        fusion={"kind": "cross_attention", "units": 4, "num_heads": 2},
        training={"balance": balance},
    )
    spec.modalities["text"].encoder.pooling = "none"
    return spec


@pytest.fixture(scope="module")
def data(tiny_manifest):
    return make_datasets(sequence_spec(tiny_manifest, None))


def test_a_spec_without_balance_leaves_the_model_as_it_is(tiny_manifest, data):
    spec = sequence_spec(tiny_manifest, None)
    model = build_model(spec, data)
    assert balance_model(model, spec, data) is model


@pytest.mark.parametrize("balance", KINDS, ids=lambda balance: balance["kind"])
def test_models_of_sequences_are_trained(tiny_manifest, data, balance):
    spec = sequence_spec(tiny_manifest, balance)
    model = balance_model(build_model(spec, data), spec, data)
    model.compile(**compile_arguments(spec, data))
    before = [weight.numpy() for weight in model.get_layer("text.encoder").trainable_weights]
    told = model.train_on_batch(*next(iter(data.train)), return_dict=True)
    assert np.isfinite(told["loss"])
    for old, weight in zip(before, model.get_layer("text.encoder").trainable_weights, strict=True):
        assert np.any(old != weight.numpy()), weight.path


def test_a_head_alone_reads_the_mean_of_the_steps_that_are_no_padding(tiny_manifest, data):
    spec = sequence_spec(tiny_manifest, {"kind": "auxiliary"})
    model = balance_model(build_model(spec, data), spec, data)
    text = np.array([[2, 6, 7, 31, 24, 3], [2, 6, 3, 0, 0, 0]])
    inputs = {"text": text, "vec": np.zeros((2, 6)), "present": np.ones((2, 2))}
    steps = model.get_layer("text.encoder")(text).numpy()
    mean = np.stack([steps[0].mean(axis=0), steps[1, :3].mean(axis=0)])
    assert not np.allclose(mean[1], steps[1].mean(axis=0))
    np.testing.assert_allclose(model(inputs)["label.text"], model.get_layer("label.text")(mean), atol=1e-6)
