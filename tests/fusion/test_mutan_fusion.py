import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers import randomised
from mm_keras.fusion import MutanFusion


@settings(max_examples=20)
@given(
    seed=st.integers(0, 1000),
    rank=st.integers(1, 3),
    widths=st.lists(st.integers(1, 4), min_size=2, max_size=3),
)
def test_it_is_the_tucker_product_with_a_core_of_that_rank(seed, rank, widths):
    """Builds the core, one tensor of rank `R` a unit, and multiplies each of its sides by a projection."""
    random = np.random.default_rng(seed)
    x = {f"m{i}": random.normal(size=(2, size)) for i, size in enumerate(widths)}
    units, width = 2, 3
    layer = MutanFusion(units, width, rank)
    layer.build({name: array.shape for name, array in x.items()})
    w = randomised(layer, seed)
    q = [np.tanh(x[name] @ w[f"{name}_kernel"] + w[f"{name}_bias"]) for name in sorted(x)]
    sides = [w[f"{name}_core"].reshape(width, rank, units) for name in sorted(x)]
    core = np.zeros((*[width] * len(q), units))
    for unit in range(units):
        for r in range(rank):
            term = sides[0][:, r, unit]
            for side in sides[1:]:
                term = np.multiply.outer(term, side[:, r, unit])
            core[..., unit] += term
    expected = np.zeros((2, units))
    for row in range(2):
        product = core
        for q_m in q:
            product = np.tensordot(q_m[row], product, axes=(0, 0))
        expected[row] = product
    np.testing.assert_allclose(layer(x), expected, rtol=1e-4, atol=1e-5)  # Sums of products in float32.


@pytest.mark.parametrize("name", ["units", "width", "rank"])
def test_a_size_below_one_is_rejected(name):
    with pytest.raises(ValueError, match=f"`MutanFusion` expects `{name}` .*Received: {name}=0"):
        MutanFusion(**{"units": 4, name: 0})


def test_one_modality_alone_is_rejected():
    with pytest.raises(ValueError, match="`MutanFusion` expects a dict of at least 2 modalities"):
        MutanFusion(4)({"image": np.ones((2, 8))})


def test_sequence_input_is_rejected():
    with pytest.raises(ValueError, match=r"inputs\['text'\].shape=\(2, 7, 5\)"):
        MutanFusion(4)({"image": np.ones((2, 8)), "text": np.ones((2, 7, 5))})
