"""From a log-mel spectrogram back to a waveform."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mm_keras.griffin_lim import GriffinLim
from mm_keras.log_mel import LogMel

RATE, SAMPLES = 8000, 4000
SETTINGS = {"rate": RATE, "mel_bins": 64, "window": 0.032, "hop": 0.008}


def tones(*hertz, level=0.3):
    time = np.arange(SAMPLES) / RATE
    return sum(level * np.sin(2 * np.pi * f * time) for f in hertz).astype("float32")[None]


def distance(true, given):
    """Returns the mean absolute difference of the louder mel bins (decibels), without the ends, which the
    spectrogram mirrors."""
    true, given = true[:, 4:-4], given[:, 4:-4]
    loud = true > true.max() - 20 / 4.343
    return 4.343 * float(np.abs(true - given)[loud].mean())


@pytest.mark.parametrize("hertz", [(440,), (697, 1209), (300, 1700, 3100)])
def test_the_spectrogram_of_what_is_found_is_the_given_one(hertz):
    log_mel = LogMel(**SETTINGS)
    true = np.array(log_mel(tones(*hertz)))
    found = np.array(GriffinLim(samples=SAMPLES, **SETTINGS)(true))
    assert found.shape == (1, SAMPLES)
    assert distance(true, np.array(log_mel(found))) < 1.0
    poor = GriffinLim(samples=SAMPLES, iterations=1, momentum=0.0, **SETTINGS)(true)
    assert distance(true, np.array(log_mel(poor))) > distance(true, np.array(log_mel(found)))


def test_a_tone_keeps_its_pitch_and_its_loudness():
    true = tones(1000, level=0.4)
    found = np.array(GriffinLim(samples=SAMPLES, **SETTINGS)(LogMel(**SETTINGS)(true)))[0]
    spectrum = np.abs(np.fft.rfft(found[800:3200] * np.hanning(2400)))
    assert abs(spectrum.argmax() * RATE / 2400 - 1000) < 20  # Half of a mel bin there is 25 Hz.
    assert 0.8 < np.sqrt(np.mean(found**2)) / np.sqrt(np.mean(true**2)) < 1.2


def test_silence_stays_silent():
    floor = np.full((2, 63, 64), np.log(LogMel.floor), "float32")
    np.testing.assert_array_equal(GriffinLim(samples=SAMPLES, **SETTINGS)(floor), np.zeros((2, SAMPLES)))


def test_the_mel_matrix_is_that_of_the_spectrogram():
    layer = GriffinLim(samples=SAMPLES, **SETTINGS)
    layer.build((None, None, 64))
    mel = layer.mel.mel
    matrix = mel.linear_to_mel_weight_matrix(64, mel.fft_length // 2 + 1, RATE, mel.min_freq, mel.max_freq)
    np.testing.assert_allclose(layer.mel_matrix, matrix, atol=2e-5)  # Keras's logarithms are float32.


@settings(max_examples=15, deadline=None)
@given(
    window=st.integers(16, 64),
    hop=st.integers(4, 16),
    samples=st.integers(64, 200),
    seed=st.integers(0, 100),
)
def test_what_is_analysed_is_synthesised_again(window, hop, samples, seed):
    layer = GriffinLim(1000, samples, mel_bins=8, window=window / 1000, hop=hop / 1000)
    layer.build((None, None, 8))
    random = np.random.default_rng(seed)
    chunks = random.normal(size=(1, layer.frames + layer._overlap - 1, hop)).astype("float32")
    back = np.array(layer._synthesise(*layer._analyse(chunks), layer._shares()))
    covered = np.array(layer._shares())[0] < 100  # Where windows are near 0 nothing can be told.
    np.testing.assert_allclose(back[0][covered], chunks[0][covered], atol=1e-3)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"iterations": 0}, "`GriffinLim` expects `iterations`"),
        ({"momentum": 1.0}, r"`GriffinLim` expects `momentum` in \[0, 1\)"),
        ({"samples": 0}, "`GriffinLim` expects `samples`"),
        ({"window": 0.004}, "expects `window` of at least `hop`. Received: 0.004, 0.008"),
    ],
)
def test_a_value_out_of_range_is_rejected(arguments, words):
    with pytest.raises(ValueError, match=words):
        GriffinLim(**{"samples": SAMPLES, **SETTINGS, **arguments})


@pytest.mark.parametrize("shape", [(2, 63, 32), (2, 62, 64)])
def test_another_spectrogram_is_rejected(shape):
    with pytest.raises(ValueError, match=r"expects inputs \(B, T, 64\) of at least 63 frames"):
        GriffinLim(samples=SAMPLES, **SETTINGS).build(shape)
