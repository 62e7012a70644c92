import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers import randomised
from mm_keras.encoders import ResidualSpectrogramEncoder
from mm_keras.sequence_pooling import POOLINGS


@settings(max_examples=15)
@given(length=st.integers(1, 11), behind=st.integers(1, 9), pooling=st.sampled_from(POOLINGS))
def test_what_the_mask_hides_changes_nothing(length, behind, pooling):
    layer = ResidualSpectrogramEncoder([3, 2], 1, 4, pooling=pooling)
    x = np.random.default_rng(length).normal(2, 3, (1, length + behind, 6)).astype("float32")
    mask = np.arange(length + behind)[None] < length
    layer.build(x.shape)
    randomised(layer)
    alone = np.array(layer(x[:, :length]))
    seen = alone.shape[1]  # Without a pooling, steps that are hidden come after these.
    padded = np.array(layer(x, mask=mask))[:, :seen]
    other = layer(np.where(mask[:, :, None], x, 99.0), mask=mask)[:, :seen]
    np.testing.assert_allclose(other, padded, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(alone, padded, rtol=1e-4, atol=1e-4)  # Sums of other lengths.


def test_a_mask_that_hides_all_keeps_the_first_frame():
    layer = ResidualSpectrogramEncoder([3], 1, 4)
    x = np.random.default_rng(7).normal(size=(1, 8, 4)).astype("float32")
    layer.build(x.shape)
    randomised(layer)
    found = layer(x, mask=np.zeros((1, 8), bool))
    np.testing.assert_allclose(found, layer(x[:, :1]), rtol=1e-4, atol=1e-5)


def test_mean_and_maximum_of_rectified_steps_are_joined():
    x = np.random.default_rng(7).normal(3, 5, (2, 7, 6)).astype("float32")
    layer = ResidualSpectrogramEncoder([3, 2], 2, 4)
    layer.build(x.shape)
    normal = (x - x.mean(axis=(1, 2), keepdims=True)) / np.sqrt(x.var(axis=(1, 2), keepdims=True) + 1e-3)
    maps = np.array(layer.stages(normal[..., None]))
    assert maps.shape == (2, 2, 2, 2)
    kernel, bias = layer.dense.get_weights()
    steps = np.maximum(maps.reshape(2, 2, 4) @ kernel + bias, 0)
    expected = np.concatenate([steps.mean(axis=1), steps.max(axis=1)], axis=-1)
    np.testing.assert_allclose(layer(x), expected, rtol=1e-4, atol=1e-4)  # Through five convolutions.


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"filters": 32}, "`filters` to be a list of ints > 0. Received: filters=32"),
        ({"blocks": 0}, "`blocks` to be an int > 0. Received: blocks=0"),
        ({"units": 0}, "`units` to be an int > 0. Received: units=0"),
        ({"pooling": "men"}, "`pooling` in .*Received: pooling='men'. Did you mean `mean`?"),
        ({"dropout": 1}, r"`dropout` in \[0, 1\). Received: dropout=1"),
    ],
)
def test_a_value_out_of_range_is_rejected(arguments, words):
    with pytest.raises(ValueError, match=f"`ResidualSpectrogramEncoder` expects {words}"):
        ResidualSpectrogramEncoder(**arguments)


def test_a_waveform_is_rejected():
    with pytest.raises(ValueError, match=r"`inputs` of rank 3.*shape=\(2, 90\).*spectrograms \(B, T, F\)"):
        ResidualSpectrogramEncoder([4])(np.ones((2, 90)))
