import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers import randomised
from mm_keras.checks import PRODUCT_LIMIT
from mm_keras.fusion import TensorFusion


def outer_product(z):
    """The outer product of the vectors `[z_m; 1]` of one example, entry by entry, as a flat vector."""
    vectors = [[*z_m, 1.0] for z_m in z]
    grid = np.ones([len(vector) for vector in vectors])
    for place in np.ndindex(*grid.shape):
        grid[place] = math.prod(vector[i] for vector, i in zip(vectors, place, strict=True))
    return grid.reshape(-1)


@settings(max_examples=20)
@given(seed=st.integers(0, 1000), widths=st.lists(st.integers(1, 4), min_size=2, max_size=4))
def test_any_number_of_modalities_follows_the_formula(seed, widths):
    random = np.random.default_rng(seed)
    x = {f"m{i}": random.normal(size=(2, width)) for i, width in enumerate(widths)}
    layer = TensorFusion(3, width=2)
    layer.build({name: array.shape for name, array in x.items()})
    w = randomised(layer, seed)
    expected = []
    for row in range(2):
        z = [x[name][row] @ w[f"{name}_projection"] + w[f"{name}_offset"] for name in sorted(x)]
        expected.append(np.maximum(outer_product(z) @ w["kernel"], 0))
    np.testing.assert_allclose(layer(x), expected, rtol=1e-4, atol=1e-4)  # Products of up to four in float32.


def test_the_constant_keeps_each_modality_alone():
    layer = TensorFusion(1, width=1)
    layer.build({"a": (1, 1), "b": (1, 1)})
    one, zero = np.ones((1, 1)), np.zeros(1)
    kernel = np.array([[1000.0], [100.0], [10.0], [1.0]])  # a b, a, b, 1
    layer.set_weights([one, one, zero, zero, kernel])
    x = {"a": np.array([[2.0]]), "b": np.array([[3.0]])}
    np.testing.assert_allclose(layer(x), [[6000 + 200 + 30 + 1]], rtol=1e-6)


@pytest.mark.parametrize("name", ["units", "width"])
def test_a_size_below_one_is_rejected(name):
    with pytest.raises(ValueError, match=f"`TensorFusion` expects `{name}` .*Received: {name}=0"):
        TensorFusion(**{"units": 4, name: 0})


def test_the_largest_width_that_an_error_names_is_built():
    shapes = {name: (1, 2) for name in "abcd"}
    with pytest.raises(ValueError) as error:
        TensorFusion(1, width=64).build(shapes)
    words = (
        f"`TensorFusion` expects an outer product of at most {PRODUCT_LIMIT} numbers, which are "
        "(width + 1) ** 4 for 4 modalities. Received: width=64. Lower `width` to 21 or less. "
        "Take the low-rank fusion"
    )
    assert str(error.value).startswith(words)
    TensorFusion(1, width=21).build(shapes)
    with pytest.raises(ValueError, match="Received: width=22"):
        TensorFusion(1, width=22).build(shapes)


def test_so_many_modalities_that_no_width_fits_are_rejected():
    with pytest.raises(ValueError, match=r"for 19 modalities. Received: width=1. Take the low-rank fusion"):
        TensorFusion(1, width=1).build({f"m{i}": (1, 2) for i in range(19)})


def test_one_modality_alone_is_rejected():
    with pytest.raises(ValueError, match="`TensorFusion` expects a dict of at least 2 modalities"):
        TensorFusion(4)({"image": np.ones((2, 8))})


def test_sequence_input_is_rejected():
    with pytest.raises(ValueError, match=r"inputs\['text'\].shape=\(2, 7, 5\)"):
        TensorFusion(4)({"image": np.ones((2, 8)), "text": np.ones((2, 7, 5))})
