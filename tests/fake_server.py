"""A server that answers TensorFlow Serving's REST for a model that is a few lines of NumPy."""

import base64
import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np

DESCRIPTION = {
    "modalities": {
        "image": {"kind": "image", "size": [4, 4], "channels": 1},
        "audio": {"kind": "audio", "rate": 8000, "seconds": 1.0},
        "text": {"kind": "text", "column": "words"},
        "weights": {"kind": "numbers", "columns": ["a", "b"]},
        "motion": {"kind": "features", "shape": [3, 2], "encoder": {"kind": "dense"}},
    }
}
STRING, FLOAT, INT = ("DT_STRING", []), ("DT_FLOAT", []), ("DT_INT32", [])
RAW = {
    "image": STRING,
    "audio": STRING,
    "text": STRING,
    "weights": ("DT_FLOAT", [2]),
    "motion": ("DT_FLOAT", [3, 2]),
}
SIGNATURES = {
    "serving_default": (RAW, {"label": STRING, "label_scores": ("DT_FLOAT", [2]), "total": FLOAT}),
    "generate": (RAW, {"copy_image_bytes": STRING, "said": ("DT_INT16", [3]), "said_samples": INT}),
    "sample": ({**RAW, "seed": INT}, {"drawn": ("DT_STRING", [2]), "seed": INT}),
    "embed": (RAW, {"embedding": ("DT_FLOAT", [2])}),
    "describe": ({"about": STRING}, {"description": STRING}),
}
DTYPES = {"DT_FLOAT": np.float32, "DT_INT32": np.int32, "DT_INT16": np.int16}


class Refusal(Exception):
    """An answer that is an error: its HTTP status, gRPC code, text, and the seconds to wait."""

    def __init__(self, status, code, text, wait=None):
        super().__init__(text)
        self.status, self.code, self.text, self.wait = status, code, text, wait


def answer(signature, inputs):
    """Answers inputs, name -> list of bytes or array: so that a test sees what arrived."""
    if signature == "describe":
        return {"description": [json.dumps(DESCRIPTION).encode() for _ in inputs["about"]]}
    if inputs.keys() != SIGNATURES[signature][0].keys():
        raise Refusal(400, "INVALID_ARGUMENT", f"inputs {sorted(inputs)}")
    if any(contents.startswith(b"broken") for contents in inputs["image"]):
        raise Refusal(400, "INVALID_ARGUMENT", "`decode_image` expects an image. Received: bytes. Mend it.")
    sizes = np.asarray([[len(x), len(y)] for x, y in zip(inputs["image"], inputs["audio"], strict=True)])
    if signature == "generate":
        said = np.asarray([[-32768, 0, len(x)] for x in inputs["audio"]], np.int16)
        return {
            "copy_image_bytes": list(inputs["image"]),
            "said": said,
            "said_samples": np.full(len(said), 3, np.int32),
        }
    if signature == "sample":
        return {"drawn": [[x, b"\xc3\xa9"] for x in inputs["text"]], "seed": np.asarray(inputs["seed"])}
    if signature == "embed":
        return {"embedding": sizes.astype(np.float32)}
    total = np.nansum(inputs["weights"], axis=1) + np.nansum(inputs["motion"], axis=(1, 2))
    missing = np.isnan(inputs["weights"]).all(axis=1)
    return {
        "label": [x or b"nothing" for x in inputs["text"]],
        "label_scores": sizes.astype(np.float32),
        "total": np.where(missing, np.nan, total).astype(np.float32),
    }


def metadata(signatures=tuple(SIGNATURES)):
    """Returns the JSON of GetModelMetadata's signature_def."""

    def place(dtype, shape):
        axes = [{"size": str(size), "name": ""} for size in [-1, *shape]]
        return {"dtype": dtype, "name": "x:0", "tensor_shape": {"dim": axes, "unknown_rank": False}}

    return {
        name: {
            side: {key: place(*entry) for key, entry in places.items()}
            for side, places in zip(("inputs", "outputs"), SIGNATURES[name], strict=True)
        }
        | {"method_name": "tensorflow/serving/predict"}
        for name in signatures
    }


STATUS = {
    "model_version_status": [
        {"version": "1", "state": "END", "status": {"error_code": "OK", "error_message": ""}},
        {"version": "2", "state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}},
    ]
}


class FakeServer:
    """What a fake server shows of itself.

    Args:
        url: str.
        faults: list of Refusal or callable. The first is taken off and answers the next predict request.
        seen: list of (path, headers, body as JSON or None). Requests in order.
        signatures: tuple of str. Those that its metadata tells.
        paths: tuple of str or None. Those that its OpenAPI description tells; None: it has none.
    """

    def __init__(self):
        self.url = None
        self.faults, self.seen = [], []
        self.signatures = tuple(SIGNATURES)
        self.paths = ("/v1/models/fake", "/v1/models/fake:predict", "/healthz")

    def predicted(self):
        return [body for path, _, body in self.seen if path.endswith(":predict")]


def _read(values):
    return [base64.b64decode(x["b64"]) if isinstance(x, dict) else x.encode() for x in values]


def _write(name, values):
    if isinstance(values, np.ndarray):
        return values.tolist()
    if isinstance(values, list):
        return [_write(name, value) for value in values]
    return {"b64": base64.b64encode(values).decode()} if name.endswith("_bytes") else values.decode()


def _answer_json(body):
    places = SIGNATURES[body["signature_name"]][0]
    inputs = {
        name: _read(values) if places[name] == STRING else np.asarray(values, DTYPES[places[name][0]])
        for name, values in body["inputs"].items()
    }
    found = answer(body["signature_name"], inputs)
    outputs = {name: _write(name, values) for name, values in found.items()}
    return {"outputs": outputs if len(outputs) > 1 else next(iter(outputs.values()))}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # Head and body in one packet.
    fake = None

    def log_message(self, *words):
        pass

    def do_GET(self):
        self.fake.seen.append((self.path, dict(self.headers), None))
        if self.path.endswith("/metadata"):
            signatures = metadata(self.fake.signatures)
            self._send(200, {"metadata": {"signature_def": {"signature_def": signatures}}})
        elif self.path == "/openapi.json" and self.fake.paths is not None:
            self._send(200, {"paths": dict.fromkeys(self.fake.paths, {})})
        elif "/fake" in self.path:
            self._send(200, STATUS)
        else:
            self._send(404, {"error": f"Servable not found for request: {self.path}"})

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.fake.seen.append((self.path, dict(self.headers), body))
        try:
            if self.fake.faults and body["signature_name"] != "describe":
                fault = self.fake.faults.pop(0)
                if not isinstance(fault, Refusal):
                    fault(self)
                    return
                raise fault
            self._send(200, _answer_json(body))
        except Refusal as refusal:
            headers = {} if refusal.wait is None else {"Retry-After": str(refusal.wait)}
            self._send(refusal.status, {"error": refusal.text}, headers)

    def _send(self, status, content, headers=None):
        self.send_raw(status, json.dumps(content).encode(), headers)

    def send_raw(self, status, contents, headers=None):
        self.send_response(status)
        for name, value in {"Content-Length": str(len(contents)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(contents)


@contextmanager
def fake_server():
    """Starts a FakeServer of the model `fake` on a free port of 127.0.0.1."""
    fake = FakeServer()
    handler = type("Handler", (_Handler,), {"fake": fake})
    server = type("Server", (ThreadingHTTPServer,), {"request_queue_size": 64})(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    fake.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield fake
    finally:
        server.shutdown()
        server.server_close()
