import numpy as np
import pytest

from mm_keras.heads import ImageDecoder, PixelCrossentropy


def test_a_plane_of_logits_becomes_pixels():
    layer = ImageDecoder(2, 3, 1, filters=[2])
    layer.build((1, 4))
    weights = [np.zeros(weight.shape) for weight in layer.weights]
    layer.set_weights([*weights[:-1], np.array([np.log(3.0)])])
    np.testing.assert_allclose(layer(np.ones((1, 4))), np.full((1, 2, 3, 1), 0.75 * 255), rtol=1e-6)


def test_extreme_logits_stay_within_0_and_255():
    layer = ImageDecoder(2, 2, 1, filters=[2])
    layer.build((1, 4))
    weights = [np.zeros(weight.shape) for weight in layer.weights]
    for bias, pixel in ((-1e4, 0.0), (1e4, 255.0)):
        layer.set_weights([*weights[:-1], np.array([bias])])
        np.testing.assert_array_equal(layer(np.ones((1, 4))), np.full((1, 2, 2, 1), pixel))


def test_loss_and_metric_are_of_pixels():
    layer = ImageDecoder(2, 2, 1)
    assert isinstance(layer.loss(), PixelCrossentropy)
    (metric,) = layer.metrics_of_output()
    metric.update_state(np.full((1, 2, 2, 1), 100.0), np.full((1, 2, 2, 1), 130.0))
    assert (metric.name, float(metric.result())) == ("pixel_error", 30.0)


@pytest.mark.parametrize("name", ["height", "width", "channels"])
def test_a_size_below_one_is_rejected(name):
    with pytest.raises(ValueError, match=f"`ImageDecoder` expects `{name}` .*Received: {name}=0"):
        ImageDecoder(**{"height": 4, "width": 4, "channels": 1, name: 0})


def test_filters_that_are_no_list_are_rejected():
    with pytest.raises(ValueError, match="`ImageDecoder` expects `filters` to be a list of ints > 0"):
        ImageDecoder(4, 4, 1, filters=32)
