import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attention_numpy import block
from helpers import randomised
from mm_keras.attention_block import AttentionBlock, as_sequence, sinusoids

pytestmark = pytest.mark.core

masks = st.lists(st.lists(st.booleans(), min_size=4, max_size=4), min_size=2, max_size=2)


@settings(max_examples=15)
@given(seed=st.integers(0, 1000), heads=st.sampled_from([1, 2, 4]), mask=masks)
def test_cross_attention_follows_the_formula_under_any_mask(seed, heads, mask):
    random = np.random.default_rng(seed)
    x, context = random.normal(size=(2, 3, 4)), random.normal(size=(2, 4, 5))
    layer = AttentionBlock(4, heads)
    layer.build(x.shape, context.shape)
    w = randomised(layer, seed)
    expected = [block(w, x[i], context[i], mask[i], heads) for i in range(2)]
    got = layer(x.astype("float32"), context.astype("float32"), mask=np.array(mask))
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-4)  # A transformer block in float32.


@pytest.mark.parametrize("mask", [None, [[True] * 3, [False, True, False]]])
def test_self_attention_follows_the_formula(mask):
    x = np.random.default_rng(7).normal(size=(2, 3, 4))
    layer = AttentionBlock(4, 2)
    layer.build(x.shape)
    w = randomised(layer)
    expected = [block(w, x[i], None, mask and mask[i], 2) for i in range(2)]
    got = layer(x.astype("float32"), mask=None if mask is None else np.array(mask))
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-4)  # A transformer block in float32.


@pytest.mark.parametrize("mask", [None, [[True], [False]]])
def test_a_context_of_one_step_is_read_whole_without_queries_and_keys(mask):
    random = np.random.default_rng(7)
    x, context = random.normal(size=(2, 3, 4)), random.normal(size=(2, 1, 5))
    layer = AttentionBlock(4, 2)
    layer.build(x.shape, context.shape)
    w = randomised(layer)
    assert not {"query", "key"} & set(w)
    expected = [block(w, x[i], context[i], mask and mask[i], 2) for i in range(2)]
    got = layer(x.astype("float32"), context.astype("float32"), mask=None if mask is None else np.array(mask))
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-4)  # A transformer block in float32.


def test_a_longer_context_than_the_one_step_of_the_build_is_rejected():
    layer = AttentionBlock(4)
    layer.build((2, 3, 4), (2, 1, 4))
    x = np.ones((2, 3, 4), "float32")
    with pytest.raises(ValueError, match="expects a context of 1 step, as built. Received: .* 3 steps"):
        layer.call(x, x)


def test_dropout_works_in_training_alone():
    x = np.random.default_rng(7).normal(size=(2, 3, 8)).astype("float32")
    layer = AttentionBlock(8, 2, dropout=0.5)
    quiet = np.array(layer(x))
    np.testing.assert_array_equal(quiet, layer(x, training=False))
    assert np.abs(np.array(layer(x, training=True)) - quiet).max() > 1e-3


def test_a_vector_is_a_sequence_of_one_step():
    x = np.array([[1.0, 2.0], [3.0, 4.0]], "float32")
    sequence, mask = as_sequence(x, None)
    np.testing.assert_array_equal(sequence, x[:, None])
    assert mask is None
    sequence, mask = as_sequence(x, np.array([True, False]))
    np.testing.assert_array_equal(sequence, [[[1, 2]], [[0, 0]]])
    np.testing.assert_array_equal(mask, [[True], [False]])


def test_what_is_hidden_becomes_zero_even_if_it_is_no_number():
    x = np.array([[[1.0], [np.nan]], [[np.inf], [2.0]]], "float32")
    sequence, _ = as_sequence(x, np.array([[1, 0], [0, 1]]))
    np.testing.assert_array_equal(sequence, [[[1], [0]], [[0], [2]]])


@pytest.mark.parametrize("width", [1, 4, 5])
def test_positions_are_sines_and_cosines_of_falling_rates(width):
    half = (width + 1) // 2
    angles = np.arange(6)[:, None] / 10000 ** (np.arange(half) / half)
    expected = np.concatenate([np.sin(angles), np.cos(angles)], axis=1)[:, :width]
    np.testing.assert_allclose(sinusoids(np.zeros((2, 6, width), "float32")), expected, atol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"units": 0}, "expects `units` to be an int > 0. Received: units=0"),
        ({"num_heads": 3}, "expects `num_heads` to divide `units`. Received: num_heads=3, units=4. Pass"),
        ({"num_heads": 0}, "expects `num_heads` to be an int > 0. Received: num_heads=0"),
        ({"dropout": 1.0}, r"expects `dropout` in \[0, 1\). Received: dropout=1.0"),
    ],
)
def test_a_value_out_of_range_is_rejected(arguments, words):
    with pytest.raises(ValueError, match=f"`AttentionBlock` {words}"):
        AttentionBlock(**{"units": 4, **arguments})


@pytest.mark.parametrize(
    ("shapes", "words"),
    [
        ([(2, 4)], r"expects `inputs` of rank 3. Received: inputs.shape=\(2, 4\)"),
        ([(2, 3, 5)], r"expects `inputs` of width `units` \(4\). Received: inputs.shape=\(2, 3, 5\)"),
        ([(2, 3, 4), (2, 4)], r"expects `context` of rank 3. Received: context.shape=\(2, 4\)"),
    ],
)
def test_a_tensor_of_another_shape_is_rejected(shapes, words):
    with pytest.raises(ValueError, match=words):
        AttentionBlock(4)(*[np.ones(shape, "float32") for shape in shapes])
