import numpy as np
import pytest

from mm_keras.heads import AudioDecoder, LogMelError
from mm_keras.log_mel import LogMel

LOG_MEL = {"rate": 1000, "mel_bins": 6, "window": 0.032, "hop": 0.016}


def test_the_painted_plane_is_time_by_frequency():
    layer = AudioDecoder(5, LOG_MEL, filters=[2])
    z = np.random.default_rng(7).normal(size=(2, 4)).astype("float32")
    painted = layer(z)
    np.testing.assert_allclose(painted, np.array(layer.painter(z))[..., 0], rtol=1e-6)
    assert (np.array(painted) < 0).any() and (np.array(painted) > 0).any()  # A logarithm has either sign.


def test_the_loss_compares_with_the_log_mel_of_the_sound():
    layer = AudioDecoder(5, LOG_MEL)
    sound = np.random.default_rng(7).uniform(-1, 1, (2, 64)).astype("float32")
    target = np.array(LogMel(**LOG_MEL)(sound))
    assert target.shape == (2, *layer.compute_output_shape((2, 4))[1:])
    loss = layer.loss()
    assert isinstance(loss, LogMelError)
    assert float(loss(sound, target)) == pytest.approx(0, abs=1e-9)
    assert float(loss(sound, target + 2)) == pytest.approx((2 / 4) ** 2, rel=1e-5)
    assert layer.metrics_of_output() == []


def test_frames_below_one_are_rejected():
    with pytest.raises(ValueError, match="`AudioDecoder` expects `frames` .*Received: frames=0"):
        AudioDecoder(0, LOG_MEL)


@pytest.mark.parametrize("filters", [8, []])
def test_filters_that_are_no_list_are_rejected(filters):
    with pytest.raises(ValueError, match="expects `filters` to be a list of ints > 0. Received: filters="):
        AudioDecoder(5, LOG_MEL, filters)
