import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers import randomised
from mm_keras.sequence_pooling import TO_ONE, SequencePooling

pytestmark = pytest.mark.core

X = np.array([[[1.0, -9.0], [3.0, -7.0], [8.0, -1.0]]], "float32")
MASK = np.array([[True, True, False]])


@pytest.mark.parametrize(
    ("pooling", "whole", "masked"),
    [
        ("last", [8, -1], [3, -7]),
        ("mean", [4, -17 / 3], [2, -8]),
        ("max", [8, -1], [3, -7]),
        ("mean_max", [4, -17 / 3, 8, -1], [2, -8, 3, -7]),
    ],
)
def test_visible_steps_alone_are_pooled(pooling, whole, masked):
    layer = SequencePooling(pooling)
    np.testing.assert_allclose(layer(X), [whole], rtol=1e-6)
    np.testing.assert_allclose(layer(X, mask=MASK), [masked], rtol=1e-6)


def test_attention_weighs_the_steps_by_the_formula():
    layer = SequencePooling("attention")
    layer.build(X.shape)
    kernel, bias, query = randomised(layer).values()
    for mask, steps in ((None, X[0]), (MASK, X[0, :2])):
        scores = np.exp(np.tanh(steps @ kernel + bias) @ query)
        expected = (steps * scores / scores.sum()).sum(axis=0)
        np.testing.assert_allclose(layer(X, mask=mask), [expected], rtol=1e-5)


@pytest.mark.parametrize("pooling", TO_ONE)
def test_a_sequence_that_is_hidden_whole_gives_zeros(pooling):
    assert not np.any(SequencePooling(pooling)(X, mask=np.zeros((1, 3), bool)))


@pytest.mark.parametrize("pooling", TO_ONE)
@settings(max_examples=10)
@given(length=st.integers(1, 4), padding=st.integers(1, 4), seed=st.integers(0, 99))
def test_hidden_steps_change_nothing(pooling, length, padding, seed):
    x = np.random.default_rng(seed).normal(-3, 5, (2, length + padding, 3)).astype("float32")
    mask = np.arange(length + padding)[None] < [[length], [length]]
    layer = SequencePooling(pooling)
    alone = layer(x[:, :length])
    np.testing.assert_allclose(layer(x, mask=mask), alone, rtol=1e-5, atol=1e-5)


def test_none_leaves_the_steps_and_their_mask():
    x = keras.Input((None, 2))
    masked = keras.layers.Masking()(x)
    pooled = SequencePooling("none")(masked)
    assert pooled.shape == (None, None, 2)
    mean = keras.layers.GlobalAveragePooling1D()(pooled)
    padded = np.concatenate([X, np.zeros((1, 2, 2), "float32")], axis=1)
    np.testing.assert_allclose(keras.Model(x, mean)(padded), X.mean(axis=1), rtol=1e-6)


def test_another_word_is_rejected():
    with pytest.raises(ValueError, match=r"`pooling` in .*Received: pooling='maximum'"):
        SequencePooling("maximum")


def test_a_vector_is_rejected():
    with pytest.raises(ValueError, match=r"`inputs` of rank 3.*shape=\(2, 5\)"):
        SequencePooling()(np.ones((2, 5), "float32"))
