"""The OpenAPI description of what a server answers now, with the inputs and outputs of each model."""

import tensorflow as tf

from mm_keras.serving.served_model import DEFAULT_SIGNATURE

B64 = {
    "type": "object",
    "properties": {"b64": {"type": "string", "format": "byte", "contentEncoding": "base64"}},
    "required": ["b64"],
    "additionalProperties": False,
}
ERROR = {
    "type": "object",
    "properties": {"error": {"type": "string"}},
    "required": ["error"],
}
ERRORS = {
    "400": "What was sent does not fit: `error` says what was expected, what was received, how to mend it.",
    "401": "No API key that is known.",
    "404": "No such model, version or label.",
    "413": "The body is too long.",
    "503": "Too many requests wait, or no version of the model is available. Ask again later.",
    "504": "There was no answer in time.",
}


def describe_api(engine):
    """Returns the description, a dict of OpenAPI 3.1."""
    paths = {}
    for name in engine.repository.settings:
        paths |= _paths_of(engine.repository, name)
    for path, about in {"/healthz": "Alive", "/readyz": "Every model answers"}.items():
        paths[path] = {"get": _operation(about, {"type": "object"}, ("503",))}
    metrics = {
        "description": "Text of Prometheus.",
        "content": {"text/plain": {"schema": {"type": "string"}}},
    }
    paths["/metrics"] = {"get": {"summary": "Metrics", "responses": {"200": metrics}}}
    about = {
        "openapi": "3.1.0",
        "info": {
            "title": "Models of mm_keras",
            "version": "1",
            "description": "TensorFlow Serving's REST. A missing modality is an empty string (numbers: NaN).",
        },
        "paths": paths,
        "components": {"schemas": {"Error": ERROR}},
    }
    if engine.settings.api_keys:
        about["components"]["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
        about["security"] = [{"key": []}]
    return about


def _paths_of(repository, name):
    base = f"/v1/models/{name}"
    paths = {base: {"get": _operation("States of the versions", {"type": "object"}, ("404",))}}
    for version, state in repository.status(name).items():
        at = f"{base}/versions/{version}"
        paths[at] = {"get": _operation("State of the version", {"type": "object"}, ("404",))}
        if state.served is None:
            continue
        model = state.served
        paths[f"{at}:predict"] = {"post": _predict(model)}
        paths[f"{at}/metadata"] = {"get": _operation("Its signatures", {"type": "object"}, ("404",))}
        for method in ("classify", "regress"):
            if any(signature.method == method for signature in model.signatures.values()):
                paths[f"{at}:{method}"] = {"post": _examples(method)}
    newest = [path for path in paths if path.endswith(":predict")][:1]
    if newest:
        paths[f"{base}:predict"] = paths[newest[0]]
        paths[f"{base}/metadata"] = {"get": _operation("Its signatures", {"type": "object"}, ("404",))}
    return paths


def _predict(model):
    requests = []
    for signature in model.signatures.values():
        if signature.method != "predict":
            continue
        rows = _object({name: _schema(place) for name, place in signature.inputs.items()})
        columns = _object({name: _schema(place, 0) for name, place in signature.inputs.items()})
        named = {"signature_name": {"const": signature.name}}
        if len(signature.inputs) == 1:  # Its name may be left out.
            (place,) = signature.inputs.values()
            rows = {"anyOf": [rows, _schema(place)]}
            columns = {"anyOf": [columns, _schema(place, 0)]}
        for form, schema in (
            ("instances", {"type": "array", "minItems": 1, "items": rows}),
            ("inputs", columns),
        ):
            required = [form] if signature.name == DEFAULT_SIGNATURE else ["signature_name", form]
            requests.append(_object({**named, form: schema}, required, closed=False))
    answer = {"type": "object", "properties": {"predictions": {"type": "array"}, "outputs": {}}}
    return _operation("Answers", answer, tuple(ERRORS), {"oneOf": requests})


def _examples(method):
    value = {"anyOf": [{"type": ["string", "number"]}, B64]}
    example = {
        "type": "object",
        "additionalProperties": {"anyOf": [value, {"type": "array", "items": value}]},
    }
    request = _object(
        {
            "signature_name": {"type": "string"},
            "examples": {"type": "array", "minItems": 1, "items": example},
        },
        ["examples"],
        closed=False,
    )
    return _operation(f"Answers of tf.Example: {method}", {"type": "object"}, tuple(ERRORS), request)


def _object(properties, required=None, closed=True):
    """Returns the schema of an object; whole requests may hold more than is read, and are not `closed`."""
    required = list(properties) if required is None else required
    return {
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": not closed,
    }


def _schema(place, first=1):
    """Returns the schema of an input's values without its axes before `first`."""
    if place.dtype == tf.string:
        schema = {"anyOf": [{"type": "string"}, B64]}
    elif place.dtype.is_integer:
        schema = {"type": "integer", "minimum": place.dtype.min, "maximum": place.dtype.max}
    else:
        schema = {"type": "boolean"} if place.dtype.is_bool else {"type": "number"}
    for size in reversed((place.shape or ())[first:]):
        length = {} if size is None else {"minItems": size, "maxItems": size}
        schema = {"type": "array", "items": schema, **length}
    return schema


def _operation(summary, answer, errors, request=None):
    responses = {"200": {"description": "Answered.", "content": {"application/json": {"schema": answer}}}}
    error = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    responses |= {status: {"description": ERRORS[status], "content": error} for status in errors}
    operation = {"summary": summary, "responses": responses}
    if request:
        content = {"application/json": {"schema": request}}
        operation["requestBody"] = {"required": True, "content": content}
    return operation
