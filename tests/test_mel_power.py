import numpy as np
import pytest

from mm_keras.log_mel import LogMel
from mm_keras.mel_power import MelPower

pytestmark = pytest.mark.core
ARGUMENTS = {"rate": 1000, "mel_bins": 6, "window": 0.032, "hop": 0.016}


def test_its_logarithm_is_the_log_mel_spectrogram():
    sound = np.random.default_rng(7).uniform(-1, 1, (2, 100)).astype("float32")
    power = np.array(MelPower(**ARGUMENTS)(sound))
    assert power.min() > LogMel.floor
    np.testing.assert_allclose(np.log(power), LogMel(**ARGUMENTS)(sound), rtol=1e-5, atol=1e-5)


def test_silence_has_no_power():
    np.testing.assert_array_equal(MelPower(**ARGUMENTS)(np.zeros((1, 100))), np.zeros((1, 7, 6)))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"rate": 0}, "`rate` to be an int > 0. Received: rate=0"),
        ({"mel_bins": -1}, "`mel_bins` to be an int > 0. Received: mel_bins=-1"),
        ({"window": 0}, "`window` > 0. Received: window=0"),
        ({"hop": -0.01}, "`hop` > 0. Received: hop=-0.01"),
    ],
)
def test_a_value_out_of_range_is_rejected(arguments, words):
    with pytest.raises(ValueError, match=f"`MelPower` expects {words}"):
        MelPower(**{**ARGUMENTS, **arguments})


def test_a_waveform_without_a_batch_axis_is_rejected():
    with pytest.raises(ValueError, match=r"`MelPower` expects `inputs` of rank 2.*shape=\(100,\).*\(B, S\)"):
        MelPower(**ARGUMENTS)(np.zeros(100))
