"""TensorProto and arrays: every type and shape comes back, and a few bytes cannot ask for much memory."""

import hypothesis
import hypothesis.extra.numpy as arrays
import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import text_format
from tensorflow.core.framework import tensor_pb2

from mm_keras.serving.errors import ServingError
from mm_keras.serving.proto_tensors import read_tensor, write_tensor
from mm_keras.serving.served_model import Place

NUMBERS = (
    "float16",
    "float32",
    "float64",
    "int8",
    "uint8",
    "int16",
    "uint16",
    "int32",
    "uint32",
    "int64",
    "uint64",
)
ANY = arrays.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4)


@hypothesis.given(
    arrays.arrays(hypothesis.strategies.sampled_from([*NUMBERS, "bool"]).map(np.dtype), ANY),
)
def test_numbers_come_back_whatever_their_type_and_shape(array):
    place = Place("x", tf.as_dtype(array.dtype), None)
    for proto in (tf.make_tensor_proto(array), tensor_pb2.TensorProto()):
        if not proto.dtype:
            write_tensor(proto, array)
        back = read_tensor("x", proto, place)
        assert back.dtype == array.dtype
        np.testing.assert_array_equal(back, array)


@hypothesis.given(arrays.arrays(object, ANY, elements=hypothesis.strategies.binary(max_size=4)))
def test_bytes_come_back_whatever_their_shape(array):
    proto = tensor_pb2.TensorProto()
    write_tensor(proto, array)
    assert read_tensor("x", proto, Place("x", tf.string, None)).tolist() == array.tolist()


@pytest.mark.parametrize("content", [{}, {"float_val": [1.0]}, {"tensor_content": b"abcd"}])
def test_a_value_is_repeated_but_not_into_any_size(content):
    proto = tensor_pb2.TensorProto(dtype=1, **content)
    place = Place("x", tf.float32, (None, None))
    proto.tensor_shape.dim.add(size=2)
    proto.tensor_shape.dim.add(size=2**29)
    with pytest.raises(ServingError, match="`x` expects 1073741824 values"):
        read_tensor("x", proto, place)
    proto.tensor_shape.dim[1].size = 3
    if "tensor_content" in content:
        with pytest.raises(ServingError, match="`x` expects 6 values"):
            read_tensor("x", proto, place)
    else:
        assert read_tensor("x", proto, place).tolist() == [[content.get("float_val", [0.0])[0]] * 3] * 2


@pytest.mark.parametrize("value", [300, -1])
def test_whole_numbers_beyond_the_type_are_refused(value):
    proto = text_format.Parse(
        f"dtype: DT_UINT8 tensor_shape {{ dim {{ size: 2 }} }} int_val: [255, {value}]",
        tensor_pb2.TensorProto(),
    )
    with pytest.raises(ServingError, match="`x` expects numbers that uint8 holds"):
        read_tensor("x", proto, Place("x", tf.uint8, (None,)))


def test_a_shape_of_many_axes_is_refused_before_it_is_multiplied():
    proto = tensor_pb2.TensorProto(dtype=1)
    for size in [2**62] * 300:
        proto.tensor_shape.dim.add(size=size)
    with pytest.raises(ServingError, match="at most 32 axes. Received: 300"):
        read_tensor("x", proto, Place("x", tf.float32, None))
