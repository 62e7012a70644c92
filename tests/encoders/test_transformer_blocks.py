import numpy as np
import pytest

from attention_numpy import block, norm
from helpers import randomised
from mm_keras.attention_block import sinusoids
from mm_keras.encoders import TransformerBlocks

X = np.random.default_rng(7).normal(size=(1, 4, 3)).astype("float32")


@pytest.mark.parametrize("visible", [4, 2])
def test_blocks_follow_the_formula_over_the_visible_steps(visible):
    layer = TransformerBlocks(4, 2, 2)
    layer.build(X.shape)
    w = randomised(layer)
    x = X[0] @ w["project/kernel"] + w["project/bias"]
    x = x + np.array(sinusoids(np.zeros((1, 4, 4), "float32")))
    mask = np.arange(4) < visible
    for i in range(2):
        x = block(w, x, visible=mask, heads=2, name=f"block_{i}/")
    expected = norm(x, w["norm/gamma"], w["norm/beta"])[:visible]
    found = np.array(layer(X, mask=mask[None]))[0, :visible]
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)  # Through two blocks in float32.


def test_one_step_may_be_read_after_many():
    layer = TransformerBlocks(4, 2, 1)
    assert layer(X).shape == (1, 4, 4) and layer(X[:, :1]).shape == (1, 1, 4)


def test_heads_that_do_not_divide_the_units_are_rejected():
    with pytest.raises(ValueError, match="`TransformerBlocks` expects `num_heads` to divide `units`"):
        TransformerBlocks(4, 3)


def test_a_vector_is_rejected():
    with pytest.raises(ValueError, match=r"`inputs` of rank 3.*shape=\(2, 5\)"):
        TransformerBlocks(4)(np.ones((2, 5), "float32"))
