import numpy as np
import pytest

from mm_keras.encoders import ResidualImageEncoder


def test_the_mean_of_the_last_map_of_scaled_pixels_is_projected():
    x = np.random.default_rng(7).integers(0, 256, (2, 6, 5, 3)).astype("float32")
    layer = ResidualImageEncoder([3, 2], 1, 4)
    layer.build(x.shape)
    maps = np.array(layer.stages(x / 127.5 - 1))
    assert maps.shape == (2, 2, 2, 2)
    kernel, bias = layer.dense.get_weights()
    expected = np.maximum(maps.mean(axis=(1, 2)) @ kernel + bias, 0)
    np.testing.assert_allclose(layer(x), expected, rtol=1e-4, atol=1e-5)  # Through three convolutions.


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"filters": [0]}, r"`filters\[0\]` to be an int > 0. Received: filters\[0\]=0"),
        ({"blocks": 1.5}, "`blocks` to be an int > 0. Received: blocks=1.5"),
        ({"units": 0}, "`units` to be an int > 0. Received: units=0"),
        ({"dropout": 1}, r"`dropout` in \[0, 1\). Received: dropout=1"),
    ],
)
def test_a_value_out_of_range_is_rejected(arguments, words):
    with pytest.raises(ValueError, match=f"`ResidualImageEncoder` expects {words}"):
        ResidualImageEncoder(**arguments)


def test_a_vector_is_rejected():
    with pytest.raises(ValueError, match=r"`inputs` of rank 4.*shape=\(2, 5\).*Pass images"):
        ResidualImageEncoder()(np.ones((2, 5), "float32"))
