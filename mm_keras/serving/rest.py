"""TensorFlow Serving's REST API, health and metrics, as an ASGI application."""

import asyncio
import hmac
import logging
import re
import time

import orjson
from google.protobuf import json_format
from starlette.middleware.cors import CORSMiddleware

from mm_keras.checks import message
from mm_keras.serving import json_tensors
from mm_keras.serving.engine import as_serving_error
from mm_keras.serving.errors import ServingError
from mm_keras.serving.examples import classes_of, rows_of_json, values_of
from mm_keras.serving.metrics import CONTENT_TYPE
from mm_keras.serving.model_status import metadata_message, status_message
from mm_keras.serving.openapi import describe_api

PATH = re.compile(
    r"/v1/models/(?P<model>[^/:]+)(?:/versions/(?P<version>\d{1,18})|/labels/(?P<label>[^/:]+))?"
    r"(?P<rest>:predict|:classify|:regress|/metadata)?"
)
JSON = b"application/json"
CLOSING = (408, 413)  # What is left of such a body is not read.
logger = logging.getLogger("mm_keras.serving.access")


def make_app(engine):
    """Returns the ASGI application of an Engine."""
    app, origins = _Endpoint(engine), list(engine.settings.cors)
    if origins:
        app = CORSMiddleware(app, allow_origins=origins, allow_methods=["*"], allow_headers=["*"])
    return app


class _Endpoint:
    """Answers every path itself, without a router: TensorFlow Serving has words of its own for those that it
    does not know."""

    def __init__(self, engine):
        self._engine = engine
        self._pages = {
            "/healthz": self._healthy,
            "/readyz": self._ready,
            "/metrics": self._metrics,
            "/monitoring/prometheus/metrics": self._metrics,
            "/openapi.json": self._api,
        }

    async def __call__(self, scope, receive, send):
        began = time.perf_counter()
        found, path = None, scope["path"]
        headers = [(b"content-type", JSON)]
        try:
            if path in self._pages:
                status, body, headers = self._page(scope, path, headers)
            else:
                self._check_key(scope)
                found = PATH.fullmatch(path)
                body = await self._answer(scope, receive, found)
                status = 200
            code = "OK"
        except (Exception, asyncio.CancelledError) as error:
            error = as_serving_error(error)
            status, code, body = error.http_status, error.code, orjson.dumps({"error": str(error)})
            if error.retry_after:
                headers.append((b"retry-after", b"%d" % error.retry_after))
            if status == 405:
                headers.append((b"allow", b"POST" if found and _asks(found) else b"GET"))
            if status == 401:
                headers.append((b"www-authenticate", b"Bearer"))
            if status in CLOSING:
                headers.append((b"connection", b"close"))
        headers.append((b"content-length", b"%d" % len(body)))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})
        self._tell(scope, found, status, code, began)

    def _tell(self, scope, found, status, code, began):
        if found:
            method = (found["rest"] or "/status")[1:]
            self._engine.count(found["model"], "REST", method, code, began)
        if self._engine.settings.access_log:
            milliseconds = round(1000 * (time.perf_counter() - began), 2)
            about = {"method": scope["method"], "path": scope["path"], "status": status}
            logger.info("Request", extra={**about, "milliseconds": milliseconds})

    def _page(self, scope, path, headers):
        if scope["method"] not in ("GET", "HEAD"):
            raise _not_allowed(scope, "GET")
        if path not in ("/healthz", "/readyz"):
            self._check_key(scope)
        return self._pages[path](headers)

    def _healthy(self, headers):
        return 200, b'{"status":"alive"}', headers

    def _ready(self, headers):
        ready = self._engine.ready
        return (200, b'{"status":"ready"}', headers) if ready else (503, b'{"status":"not ready"}', headers)

    def _metrics(self, headers):
        page = self._engine.metrics.page(self._engine.repository, self._engine.batcher.waiting_rows)
        return 200, page, [(b"content-type", CONTENT_TYPE.encode())]

    def _api(self, headers):
        return 200, orjson.dumps(describe_api(self._engine)), headers

    def _check_key(self, scope):
        keys = self._engine.settings.api_keys
        if keys and not is_known_key(dict(scope["headers"]), keys):
            raise ServingError(
                "UNAUTHENTICATED",
                message("request", "an API key", "none that is known", "Send `Authorization: Bearer KEY`."),
            )

    async def _answer(self, scope, receive, found):
        if found is None:
            text = f"Malformed request: {scope['method']} {scope['path'][:200]}"
            raise ServingError(
                "NOT_FOUND" if not scope["path"].startswith("/v1/") else "INVALID_ARGUMENT", text
            )
        place = (found["model"], int(found["version"]) if found["version"] else None, found["label"])
        if not _asks(found):
            if scope["method"] not in ("GET", "HEAD"):
                raise _not_allowed(scope, "GET")
            tell = metadata_message if found["rest"] else status_message
            answer = json_format.MessageToDict(
                tell(self._engine.repository, *place), preserving_proto_field_name=True, **_WITH_DEFAULTS
            )
            for field in answer.get("metadata", {}).values():
                field.pop("@type", None)  # TensorFlow Serving does not tell it.
            return json_tensors.dump(answer)
        if scope["method"] != "POST":
            raise _not_allowed(scope, "POST")
        self._engine.repository.choose(*place)  # Before a body is read that nobody will answer.
        self._engine.batcher.check_room()
        with self._engine.held.body() as body:
            await body.read(scope, receive)
            if found["rest"] == ":predict":
                return await self._predict(place, body)
            return await self._classify(place, found["rest"][1:], body)

    async def _predict(self, place, body):
        form, most = [], self._engine.settings.most_waiting

        def read(served):
            request, signature = _asked(served, body, "predict")
            inputs, in_rows = json_tensors.read_inputs(request, signature, most)
            form.append(in_rows)
            return signature, inputs

        _, _, outputs = await self._engine.answer(place, read, body.size)
        return json_tensors.write_rows(outputs) if form[0] else json_tensors.write_columns(outputs)

    async def _classify(self, place, method, body):
        most = self._engine.settings.most_waiting

        def read(served):
            request, signature = _asked(served, body, method)
            return signature, dict.fromkeys(signature.inputs, rows_of_json(request, most))

        _, _, outputs = await self._engine.answer(place, read, body.size)
        if method == "regress":
            return json_tensors.dump({"results": values_of(outputs)})
        classes, scores = classes_of(outputs)
        results = [
            [[label.decode("utf-8", "replace"), score] for label, score in zip(*row, strict=True)]
            for row in zip(classes.tolist(), scores.tolist(), strict=True)
        ]
        return json_tensors.dump({"results": results})


def _asked(served, body, method):
    """Returns the request in a body, a dict, and the Signature that it asks."""
    request = json_tensors.parse_json(body.take())
    return request, served.signature(json_tensors.signature_name(request), method)


_WITH_DEFAULTS = (
    {"always_print_fields_with_no_presence": True}
    if "always_print_fields_with_no_presence" in json_format.MessageToDict.__code__.co_varnames
    else {"including_default_value_fields": True}
)


def _asks(found):
    return (found["rest"] or "").startswith(":")


def _not_allowed(scope, method):
    text = message("request", f"the method {method}", f"{scope['method'][:20]}", f"Send {method}.")
    return ServingError("UNIMPLEMENTED", text, http_status=405)


def is_known_key(headers, keys):
    """Tells whether `authorization` (Bearer) or `x-api-key` among the headers, bytes, is one of the keys."""
    given = headers.get(b"x-api-key") or headers.get(b"authorization", b"").removeprefix(b"Bearer ")
    return any([hmac.compare_digest(given, key) for key in keys])  # All are compared: in equal time.
