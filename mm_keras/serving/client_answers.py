"""What servers answer -> arrays: the names, types and texts that both protocols share."""

import numpy as np

BYTES = "_bytes"  # TensorFlow Serving encodes outputs whose names end so as base64.
TYPES = {
    "DT_FLOAT": "float32",
    "DT_DOUBLE": "float64",
    "DT_HALF": "float16",
    "DT_BFLOAT16": "float32",
    "DT_BOOL": "bool",
    "DT_STRING": "string",
    **{f"DT_{kind}{bits}": f"{kind.lower()}{bits}" for kind in ("INT", "UINT") for bits in (8, 16, 32, 64)},
}


def read_signatures(metadata):
    """Reads the JSON form of TensorFlow Serving's metadata.

    Args:
        metadata: dict, signature -> SignatureDef as JSON.

    Returns: dict, signature -> {"inputs": {name: {"dtype": str, "shape": list}}, "outputs": the same}. An
        axis of any length is None; so is a shape of unknown rank.
    """
    return {
        name: {side: _read_places(signature.get(side, {})) for side in ("inputs", "outputs")}
        for name, signature in sorted(metadata.items())
        if not name.startswith("__")
    }


def _read_places(places):
    return {
        name: {"dtype": TYPES.get(place.get("dtype"), "unknown"), "shape": _read_shape(place)}
        for name, place in sorted(places.items())
    }


def _read_shape(place):
    shape = place.get("tensor_shape", {})
    if shape.get("unknown_rank"):
        return None
    sizes = [int(axis.get("size", 0)) for axis in shape.get("dim", [])]
    return [None if size < 0 else size for size in sizes]


def read_versions(answer):
    """Reads the JSON form of a GetModelStatusResponse.

    Returns: list of dict, the newest version first: "version", int; "state", such as "AVAILABLE"; "code", a
        gRPC status, and "message", why it could not be loaded.
    """
    versions = [
        {
            "version": int(entry.get("version", 0)),
            "state": entry.get("state", "UNKNOWN"),
            "code": entry.get("status", {}).get("error_code", "OK"),
            "message": entry.get("status", {}).get("error_message", ""),
        }
        for entry in answer.get("model_version_status", [])
    ]
    return sorted(versions, key=lambda entry: -entry["version"])


def readable(outputs):
    """Names and types the outputs as `Predictor` does: texts are str, and what is bytes loses its suffix."""
    answers = {}
    for name, array in outputs.items():
        if array.dtype != object:
            answers[name] = array
        elif name.endswith(BYTES):
            answers[name.removesuffix(BYTES)] = array
        else:
            answers[name] = objects(
                [x.decode("utf-8", "replace") if isinstance(x, bytes) else x for x in array.ravel()],
                array.shape,
            )
    return answers


def objects(values, shape):
    array = np.empty(len(values), object)
    array[:] = values
    return array.reshape(shape)


def join(parts):
    """Joins the answers to several requests along the batch axis."""
    if len(parts) == 1:
        return parts[0]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
