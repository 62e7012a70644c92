import numpy as np
import pytest

from mm_keras.heads import PixelCrossentropy

RANDOM = np.random.default_rng(7)


def test_it_is_the_binary_cross_entropy_of_scaled_pixels():
    true, guess = RANDOM.uniform(0, 255, (2, 3, 2, 4, 1))
    p, q = true / 255, guess / 255
    expected = -(p * np.log(q) + (1 - p) * np.log(1 - q)).mean(axis=(1, 2, 3))
    np.testing.assert_allclose(PixelCrossentropy(reduction=None)(true, guess), expected, rtol=1e-5)


def test_the_best_guess_is_the_pixel_itself():
    true = np.full((1, 1, 1, 1), 51.0)
    losses = [float(PixelCrossentropy()(true, true + step)) for step in (-5, 0, 5)]
    assert losses[1] == min(losses)
    assert losses[1] == pytest.approx(-(0.2 * np.log(0.2) + 0.8 * np.log(0.8)), rel=1e-5)


@pytest.mark.parametrize("pixel", [0.0, 255.0])
def test_a_sure_guess_has_a_finite_loss(pixel):
    true = np.full((1, 2, 2, 1), pixel)
    assert float(PixelCrossentropy()(true, true)) == pytest.approx(1e-6, rel=0.2)  # float32 near 1.
    assert float(PixelCrossentropy()(true, 255 - true)) == pytest.approx(-np.log(1e-6), rel=0.01)
