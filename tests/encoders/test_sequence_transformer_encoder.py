import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mm_keras.encoders import SequenceTransformerEncoder
from mm_keras.sequence_pooling import POOLINGS


def test_the_mean_of_the_blocks_over_the_steps_is_the_embedding():
    x = np.array([[[0.0, 0.0], [1.0, -1.0], [0.5, 2.0], [0.0, 0.0]]], "float32")
    layer = SequenceTransformerEncoder(4, 2, 1)
    layer.build(x.shape)
    steps = np.array(layer.blocks(x[:, :3]))
    np.testing.assert_allclose(layer(x), steps.mean(axis=1), rtol=1e-5, atol=1e-5)


@settings(max_examples=10)
@given(
    steps=st.lists(st.sampled_from([[0.0, 1.0], [-2.0, 0.5], [3.0, 0.0]]), min_size=1, max_size=4),
    padding=st.integers(1, 4),
    pooling=st.sampled_from(POOLINGS),
)
def test_padding_changes_nothing(steps, padding, pooling):
    layer = SequenceTransformerEncoder(4, 2, 2, pooling=pooling)
    bare, padded = (np.array([x], "float32") for x in (steps, steps + [[0.0, 0.0]] * padding))
    want = np.array(layer(bare))
    given = layer(padded)[:, : want.shape[1]]  # Without a pooling, steps that are hidden come after these.
    np.testing.assert_allclose(given, want, rtol=1e-4, atol=1e-5)  # Through two blocks.


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"pooling": "men"}, "`SequenceTransformerEncoder` expects `pooling` in .*Did you mean `mean`?"),
        ({"units": 0}, "`units` to be an int > 0. Received: units=0"),
        ({"num_heads": 5}, "`num_heads` to divide `units`. Received: num_heads=5, units=64"),
        ({"layers": 0}, "`layers` to be an int > 0. Received: layers=0"),
        ({"dropout": 1}, r"`dropout` in \[0, 1\). Received: dropout=1"),
    ],
)
def test_a_value_out_of_range_is_rejected(arguments, words):
    with pytest.raises(ValueError, match=words):
        SequenceTransformerEncoder(**arguments)


def test_a_vector_is_rejected():
    with pytest.raises(ValueError, match=r"`inputs` of rank 3.*shape=\(2, 5\)"):
        SequenceTransformerEncoder(4)(np.ones((2, 5), "float32"))
