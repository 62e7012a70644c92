import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers import randomised
from mm_keras.fusion import LowRankFusion


@settings(max_examples=20)
@given(
    seed=st.integers(0, 1000),
    rank=st.integers(1, 3),
    widths=st.lists(st.integers(1, 4), min_size=2, max_size=3),
)
def test_it_is_the_full_tensor_of_that_rank(seed, rank, widths):
    """Builds the tensor `W` from the factors and contracts it with the outer product of `[x_m; 1]`."""
    random = np.random.default_rng(seed)
    x = {f"m{i}": random.normal(size=(2, width)) for i, width in enumerate(widths)}
    units = 2
    layer = LowRankFusion(units, rank)
    layer.build({name: array.shape for name, array in x.items()})
    w = randomised(layer, seed)
    factors = [w[f"{name}_factor"].reshape(-1, rank, units) for name in sorted(x)]
    z = [np.concatenate([x[name], np.ones((2, 1))], axis=1) for name in sorted(x)]
    letters = "ijk"[: len(z)]
    tensor = np.einsum(",".join(f"{i}rd" for i in letters) + f"->{letters}d", *factors)
    expected = np.einsum(",".join(f"b{i}" for i in letters) + f",{letters}d->bd", *z, tensor) + w["bias"]
    np.testing.assert_allclose(layer(x), expected, rtol=1e-4, atol=1e-4)  # Sums of products in float32.


@pytest.mark.tensorflow
def test_every_factor_is_trained():
    x = {name: np.random.default_rng(7).normal(size=(3, 4)).astype("float32") for name in "abc"}
    layer = LowRankFusion(2, rank=3)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(layer(x) ** 2)
    names = [weight.path.split("/")[-1] for weight in layer.trainable_weights]
    assert names == ["a_factor", "b_factor", "c_factor", "bias"]
    for gradient in tape.gradient(loss, [weight.value for weight in layer.trainable_weights]):
        assert (np.abs(gradient) > 0).all()


def test_the_outputs_begin_at_about_the_scale_of_the_inputs():
    random = np.random.default_rng(7)
    x = {name: random.normal(size=(256, 64)).astype("float32") for name in "abc"}
    for rank in (1, 4, 16):
        assert 0.6 < np.std(LowRankFusion(64, rank)(x)) < 1.6


@pytest.mark.parametrize("name", ["units", "rank"])
def test_a_size_below_one_is_rejected(name):
    with pytest.raises(ValueError, match=f"`LowRankFusion` expects `{name}` .*Received: {name}=0"):
        LowRankFusion(**{"units": 4, name: 0})


def test_one_modality_alone_is_rejected():
    with pytest.raises(ValueError, match="`LowRankFusion` expects a dict of at least 2 modalities"):
        LowRankFusion(4)({"image": np.ones((2, 8))})


def test_sequence_input_is_rejected():
    with pytest.raises(ValueError, match=r"inputs\['text'\].shape=\(2, 7, 5\)"):
        LowRankFusion(4)({"image": np.ones((2, 8)), "text": np.ones((2, 7, 5))})
