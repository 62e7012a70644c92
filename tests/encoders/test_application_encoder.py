import inspect

import keras
import numpy as np
import pytest

from mm_keras.applications import SMALLEST_SIZES
from mm_keras.encoders import ApplicationEncoder

IMAGES = np.random.default_rng(7).integers(0, 256, (2, 32, 32, 3)).astype("float32")
SMALL = {"include_top": False, "weights": None, "input_shape": (32, 32, 3), "pooling": "avg"}


def test_every_model_of_keras_is_known():
    found = {name for name, value in vars(keras.applications).items() if inspect.isfunction(value)}
    assert set(SMALLEST_SIZES) <= found


@pytest.fixture(scope="module")
def encoder():
    layer = ApplicationEncoder("MobileNet")
    layer.build(IMAGES.shape)
    return layer


def test_the_model_reads_what_its_preprocessing_gives(encoder):
    scaled = keras.applications.mobilenet.preprocess_input(IMAGES.copy())
    np.testing.assert_allclose(encoder(IMAGES), encoder.network(scaled, training=False), rtol=1e-5, atol=1e-6)
    assert encoder.compute_output_shape(IMAGES.shape) == (2, 1024)


def test_one_channel_is_repeated(encoder):
    grey = IMAGES[..., :1]
    np.testing.assert_allclose(encoder(grey), encoder(np.repeat(grey, 3, axis=-1)), rtol=1e-5, atol=1e-6)


def test_an_image_gives_the_same_alone(encoder):
    np.testing.assert_allclose(encoder(IMAGES[1:]), encoder(IMAGES)[1:], rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_weights_are_read_from_a_file_and_may_be_frozen(tmp_path):
    path = str(tmp_path / "mobile.weights.h5")
    network = keras.applications.MobileNet(**SMALL)
    network.save_weights(path)
    layer = ApplicationEncoder("MobileNet", weights=path, trainable=False)
    layer.build(IMAGES.shape)
    for found, wanted in zip(layer.network.get_weights(), network.get_weights(), strict=True):
        np.testing.assert_array_equal(found, wanted)
    assert layer.trainable_weights == []
    np.testing.assert_array_equal(layer(IMAGES, training=True), layer(IMAGES))  # Nor do its statistics move.
    clone = ApplicationEncoder.from_config(layer.get_config())  # A written model needs no file.
    assert (clone.weights_from, clone.trainable) == (None, False)
    with pytest.raises(ValueError, match="expects weights of `MobileNetV2`.*Keras says"):
        ApplicationEncoder("MobileNetV2", weights=path).build(IMAGES.shape)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"model": "MobilNetV2"}, "`model` in .*Did you mean `MobileNetV2`?"),
        ({"weights": "nowhere.h5"}, "`weights` to be null, `imagenet` or a file. Received: .*nowhere.h5"),
        ({"dropout": 1}, r"`dropout` in \[0, 1\). Received: dropout=1"),
    ],
)
def test_a_value_out_of_range_is_rejected(arguments, words):
    with pytest.raises(ValueError, match=f"`ApplicationEncoder` expects {words}"):
        ApplicationEncoder(**{"model": "MobileNet", **arguments})


@pytest.mark.parametrize(
    ("model", "shape", "words"),
    [
        ("Xception", (2, 64, 80, 3), r"at least 71x71 pixels .*`Xception`.*shape=\(2, 64, 80, 3\)"),
        ("MobileNet", (2, 32, 32, 2), r"1 or 3 channels .*shape=\(2, 32, 32, 2\)"),
        ("MobileNet", (2, 32), r"`inputs` of rank 4.*Pass images"),
    ],
)
def test_an_image_that_the_model_cannot_read_is_rejected(model, shape, words):
    with pytest.raises(ValueError, match=words):
        ApplicationEncoder(model).build(shape)
