"""Scores of sounds beside those that were meant."""

import numpy as np
from dtaidistance import dtw, dtw_ndim
from scipy.fft import dct

COEFFICIENTS = 13
DECIBELS = 10 / np.log(10)  # Of a natural logarithm of power.


def cepstral_distortions(true, true_counts, given, given_counts):
    """Returns the mel-cepstral distortion of each sound, `(N,)` in decibels; 0 is equal.

    It is `10 / ln 10 * sqrt(2 * sum_d (c_d - c'_d)^2)` over the cepstral coefficients 1 to 13, in whose sum
    of cosines the natural logarithm of amplitude is written over the mel bins, averaged along the dynamic
    time warping that makes the sum of the squares least: a sound may be slower or begin later. Loudness,
    coefficient 0, does not count.

    Args:
        true, given: arrays `(N, T, F)`. Log-mel spectrograms, natural logarithm of power.
        true_counts, given_counts: int arrays `(N,)`, > 0. Frames of each that are heard.

    Source: Kubichek 1993, "Mel-cepstral distance measure for objective speech quality assessment".
    """
    pairs = zip(_cepstra(true), true_counts, _cepstra(given), given_counts, strict=True)
    return np.array([_distortion(a[: max(n, 1)], b[: max(m, 1)]) for a, n, b, m in pairs])


def spectral_distances(true, given):
    """Returns the log-spectral distance of each sound, `(N,)` in decibels: the root mean square difference of
    its frames' mel bins, frame by frame, averaged.

    Args:
        true, given: arrays `(N, T, F)`. Log-mel spectrograms, natural logarithm of power.

    Source: Gray and Markel 1976, "Distance measures for speech processing", equation 3, of mel bins.
    """
    apart = DECIBELS * (np.asarray(true, "float64") - np.asarray(given, "float64"))
    return np.sqrt(np.square(apart).mean(axis=2)).mean(axis=1)


def _cepstra(log_mel):
    amplitude = np.asarray(log_mel, "float64") / 2
    # `dct` gives twice the sums of bins times cosines; the coefficients are 2 / F of these sums.
    return dct(amplitude, type=2, axis=2)[:, :, 1 : COEFFICIENTS + 1] / log_mel.shape[2]


def _distortion(true, given):
    _, paths = dtw_ndim.warping_paths_fast(np.ascontiguousarray(true), np.ascontiguousarray(given))
    path = np.array(dtw.best_path(paths))
    apart = np.square(true[path[:, 0]] - given[path[:, 1]]).sum(axis=1)
    return float(DECIBELS * np.sqrt(2 * apart).mean())
