import numpy as np

from mm_keras.heads import LogMelError
from mm_keras.log_mel import LogMel

LOG_MEL = {"rate": 1000, "mel_bins": 6, "window": 0.032, "hop": 0.016}


def test_it_is_the_mean_square_between_spectrograms_in_units_of_four_nats():
    random = np.random.default_rng(7)
    sound = random.uniform(-1, 1, (2, 64)).astype("float32")
    guess = random.normal(size=(2, 5, 6)).astype("float32")
    expected = (((np.array(LogMel(**LOG_MEL)(sound)) - guess) / 4) ** 2).mean(axis=(1, 2))
    np.testing.assert_allclose(LogMelError(LOG_MEL, reduction=None)(sound, guess), expected, rtol=1e-5)


def test_silence_has_a_finite_target():
    loss = LogMelError(LOG_MEL)
    floor = np.full((1, 5, 6), np.log(1e-4), "float32")
    np.testing.assert_allclose(loss(np.zeros((1, 64)), floor), 0, atol=1e-9)
