import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from mm_keras.encoders import StandardizedNumbers

NAN = float("nan")
STATISTICS = {"mean": [1.0, -2.0], "variance": [4.0, 0.25]}


def test_a_missing_number_becomes_the_mean_and_is_marked():
    x = np.array([[3.0, -2.0], [NAN, -1.5], [5.0, NAN], [NAN, NAN]], "float32")
    expected = [[1, 0, 0, 0], [0, 1, 1, 0], [2, 0, 0, 1], [0, 0, 1, 1]]
    np.testing.assert_allclose(StandardizedNumbers(**STATISTICS)(x), expected, rtol=1e-6)


@settings(max_examples=30)
@given(
    st.lists(
        st.tuples(*[st.one_of(st.just(NAN), st.floats(-100, 100, width=32))] * 2), min_size=1, max_size=4
    )
)
def test_values_are_finite_and_marks_are_where_numbers_are_missing(rows):
    x = np.array(rows, "float32")
    values, marks = np.split(np.array(StandardizedNumbers(**STATISTICS)(x)), 2, axis=-1)
    assert np.isfinite(values).all()
    np.testing.assert_array_equal(marks, np.isnan(x))
    assert (values[np.isnan(x)] == 0).all()


def test_adapt_learns_what_the_constructor_takes():
    x = np.array([[1.0, 10.0], [3.0, 30.0]], "float32")
    layer = StandardizedNumbers()
    layer.adapt(x)
    np.testing.assert_allclose(layer(x), [[-1, -1, 0, 0], [1, 1, 0, 0]], rtol=1e-6)


@pytest.mark.tensorflow
def test_a_missing_number_has_a_finite_gradient():
    x = tf.constant([[NAN, 3.0]])
    with tf.GradientTape() as tape:
        tape.watch(x)
        loss = tf.reduce_sum(StandardizedNumbers(**STATISTICS)(x))
    np.testing.assert_allclose(tape.gradient(loss, x), [[0.0, 2.0]], rtol=1e-6)


def test_numbers_keep_float32_under_mixed_precision():
    x = np.array([[1001.0, -2.0], [1003.0, NAN]], "float32")
    layer = StandardizedNumbers([1000.0, 0.0], [1.0, 1.0], dtype="mixed_bfloat16")
    np.testing.assert_allclose(layer(x), [[1, -2, 0, 0], [3, 0, 0, 1]], rtol=1e-6)
