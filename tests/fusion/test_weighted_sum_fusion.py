import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers import randomised
from mm_keras.fusion import WeightedSumFusion

X = {"a": np.array([[1.0, -2.0]]), "b": np.array([[3.0]])}
KERNELS = [np.eye(2), np.array([[1.0, -1.0]])]


@pytest.mark.parametrize(
    ("activation", "sigma"),
    [("sigmoid", lambda x: 1 / (1 + np.exp(-x))), ("relu", lambda x: np.maximum(x, 0))],
)
def test_scalar_weights_scale_a_whole_modality(activation, sigma):
    layer = WeightedSumFusion(2, activation=activation)
    layer.build({"a": (1, 2), "b": (1, 1)})
    layer.set_weights([*KERNELS, np.array([2.0]), np.array([-0.5]), np.array([0.25, 0.5])])
    expected = sigma(np.array([[2 * 1 - 0.5 * 3 + 0.25, 2 * -2 - 0.5 * -3 + 0.5]]))
    np.testing.assert_allclose(layer(X), expected, rtol=1e-6)


@settings(max_examples=20)
@given(
    seed=st.integers(0, 1000),
    per=st.sampled_from(["scalar", "vector"]),
    widths=st.lists(st.integers(1, 4), min_size=1, max_size=4),
)
def test_any_number_of_modalities_follows_the_formula(seed, per, widths):
    random = np.random.default_rng(seed)
    x = {f"m{i}": random.normal(size=(3, width)) for i, width in enumerate(widths)}
    layer = WeightedSumFusion(2, weights=per)
    layer.build({name: array.shape for name, array in x.items()})
    w = randomised(layer, seed)
    assert all(w[f"{name}_weight"].shape == ((1,) if per == "scalar" else (2,)) for name in x)
    total = w["bias"] + sum(w[f"{name}_weight"] * (x[name] @ w[f"{name}_kernel"]) for name in x)
    np.testing.assert_allclose(layer(x), 1 / (1 + np.exp(-total)), rtol=1e-5, atol=1e-6)


def test_vector_weights_scale_each_unit():
    layer = WeightedSumFusion(2, weights="vector", activation="linear")
    layer.build({"a": (1, 2), "b": (1, 1)})
    layer.set_weights([*KERNELS, np.array([2.0, 3.0]), np.array([-0.5, 4.0]), np.zeros(2)])
    np.testing.assert_allclose(layer(X), [[2 * 1 - 0.5 * 3, 3 * -2 + 4 * -3]], rtol=1e-6)


def test_it_begins_as_the_plain_sum_of_the_projections():
    layer = WeightedSumFusion(2, activation="linear")
    layer.build({"a": (1, 2), "b": (1, 1)})
    a, b, *_ = (np.array(weight) for weight in layer.get_weights())
    np.testing.assert_allclose(layer(X), X["a"] @ a + X["b"] @ b, rtol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"units": 0}, "`WeightedSumFusion` expects `units` to be an int > 0. Received: units=0"),
        ({"weights": "vectors"}, "`scalar`, `vector`. Received: weights='vectors'. Did you mean `vector`?"),
        ({"activation": "sigmund"}, "sigmund"),
    ],
)
def test_a_value_out_of_range_is_rejected(arguments, words):
    with pytest.raises(ValueError, match=words):
        WeightedSumFusion(**{"units": 4, **arguments})


def test_sequence_input_is_rejected():
    with pytest.raises(ValueError, match=r"inputs\['text'\].shape=\(2, 7, 5\)"):
        WeightedSumFusion(4)({"image": np.ones((2, 8)), "text": np.ones((2, 7, 5))})
