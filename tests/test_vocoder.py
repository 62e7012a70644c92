"""Groups of frames: how they are made of a waveform, and how they become one again."""

import numpy as np
import pytest

from mm_keras.log_mel import LogMel
from mm_keras.speech_frames import SCALE, SpeechFrames
from mm_keras.vocoder import Vocoder

RATE, SAMPLES = 8000, 4000
FRAMES = {"rate": RATE, "mel_bins": 64, "window": 0.032, "hop": 0.008, "reduction": 4}
GROUP = 4 * 64  # Samples of a group: 4 hops of 64.


def sounds(*lengths):
    time = np.arange(SAMPLES) / RATE
    tone = 0.3 * np.sin(2 * np.pi * 600 * time + 0.1)
    return np.stack([tone * (np.arange(SAMPLES) < length) for length in lengths]).astype("float32")


def test_groups_hold_the_scaled_log_mel_frames_up_to_the_end():
    waveform = sounds(SAMPLES)
    groups = np.array(SpeechFrames(**FRAMES)(waveform))
    assert groups.shape == (1, 16, 4 * 64 + 1)
    frames = groups[0, :, :-1].reshape(64, 64)[:63]
    true = (np.array(LogMel(RATE, 64, 0.032, 0.008)(waveform))[0] - np.log(LogMel.floor)) / SCALE
    np.testing.assert_allclose(frames, true, atol=1e-5)


@pytest.mark.parametrize("length", [1, GROUP - 1, GROUP, GROUP + 1, 2000, SAMPLES])
def test_the_end_is_told_in_the_group_that_holds_the_last_sample(length):
    waveform = np.zeros((1, SAMPLES), "float32")
    waveform[0, length - 1] = 0.5
    groups = np.array(SpeechFrames(**FRAMES)(waveform))[0]
    last = (length - 1) // GROUP
    np.testing.assert_array_equal(groups[:, -1], np.arange(16) >= last)
    assert not groups[last + 1 :, :-1].any()


def test_what_is_padded_behind_a_sound_does_not_change_its_groups():
    short, long = sounds(2000)[:, :3000], sounds(2000)
    layer = SpeechFrames(**FRAMES)
    near = np.array(layer(short))
    np.testing.assert_allclose(near[:, :8], np.array(layer(long))[:, :8], atol=1e-5)


def logits_of(groups):
    groups = np.array(groups)
    groups[:, :, -1] = np.where(groups[:, :, -1] > 0, 3.0, -3.0)
    return groups


def test_a_sound_becomes_the_sound_again_with_its_length():
    true = sounds(1600, SAMPLES)
    heard = Vocoder(SAMPLES, FRAMES)(logits_of(SpeechFrames(**FRAMES)(true)))
    counts = np.array(heard["samples"])
    np.testing.assert_array_equal(counts, [7 * GROUP, SAMPLES])  # Whole groups.
    made = np.array(heard["sound"])
    assert not made[0, counts[0] :].any()
    for row, length in enumerate((1600, SAMPLES)):
        spectrum = np.abs(np.fft.rfft(made[row, :1600] * np.hanning(1600)))
        assert abs(spectrum.argmax() * RATE / 1600 - 600) <= 10
        power = np.square(made[row]).sum() / np.square(true[row]).sum()
        assert 0.7 < power < 1.3, length


def test_what_comes_behind_the_end_is_not_heard():
    groups = logits_of(SpeechFrames(**FRAMES)(sounds(1000)))
    noisy = groups.copy()
    noisy[:, 5:, :-1] = 2.0
    noisy[:, 9, -1] = -3.0
    heard, other = (Vocoder(SAMPLES, FRAMES)(x) for x in (groups, noisy))
    for name in heard:
        np.testing.assert_array_equal(heard[name], other[name])


def test_a_sound_without_an_end_is_as_long_as_may_be():
    groups = np.full((1, 16, 257), -1.0, "float32")
    assert int(Vocoder(SAMPLES, FRAMES)(groups)["samples"][0]) == SAMPLES


def test_a_reduction_of_zero_is_rejected():
    with pytest.raises(ValueError, match="`SpeechFrames` expects `reduction`"):
        SpeechFrames(**{**FRAMES, "reduction": 0})
