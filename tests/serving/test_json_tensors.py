"""JSON values and arrays: what a type holds comes back exactly, what it does not hold is refused."""

import json
import math

import hypothesis
import hypothesis.extra.numpy as arrays
import hypothesis.strategies as st
import numpy as np
import pytest
import tensorflow as tf

from mm_keras.serving.errors import ServingError
from mm_keras.serving.json_tensors import read_tensor, write_columns, write_rows
from mm_keras.serving.served_model import Place

WHOLE = ("int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64")
SHAPES = arrays.array_shapes(max_dims=3, max_side=4)
VALUE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=2), inner, max_size=2),
)


@hypothesis.given(arrays.arrays(st.sampled_from([*WHOLE, "bool", "float32"]).map(np.dtype), SHAPES))
def test_values_come_back_exactly(array):
    read = read_tensor("x", array.tolist(), Place("x", tf.as_dtype(array.dtype), (None, *array.shape[1:])))
    assert read.dtype == array.dtype
    np.testing.assert_array_equal(read, array)


@pytest.mark.parametrize("name", WHOLE)
def test_whole_numbers_beyond_the_type_are_refused(name):
    dtype = tf.as_dtype(name)
    place = Place("x", dtype, (None,))
    assert read_tensor("x", [dtype.min, dtype.max], place).tolist() == [dtype.min, dtype.max]
    for value in (dtype.min - 1, dtype.max + 1, 2**70, -(2**70)):
        with pytest.raises(ServingError, match=f"numbers that {name} holds"):
            read_tensor("x", [0, value], place)


def test_a_number_beyond_double_is_refused():
    with pytest.raises(ServingError, match="numbers that float32 holds"):
        read_tensor("x", [0.5, 10**400], Place("x", tf.float32, (None,)))


@hypothesis.given(VALUE, st.sampled_from([tf.float32, tf.int32, tf.uint64, tf.bool, tf.string, tf.bfloat16]))
def test_any_value_gives_an_array_of_its_type_or_one_error(values, dtype):
    for shape in (None, (None,), (None, 2)):
        try:
            read = read_tensor("x", values, Place("x", dtype, shape))
        except ServingError as error:
            assert error.code == "INVALID_ARGUMENT"
        else:
            assert read.dtype == dtype.as_numpy_dtype


def test_numbers_that_json_has_no_word_for_are_kept():
    x = np.array([1.5, np.nan, np.inf, -np.inf], np.float32)
    for write, key in ((write_rows, "predictions"), (write_columns, "outputs")):
        one, nan, most, least = json.loads(write({"x": x}))[key]
        assert (one, most, least) == (1.5, math.inf, -math.inf)
        assert math.isnan(nan)


def test_complex_numbers_are_refused_by_name():
    with pytest.raises(ServingError, match="`x` expects an output that JSON holds. Received: complex64"):
        write_columns({"x": np.zeros(2, np.complex64)})
