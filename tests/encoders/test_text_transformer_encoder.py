import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mm_keras.encoders import TextTransformerEncoder
from mm_keras.sequence_pooling import POOLINGS


def encoder_of(pooling="mean", **arguments):
    return TextTransformerEncoder(6, 4, 3, 2, 2, pooling=pooling, **arguments)


def test_the_mean_of_the_blocks_over_the_tokens_is_the_embedding():
    layer = encoder_of()
    ids = np.array([[2, 5, 4, 0]], "int32")
    layer.build(ids.shape)
    steps = np.array(layer.blocks(layer.tokens(ids[:, :3])))
    np.testing.assert_allclose(layer(ids), steps.mean(axis=1), rtol=1e-5, atol=1e-5)


@settings(max_examples=10)
@given(
    ids=st.lists(st.integers(1, 5), min_size=1, max_size=4),
    padding=st.integers(1, 4),
    pooling=st.sampled_from(POOLINGS),
)
def test_padding_changes_nothing(ids, padding, pooling):
    layer = encoder_of(pooling)
    bare, padded = np.array([ids], "int32"), np.array([ids + [0] * padding], "int32")
    want = np.array(layer(bare))
    given = layer(padded)[:, : want.shape[1]]  # Without a pooling, steps that are hidden come after these.
    np.testing.assert_allclose(given, want, rtol=1e-4, atol=1e-5)  # Through two blocks.


def test_the_order_of_the_tokens_matters():
    layer = encoder_of()
    first, turned = (np.array(layer(np.array([ids], "int32"))) for ids in ([1, 2, 3], [3, 2, 1]))
    assert np.abs(first - turned).max() > 1e-3


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"vocabulary_size": 0}, "`TextTransformerEncoder` expects `vocabulary_size` to be an int > 0"),
        ({"embedding": "8"}, "`TextTransformerEncoder` expects `embedding` to be an int > 0"),
        ({"pooling": "men"}, "`TextTransformerEncoder` expects `pooling` in .*Did you mean `mean`?"),
        ({"units": 0}, "`units` to be an int > 0. Received: units=0"),
        ({"num_heads": 5}, "`num_heads` to divide `units`. Received: num_heads=5, units=64"),
        ({"layers": 0}, "`layers` to be an int > 0. Received: layers=0"),
        ({"dropout": 1}, r"`dropout` in \[0, 1\). Received: dropout=1"),
    ],
)
def test_a_value_out_of_range_is_rejected(arguments, words):
    with pytest.raises(ValueError, match=words):
        TextTransformerEncoder(**{"vocabulary_size": 6, **arguments})


def test_one_text_without_a_batch_axis_is_rejected():
    with pytest.raises(ValueError, match=r"`inputs` of rank 2.*inputs.shape=\(3,\)"):
        TextTransformerEncoder(6)(np.ones(3, "int32"))
