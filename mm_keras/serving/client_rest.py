"""TensorFlow Serving's REST API, as the client writes and reads it, and how it is sent."""

import base64
import json
import re
from dataclasses import dataclass
from urllib.parse import quote

import httpx
import numpy as np
import orjson

from mm_keras.checks import message
from mm_keras.serving.client_answers import objects, read_signatures, read_versions
from mm_keras.serving.client_places import unreachable
from mm_keras.serving.errors import CODES, ServingError

MODEL_PATH = re.compile(r"/v1/models/([^/:]+)")
LIMITS = httpx.Limits(max_connections=256, max_keepalive_connections=256, keepalive_expiry=30)


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    body: bytes | None = None


class RestWire:
    """Makes requests and reads answers of the REST API; sends nothing.

    Args:
        place: Place. Of the server.
        model: str or None. None: to be set before anything but `models` is asked.
        version: int or None.
        label: str or None.
    """

    def __init__(self, place, model, version=None, label=None):
        self.place, self.model = place, model
        self._choice = "" if version is None else f"/versions/{version}"
        if label is not None:
            self._choice = f"/labels/{quote(label, safe='')}"

    @property
    def _path(self):
        return f"/v1/models/{quote(self.model, safe='')}{self._choice}"

    def models(self):
        """Asks for the names of all models: of a server of this package, which describes its API."""

        def read(response):
            found = map(MODEL_PATH.match, self._read(response).get("paths", {}))
            return sorted({match[1] for match in found if match})

        return Request("GET", "/openapi.json"), read

    def predict(self, signature, inputs, outputs):
        """Returns a Request, and what reads its answer: response -> dict, name -> array."""
        columns = {name: _write(column) for name, column in inputs.items()}
        body = {"signature_name": signature, "inputs": columns}
        request = Request(
            "POST", f"{self._path}:predict", orjson.dumps(body, option=orjson.OPT_SERIALIZE_NUMPY)
        )
        return request, lambda response: self._read_outputs(response, outputs)

    def metadata(self):
        def read(response):
            answer = self._read(response)
            return read_signatures(answer["metadata"]["signature_def"]["signature_def"])

        return Request("GET", f"{self._path}/metadata"), read

    def status(self):
        return Request("GET", self._path), lambda response: read_versions(self._read(response))

    def _read_outputs(self, response, outputs):
        found = self._read(response)["outputs"]
        if len(outputs) == 1 and not (isinstance(found, dict) and found.keys() == outputs.keys()):
            found = {next(iter(outputs)): found}
        return {name: _to_array(values, outputs.get(name, {}).get("dtype")) for name, values in found.items()}

    def _read(self, response):
        status = response.status_code
        try:
            answer = _parse(response.content)
        except ValueError:
            answer = None
        if status == 200 and isinstance(answer, dict) and "error" not in answer:
            return answer
        text = answer.get("error") if isinstance(answer, dict) else None
        if text is None:
            received = f"status {status} with `{response.text[:80].strip()}`"
            fix = "Check that the URL is that of the REST port."
            text = message("Client", f"JSON of TensorFlow Serving from {self.place.url}", received, fix)
        raise ServingError(_code_of(status), str(text), status, _seconds(response.headers.get("retry-after")))


def _code_of(status):
    if status in CODES:
        return CODES[status]
    if status == 502:  # A proxy that does not reach the server.
        return "UNAVAILABLE"
    return "INVALID_ARGUMENT" if 400 <= status < 500 else "UNKNOWN"


def _seconds(text):
    try:
        return max(float(text), 0.0)
    except (TypeError, ValueError):
        return None


def _write(column):
    if isinstance(column, np.ndarray) and column.dtype != object:
        if column.dtype.kind == "f" and not np.isfinite(column).all():
            return orjson.Fragment(json.dumps(column.tolist()))  # orjson would write NaN as null.
        return np.ascontiguousarray(column)
    return [value if isinstance(value, str) else _write_bytes(value) for value in column]


def _write_bytes(contents):
    return orjson.Fragment(b'{"b64":"' + base64.b64encode(contents) + b'"}')


def _parse(content):
    try:
        return orjson.loads(content)
    except orjson.JSONDecodeError:  # NaN and Infinity stand in it as such.
        return json.loads(content)


def _to_array(values, dtype):
    if dtype in ("string", None):
        shape, flat = _flatten(values)
        if dtype == "string" or any(isinstance(value, (str, dict)) for value in flat):
            return objects([_read_bytes(value) for value in flat], shape)
    array = np.asarray(values, None if dtype == "unknown" else dtype)
    return array.astype(np.float32) if dtype in (None, "unknown") and array.dtype.kind == "f" else array


def _flatten(values):
    shape = []
    level = values
    while isinstance(level, list):
        shape.append(len(level))
        level = level[0] if level else None
    for _ in shape[1:]:
        values = [inner for outer in values for inner in outer]
    return shape, values if shape else [values]


def _read_bytes(value):
    return base64.b64decode(value["b64"]) if isinstance(value, dict) else value


class RestTransport:
    """Sends requests over a pool of connections; may be used by several threads at once."""

    def __init__(self, place, api_key=None, verify=True):
        self._place = place
        self._client = httpx.Client(**_settings(place, api_key, verify))

    def send(self, request, timeout):
        try:
            return self._client.request(request.method, request.path, content=request.body, timeout=timeout)
        except httpx.HTTPError as error:
            raise _not_answered(self._place, error) from error

    def close(self):
        self._client.close()


class AsyncRestTransport:
    """Sends requests over a pool of connections of one event loop."""

    def __init__(self, place, api_key=None, verify=True):
        self._place = place
        self._client = httpx.AsyncClient(**_settings(place, api_key, verify))

    async def send(self, request, timeout):
        try:
            return await self._client.request(
                request.method, request.path, content=request.body, timeout=timeout
            )
        except httpx.HTTPError as error:
            raise _not_answered(self._place, error) from error

    async def close(self):
        await self._client.aclose()


def _settings(place, api_key, verify):
    headers = {"content-type": "application/json", "accept-encoding": "identity"}
    if api_key:
        headers["authorization"] = f"Bearer {api_key}"
    return {
        "base_url": place.url,
        "headers": headers,
        "verify": place.tls_context(verify),
        "limits": LIMITS,
        "trust_env": not place.is_local,  # A proxy of the environment does not know this machine's servers.
    }


def _not_answered(place, error):
    if isinstance(error, httpx.TimeoutException):
        fix = "Raise `timeout`, or send fewer rows at once."
        text = message("Client", f"an answer of {place.url} in time", "none", fix)
        return ServingError("DEADLINE_EXCEEDED", text)
    return unreachable(place, str(error) or type(error).__name__)
