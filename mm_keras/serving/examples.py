"""tf.Example, in which classify and regress requests state their rows."""

import numpy as np
from tensorflow.core.example import example_pb2
from tensorflow_serving.apis import input_pb2

from mm_keras.serving.json_tensors import bytes_of, refuse

MOST_NUMBER = 2**63


def rows_of_json(request):
    """Returns the rows of a classify or regress request, serialized examples `(B,)`.

    Raises: ServingError, which names what does not fit.
    """
    rows, context = request.get("examples"), request.get("context", {})
    if not isinstance(rows, list) or not rows or not isinstance(context, dict):
        fix = 'Such as {"examples": [{"text": "..."}]}.'
        raise refuse("request", "`examples`, a list of at least one object", f"{str(rows)[:80]}", fix)
    for index, row in enumerate(rows):
        if not isinstance(row, dict):
            fix = "Send an object of features."
            raise refuse(f"examples[{index}]", "an object", f"{str(row)[:80]}", fix)
    return _array(_example(context | row).SerializeToString() for row in rows)


def rows_of_input(given):
    """Returns the rows of a `tensorflow.serving.Input`, serialized examples `(B,)`."""
    if not isinstance(given, input_pb2.Input):
        raise TypeError(type(given).__name__)
    kind = given.WhichOneof("kind")
    listed = given.example_list if kind == "example_list" else given.example_list_with_context
    if kind is None or not listed.examples:
        fix = "Send an example_list."
        raise refuse("input", "at least one tf.Example", "none", fix)
    if kind == "example_list":
        return _array(example.SerializeToString() for example in listed.examples)
    merged = []
    for example in listed.examples:
        whole = example_pb2.Example()
        whole.CopyFrom(listed.context)
        for name, feature in example.features.feature.items():
            whole.features.feature[name].CopyFrom(feature)
        merged.append(whole.SerializeToString())
    return _array(merged)


def _array(rows):
    rows = list(rows)
    array = np.empty(len(rows), object)
    array[:] = rows
    return array


def _example(features):
    example = example_pb2.Example()
    for name, value in features.items():
        values = value if isinstance(value, list) else [value]
        feature = example.features.feature[name]
        if all(isinstance(x, (str, dict)) for x in values):
            feature.bytes_list.value.extend(bytes_of(name, x) for x in values)
        elif all(isinstance(x, int) and not isinstance(x, bool) for x in values):
            if any(not -MOST_NUMBER <= x < MOST_NUMBER for x in values):
                raise refuse(name, "whole numbers of 64 bits", f"{str(value)[:80]}", "Send smaller ones.")
            feature.int64_list.value.extend(values)
        elif all(isinstance(x, (int, float)) and not isinstance(x, bool) for x in values):
            feature.float_list.value.extend(values)
        else:
            fix = "Send values of one type."
            raise refuse(name, "strings, base64 or numbers", f"{str(value)[:80]}", fix)
    return example


def classes_of(outputs, rows):
    """Returns the labels `(B, C)`, bytes, and scores `(B, C)` of a classify signature's outputs.

    TensorFlow Serving allows one of both to be left out.
    """
    classes, scores = outputs.get("classes"), outputs.get("scores")
    if scores is None:
        scores = np.zeros(classes.shape, np.float32)
    if classes is None:
        classes = np.full(scores.shape, b"", object)
    return classes.reshape(rows, -1), scores.reshape(rows, -1)
