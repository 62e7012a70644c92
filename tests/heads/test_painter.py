import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mm_keras.heads import Painter


def transposed(x, kernel, bias):
    """Each pixel of `(H, W, C)` paints `kernel` `(3, 3, C', C)` at twice its place; the last edge is cut."""
    height, width, _ = x.shape
    canvas = np.zeros((2 * height + 1, 2 * width + 1, kernel.shape[2]))
    for i in range(height):
        for j in range(width):
            canvas[2 * i : 2 * i + 3, 2 * j : 2 * j + 3] += kernel @ x[i, j]
    return canvas[: 2 * height, : 2 * width] + bias


def convolved(x, kernel, bias):
    height, width, _ = x.shape
    padded = np.pad(x, ((1, 1), (1, 1), (0, 0)))
    return bias + sum(
        padded[i : i + height, j : j + width] @ kernel[i, j] for i in range(3) for j in range(3)
    )


def test_seed_stages_and_paint_follow_one_another():
    random = np.random.default_rng(7)
    layer = Painter(3, 4, 2, filters=[3])
    layer.build((1, 5))
    weights = [random.normal(size=weight.shape) for weight in layer.weights]
    layer.set_weights(weights)
    z = random.normal(size=5)
    grid = np.maximum(z @ weights[0] + weights[1], 0).reshape(2, 2, 3)
    drawn = np.maximum(transposed(grid, *weights[2:4]), 0)
    expected = convolved(drawn, *weights[4:])[:3]
    np.testing.assert_allclose(np.array(layer(z[None]))[0], expected, rtol=1e-4, atol=1e-4)  # Long sums.


@settings(max_examples=10)
@given(height=st.integers(1, 9), width=st.integers(1, 9), stages=st.integers(1, 3))
def test_any_size_can_be_painted(height, width, stages):
    layer = Painter(height, width, 1, filters=[2] * stages)
    z = np.ones((1, 3), "float32")
    assert layer(z).shape == layer.compute_output_shape(z.shape) == (1, height, width, 1)


@pytest.mark.parametrize("name", ["height", "width", "channels"])
def test_a_size_below_one_is_rejected(name):
    with pytest.raises(ValueError, match=f"`Painter` expects `{name}` .*Received: {name}=-1"):
        Painter(**{"height": 4, "width": 4, "channels": 1, name: -1})


@pytest.mark.parametrize("filters", [32, [], None])
def test_filters_that_are_no_list_are_rejected(filters):
    with pytest.raises(ValueError, match="`Painter` expects `filters` to be a list of ints > 0"):
        Painter(4, 4, 1, filters)
