"""`ImageEncoder` with pooling "none": an embedding of each place of the last map."""

import keras
import numpy as np
import pytest

from helpers import randomised
from mm_keras.encoders import ImageEncoder


def test_places_come_row_by_row():
    layer = ImageEncoder(filters=[1], units=2, pooling="none")
    layer.build((1, 4, 6, 1))
    kernel = np.zeros((3, 3, 1, 1))
    kernel[1, 1] = 1.0  # The stage passes the brightest of each 2 x 2 pixels, scaled.
    layer.set_weights([kernel, np.zeros(1), np.array([[1.0, -1.0]]), np.array([0.0, 3.0])])
    brightest = np.array([[153.0, 255.0, 204.0], [0.0, 178.5, 229.5]])
    image = np.zeros((4, 6))
    image[1::2, ::2] = brightest
    scaled = [0.2, 1.0, 0.6, 0.0, 0.4, 0.8]  # Below zero the stage gives zero.
    expected = [[positive, 3 - positive] for positive in scaled]
    np.testing.assert_allclose(layer(image[None, ..., None]), [expected], atol=1e-6)


@pytest.mark.parametrize("halving", ["pool", "stride"])
def test_each_place_goes_through_the_same_dense_layer(halving):
    layer = ImageEncoder(filters=[4, 3], units=5, halving=halving, pooling="none")
    x = np.random.default_rng(7).uniform(0, 255, (2, 9, 6, 3)).astype("float32")
    layer.build(x.shape)
    w = randomised(layer)
    last = np.array(keras.ops.convert_to_numpy(layer.stages(x / 127.5 - 1)), "float64")
    outputs = np.array(layer(x))
    rows, columns = last.shape[1:3]
    assert outputs.shape == (2, rows * columns, 5) == tuple(layer.compute_output_shape(x.shape))
    for i in range(rows):
        for j in range(columns):
            place = np.maximum(last[:, i, j] @ w["dense/kernel"] + w["dense/bias"], 0)
            np.testing.assert_allclose(
                outputs[:, i * columns + j], place, rtol=1e-4, atol=1e-5
            )  # In float32.


def test_the_batch_size_may_be_unknown():
    symbols = keras.Input((6, 5, 3))
    assert ImageEncoder([4, 3], 5, pooling="none")(symbols).shape == (None, 4, 5)


def test_the_dense_layer_is_as_wide_as_the_last_map_is_deep():
    layer = ImageEncoder(filters=[4, 3], units=5, pooling="none")
    layer.build((None, 8, 8, 3))
    assert layer.dense.kernel.shape == (3, 5)


def test_dropout_works_in_training_alone():
    x = np.full((1, 4, 4, 1), 200.0)
    layer = ImageEncoder(filters=[8], units=8, dropout=0.5, pooling="none")
    quiet, trained = np.array(layer(x)), np.array(layer(x, training=True))
    np.testing.assert_array_equal(quiet, layer(x))
    assert not np.allclose(quiet, trained)


def test_another_pooling_is_rejected():
    words = "`ImageEncoder` expects `pooling` in `flatten`, `none`. Received: pooling='mean'"
    with pytest.raises(ValueError, match=words):
        ImageEncoder(pooling="mean")
