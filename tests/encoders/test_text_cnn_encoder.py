import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers import randomised
from mm_keras.encoders import TextCnnEncoder
from mm_keras.sequence_pooling import POOLINGS


def convolve(x, kernel, bias):
    """Window of `(T, D)` around each step, of an even width with one step more behind; ReLU."""
    size = len(kernel)
    x = np.pad(x, (((size - 1) // 2, size // 2), (0, 0)))
    steps = [np.einsum("wd,wdf->f", x[i : i + size], kernel) for i in range(len(x) - size + 1)]
    return np.maximum(np.array(steps) + bias, 0)


def test_the_largest_of_each_filter_over_the_text_is_the_embedding():
    layer = TextCnnEncoder(6, units=3, embedding=2, windows=[2, 3])
    layer.build((2, 4))
    w = randomised(layer)
    ids = np.array([[2, 5, 4, 3], [2, 3, 0, 0]], "int32")
    expected = []
    for row in ids:
        x = w["tokens/embeddings"][row[row > 0]]
        parts = [convolve(x, w[f"window_{i}/kernel"], w[f"window_{i}/bias"]) for i in range(2)]
        expected.append(np.concatenate([part.max(axis=0) for part in parts]))
    np.testing.assert_allclose(layer(ids), expected, rtol=1e-5, atol=1e-6)


@settings(max_examples=15)
@given(
    ids=st.lists(st.integers(1, 5), min_size=1, max_size=4),
    padding=st.integers(1, 4),
    pooling=st.sampled_from(POOLINGS),
)
def test_padding_changes_nothing(ids, padding, pooling):
    layer = TextCnnEncoder(6, 3, 2, [2, 5], pooling=pooling)
    bare, padded = np.array([ids], "int32"), np.array([ids + [0] * padding], "int32")
    want = np.array(layer(bare))
    given = layer(padded)[:, : want.shape[1]]  # Without a pooling, steps that are hidden come after these.
    np.testing.assert_allclose(given, want, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"vocabulary_size": 0}, "`vocabulary_size` to be an int > 0. Received: vocabulary_size=0"),
        ({"units": True}, "`units` to be an int > 0. Received: units=True"),
        ({"embedding": "8"}, "`embedding` to be an int > 0. Received: embedding='8'"),
        ({"windows": 3}, "`windows` to be a list of ints > 0. Received: windows=3"),
        ({"pooling": "maxx"}, "`pooling` in .*Did you mean `max`?"),
        ({"dropout": 2}, r"`dropout` in \[0, 1\). Received: dropout=2"),
    ],
)
def test_a_value_out_of_range_is_rejected(arguments, words):
    with pytest.raises(ValueError, match=f"`TextCnnEncoder` expects {words}"):
        TextCnnEncoder(**{"vocabulary_size": 6, **arguments})


def test_one_text_without_a_batch_axis_is_rejected():
    with pytest.raises(ValueError, match=r"`inputs` of rank 2.*inputs.shape=\(3,\)"):
        TextCnnEncoder(6)(np.ones(3, "int32"))
