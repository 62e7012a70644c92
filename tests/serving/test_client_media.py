"""Images, sounds and features as the client sends them."""

import io

import numpy as np
import pytest
import soundfile
import tensorflow as tf
from PIL import Image

from mm_keras.data.decode_features import decode_features
from mm_keras.data.decode_wav import decode_wav
from mm_keras.serving.client_media import FileFault, read_features, read_image, read_sound


def pixels_of(contents):
    return np.asarray(Image.open(io.BytesIO(contents)))


@pytest.mark.parametrize("shape", [(5, 4), (5, 4, 2), (5, 4, 3), (5, 4, 4)])
def test_an_image_array_arrives_as_png_with_the_same_pixels(shape):
    pixels = np.random.default_rng(1).integers(0, 256, shape, np.uint8)
    contents = read_image(pixels)
    assert contents.startswith(b"\x89PNG")
    np.testing.assert_array_equal(pixels_of(contents), pixels)
    np.testing.assert_array_equal(pixels_of(read_image(Image.fromarray(pixels, MODES[shape[2:]]))), pixels)


MODES = {(): "L", (2,): "LA", (3,): "RGB", (4,): "RGBA"}


def test_the_axis_of_one_channel_is_dropped_and_transposed_views_are_read_right():
    pixels = np.arange(20, dtype=np.uint8).reshape(5, 4)
    np.testing.assert_array_equal(pixels_of(read_image(pixels[..., None])), pixels)
    np.testing.assert_array_equal(pixels_of(read_image(pixels.T)), pixels.T)


def test_float_pixels_are_rounded_and_bools_are_black_and_white():
    np.testing.assert_array_equal(pixels_of(read_image(np.array([[0.4, 254.6]]))), [[0, 255]])
    np.testing.assert_array_equal(pixels_of(read_image(np.array([[False, True]]))), [[0, 255]])
    np.testing.assert_array_equal(pixels_of(read_image(np.zeros((1, 2)))), [[0, 0]])


@pytest.mark.parametrize(
    ("pixels", "received"),
    [
        (np.ones((2, 2)), "floats from 1 to 1"),
        (np.full((2, 2), 256), "numbers from 256 to 256"),
        (np.array([[-1, 0]]), "numbers from -1 to 0"),
        (np.array([[np.nan, 9.0]]), "numbers from nan to nan"),
        (np.zeros((1, 2, 2, 3), np.uint8), r"an array of shape \(1, 2, 2, 3\)"),
        (np.zeros((0, 2), np.uint8), r"an array of shape \(0, 2\)"),
        (np.array([["a"]]), "an array of <U1"),
    ],
)
def test_an_array_that_is_no_image_of_0_to_255_is_refused(pixels, received):
    with pytest.raises(FileFault, match=received):
        read_image(pixels)


def test_every_16_bit_sample_arrives_exactly_also_as_a_float():
    samples = np.arange(-32768, 32768).astype(np.int16)
    for array in (samples, samples / 32768, (samples / 32768).astype(np.float32)):
        found, rate = soundfile.read(io.BytesIO(read_sound(array, 8000)), dtype="int16")
        np.testing.assert_array_equal(found, samples)
        assert rate == 8000


def test_a_sound_array_arrives_in_the_model_as_it_was():
    samples = np.random.default_rng(1).integers(-32768, 32768, 400).astype(np.int16)
    decoded = decode_wav(tf.constant(read_sound(samples, 8000)), 8000, 400)
    np.testing.assert_array_equal(decoded, samples / np.float32(32768))


def test_floats_beyond_one_are_cut_and_others_rounded():
    found, _ = soundfile.read(io.BytesIO(read_sound([1.5, -1.5, 0.7 / 32768], 8000)), dtype="int16")
    np.testing.assert_array_equal(found, [32767, -32768, 1])


@pytest.mark.parametrize("value", [(np.ones(3, np.int16), 16000), (16000, np.ones(3, np.int16))])
def test_a_rate_may_come_before_or_after_the_samples(value):
    assert soundfile.info(io.BytesIO(read_sound(value, 8000))).samplerate == 16000


def test_two_samples_are_a_sound_and_no_rate():
    assert soundfile.info(io.BytesIO(read_sound([0.5, 0.25], 8000))).frames == 2


def test_channels_are_kept():
    stereo = np.array([[1, 2], [3, 4], [5, 6]], np.int16)
    found, _ = soundfile.read(io.BytesIO(read_sound(stereo, 8000)), dtype="int16")
    np.testing.assert_array_equal(found, stereo)


@pytest.mark.parametrize(
    ("value", "rate", "received"),
    [
        (np.zeros(3), None, "rate=None"),
        (np.zeros(0), 8000, r"shape \(0,\)"),
        (np.zeros((2, 9)), 8000, r"shape \(2, 9\)"),
        (np.zeros(3, np.int32), 8000, "int32"),
        (np.zeros(3, np.uint8), 8000, "uint8"),
        (np.array([0.0, np.inf]), 8000, "NaN or infinity"),
    ],
)
def test_an_array_that_is_no_sound_is_refused(value, rate, received):
    with pytest.raises(FileFault, match=received):
        read_sound(value, rate)


def test_flac_is_sent_as_wav_and_wav_as_it_is(tmp_path):
    samples = np.arange(-50, 50).astype(np.int16)
    for kind in ("flac", "wav"):
        soundfile.write(tmp_path / f"a.{kind}", samples, 8000, subtype="PCM_16")
    contents = read_sound(tmp_path / "a.flac", None)
    assert contents.startswith(b"RIFF")
    np.testing.assert_array_equal(soundfile.read(io.BytesIO(contents))[0] * 32768, samples)
    assert read_sound(tmp_path / "a.wav", None) == (tmp_path / "a.wav").read_bytes()


def test_a_sound_file_of_another_kind_is_named(tmp_path):
    path = tmp_path / "a.ogg"
    path.write_bytes(b"no sound at all")
    with pytest.raises(FileFault, match=r"a\.ogg: .*begin with `no sound`"):
        read_sound(path, None)


@pytest.mark.parametrize(("shape", "length"), [((3, 2), 5), ((3, 2), 2), ((3, 2), 3), ((4,), 4)])
def test_features_are_fitted_as_prediction_does(shape, length, tmp_path):
    array = np.random.default_rng(1).normal(size=(length, *shape[1:]))
    path = tmp_path / "a.npy"
    np.save(path, array)
    expected = decode_features(path.read_bytes(), list(shape))
    np.testing.assert_array_equal(read_features(path, shape), expected)
    np.testing.assert_array_equal(read_features(array, shape), expected)
    np.testing.assert_array_equal(read_features(path.read_bytes(), shape), expected)


def test_a_pickle_is_not_loaded_as_features(tmp_path):
    path = tmp_path / "a.npy"
    np.save(path, np.array([{}], object), allow_pickle=True)
    with pytest.raises(FileFault, match=r"a\.npy: .*allow_pickle=False"):
        read_features(path, (1,))


def test_features_of_another_shape_or_with_nan_are_refused():
    with pytest.raises(FileFault, match=r"shape \(2, 3\)"):
        read_features(np.ones((2, 3)), (3, 2))
    with pytest.raises(FileFault, match="NaN or infinity"):
        read_features([1.0, np.nan], (2,))
