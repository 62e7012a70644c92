import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mm_keras.frame_mask import FrameMask
from mm_keras.log_mel import LogMel

pytestmark = pytest.mark.core


def sound(length, samples, seed=7):
    waveform = np.random.default_rng(seed).uniform(0.1, 1, (1, samples)).astype("float32")
    waveform[:, length:] = 0
    return waveform


def frames(waveform, stride):
    return np.array(FrameMask(stride)(waveform))


def test_frames_that_begin_before_the_last_sample_are_kept():
    waveform = np.array([[0, 1, 0, 0, 0, 0, 0], [1, 1, 1, 1, -1, 0, 0], [0, 0, 0, 0, 0, 0, 1]], "float32")
    expected = [[1, 0, 0, 0], [1, 1, 1, 0], [1, 1, 1, 1]]
    np.testing.assert_array_equal(frames(waveform, 2), np.array(expected, bool))


def test_a_sound_of_zeros_keeps_its_first_frame():
    np.testing.assert_array_equal(frames(np.zeros((1, 6), "float32"), 3), [[True, False, False]])


@settings(max_examples=25)
@given(length=st.integers(0, 40), behind=st.integers(0, 25), stride=st.integers(1, 9))
def test_more_padding_hides_more_frames_and_changes_none(length, behind, stride):
    short, long = (frames(sound(length, samples), stride)[0] for samples in (41, 41 + behind))
    assert len(short) == 1 + 41 // stride and len(long) == 1 + (41 + behind) // stride
    np.testing.assert_array_equal(long[: len(short)], short)
    assert not long[len(short) :].any()


def test_log_mel_passes_its_mask_on():
    layer = LogMel(1000, mel_bins=4, window=0.032, hop=0.016)
    found = layer(sound(50, 100))
    np.testing.assert_array_equal(found._keras_mask, frames(sound(50, 100), 16))
    assert found._keras_mask.shape == found.shape[:2]


@pytest.mark.slow
def test_the_mask_of_a_graph_is_that_of_the_layer(tmp_path):
    inputs = keras.Input((100,))
    model = keras.Model(inputs, {"kept": keras.ops.cast(FrameMask(16)(inputs), "float32")})
    model.save(tmp_path / "mask.keras")
    reloaded = keras.saving.load_model(tmp_path / "mask.keras")
    np.testing.assert_array_equal(reloaded(sound(50, 100))["kept"], frames(sound(50, 100), 16))


@pytest.mark.parametrize("stride", [0, 2.0, True])
def test_a_stride_that_is_no_positive_int_is_rejected(stride):
    with pytest.raises(ValueError, match="`FrameMask` expects `stride` to be an int > 0"):
        FrameMask(stride)


def test_a_spectrogram_is_rejected():
    with pytest.raises(ValueError, match=r"`inputs` of rank 2.*waveforms \(B, S\)"):
        FrameMask(4)(np.ones((2, 9, 3)))
