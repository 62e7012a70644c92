"""Distances between sounds."""

from itertools import product

import numpy as np
import pytest
from scipy.fft import dct

from mm_keras.evaluation.speech_answers import outline
from mm_keras.evaluation.speech_scores import cepstral_distortions, spectral_distances

RANDOM = np.random.default_rng(7)
BINS = 40


def cosine(order, height, steps=5):
    """Returns log-mel frames whose log amplitude is one cosine over the bins."""
    places = (np.arange(BINS) + 0.5) * np.pi / BINS
    return np.tile(2 * height * np.cos(order * places), (1, steps, 1))  # Power: twice the amplitude.


def test_the_distortion_is_that_of_the_coefficients():
    found = cepstral_distortions(cosine(3, 0.2), [5], cosine(5, 0.1), [5])
    assert found == pytest.approx(10 / np.log(10) * np.sqrt(2 * (0.2**2 + 0.1**2)))


@pytest.mark.parametrize("order", [0, 14])
def test_loudness_and_fine_structure_do_not_count(order):
    assert cepstral_distortions(
        cosine(2, 0.3), [5], cosine(2, 0.3) + cosine(order, 0.5), [5]
    ) == pytest.approx(0)


def test_a_slower_sound_is_the_same():
    frames = RANDOM.normal(size=(1, 6, BINS))
    slower = np.repeat(frames, 2, axis=1)
    assert cepstral_distortions(frames, [6], slower, [12]) == pytest.approx(0)
    assert cepstral_distortions(frames, [6], slower[:, ::-1], [12]) > 1


def test_what_is_not_heard_does_not_count():
    true, given = RANDOM.normal(size=(2, 1, 6, BINS))
    given[:, :4] = true[:, :4]
    assert cepstral_distortions(true, [4], given, [4]) == pytest.approx(0)
    assert cepstral_distortions(true, [6], given, [6]) > 0


def test_the_path_is_the_best_of_all():
    true, given = RANDOM.normal(size=(2, 1, 4, BINS))
    a, b = (dct(x[0] / 2, type=2, axis=1)[:, 1:14] / BINS for x in (true, given))
    apart = np.square(a[:, None] - b[None]).sum(axis=2)
    best = None
    for moves in product(((0, 1), (1, 0), (1, 1)), repeat=6):
        path, place = [(0, 0)], (0, 0)
        for move in moves:
            if place == (3, 3):
                break
            place = (place[0] + move[0], place[1] + move[1])
            if max(place) > 3:
                break
            path.append(place)
        if place == (3, 3):
            cost = sum(apart[p] for p in path)
            if best is None or cost < best[0]:
                best = cost, np.mean([np.sqrt(2 * apart[p]) for p in path])
    found = cepstral_distortions(true, [4], given, [4])[0]
    assert found == pytest.approx(10 / np.log(10) * best[1])


def test_the_spectral_distance_is_the_root_mean_square_in_decibels():
    true = RANDOM.normal(size=(2, 5, BINS))
    given = true + np.log(10) * np.array([0.1, -0.3])[:, None, None]
    np.testing.assert_allclose(spectral_distances(true, given), [1.0, 3.0])


@pytest.mark.parametrize(("steps", "bins", "width"), [(16, 32, 128), (3, 5, 15), (50, 80, 128)])
def test_an_outline_is_the_mean_of_parts(steps, bins, width):
    frames = RANDOM.normal(size=(2, steps, bins))
    found = outline(frames)
    assert found.shape == (2, width)
    np.testing.assert_allclose(
        found[:, 0], frames[:, : max(steps // 8, 1), : max(bins // 16, 1)].mean(axis=(1, 2))
    )
