import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mm_keras.encoders import TextEncoder


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def gru(steps, kernel, recurrent, biases):
    """Last state of `(T, D)` after Cho et al. 2014, the reset gate after the product (Keras's default)."""
    state = np.zeros(recurrent.shape[0])
    for x in steps:
        update_x, reset_x, new_x = np.split(x @ kernel + biases[0], 3)
        update_h, reset_h, new_h = np.split(state @ recurrent + biases[1], 3)
        update = sigmoid(update_x + update_h)
        new = np.tanh(new_x + sigmoid(reset_x + reset_h) * new_h)
        state = update * state + (1 - update) * new
    return state


def test_the_state_after_the_last_token_is_the_embedding():
    random = np.random.default_rng(7)
    layer = TextEncoder(vocabulary_size=6, units=3, embedding=2)
    layer.build((2, 4))
    weights = [random.normal(size=weight.shape) for weight in layer.weights]
    layer.set_weights(weights)
    ids = np.array([[2, 5, 4, 3], [2, 3, 0, 0]], "int32")
    expected = [gru(weights[0][row[row > 0]], *weights[1:]) for row in ids]
    np.testing.assert_allclose(layer(ids), expected, rtol=1e-5, atol=1e-6)


KINDS = [("gru", False, "last"), ("lstm", False, "attention"), ("gru", True, "mean_max")]


@pytest.fixture(scope="module", params=KINDS, ids=str)
def encoder(request):
    return TextEncoder(6, 3, 2, *request.param[:2], pooling=request.param[2])


@settings(max_examples=20)
@given(ids=st.lists(st.integers(1, 5), min_size=1, max_size=4), padding=st.integers(1, 4))
def test_padding_changes_nothing(encoder, ids, padding):
    bare, padded = np.array([ids], "int32"), np.array([ids + [0] * padding], "int32")
    np.testing.assert_allclose(encoder(padded), encoder(bare), rtol=1e-5, atol=1e-6)


def test_an_absent_text_is_read_as_one_padding_token(encoder):
    absent = np.array(encoder(np.zeros((1, 4), "int32")))
    assert np.isfinite(absent).all()
    np.testing.assert_allclose(absent, encoder(np.zeros((1, 1), "int32")), rtol=1e-5, atol=1e-6)


def test_both_directions_are_read():
    encoder = TextEncoder(6, units=3, embedding=2, bidirectional=True)
    encoder.build((1, 8))
    encoder.set_weights([np.ones(weight.shape) * 0.5 for weight in encoder.weights])
    encoder.tokens.set_weights([np.arange(-6.0, 6.0).reshape(6, 2) / 6])
    forward, backward = np.split(np.array(encoder(np.array([[2, 4, 5, 3]], "int32"))), 2, axis=-1)
    turned = np.array(encoder(np.array([[3, 5, 4, 2, 0]], "int32")))
    np.testing.assert_allclose(turned, np.concatenate([backward, forward], axis=-1), rtol=1e-6)
    assert np.abs(forward - backward).max() > 1e-3


def test_dropout_works_in_training_alone():
    ids = np.array([[2, 4, 3]], "int32")
    encoder = TextEncoder(6, units=8, embedding=8, dropout=0.5)
    quiet = np.array(encoder(ids))
    np.testing.assert_array_equal(quiet, encoder(ids))
    assert not np.allclose(quiet, encoder(ids, training=True))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"vocabulary_size": 0}, "`vocabulary_size` to be an int > 0. Received: vocabulary_size=0"),
        ({"units": True}, "`units` to be an int > 0. Received: units=True"),
        ({"embedding": "8"}, "`embedding` to be an int > 0. Received: embedding='8'"),
        ({"cell": "gur"}, "`cell` in `gru`, `lstm`. Received: cell='gur'. Did you mean `gru`?"),
        ({"dropout": 2}, r"`dropout` in \[0, 1\). Received: dropout=2"),
    ],
)
def test_a_value_out_of_range_is_rejected(arguments, words):
    with pytest.raises(ValueError, match=f"`TextEncoder` expects {words}"):
        TextEncoder(**{"vocabulary_size": 6, **arguments})


def test_one_text_without_a_batch_axis_is_rejected():
    with pytest.raises(ValueError, match=r"`inputs` of rank 2.*inputs.shape=\(3,\).*Pass token ids \(B, T\)"):
        TextEncoder(6)(np.ones(3, "int32"))
