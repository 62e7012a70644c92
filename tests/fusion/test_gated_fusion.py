import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mm_keras.fusion import GatedFusion


def gated(layer, x):
    """NumPy reference on inputs `x`, name -> `(B, D_m)`."""
    gate, gate_bias, *rest = (np.array(weight) for weight in layer.get_weights())
    names = sorted(x)
    kernels, biases = rest[: len(names)], rest[len(names) :]
    scores = np.concatenate([x[name] for name in names], axis=-1) @ gate + gate_bias
    gates = np.exp(scores) / np.exp(scores).sum(axis=-1, keepdims=True)
    hidden = [np.tanh(x[name] @ k + b) for name, k, b in zip(names, kernels, biases, strict=True)]
    return sum(gates[:, i : i + 1] * h for i, h in enumerate(hidden))


def test_equal_gates_average_the_projections():
    layer = GatedFusion(2)
    layer.build({"a": (1, 2), "b": (1, 2)})
    layer.set_weights([np.zeros((4, 2)), np.zeros(2), np.eye(2), np.eye(2), np.zeros(2), np.zeros(2)])
    x = {"a": np.array([[1.0, 2.0]]), "b": np.array([[0.0, 0.0]])}
    np.testing.assert_allclose(layer(x), np.tanh([[1.0, 2.0]]) / 2, rtol=1e-6)


def test_a_large_gate_bias_picks_one_modality():
    layer = GatedFusion(2)
    layer.build({"a": (1, 2), "b": (1, 1)})
    weights = [np.zeros((3, 2)), np.array([0.0, 50.0]), np.eye(2), np.ones((1, 2)), np.zeros(2), np.ones(2)]
    layer.set_weights(weights)
    x = {"a": np.array([[1.0, 2.0]]), "b": np.array([[-0.5]])}
    np.testing.assert_allclose(layer(x), np.tanh([[0.5, 0.5]]), rtol=1e-6)


@settings(max_examples=20)
@given(seed=st.integers(0, 1000), widths=st.lists(st.integers(1, 4), min_size=2, max_size=3))
def test_any_widths_and_weights_follow_the_formula(seed, widths):
    random = np.random.default_rng(seed)
    x = {f"m{i}": random.normal(size=(3, width)) for i, width in enumerate(widths)}
    layer = GatedFusion(2)
    layer.build({name: array.shape for name, array in x.items()})
    layer.set_weights([random.normal(size=weight.shape) for weight in layer.weights])
    np.testing.assert_allclose(layer(x), gated(layer, x), rtol=1e-5, atol=1e-5)


def test_units_below_one_are_rejected():
    with pytest.raises(ValueError, match="`GatedFusion` expects `units` .*Received: units=-3"):
        GatedFusion(-3)


def test_sequence_input_is_rejected():
    with pytest.raises(ValueError, match=r"inputs\['text'\].shape=\(2, 7, 5\)"):
        GatedFusion(4)({"image": np.ones((2, 8)), "text": np.ones((2, 7, 5))})
