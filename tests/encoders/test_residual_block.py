import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers import randomised
from mm_keras.encoders import ResidualBlock, ResidualStages


def convolve(x, kernel, bias, step=1):
    """3x3 convolution of `(B, H, W, C)` with one zero around, at every `step`-th place from the first on."""
    _, height, width, _ = x.shape
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    shifts = [padded[:, i : i + height, j : j + width] @ kernel[i, j] for i in range(3) for j in range(3)]
    return (sum(shifts) + bias)[:, ::step, ::step]


@pytest.mark.parametrize(("filters", "halve"), [(3, True), (3, False), (2, False)])
def test_a_block_follows_the_formula(filters, halve):
    x = np.random.default_rng(7).normal(size=(2, 5, 4, 2)).astype("float32")
    layer = ResidualBlock(filters, halve)
    layer.build(x.shape)
    w = randomised(layer)
    step = 2 if halve else 1
    first = np.maximum(x, 0)
    y = convolve(first, w["conv_0/kernel"], w["conv_0/bias"], step)
    y = np.maximum(y, 0)
    y = convolve(y, w["conv_1/kernel"], w["conv_1/bias"])
    kept = x
    if halve or filters != 2:
        kept = first[:, ::step, ::step] @ w["shortcut/kernel"][0, 0] + w["shortcut/bias"]
    expected = kept + w["gamma"] * y
    np.testing.assert_allclose(layer(x), expected, rtol=1e-4, atol=1e-4)  # Sums of 27 float32 products.


def test_a_new_block_passes_on_what_it_gets_and_learns():
    x = np.random.default_rng(7).normal(size=(2, 5, 4, 2)).astype("float32")
    layer = ResidualBlock(2)
    np.testing.assert_array_equal(layer(x), x)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(layer(x) ** 2)
    assert tape.gradient(loss, layer.gamma)


@pytest.mark.parametrize("channels", [4, 8, 12])
def test_a_halving_block_trains_on_batches_of_any_size(channels):
    # oneDNN's gradient of a 1x1 convolution of stride 2 ended the process for these channels and sizes.
    layer = ResidualBlock(channels + 4, halve=True)
    for size in (1, 3, 7, 9):
        x = np.random.default_rng(7).normal(size=(size, 14, 14, channels)).astype("float32")
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(layer(x) ** 2)
        gradient = tape.gradient(loss, layer.shortcut.kernel.value)
        assert np.isfinite(gradient).all() and np.abs(gradient).max() > 0


def test_how_strong_a_map_is_stays_known():
    x = np.random.default_rng(7).normal(size=(2, 8, 4, 2)).astype("float32")
    layer = ResidualStages([3, 2])
    once = np.array(layer(x))
    assert once.any()
    np.testing.assert_allclose(layer(3 * x), 3 * once, rtol=1e-4, atol=1e-5)


@settings(max_examples=20)
@given(length=st.integers(1, 7), behind=st.integers(1, 5), halve=st.booleans())
def test_hidden_rows_are_zeros_and_change_nothing(length, behind, halve):
    x = np.random.default_rng(length).normal(size=(1, length + behind, 3, 2)).astype("float32")
    mask = np.arange(length + behind)[None] < length
    layer = ResidualBlock(3, halve)
    layer.build(x.shape)
    randomised(layer)
    padded, alone = np.array(layer(x, mask=mask)), np.array(layer(x[:, :length]))
    np.testing.assert_allclose(padded[:, : alone.shape[1]], alone, rtol=1e-4, atol=1e-5)
    assert not padded[:, alone.shape[1] :].any()


def test_dropout_works_in_training_alone():
    x = np.random.default_rng(7).normal(size=(1, 3, 3, 2)).astype("float32")
    layer = ResidualBlock(2, dropout=0.5)
    layer.build(x.shape)
    randomised(layer)
    np.testing.assert_array_equal(layer(x), layer(x))
    assert np.any(np.array(layer(x, training=True)) != np.array(layer(x)))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"filters": 0}, "`filters` to be an int > 0. Received: filters=0"),
        ({"filters": 2, "dropout": 1}, r"`dropout` in \[0, 1\). Received: dropout=1"),
    ],
)
def test_a_value_out_of_range_is_rejected(arguments, words):
    with pytest.raises(ValueError, match=f"`ResidualBlock` expects {words}"):
        ResidualBlock(**arguments)


def test_a_sequence_is_rejected():
    with pytest.raises(ValueError, match=r"`inputs` of rank 4.*shape=\(2, 5, 3\)"):
        ResidualBlock(2)(np.ones((2, 5, 3), "float32"))
