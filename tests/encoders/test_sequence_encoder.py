import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mm_keras.encoders import SequenceEncoder


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def lstm(steps, kernel, recurrent, bias):
    """Last output of `(T, D)` after Hochreiter and Schmidhuber 1997, with a forget gate."""
    output = cell = np.zeros(recurrent.shape[0])
    for x in steps:
        write, forget, new, read = np.split(x @ kernel + output @ recurrent + bias, 4)
        cell = sigmoid(forget) * cell + sigmoid(write) * np.tanh(new)
        output = sigmoid(read) * np.tanh(cell)
    return output


def test_the_state_after_the_last_step_is_the_embedding():
    random = np.random.default_rng(7)
    layer = SequenceEncoder(units=3, cell="lstm")
    x = random.normal(size=(2, 4, 2)).astype("float32")
    x[1, 2:] = 0
    layer.build(x.shape)
    weights = [random.normal(size=weight.shape) for weight in layer.weights]
    layer.set_weights(weights)
    expected = [lstm(x[0], *weights), lstm(x[1, :2], *weights)]
    np.testing.assert_allclose(layer(x), expected, rtol=1e-5, atol=1e-6)


def test_zeros_between_steps_are_read():
    random = np.random.default_rng(7)
    layer = SequenceEncoder(units=3, cell="lstm")
    x = np.array([[[0.0, 0.0], [1.0, -1.0], [0.0, 0.0], [0.5, 2.0], [0.0, 0.0]]], "float32")
    layer.build(x.shape)
    weights = [random.normal(size=weight.shape) for weight in layer.weights]
    layer.set_weights(weights)
    np.testing.assert_allclose(layer(x), [lstm(x[0, :4], *weights)], rtol=1e-5, atol=1e-6)


KINDS = [("gru", False, "last"), ("lstm", False, "attention"), ("gru", True, "mean_max")]


@pytest.fixture(scope="module", params=KINDS, ids=str)
def encoder(request):
    return SequenceEncoder(3, *request.param[:2], pooling=request.param[2])


@settings(max_examples=20)
@given(
    steps=st.lists(st.sampled_from([[0.0, 1.0], [-2.0, 0.5], [3.0, 0.0]]), min_size=1, max_size=4),
    padding=st.integers(1, 4),
)
def test_padding_changes_nothing(encoder, steps, padding):
    bare, padded = np.array([steps]), np.array([steps + [[0.0, 0.0]] * padding])
    np.testing.assert_allclose(encoder(padded), encoder(bare), rtol=1e-5, atol=1e-6)


def test_an_absent_sequence_is_read_as_one_step_of_zeros(encoder):
    absent = np.array(encoder(np.zeros((1, 4, 2))))
    np.testing.assert_allclose(absent, encoder(np.zeros((1, 1, 2))), rtol=1e-5, atol=1e-6)


def test_dropout_works_in_training_alone():
    x = np.ones((1, 3, 2), "float32")
    encoder = SequenceEncoder(units=8, dropout=0.5)
    quiet = np.array(encoder(x))
    np.testing.assert_array_equal(quiet, encoder(x))
    assert (np.array(encoder(x, training=True)) == 0).any()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"units": 0}, "`units` to be an int > 0. Received: units=0"),
        ({"cell": "rnn"}, "`cell` in `gru`, `lstm`. Received: cell='rnn'"),
        ({"dropout": 1}, r"`dropout` in \[0, 1\). Received: dropout=1"),
    ],
)
def test_a_value_out_of_range_is_rejected(arguments, words):
    with pytest.raises(ValueError, match=f"`SequenceEncoder` expects {words}"):
        SequenceEncoder(**arguments)


def test_a_vector_is_rejected():
    with pytest.raises(ValueError, match=r"`inputs` of rank 3.*shape=\(2, 5\).*Pass sequences \(B, T, D\)"):
        SequenceEncoder(4)(np.ones((2, 5)))
