"""JSON of TensorFlow Serving's REST API <-> arrays: row form, column form, base64 values."""

import json

import numpy as np
import orjson
import pybase64
import tensorflow as tf

from mm_keras.checks import closest, listing
from mm_keras.serving.errors import check_rows, refuse, shown

BYTES = "_bytes"  # Outputs whose names end so are sent as base64.
MOST_LISTS = 2**22
NOT_A_NUMBER = (b"NaN", b"Infinity")  # JSON has none of them; TensorFlow Serving reads them all the same.


def parse_json(body):
    """Returns the JSON object of a request's body.

    Raises: ServingError, if it is none, or holds more lists and objects than a request can need.
    """
    if body.count(b"[") + body.count(b"{") > MOST_LISTS:  # Each takes 20 times its bytes.
        fix = "Send fewer rows, or send them by gRPC."
        raise refuse("request", f"at most {MOST_LISTS:,} lists and objects", "more", fix)
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        value = _parse_with_nan(body, error)
    if not isinstance(value, dict):
        fix = 'Such as {"instances": [...]} or {"inputs": {...}}.'
        raise refuse("request", "a JSON object", f"{type(value).__name__}", fix)
    return value


def _parse_with_nan(body, error):
    try:
        if any(word in body for word in NOT_A_NUMBER):
            value = json.loads(body)
            if b"\\u" in body:  # Half a character, which orjson refuses.
                json.dumps(value, ensure_ascii=False).encode()
            return value
    except (ValueError, RecursionError) as other:
        error = other
    fix = "Send what JSON.stringify or json.dumps gives."
    raise refuse("request", "a body of JSON, UTF-8", f"{str(error)[:200]}", fix) from error


def signature_name(request):
    """Returns the name of the signature that a request, a dict, asks; "" if it names none."""
    name = request.get("signature_name", "")
    if not isinstance(name, str):
        raise refuse("signature_name", "a string", shown(name), "Name a signature.")
    return name


def read_inputs(request, signature, most_rows):
    """Turns the JSON of a predict request into arrays.

    Args:
        request: dict.
        signature: Signature.
        most_rows: int. More are refused.

    Returns: (dict, name -> NumPy array; bool, whether it is in row form).
    Raises: ServingError, which names what does not fit.
    """
    if ("instances" in request) == ("inputs" in request):
        received = "both" if "inputs" in request else listing(request) or "neither"
        fix = "Send rows as `instances`, or columns as `inputs`."
        raise refuse("request", "`instances` or `inputs`", received, fix)
    if "inputs" in request:
        return _read_columns(request["inputs"], signature, most_rows), False
    return _read_rows(request["instances"], signature, most_rows), True


def _read_columns(columns, signature, most_rows):
    if not isinstance(columns, dict) or set(columns) == {"b64"}:
        columns = {_only(signature, "inputs"): columns}
    _check_names("inputs", columns, signature)
    for name, values in columns.items():
        if signature.batched and isinstance(values, list):
            check_rows(name, len(values), most_rows)
    return {name: read_tensor(name, columns[name], place) for name, place in signature.inputs.items()}


def _read_rows(rows, signature, most_rows):
    if not isinstance(rows, list) or not rows:
        fix = "Send one element for each example."
        raise refuse("instances", "a list of at least one", shown(rows), fix)
    check_rows("instances", len(rows), most_rows)
    names = signature.inputs
    if len(names) == 1 and not all(isinstance(row, dict) and set(row) == set(names) for row in rows):
        columns = {next(iter(names)): rows}
    else:
        for index, row in enumerate(rows):
            if not isinstance(row, dict):
                fix = f"Send an object with {listing(names)}."
                raise refuse(f"instances[{index}]", "an object", shown(row), fix)
            if row.keys() != names.keys():
                _check_names(f"instances[{index}]", row, signature)
        columns = {name: [row[name] for row in rows] for name in names}
    return {name: read_tensor(name, columns[name], place) for name, place in signature.inputs.items()}


def _only(signature, owner):
    if len(signature.inputs) != 1:
        fix = "Name each of them."
        raise refuse(owner, f"an object with {listing(signature.inputs)}", "values without a name", fix)
    return next(iter(signature.inputs))


def _check_names(owner, given, signature):
    names = signature.inputs
    for name in given:
        if name not in names:
            fix = f"{closest(name, names)}Send the inputs of the signature."
            raise refuse(owner, listing(names), shown(name), fix)
    lost = [name for name in names if name not in given]
    if lost:
        fix = 'Of a missing modality send "" (of numbers and features NaN).'
        raise refuse(owner, f"every input of `{signature.name}`", f"none for {listing(lost)}", fix)


def read_tensor(name, values, place):
    """Turns JSON values of an input into an array of the type and shape that its Place has."""
    array = _strings(name, values, place) if place.dtype == tf.string else _numbers(name, values, place)
    check_shape(name, array.shape, place)
    return array


def check_shape(name, shape, place):
    """Raises: ServingError, if a shape is not that of the Place."""
    if place.shape is None:
        return
    if len(shape) != len(place.shape) or any(
        want not in (None, got) for want, got in zip(place.shape, shape, strict=True)
    ):
        wanted = f"({', '.join('B' if axis is None else str(axis) for axis in place.shape)})"
        fix = "Send a list of one value for each example."
        raise refuse(name, f"values of shape {wanted}", f"shape {tuple(shape)}", fix)


def _strings(name, values, place):
    if place.shape is not None and len(place.shape) == 1 and isinstance(values, list):
        array = np.empty(len(values), object)
        for index, value in enumerate(values):
            array[index] = bytes_of(name, value)
        return array
    if isinstance(values, list):
        try:
            array = np.array(values, object)
        except ValueError as error:
            raise _ragged(name) from error
        flat = [bytes_of(name, value) for value in array.ravel()]
        result = np.empty(len(flat), object)
        result[:] = flat
        return result.reshape(array.shape)
    return np.array(bytes_of(name, values), object)


def bytes_of(name, value):
    if isinstance(value, str):
        try:
            return value.encode()
        except UnicodeEncodeError as error:
            fix = "Send whole characters; bytes as base64."
            raise refuse(name, "text that is UTF-8", f"{value[:40]!a}", fix) from error
    if isinstance(value, dict) and len(value) == 1 and isinstance(value.get("b64"), str):
        try:
            return pybase64.b64decode(value["b64"], validate=True)
        except ValueError as error:
            fix = "Encode the file's bytes as base64 with padding, without line breaks."
            raise refuse(name, "base64", f"{value['b64'][:40]!r} ({error})", fix) from error
    fix = "Send a text, or the bytes of a file as base64."
    raise refuse(name, 'a string or {"b64": "..."}', shown(value), fix)


def _numbers(name, values, place):
    # As objects first: beside a long string, NumPy would make room for as long a one in place of each number.
    try:
        array = np.array(values, object)
    except ValueError as error:
        raise _ragged(name) from error
    flat = array.ravel().tolist()
    kinds = set(map(type, flat))
    if list in kinds:
        raise _ragged(name)
    if not kinds <= _kinds(place.dtype):
        fix = f"Send numbers of the type {place.dtype.name}."
        if place.dtype.is_floating and type(None) in kinds:
            fix = "Of a missing number send NaN, without quotes."
        raise refuse(name, place.dtype.name, shown(values), fix)
    if place.dtype.is_integer:
        check_range(name, flat, place.dtype)
    if not place.dtype.is_floating:
        return array.astype(place.dtype.as_numpy_dtype)
    try:
        with np.errstate(over="ignore"):
            return array.astype(np.float64).astype(place.dtype.as_numpy_dtype)
    except OverflowError as error:
        expected = f"numbers that {place.dtype.name} holds"
        raise refuse(name, expected, shown(values), "Send smaller ones.") from error


def check_range(name, numbers, dtype):
    """Raises: ServingError, if a tensor of whole numbers does not hold all of a list of them."""
    least, most = min(numbers, default=0), max(numbers, default=0)
    if least < dtype.min or most > dtype.max:
        received = f"{shown(least)} to {shown(most)}"
        raise refuse(name, f"numbers that {dtype.name} holds", received, "Send smaller ones.")


def _kinds(dtype):
    """Returns the types of Python whose values a number of a tensor may have."""
    if dtype.is_bool:
        return {bool}
    return {int, float} if dtype.is_floating else {int} if dtype.is_integer else set()


def _ragged(name):
    return refuse(name, "lists of equal length", "lists of different lengths", "Send the same of each row.")


def write_rows(outputs):
    """Returns the body of an answer in row form, bytes of JSON.

    Raises: ServingError, if the outputs have not a value for each row.
    """
    counts = {len(x) if x.ndim else -1 for x in outputs.values()}
    if len(counts) != 1 or -1 in counts:
        shapes = listing(f"{name} {x.shape}" for name, x in outputs.items())
        fix = "Ask in column form: `inputs` in place of `instances`."
        raise refuse("instances", "a signature that gives a value for each row", f"outputs {shapes}", fix)
    columns = {name: _values(name, x) for name, x in outputs.items()}
    if len(columns) == 1:
        return dump({"predictions": next(iter(columns.values()))})
    rows = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    return dump({"predictions": rows})


def write_columns(outputs):
    """Returns the body of an answer in column form, bytes of JSON."""
    columns = {name: _values(name, x) for name, x in outputs.items()}
    return dump({"outputs": columns if len(columns) != 1 else next(iter(columns.values()))})


def _values(name, array):
    """Returns what JSON holds of an array: a list of strings, or the rows of numbers."""
    if array.dtype.kind == "V":  # bfloat16 and such, which NumPy itself does not know.
        array = array.astype(np.float32)
    if array.dtype.kind not in "OSUfiub":
        fix = "Ask for it by gRPC."
        raise refuse(name, "an output that JSON holds", f"{array.dtype.name}", fix)
    if array.dtype.kind not in "OSU":
        return list(array) if array.ndim > 1 else array if array.ndim else array.item()
    encode = _base64 if name.endswith(BYTES) else _text
    return _nested(array.tolist(), encode)


def _nested(values, encode):
    return [_nested(value, encode) for value in values] if isinstance(values, list) else encode(values)


def _text(value):
    return value.decode("utf-8", "replace")


def _base64(value):
    return {"b64": pybase64.b64encode_as_string(value)}


def dump(answer):
    """Returns an answer as bytes of JSON, in which NaN stays NaN."""
    text = orjson.dumps(answer, option=orjson.OPT_SERIALIZE_NUMPY)
    if b"null" in text:  # What orjson writes for NaN.
        return json.dumps(answer, default=lambda x: x.tolist(), ensure_ascii=False).encode()
    return text
