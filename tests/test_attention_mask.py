"""A mask (B, T, S), which hides other steps of the context from each step of the input."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attention_numpy import block
from helpers import randomised
from mm_keras.attention_block import AttentionBlock

pytestmark = pytest.mark.core

B, T, S = 2, 3, 4


def booleans(*shape):
    """Returns a strategy of nested lists of booleans."""
    made = st.booleans()
    for size in reversed(shape):
        made = st.lists(made, min_size=size, max_size=size)
    return made


def step_by_step(w, x, context, mask, heads):
    """NumPy reading: the block is read once for each step, with what that step may see."""
    return [
        [
            block(w, x[row], None if context is None else context[row], mask[row][step], heads)[step]
            for step in range(x.shape[1])
        ]
        for row in range(len(x))
    ]


def made(*shapes, heads=2, seed=7):
    random = np.random.default_rng(seed)
    layer = AttentionBlock(4, heads)
    layer.build(*shapes)
    return layer, randomised(layer, seed), [random.normal(size=shape).astype("float32") for shape in shapes]


@settings(max_examples=12)
@given(seed=st.integers(0, 1000), heads=st.sampled_from([1, 2, 4]), mask=booleans(B, T, S))
def test_cross_attention_follows_the_formula_under_the_mask_of_each_step(seed, heads, mask):
    layer, w, (x, context) = made((B, T, 4), (B, S, 5), heads=heads, seed=seed)
    expected = step_by_step(w, x, context, mask, heads)
    got = layer(x, context, mask=np.array(mask))
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-4)  # A transformer block in float32.


@settings(max_examples=12)
@given(mask=booleans(B, T, T))
def test_self_attention_follows_the_formula_under_the_mask_of_each_step(mask):
    layer, w, (x,) = made((B, T, 4))
    expected = step_by_step(w, x, None, mask, 2)
    np.testing.assert_allclose(layer(x, mask=np.array(mask)), expected, rtol=1e-4, atol=1e-4)  # In float32.


@settings(max_examples=12)
@given(mask=booleans(B, S))
def test_the_same_mask_for_all_steps_is_the_mask_of_the_context(mask):
    layer, _, (x, context) = made((B, T, 4), (B, S, 5))
    mask = np.array(mask)
    repeated = np.repeat(mask[:, None], T, axis=1)
    np.testing.assert_array_equal(layer(x, context, mask=repeated), layer(x, context, mask=mask))


def test_numbers_hide_as_booleans_do():
    layer, _, (x, context) = made((B, T, 4), (B, S, 5))
    mask = np.random.default_rng(8).integers(0, 2, (B, T, S))
    np.testing.assert_array_equal(
        layer(x, context, mask=mask.astype("float32")), layer(x, context, mask=mask.astype(bool))
    )


def test_what_is_hidden_from_a_step_has_no_influence_on_it_alone():
    layer, _, (x, context) = made((B, T, 4), (B, S, 5))
    mask = np.ones((B, T, S), bool)
    mask[:, 1, 2] = False
    changed = context.copy()
    changed[:, 2] = np.random.default_rng(8).normal(scale=5, size=(B, 5))
    before, after = np.array(layer(x, context, mask=mask)), np.array(layer(x, changed, mask=mask))
    np.testing.assert_allclose(after[:, 1], before[:, 1], rtol=1e-6, atol=1e-6)
    assert np.abs(after[:, [0, 2]] - before[:, [0, 2]]).max(axis=-1).min() > 1e-3


@pytest.mark.parametrize("steps", [2, 3])
def test_a_context_of_one_step_may_be_hidden_from_some_steps(steps):
    layer, w, (x, context) = made((B, steps, 4), (B, 1, 5))
    mask = (np.arange(B * steps) % 3 > 0).reshape(B, steps, 1)
    got = np.array(layer(x, context, mask=mask))
    assert got.shape == (B, steps, 4)
    expected = step_by_step(w, x, context, mask, 2)
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-4)  # A transformer block in float32.
