import numpy as np
import pytest

from mm_keras.encoders import ConvStages


def convolve(x, kernel, bias):
    """3x3 convolution with zeros around `(B, H, W, C)`."""
    _, height, width, _ = x.shape
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    shifts = [padded[:, i : i + height, j : j + width] @ kernel[i, j] for i in range(3) for j in range(3)]
    return sum(shifts) + bias


def pool(x):
    """Largest of each 2x2 field; an odd edge has a smaller field."""
    _, height, width, _ = x.shape
    odd = ((0, 0), (0, height % 2), (0, width % 2), (0, 0))
    x = np.pad(x, odd, constant_values=-np.inf)
    return x.reshape(x.shape[0], x.shape[1] // 2, 2, x.shape[2] // 2, 2, -1).max(axis=(2, 4))


@pytest.mark.parametrize(("halving", "halve"), [("pool", pool), ("stride", lambda x: x[:, ::2, ::2])])
def test_a_stage_convolves_halves_and_rectifies(halving, halve):
    random = np.random.default_rng(7)
    x = random.normal(size=(2, 5, 4, 2)).astype("float32")
    layer = ConvStages([3, 2], halving)
    layer.build(x.shape)
    weights = [random.normal(size=weight.shape) for weight in layer.weights]
    layer.set_weights(weights)
    expected = x
    for kernel, bias in (weights[:2], weights[2:]):
        expected = np.maximum(halve(convolve(expected, kernel, bias)), 0)
    np.testing.assert_allclose(layer(x), expected, rtol=1e-4, atol=1e-5)  # Sums of 27 float32 products.


def test_an_unknown_size_stays_unknown():
    assert ConvStages([4, 3]).compute_output_shape((None, None, 6, 2)) == (None, None, 2, 3)


@pytest.mark.parametrize("filters", [8, None, [], "88"])
def test_filters_that_are_no_list_are_rejected(filters):
    with pytest.raises(ValueError, match=r"`ConvStages` expects `filters` to be a list of ints > 0") as error:
        ConvStages(filters)
    assert f"Received: filters={filters!r}" in str(error.value)


def test_a_filter_below_one_is_rejected():
    with pytest.raises(ValueError, match=r"`ConvStages` expects `filters\[1\]` .*filters\[1\]=0"):
        ConvStages([4, 0])


def test_another_way_of_halving_is_rejected():
    with pytest.raises(ValueError, match="`ConvStages` expects `halving` in .*Did you mean `stride`"):
        ConvStages([4], "strides")
