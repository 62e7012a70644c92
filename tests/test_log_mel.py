import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mm_keras.log_mel import LogMel

pytestmark = pytest.mark.core
ARGUMENTS = {"rate": 1000, "mel_bins": 6, "window": 0.032, "hop": 0.016}


def mel_filters(rate, mel_bins, fft_length):
    """HTK triangles between 20 Hz and rate / 2: `(fft_length // 2 + 1, F)`."""

    def mel(hertz):
        return 2595 * np.log10(1 + hertz / 700)

    edges = np.linspace(mel(20), mel(rate / 2), mel_bins + 2)
    # The bin of 0 Hz is left out, as in HTK.
    bins = mel(np.linspace(0, rate / 2, fft_length // 2 + 1)[1:])[:, None]
    rising = (bins - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - bins) / (edges[2:] - edges[1:-1])
    return np.pad(np.maximum(0, np.minimum(rising, falling)), ((1, 0), (0, 0)))


def log_mel(sound, rate, mel_bins, window, hop):
    length, step = round(window * rate), round(hop * rate)
    fft_length = 2 ** int(np.ceil(np.log2(length)))
    left = (fft_length - length) // 2
    hann = np.pad(
        0.5 - 0.5 * np.cos(2 * np.pi * np.arange(length) / length), (left, fft_length - length - left)
    )
    padded = np.pad(sound, fft_length // 2, mode="reflect")
    starts = range(0, len(padded) - fft_length + 1, step)
    power = [np.abs(np.fft.rfft(padded[start : start + fft_length] * hann)) ** 2 for start in starts]
    return np.log(np.maximum(np.array(power) @ mel_filters(rate, mel_bins, fft_length), 1e-4))


def test_it_is_the_logarithm_of_mel_power():
    sound = np.random.default_rng(7).uniform(-1, 1, (2, 100)).astype("float32")
    arguments = {**ARGUMENTS, "window": 0.030}  # 30 samples in an FFT of 32
    expected = [log_mel(x, **arguments) for x in sound]
    # A power near 0 is the difference of large float32 terms.
    np.testing.assert_allclose(LogMel(**arguments)(sound), expected, atol=2e-3)


def test_a_tone_fills_its_own_bin():
    rate = 8000
    time = np.arange(rate) / rate
    layer = LogMel(rate, mel_bins=20)
    centres = 700 * (
        10 ** (np.linspace(*2595 * np.log10(1 + np.array([20, 4000]) / 700), 22)[1:-1] / 2595) - 1
    )
    for hertz in (300, 1000, 3000):
        loudest = np.array(layer(np.sin(2 * np.pi * hertz * time)[None])).mean(axis=(0, 1)).argmax()
        assert loudest == np.abs(centres - hertz).argmin()


@settings(max_examples=25)
@given(
    rate=st.sampled_from([1000, 8000, 11025]),
    window=st.floats(0.005, 0.05),
    hop=st.floats(0.002, 0.05),
    longer=st.integers(0, 300),
)
def test_frames_are_one_and_a_frame_a_hop(rate, window, hop, longer):
    layer = LogMel(rate, 4, window, hop)
    samples = int(np.ceil(window * rate)) + longer
    frames = 1 + samples // max(1, round(hop * rate))
    assert layer.compute_output_shape((2, samples)) == (2, frames, 4)
    assert layer(np.zeros((2, samples), "float32")).shape == (2, frames, 4)
    assert layer.compute_output_shape((None, None)) == (None, None, 4)


def test_silence_is_the_floor_and_nothing_is_below_it():
    sounds = np.stack([np.zeros(100), 1e-9 * np.ones(100), np.random.default_rng(7).normal(size=100)])
    levels = np.array(LogMel(**ARGUMENTS)(sounds))
    np.testing.assert_allclose(levels[0], np.log(1e-4), rtol=1e-6)
    assert levels.min() >= np.log(1e-4) - 1e-5
    assert np.isfinite(levels).all()


def test_a_loud_example_does_not_change_a_quiet_one():
    random = np.random.default_rng(7)
    quiet, loud = 0.001 * random.normal(size=(1, 100)), random.normal(size=(1, 100))
    layer = LogMel(**ARGUMENTS)
    together = np.array(layer(np.concatenate([quiet, loud])))
    np.testing.assert_allclose(together[:1], layer(quiet), rtol=1e-5, atol=1e-5)


def test_mixed_precision_computes_the_spectrum_in_float32():
    sound = np.random.default_rng(7).uniform(-1, 1, (1, 100)).astype("float32")
    levels = LogMel(**ARGUMENTS, dtype="float32")(sound)
    model = keras.Sequential([keras.Input((100,)), LogMel(**ARGUMENTS, dtype="float32")])
    keras.config.set_dtype_policy("mixed_bfloat16")
    np.testing.assert_allclose(model(sound), levels, rtol=1e-6, atol=1e-6)
    assert keras.backend.standardize_dtype(model(sound).dtype) == "float32"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"rate": 0}, "`rate` to be an int > 0. Received: rate=0"),
        ({"rate": 8000.0}, "`rate` to be an int > 0. Received: rate=8000.0"),
        ({"mel_bins": -1}, "`mel_bins` to be an int > 0. Received: mel_bins=-1"),
        ({"window": 0}, "`window` > 0. Received: window=0"),
        ({"hop": -0.01}, "`hop` > 0. Received: hop=-0.01"),
        ({"hop": "10 ms"}, "`hop` > 0. Received: hop='10 ms'"),
    ],
)
def test_a_value_out_of_range_is_rejected(arguments, words):
    with pytest.raises(ValueError, match=f"`LogMel` expects {words}"):
        LogMel(**{**ARGUMENTS, **arguments})


def test_a_waveform_without_a_batch_axis_is_rejected():
    with pytest.raises(ValueError, match=r"`LogMel` expects `inputs` of rank 2.*shape=\(100,\).*\(B, S\)"):
        LogMel(**ARGUMENTS)(np.zeros(100))
