import numpy as np
import pytest

from mm_keras.encoders import ImageEncoder


def test_pixels_are_scaled_to_one_around_zero():
    layer = ImageEncoder(filters=[1], units=2)
    layer.build((1, 2, 2, 1))
    kernel = np.zeros((3, 3, 1, 1))
    kernel[1, 1] = 1.0  # The stage passes the brightest pixel, scaled.
    layer.set_weights([kernel, np.zeros(1), np.array([[1.0, -1.0]]), np.array([0.0, 3.0])])
    pixels = np.array([0.0, 51.0, 153.0, 255.0])
    for brightest, positive in ((255.0, 1.0), (153.0, 0.2), (51.0, 0.0)):
        image = np.minimum(pixels, brightest).reshape(1, 2, 2, 1)
        np.testing.assert_allclose(layer(image), [[positive, 3 - positive]], atol=1e-6)


def test_dropout_works_in_training_alone():
    x = np.full((1, 4, 4, 1), 200.0)
    layer = ImageEncoder(filters=[8], units=8, dropout=0.5)
    quiet, trained = np.array(layer(x)), np.array(layer(x, training=True))
    np.testing.assert_array_equal(quiet, layer(x))
    assert not np.allclose(quiet, trained)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"filters": 32}, "`filters` to be a list of ints > 0. Received: filters=32"),
        ({"filters": [8, -1]}, r"`filters\[1\]` to be an int > 0. Received: filters\[1\]=-1"),
        ({"units": 0}, "`units` to be an int > 0. Received: units=0"),
        ({"dropout": -0.1}, r"`dropout` in \[0, 1\). Received: dropout=-0.1"),
    ],
)
def test_a_value_out_of_range_is_rejected(arguments, words):
    with pytest.raises(ValueError, match=f"`ImageEncoder` expects {words}"):
        ImageEncoder(**arguments)


def test_an_image_without_channels_is_rejected():
    with pytest.raises(ValueError, match=r"`inputs` of rank 4.*shape=\(2, 8, 8\).*\(B, H, W, C\)"):
        ImageEncoder([4])(np.ones((2, 8, 8)))
