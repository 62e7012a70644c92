import numpy as np
import pytest

from mm_keras.encoders import DenseEncoder


def test_a_sequence_is_flattened_and_each_layer_rectifies():
    layer = DenseEncoder(units=2, layers=2)
    layer.build((1, 2, 2))
    first = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0], [0.0, -1.0]])
    layer.set_weights([first, np.array([0.5, 0.0]), np.array([[2.0, -1.0], [3.0, 1.0]]), np.zeros(2)])
    # [1+3+0.5, 2-4] -> [4.5, 0] -> [9, -4.5] -> [9, 0]
    np.testing.assert_allclose(layer(np.array([[[1.0, 2.0], [3.0, 4.0]]])), [[9.0, 0.0]], rtol=1e-6)


def test_dropout_works_in_training_alone():
    x = np.ones((2, 64), "float32")
    layer = DenseEncoder(units=64, layers=1, dropout=0.5)
    layer.build(x.shape)
    layer.set_weights([np.eye(64), np.zeros(64)])
    np.testing.assert_array_equal(layer(x), x)
    trained = np.array(layer(x, training=True))
    assert set(np.unique(trained)) == {0.0, 2.0}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"units": 0}, "`units` to be an int > 0. Received: units=0"),
        ({"layers": 1.5}, "`layers` to be an int > 0. Received: layers=1.5"),
        ({"dropout": 1.0}, r"`dropout` in \[0, 1\). Received: dropout=1.0"),
    ],
)
def test_a_value_out_of_range_is_rejected(arguments, words):
    with pytest.raises(ValueError, match=f"`DenseEncoder` expects {words}"):
        DenseEncoder(**arguments)
