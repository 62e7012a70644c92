import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from mm_keras.data.avmnist_files import encode_npy, encode_png, make_spectrogram, mix


@given(st.integers(0, 2**32 - 1), st.integers(400, 8000), st.floats(-10, 5))
def test_the_ratio_is_measured_on_the_spoken_part(seed, count, snr):
    random = np.random.default_rng(seed)
    recording, noise = random.normal(size=count), random.normal(size=8000) * random.uniform(0.01, 3)
    start = int(random.integers(8000 - count + 1))
    sound = mix(recording, start, noise, snr).astype(float)
    spoken = np.zeros(8000)
    spoken[start : start + count] = recording
    # What the mixture is made of, by least squares: it is exact but for the rounding to 16 bits.
    (speech_level, noise_level), *_ = np.linalg.lstsq(np.stack([spoken, noise], axis=1), sound, rcond=None)
    np.testing.assert_allclose(sound, speech_level * spoken + noise_level * noise, atol=1)
    ratio = np.mean((speech_level * recording) ** 2) / np.mean((noise_level * noise) ** 2)
    assert abs(10 * np.log10(ratio) - snr) < 0.01  # Rounding to 16 bits.


def test_a_mixture_peaks_at_nine_tenths_and_is_never_clipped():
    sound = mix(np.ones(100) * 1e-4, 50, np.sin(np.arange(8000)), -100)
    assert np.abs(sound).max() == round(0.9 * 32767)


def test_a_spectrogram_of_a_tone_has_one_line_at_its_frequency():
    hertz = 36.5 * 8000 / 222  # Between the 36th and the 37th: without the window its line would smear.
    sound = np.rint(20000 * np.sin(2 * np.pi * hertz * np.arange(8000) / 8000)).astype(np.int16)
    spectrogram = make_spectrogram(sound)
    assert spectrogram.shape == (112, 112)
    assert set(spectrogram.argmax(axis=1)) <= {36, 37}
    assert spectrogram[:, 36:38].min() >= 250
    assert spectrogram[:, :20].max() == spectrogram[:, 54:].max() == 0


def test_a_spectrogram_falls_by_255_in_80_decibels():
    quiet = np.sin(np.pi / 2 * np.arange(8000)) * 100  # 2000 Hz
    quiet[4000:] *= 10 ** (40 / 20)
    spectrogram = make_spectrogram(np.rint(quiet).astype(np.int16))
    assert spectrogram[100].max() == 255
    assert abs(int(spectrogram[10].max()) - 255 / 2) <= 1


def test_images_and_arrays_come_back_as_they_were():
    array = np.random.default_rng(0).integers(0, 256, (28, 28), dtype=np.uint8)
    content = encode_png(array)
    np.testing.assert_array_equal(np.array(Image.open(io.BytesIO(content))), array)
    np.testing.assert_array_equal(np.load(io.BytesIO(encode_npy(array))), array)


@pytest.mark.parametrize("count", [1, 8000])
def test_the_shortest_and_the_longest_recording_fit(count):
    assert mix(np.ones(count), 8000 - count, np.ones(8000), 0).shape == (8000,)


def test_an_image_is_stored_not_packed():
    assert len(encode_png(np.zeros((28, 28), np.uint8))) > 28 * 28
