"""tf.Example, in which classify and regress requests state their rows."""

import numpy as np
from tensorflow.core.example import example_pb2

from mm_keras.serving.errors import check_rows, refuse, shown
from mm_keras.serving.json_tensors import bytes_of

MOST_NUMBER = 2**63
MOST_BYTES = 2**28  # Of the rows of a request: each holds its context again.


def rows_of_json(request, most_rows):
    """Returns the rows of a classify or regress request, a dict, as serialized examples `(B,)`; more than
    `most_rows` are refused.

    Raises: ServingError, which names what does not fit.
    """
    rows, context = request.get("examples"), request.get("context", {})
    if not isinstance(context, dict):
        fix = "Send an object of the features that all rows have."
        raise refuse("context", "an object", shown(context), fix)
    if not isinstance(rows, list) or not rows:
        fix = 'Such as {"examples": [{"text": "..."}]}.'
        raise refuse("request", "`examples`, a list of at least one object", shown(rows), fix)
    check_rows("examples", len(rows), most_rows)
    for index, row in enumerate(rows):
        if not isinstance(row, dict):
            fix = "Send an object of features."
            raise refuse(f"examples[{index}]", "an object", shown(row), fix)
    return _array(_example(context | row).SerializeToString() for row in rows)


def rows_of_input(given, most_rows):
    """Returns the rows of a `tensorflow.serving.Input`, serialized examples `(B,)`; more than `most_rows` are
    refused."""
    kind = given.WhichOneof("kind")
    listed = given.example_list if kind == "example_list" else given.example_list_with_context
    if kind is None or not listed.examples:
        fix = "Send an example_list."
        raise refuse("input", "at least one tf.Example", "none", fix)
    check_rows("input", len(listed.examples), most_rows)
    if kind == "example_list":
        return _array(example.SerializeToString() for example in listed.examples)
    return _array(_merged(listed.context, example) for example in listed.examples)


def _merged(context, example):
    whole = example_pb2.Example()
    whole.CopyFrom(context)
    for name, feature in example.features.feature.items():
        whole.features.feature[name].CopyFrom(feature)
    return whole.SerializeToString()


def _array(rows):
    whole, size = [], 0
    for row in rows:
        whole.append(row)
        size += len(row)
        if size > MOST_BYTES:
            fix = "Send fewer rows, or a smaller context."
            raise refuse("examples", f"rows of at most {MOST_BYTES:,} bytes in all", "more", fix)
    array = np.empty(len(whole), object)
    array[:] = whole
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
                raise refuse(name, "whole numbers of 64 bits", shown(value), "Send smaller ones.")
            feature.int64_list.value.extend(values)
        elif all(isinstance(x, (int, float)) and not isinstance(x, bool) for x in values):
            try:
                feature.float_list.value.extend(values)
            except OverflowError as error:
                raise refuse(
                    name, "numbers that float32 holds", shown(value), "Send smaller ones."
                ) from error
        else:
            fix = "Send values of one type."
            raise refuse(name, "strings, base64 or numbers", shown(value), fix)
    return example


def classes_of(outputs):
    """Returns the labels `(B, C)`, bytes, and scores `(B, C)` of a classify signature's outputs.

    TensorFlow Serving allows one of both to be left out.
    """
    classes, scores = outputs.get("classes"), outputs.get("scores")
    if scores is None:
        scores = np.zeros(classes.shape, np.float32)
    if classes is None:
        classes = np.full(scores.shape, b"", object)
    return classes.reshape(len(classes), -1), scores.reshape(len(scores), -1)


def values_of(outputs):
    """Returns the numbers, a list of B, of a regress signature's outputs `(B,)` or `(B, 1)`."""
    values = outputs["outputs"]
    if values.size != len(values):
        raise refuse("regress", "a number for each row", f"{values.shape}", "Ask by predict.")
    return values.ravel().tolist()
