import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers import randomised
from mm_keras.fusion import FactorizedBilinearFusion


@settings(max_examples=20)
@given(
    seed=st.integers(0, 1000),
    factor=st.integers(1, 3),
    widths=st.lists(st.integers(1, 4), min_size=2, max_size=3),
    signed_sqrt=st.booleans(),
    l2=st.booleans(),
)
def test_any_factor_and_number_of_modalities_follows_the_formula(seed, factor, widths, signed_sqrt, l2):
    random = np.random.default_rng(seed)
    x = {f"m{i}": random.normal(size=(2, width)) for i, width in enumerate(widths)}
    layer = FactorizedBilinearFusion(3, factor, 0.5, signed_sqrt, l2)
    layer.build({name: array.shape for name, array in x.items()})
    w = randomised(layer, seed)
    z = np.zeros((2, 3))
    for unit in range(3):
        for k in range(unit * factor, (unit + 1) * factor):
            terms = [x[name] @ w[f"{name}_kernel"][:, k] + w[f"{name}_bias"][k] for name in x]
            z[:, unit] += np.prod(terms, axis=0)
    if signed_sqrt:
        z = np.sign(z) * np.sqrt(np.abs(z))
    if l2:
        z = z / np.linalg.norm(z, axis=1, keepdims=True)
    # Near 0 the smooth root is up to 5e-4 from the root, and a small norm makes more of it.
    tolerance = 5e-3 if signed_sqrt or l2 else 1e-4
    np.testing.assert_allclose(layer(x), z, rtol=tolerance, atol=tolerance)


def test_an_absent_modality_leaves_the_product_of_the_others():
    layer = FactorizedBilinearFusion(2, factor=1, signed_sqrt=False, l2=False)
    layer.build({"a": (1, 2), "b": (1, 2)})
    x = {"a": np.zeros((1, 2)), "b": np.array([[0.5, -1.0]])}
    kernel = layer.kernels[1]
    np.testing.assert_allclose(layer(x), x["b"] @ np.array(kernel) + 1, rtol=1e-6)


def test_dropout_takes_products_in_training_alone():
    x = {name: np.ones((2, 4), "float32") for name in "ab"}
    layer = FactorizedBilinearFusion(64, 1, product_dropout=0.5, signed_sqrt=False, l2=False)
    layer.build({name: array.shape for name, array in x.items()})
    zeros = np.mean(np.array(layer(x, training=True)) == 0)
    assert 0.3 < zeros < 0.7
    assert np.mean(np.array(layer(x)) == 0) == 0


@pytest.mark.parametrize("name", ["units", "factor"])
def test_a_size_below_one_is_rejected(name):
    with pytest.raises(ValueError, match=f"`FactorizedBilinearFusion` expects `{name}` .*Received: {name}=0"):
        FactorizedBilinearFusion(**{"units": 4, name: 0})


def test_a_rate_out_of_range_is_rejected():
    words = r"`FactorizedBilinearFusion` expects `product_dropout` in \[0, 1\). Received: product_dropout=1"
    with pytest.raises(ValueError, match=words):
        FactorizedBilinearFusion(4, product_dropout=1)


def test_one_modality_alone_is_rejected():
    with pytest.raises(ValueError, match="`FactorizedBilinearFusion` .* at least 2 modalities"):
        FactorizedBilinearFusion(4)({"image": np.ones((2, 8))})


def test_sequence_input_is_rejected():
    with pytest.raises(ValueError, match=r"inputs\['text'\].shape=\(2, 7, 5\)"):
        FactorizedBilinearFusion(4)({"image": np.ones((2, 8)), "text": np.ones((2, 7, 5))})
