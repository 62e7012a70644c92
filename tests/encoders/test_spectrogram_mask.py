import keras
import numpy as np
import pytest

from mm_keras.encoders import SpectrogramMask

FRAMES, BINS = 12, 9


def spectrograms(batch=64, seed=7):
    return np.random.default_rng(seed).normal(3, 1, (batch, FRAMES, BINS)).astype("float32")


def hidden_by(x, **arguments):
    """Returns bool `(B, T, F)`: which values a call in training changed."""
    changed = keras.ops.convert_to_numpy(SpectrogramMask(seed=3, **arguments)(x, training=True))
    return changed != x


def bands_of(hidden, axis):
    """Returns for each example the places along an axis that are hidden at all other places."""
    return [np.flatnonzero(example.all(axis=1 - axis)) for example in hidden]


def test_nothing_changes_outside_training():
    x = spectrograms(2)
    layer = SpectrogramMask(FRAMES, BINS)
    np.testing.assert_array_equal(layer(x), x)
    np.testing.assert_array_equal(layer(x, training=False), x)


def test_no_masks_change_nothing():
    x = spectrograms(2)
    np.testing.assert_array_equal(SpectrogramMask()(x, training=True), x)


@pytest.mark.parametrize(("key", "axis", "size"), [("time_mask", 0, FRAMES), ("frequency_mask", 1, BINS)])
def test_a_band_is_whole_contiguous_and_of_every_width_up_to_the_widest(key, axis, size):
    hidden = hidden_by(spectrograms(), **{key: 4})
    bands = bands_of(hidden, axis)
    for example, band in zip(hidden, bands, strict=True):
        assert example.sum() == len(band) * (FRAMES * BINS // size)  # Nothing else is hidden.
        assert len(band) == 0 or len(band) == band[-1] - band[0] + 1
    assert {len(band) for band in bands} == {0, 1, 2, 3, 4}
    assert {int(place) for band in bands for place in band} == set(range(size))


def test_each_example_has_its_own_bands():
    bands = bands_of(hidden_by(spectrograms(), time_mask=4), 0)
    assert len({tuple(band) for band in bands}) > 20


def test_masks_of_both_sorts_add_up():
    hidden = hidden_by(spectrograms(), time_mask=4, frequency_mask=4, masks=2)
    assert hidden.mean() > hidden_by(spectrograms(), time_mask=4, frequency_mask=4).mean() > 0.2


def test_what_is_hidden_becomes_the_mean_of_its_example():
    x = spectrograms(8)
    changed = keras.ops.convert_to_numpy(SpectrogramMask(4, 4, seed=3)(x, training=True))
    means = np.broadcast_to(x.mean(axis=(1, 2), keepdims=True), x.shape)
    hidden = changed != x
    assert hidden.any()
    np.testing.assert_allclose(changed[hidden], means[hidden], rtol=1e-5)


def test_a_mask_wider_than_the_spectrogram_hides_at_most_all_of_it():
    assert hidden_by(spectrograms(), time_mask=100).all(axis=(1, 2)).any()


def test_the_seed_repeats_the_masks_and_each_call_draws_anew():
    x = spectrograms(4)
    one, other = SpectrogramMask(4, 4, seed=3), SpectrogramMask(4, 4, seed=3)
    first = keras.ops.convert_to_numpy(one(x, training=True))
    np.testing.assert_array_equal(first, other(x, training=True))
    assert (keras.ops.convert_to_numpy(one(x, training=True)) != first).any()


@pytest.mark.tensorflow
@pytest.mark.parametrize(("key", "axis"), [("time_mask", 0), ("frequency_mask", 1)])
def test_the_bands_are_those_of_tensorflow_io(key, axis):
    audio = pytest.importorskip("tensorflow_io", exc_type=ImportError).audio
    function = audio.time_mask if axis == 0 else audio.freq_mask
    x = spectrograms(256)
    theirs = np.stack([function(example, param=5).numpy() == 0 for example in x])
    ours = hidden_by(x, **{key: 4})
    widths = [[len(band) for band in bands_of(hidden, axis)] for hidden in (ours, theirs)]
    shares = [np.bincount(width, minlength=5) / len(x) for width in widths]
    np.testing.assert_allclose(shares[0], shares[1], atol=0.12)  # 256 draws of five widths: 4.5 deviations.


@pytest.mark.parametrize("value", [-1, 1.5, True, None])
@pytest.mark.parametrize("name", ["time_mask", "frequency_mask"])
def test_a_width_that_is_no_count_is_rejected(name, value):
    with pytest.raises(ValueError, match=f"`{name}` to be an int >= 0. Received: {name}={value!r}"):
        SpectrogramMask(**{name: value})


def test_no_masks_at_all_are_rejected():
    with pytest.raises(ValueError, match="`masks` to be an int > 0. Received: masks=0"):
        SpectrogramMask(2, 2, masks=0)


def test_an_input_without_frequencies_is_rejected():
    with pytest.raises(ValueError, match=r"inputs.shape=\(2, 7\)"):
        SpectrogramMask(2)(np.ones((2, 7), "float32"))
