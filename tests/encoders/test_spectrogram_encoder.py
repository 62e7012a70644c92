import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mm_keras.encoders import SpectrogramEncoder
from mm_keras.encoders.conv_stages import HALVINGS
from mm_keras.sequence_pooling import POOLINGS

cells = st.sampled_from(["gru", "lstm"])


@settings(max_examples=20)
@given(
    length=st.integers(1, 11),
    behind=st.integers(0, 9),
    bidirectional=st.booleans(),
    cell=cells,
    pooling=st.sampled_from(POOLINGS),
    halving=st.sampled_from(HALVINGS),
)
def test_what_the_mask_hides_changes_nothing(length, behind, bidirectional, cell, pooling, halving):
    layer = SpectrogramEncoder([3, 2], 4, cell, bidirectional, pooling=pooling, halving=halving)
    random = np.random.default_rng(length)
    x = random.normal(2, 3, (1, length + behind, 6)).astype("float32")
    mask = np.arange(length + behind)[None] < length
    alone = np.array(layer(x[:, :length]))
    seen = alone.shape[1]  # Without a pooling, steps that are hidden come after these.
    padded = np.array(layer(x, mask=mask))[:, :seen]
    other = layer(np.where(mask[:, :, None], x, 99.0), mask=mask)[:, :seen]
    np.testing.assert_allclose(other, padded, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(alone, padded, rtol=1e-4, atol=1e-5)  # Sums of other lengths.


def test_a_mask_that_hides_all_keeps_the_first_frame():
    layer = SpectrogramEncoder([3], 4)
    x = np.random.default_rng(7).normal(size=(1, 8, 4)).astype("float32")
    found = layer(x, mask=np.zeros((1, 8), bool))
    np.testing.assert_allclose(found, layer(x[:, :1]), rtol=1e-4, atol=1e-5)


def test_mean_and_largest_state_of_the_convolved_normal_spectrogram_are_joined():
    random = np.random.default_rng(7)
    x = random.normal(3.0, 5.0, size=(2, 7, 6)).astype("float32")
    layer = SpectrogramEncoder(filters=[3, 2], units=4)
    layer.build(x.shape)
    deviation = np.sqrt(x.var(axis=(1, 2), keepdims=True) + 1e-3)  # Keras's epsilon.
    normal = (x - x.mean(axis=(1, 2), keepdims=True)) / deviation
    maps = np.array(layer.stages(normal[..., None]))
    assert maps.shape == (2, 2, 2, 2)
    states = np.array(layer.recurrent(maps.reshape(2, 2, 4)))
    expected = np.concatenate([states.mean(axis=1), states.max(axis=1)], axis=-1)
    np.testing.assert_allclose(layer(x), expected, rtol=1e-4, atol=1e-5)  # Through two convolutions.


def test_the_level_of_a_recording_does_not_matter():
    x = np.random.default_rng(7).normal(size=(1, 8, 4)).astype("float32")
    layer = SpectrogramEncoder(filters=[3], units=4)
    quiet, loud = (np.array(layer(10 * x + level)) for level in (-20.0, 5.0))
    np.testing.assert_allclose(quiet, loud, rtol=1e-4, atol=1e-4)  # float32 subtracts the level.


def test_silence_gives_finite_values():
    assert np.isfinite(np.array(SpectrogramEncoder([3], 4)(np.full((1, 8, 4), -11.5)))).all()


def test_dropout_works_in_training_alone():
    x = np.random.default_rng(7).normal(size=(1, 8, 4)).astype("float32")
    layer = SpectrogramEncoder(filters=[3], units=8, dropout=0.5)
    quiet = np.array(layer(x))
    np.testing.assert_array_equal(quiet, layer(x))
    assert (np.array(layer(x, training=True)) == 0).any()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"filters": 32}, "`filters` to be a list of ints > 0. Received: filters=32"),
        ({"filters": [0]}, r"`filters\[0\]` to be an int > 0. Received: filters\[0\]=0"),
        ({"units": 0}, "`units` to be an int > 0. Received: units=0"),
        ({"cell": "rnn"}, "`cell` in `gru`, `lstm`. Received: cell='rnn'"),
        ({"dropout": 1}, r"`dropout` in \[0, 1\). Received: dropout=1"),
    ],
)
def test_a_value_out_of_range_is_rejected(arguments, words):
    with pytest.raises(ValueError, match=f"`SpectrogramEncoder` expects {words}"):
        SpectrogramEncoder(**arguments)


def test_a_waveform_is_rejected():
    with pytest.raises(ValueError, match=r"`inputs` of rank 3.*shape=\(2, 90\).*spectrograms \(B, T, F\)"):
        SpectrogramEncoder([4])(np.ones((2, 90)))
