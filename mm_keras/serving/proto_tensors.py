"""TensorProto <-> arrays, with the shapes and types that a signature asks for."""

import math

import numpy as np
import tensorflow as tf
from tensorflow.core.framework import types_pb2

from mm_keras.checks import closest, listing
from mm_keras.serving.errors import check_rows, refuse, shown
from mm_keras.serving.json_tensors import check_range, check_shape

VALUES = {
    np.dtype("float32"): "float_val",
    np.dtype("float64"): "double_val",
    np.dtype("int64"): "int64_val",
    np.dtype("uint64"): "uint64_val",
    np.dtype("uint32"): "uint32_val",
    np.dtype("bool"): "bool_val",
    **dict.fromkeys(map(np.dtype, ("int32", "int16", "int8", "uint16", "uint8")), "int_val"),
}
FIELDS = {dtype: (field, tf.as_dtype(dtype).as_datatype_enum) for dtype, field in VALUES.items()}
STRING = types_pb2.DT_STRING
NAMES = {number: name[3:].lower() for name, number in types_pb2.DataType.items()}
MOST_AXES = 32  # As NumPy has them.
MOST_REPEATED = 2**20  # A tensor of a few bytes can ask for a shape of any size: its last value is repeated.


def read_inputs(request, signature, most_rows):
    """Turns the inputs of a PredictRequest into arrays, name -> NumPy array.

    Args:
        request: PredictRequest.
        signature: Signature.
        most_rows: int. More are refused.

    Raises: ServingError, which names what does not fit.
    """
    names, given = signature.inputs, request.inputs
    for name in given:
        if name not in names:
            fix = f"{closest(name, names)}Send the inputs of the signature."
            raise refuse("inputs", listing(names), shown(name), fix)
    lost = [name for name in names if name not in given]
    if lost:
        fix = "Of a missing modality send an empty string (of numbers and features NaN)."
        raise refuse("inputs", f"every input of `{signature.name}`", f"none for {listing(lost)}", fix)
    for name in names:
        axes = given[name].tensor_shape.dim
        if signature.batched and axes:
            check_rows(name, axes[0].size, most_rows)
    return {name: read_tensor(name, given[name], names[name]) for name in names}


def read_tensor(name, proto, place):
    """Turns a TensorProto into an array of the type and shape that its Place has."""
    if proto.dtype != place.enum:
        received = NAMES.get(proto.dtype, f"type {proto.dtype}")
        raise refuse(name, f"a tensor of {place.dtype.name}", received, "Send that type.")
    if len(proto.tensor_shape.dim) > MOST_AXES:
        received = f"{len(proto.tensor_shape.dim)}"
        raise refuse(name, f"at most {MOST_AXES} axes", received, "Send the shape of the values.")
    shape = [axis.size for axis in proto.tensor_shape.dim]
    count = math.prod(shape)
    if proto.tensor_shape.unknown_rank or min(shape, default=0) < 0:
        raise refuse(name, "a known shape", f"{shape[:8]}", "Send the shape of the values.")
    check_shape(name, shape, place)
    if count > MOST_REPEATED and count > proto.ByteSize():  # Each value has a byte at least.
        fix = "Send as many as the shape says."
        raise refuse(name, f"{count} values", f"a tensor of {proto.ByteSize()} bytes", fix)
    if place.enum == STRING:
        if len(proto.string_val) != count:
            fix = "Send as many as the shape says."
            raise refuse(name, f"{count} strings in string_val", f"{len(proto.string_val)}", fix)
        array = np.empty(count, object)
        array[:] = proto.string_val
        return array if len(shape) == 1 else array.reshape(shape)
    if place.dtype.is_integer:
        check_range(name, proto.int_val, place.dtype)  # Else they would be others without a word.
    try:
        return tf.make_ndarray(proto)
    except (TypeError, ValueError) as error:
        raise refuse(name, f"{count} values", f"{str(error)[:200]}", "Send what the shape says.") from error


def write_tensor(proto, array):
    """Writes an array into a TensorProto, its values in the field of their type as TensorFlow Serving gives
    them."""
    for size in array.shape:
        proto.tensor_shape.dim.add(size=size)
    if array.dtype.kind in "OSU":
        proto.dtype = STRING
        proto.string_val.extend(array.ravel().tolist())
        return
    field, proto.dtype = FIELDS.get(array.dtype) or (None, tf.as_dtype(array.dtype).as_datatype_enum)
    if field:
        getattr(proto, field).extend(array.ravel().tolist())
    else:
        proto.tensor_content = array.tobytes()


def choose_outputs(names, signature):
    """Returns the names of the outputs that a request asks for; if it names none, of all.

    Raises: ServingError, if the signature has no such output, or one is named twice.
    """
    if len(names) > len(signature.outputs):
        fix = "Name each once, or none for all."
        raise refuse("output_filter", f"at most {len(signature.outputs)} names", f"{len(names)}", fix)
    for name in names:
        if name not in signature.outputs:
            fix = f"{closest(name, signature.outputs)}Name outputs of the signature."
            raise refuse("output_filter", listing(signature.outputs), shown(name), fix)
    if len(set(names)) != len(names):
        raise refuse("output_filter", "each name once", listing(names), "Remove what is there twice.")
    return list(names or signature.outputs)
