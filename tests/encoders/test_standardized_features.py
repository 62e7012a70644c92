import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from mm_keras.encoders import StandardizedFeatures
from mm_keras.encoders.standardized_features import steps_before_padding

STATISTICS = {"mean": [1.0, -2.0], "variance": [4.0, 0.25]}


def test_a_vector_is_normalised():
    x = np.array([[3.0, -2.0], [0.0, 0.0]])
    np.testing.assert_allclose(StandardizedFeatures(**STATISTICS)(x), [[1, 0], [-0.5, 4]], rtol=1e-6)


def test_padding_stays_zero_and_zeros_between_steps_are_normalised():
    x = np.array([[[3.0, -2.0], [0.0, 0.0], [5.0, 0.0], [0.0, 0.0], [0.0, 0.0]]])
    expected = [[[1, 0], [-0.5, 4], [2, 4], [0, 0], [0, 0]]]
    np.testing.assert_allclose(StandardizedFeatures(**STATISTICS)(x), expected, rtol=1e-6)


@settings(max_examples=30)
@given(st.lists(st.integers(0, 1), min_size=1, max_size=6))
def test_padding_is_what_follows_the_last_filled_step_but_never_the_first(filled):
    x = np.array(filled, "float32")[None, :, None]
    last = max((i for i, step in enumerate(filled) if step), default=0)
    expected = [[i <= last for i in range(len(filled))]]
    np.testing.assert_array_equal(steps_before_padding(x), expected)


def test_adapt_learns_what_the_constructor_takes():
    x = np.array([[1.0, 10.0], [3.0, 30.0]], "float32")
    layer = StandardizedFeatures()
    layer.adapt(x)
    np.testing.assert_allclose(layer(x), [[-1, -1], [1, 1]], rtol=1e-6)
