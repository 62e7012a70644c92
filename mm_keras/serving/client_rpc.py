"""TensorFlow Serving's gRPC API, as the client writes and reads it, and how it is sent.

Its stubs import TensorFlow, so this file is imported when a URL says grpc.
"""

from pathlib import Path

import grpc
import numpy as np
import tensorflow as tf
from google.protobuf import json_format
from tensorflow.core.framework import types_pb2
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from mm_keras.checks import message
from mm_keras.serving.client_answers import read_signatures, read_versions
from mm_keras.serving.client_places import check_certificate, unreachable
from mm_keras.serving.errors import ServingError

OPTIONS = (
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
    ("grpc.initial_reconnect_backoff_ms", 100),  # The client's own back-off is not to wait for gRPC's.
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 2000),
)
CONNECTION = ("failed to connect", "Socket closed", "Connection", "DNS resolution failed", "handshak")


class RpcWire:
    """Makes requests and reads answers of the gRPC API; sends nothing.

    Args:
        place: Place. Of the server.
        model: str.
        version: int or None.
        label: str or None.
    """

    def __init__(self, place, model, version=None, label=None):
        self.place, self.model = place, model
        self._version, self._label = version, label

    def predict(self, signature, inputs, outputs):
        """Returns a request, and what reads its answer: response -> dict, name -> array."""
        request = predict_pb2.PredictRequest()
        self._name_model(request.model_spec).signature_name = signature
        for name, column in inputs.items():
            _write(request.inputs[name], column)
        return ("Predict", request), lambda response: {
            name: tf.make_ndarray(tensor) for name, tensor in response.outputs.items()
        }

    def metadata(self):
        request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
        self._name_model(request.model_spec)

        def read(response):
            found = get_model_metadata_pb2.SignatureDefMap()
            response.metadata["signature_def"].Unpack(found)
            return read_signatures(_as_json(found).get("signature_def", {}))

        return ("GetModelMetadata", request), read

    def status(self):
        request = get_model_status_pb2.GetModelStatusRequest()
        self._name_model(request.model_spec)
        return ("GetModelStatus", request), lambda response: read_versions(_as_json(response))

    def _name_model(self, spec):
        spec.name = self.model
        if self._version is not None:
            spec.version.value = self._version
        elif self._label is not None:
            spec.version_label = self._label
        return spec


def _as_json(proto):
    return json_format.MessageToDict(proto, preserving_proto_field_name=True)


def _write(tensor, column):
    if isinstance(column, np.ndarray) and column.dtype != object:
        tensor.dtype = tf.as_dtype(column.dtype).as_datatype_enum
        tensor.tensor_content = column.tobytes()
        shape = column.shape
    else:
        tensor.dtype = types_pb2.DT_STRING
        tensor.string_val.extend(x.encode() if isinstance(x, str) else x for x in column)
        shape = (len(column),)
    for size in shape:
        tensor.tensor_shape.dim.add().size = size


class RpcTransport:
    """Sends requests over one channel; may be used by several threads at once."""

    def __init__(self, place, api_key=None, verify=True):
        self._place, self._headers = place, _headers(api_key)
        self._channel = _open(grpc, place, verify)
        self._calls = _calls(self._channel)

    def send(self, request, timeout):
        method, proto = request
        try:
            return self._calls[method](proto, timeout=timeout, metadata=self._headers)
        except grpc.RpcError as error:
            raise _read_error(self._place, error) from error

    def close(self):
        self._channel.close()


class AsyncRpcTransport:
    """Sends requests over one channel of one event loop."""

    def __init__(self, place, api_key=None, verify=True):
        self._place, self._headers, self._verify = place, _headers(api_key), verify
        self._channel, self._calls = None, {}

    async def send(self, request, timeout):
        if self._channel is None:  # A channel belongs to the loop that runs when it is opened.
            self._channel = _open(grpc.aio, self._place, self._verify)
            self._calls = _calls(self._channel)
        method, proto = request
        try:
            return await self._calls[method](proto, timeout=timeout, metadata=self._headers)
        except grpc.aio.AioRpcError as error:
            raise _read_error(self._place, error) from error

    async def close(self):
        if self._channel is not None:
            await self._channel.close()


def _calls(channel):
    prediction = prediction_service_pb2_grpc.PredictionServiceStub(channel)
    return {
        "Predict": prediction.Predict,
        "GetModelMetadata": prediction.GetModelMetadata,
        "GetModelStatus": model_service_pb2_grpc.ModelServiceStub(channel).GetModelStatus,
    }


def _headers(api_key):
    return (("authorization", f"Bearer {api_key}"),) if api_key else ()


def _open(library, place, verify):
    options = [*OPTIONS, ("grpc.enable_http_proxy", int(not place.is_local))]
    if not place.is_encrypted:
        return library.insecure_channel(place.target, options)
    if verify is False:
        fix = "Pass the path of the server's certificate (PEM) as `verify`."
        raise ValueError(message("verify", "True or a path, of gRPC", "False", fix))
    roots = None if verify is True else Path(check_certificate(verify)).read_bytes()
    return library.secure_channel(place.target, grpc.ssl_channel_credentials(roots), options)


def _read_error(place, error):
    code, text = error.code().name, error.details() or ""
    if code == "UNAVAILABLE" and any(sign in text for sign in CONNECTION):
        return unreachable(place, text)
    if code == "DEADLINE_EXCEEDED":
        fix = "Raise `timeout`, or send fewer rows at once."
        text = message("Client", f"an answer of {place.url} in time", text or "none", fix)
    return ServingError(code, text or code, retry_after=_seconds(error.trailing_metadata()))


def _seconds(metadata):
    """Returns the seconds after which the server wants to be asked again, or None."""
    found = {key.lower(): value for key, value in metadata or ()}
    try:
        if "grpc-retry-pushback-ms" in found:
            return max(float(found["grpc-retry-pushback-ms"]) / 1000, 0.0)
        return max(float(found["retry-after"]), 0.0)
    except (KeyError, ValueError):
        return None
