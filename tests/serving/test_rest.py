"""TensorFlow Serving's REST API, as its users know it."""

import base64
import http.client
import json
import math
import threading

import pytest
from small_models import ask, serving

from mm_keras.serving import json_tensors

PREDICT = "/v1/models/small:predict"
ROW = {"text": "a", "pair": [1.0, 2.0]}


def test_rows_are_answered_by_rows(server):
    status, answer = ask(server, PREDICT, {"instances": [ROW, {"text": "b", "pair": [3, 4.5]}]})
    assert status == 200
    assert answer == {
        "predictions": [
            {"said": "first a", "sum": 3.0, "rows": 2},
            {"said": "first b", "sum": 7.5, "rows": 2},
        ]
    }


def test_columns_are_answered_by_columns(server):
    _, answer = ask(server, PREDICT, {"inputs": {"text": ["a", "b"], "pair": [[1, 2], [3, 4]]}})
    assert answer == {"outputs": {"said": ["first a", "first b"], "sum": [3.0, 7.0], "rows": [2, 2]}}


@pytest.mark.parametrize(
    ("request_", "answer"),
    [
        ({"instances": ["a"]}, {"predictions": [{"b64": base64.b64encode(b"a\xff").decode()}]}),
        ({"instances": [{"text": "a"}]}, {"predictions": [{"b64": "Yf8="}]}),
        ({"instances": [{"b64": "YQ=="}]}, {"predictions": [{"b64": "Yf8="}]}),
        ({"inputs": ["a"]}, {"outputs": [{"b64": "Yf8="}]}),
        ({"inputs": {"text": [{"b64": "/w=="}]}}, {"outputs": [{"b64": "//8="}]}),
    ],
)
def test_one_input_needs_no_name_and_bytes_are_base64(server, request_, answer):
    assert ask(server, PREDICT, {"signature_name": "files", **request_}) == (200, answer)


def test_a_number_that_is_missing_is_nan_and_comes_back(server):
    body = b'{"instances": [{"text": "", "pair": [NaN, 1]}]}'
    status, answer = ask(server, PREDICT, body)
    assert status == 200
    assert math.isnan(answer["predictions"][0]["sum"])


def test_a_signature_without_batch_axis_is_answered(server):
    assert ask(server, PREDICT, {"signature_name": "alone", "inputs": 3.0}) == (200, {"outputs": 1.5})


def test_outputs_of_any_shape_and_type_are_answered_in_columns(server):
    request = {"signature_name": "count", "inputs": ["a", "b"]}
    assert ask(server, PREDICT, request) == (200, {"outputs": {"texts": ["a", "b"], "count": 2}})
    request = {"signature_name": "half", "instances": [3.0, 5.0]}
    assert ask(server, PREDICT, request) == (200, {"predictions": [1.5, 2.5]})


def test_a_long_request_is_read_in_a_thread_of_its_own(server, monkeypatch):
    threads, parse = [], json_tensors.parse_json

    def parse_here(body):
        threads.append(threading.current_thread().name)
        return parse(body)

    monkeypatch.setattr(json_tensors, "parse_json", parse_here)
    for length in (1, 2**21):
        text = "a" * length
        _, answer = ask(server, PREDICT, {"instances": [{"text": text, "pair": [1, 2]}]})
        assert answer["predictions"][0]["said"] == f"first {text}"
    short, long = threads
    assert long.startswith("read")
    assert short != long


def test_classify_and_regress_read_examples(server):
    request = {"signature_name": "classify", "examples": [{"text": "abc"}, {}], "context": {"text": "z"}}
    _, answer = ask(server, "/v1/models/small:classify", request)
    assert answer == {"results": [[["long", 3.0], ["short", -3.0]], [["long", 1.0], ["short", -1.0]]]}
    _, answer = ask(server, "/v1/models/small:regress", {"examples": [{"x": 1.5}, {}]})
    assert answer == {"results": [3.0, 0.0]}


def test_status_and_metadata_are_told_of_model_and_version(server):
    for path in ("/v1/models/small", "/v1/models/small/versions/1"):
        _, answer = ask(server, path)
        ok = {"error_code": "OK", "error_message": ""}
        assert answer == {"model_version_status": [{"version": "1", "state": "AVAILABLE", "status": ok}]}
    _, answer = ask(server, "/v1/models/small/metadata")
    assert answer["model_spec"] == {"name": "small", "version": "1", "signature_name": ""}
    assert list(answer["metadata"]["signature_def"]) == ["signature_def"]
    signatures = answer["metadata"]["signature_def"]["signature_def"]
    assert signatures["serving_default"]["inputs"]["pair"]["dtype"] == "DT_FLOAT"
    assert signatures["classify"]["method_name"] == "tensorflow/serving/classify"
    assert not any(name.startswith("__") for name in signatures)


@pytest.mark.parametrize(
    ("path", "body", "status", "words"),
    [
        (PREDICT, b"", 400, "a body of JSON"),
        (PREDICT, b"{", 400, "a body of JSON"),
        (PREDICT, b"[NaN", 400, "a body of JSON"),
        (PREDICT, b"\xff\xfe", 400, "a body of JSON"),
        (PREDICT, b"[" * 100_000, 400, "a body of JSON"),
        (PREDICT, b'{"a": NaN, "b":' + b"[" * 100_000, 400, "a body of JSON"),
        (PREDICT, b'{"\\ud800": NaN}', 400, "a body of JSON"),
        (PREDICT, b"[" + b"[]," * 2**22 + b"[]]", 400, "lists and objects"),
        (PREDICT, [], 400, "a JSON object"),
        (PREDICT, {}, 400, "`instances` or `inputs`"),
        (PREDICT, {"instances": [ROW], "inputs": {}}, 400, "Received: both"),
        (PREDICT, {"instances": []}, 400, "a list of at least one"),
        (PREDICT, {"instances": {}}, 400, "a list of at least one"),
        (PREDICT, {"instances": [1]}, 400, "`instances[0]` expects an object"),
        (PREDICT, {"instances": [{"text": "a"}]}, 400, "Received: none for `pair`"),
        (PREDICT, {"instances": [ROW | {"pairs": 1}]}, 400, "Did you mean `pair`?"),
        (PREDICT, {"instances": [ROW | {"pair": [1]}]}, 400, "shape (B, 2)"),
        (PREDICT, {"instances": [ROW, ROW | {"pair": [1]}]}, 400, "lists of equal length"),
        (PREDICT, {"instances": [ROW | {"pair": "1"}]}, 400, "`pair` expects float32"),
        (PREDICT, {"instances": [ROW | {"pair": [None, 1]}]}, 400, "send NaN, without quotes"),
        (PREDICT, {"instances": [ROW | {"pair": [True, False]}]}, 400, "`pair` expects float32"),
        (PREDICT, {"instances": [ROW | {"pair": [True, 1]}]}, 400, "`pair` expects float32"),
        (PREDICT, {"instances": [ROW | {"pair": [1, 10**400]}]}, 400, "a body of JSON"),
        # NumPy would make an array of strings of the longest one's length: 100 GB.
        (
            PREDICT,
            {"inputs": {"text": ["a"], "pair": [[0] * 100_000 + ["a" * 250_000]]}},
            400,
            "`pair` expects float32",
        ),
        (PREDICT, {"instances": [ROW] * 257}, 400, "at most 256 rows. Received: 257"),
        (PREDICT, {"inputs": {"text": ["a"] * 257, "pair": [[1, 2]] * 257}}, 400, "at most 256 rows"),
        (PREDICT, {"instances": [ROW | {"x" * 100_000: 1}]}, 400, "Received: 'xxx"),
        (PREDICT, {"signature_name": "count", "instances": ["a"]}, 400, "Ask in column form"),
        (PREDICT, {"instances": [ROW | {"text": 1}]}, 400, '`text` expects a string or {"b64"'),
        (PREDICT, {"instances": [ROW | {"text": ["a"]}]}, 400, "`text` expects a string"),
        (PREDICT, {"instances": [ROW | {"text": {"b64": "a"}}]}, 400, "`text` expects base64"),
        (PREDICT, {"instances": [ROW | {"text": {"b64": 1}}]}, 400, "`text` expects a string or"),
        (PREDICT, {"instances": [ROW | {"text": "\ud800"}]}, 400, "a body of JSON"),
        (PREDICT, {"inputs": {"text": ["a", "b"], "pair": [[1, 2]]}}, 400, "as many rows > 0"),
        (PREDICT, {"inputs": {"text": [], "pair": []}}, 400, "`pair` expects values of shape (B, 2)"),
        (PREDICT, {"inputs": 3}, 400, "values without a name"),
        (PREDICT, {"instances": [ROW | {"text": "bad"}]}, 400, "`text` expects a good text"),
        (PREDICT, {"signature_name": "no", "instances": [ROW]}, 400, "`signature_name` expects"),
        (PREDICT, {"signature_name": 3, "instances": [ROW]}, 400, "a string"),
        (PREDICT, {"signature_name": "regress", "instances": ["a"]}, 400, "whose method is `regress`"),
        (PREDICT, {"signature_name": "slow", "instances": [1.5]}, 400, "`count` expects int32"),
        (PREDICT, {"signature_name": "slow", "instances": [2**40]}, 400, "numbers that int32 holds"),
        (PREDICT, {"signature_name": "slow", "instances": [2**80]}, 400, "`count` expects int32"),
        ("/v1/models/small:classify", {"examples": []}, 400, "`examples`, a list"),
        ("/v1/models/small:classify", {"examples": [{}] * 257}, 400, "at most 256 rows"),
        (
            "/v1/models/small:classify",
            {"examples": [{}] * 256, "context": {"text": "a" * 2**21}},
            400,
            "or a smaller context",
        ),
        ("/v1/models/small:classify", {"examples": [{}], "context": 3}, 400, "`context` expects an object"),
        ("/v1/models/small:classify", b'{"examples": [{"\\ud800": NaN}]}', 400, "a body of JSON"),
        (
            "/v1/models/small:regress",
            b'{"examples": [{"x": [0.5, NaN, %s]}]}' % (b"9" * 400),
            400,
            "numbers that float32 holds",
        ),
        ("/v1/models/small:classify", {"examples": [1]}, 400, "`examples[0]` expects an object"),
        ("/v1/models/small:classify", {"examples": [{"text": [1, "a"]}]}, 400, "strings, base64 or numbers"),
        ("/v1/models/small:classify", {"examples": [{"text": None}]}, 400, "strings, base64 or numbers"),
        ("/v1/models/small:regress", {"examples": [{"x": "a"}]}, 400, "Data types don't match"),
        ("/v1/models/smal:predict", {"instances": [ROW]}, 404, "Did you mean `small`?"),
        ("/v1/models/small/versions/9:predict", {"instances": [ROW]}, 404, "version 9"),
        ("/v1/models/small/labels/canary:predict", {"instances": [ROW]}, 404, "'canary'"),
        ("/v1/models/small/versions/x:predict", {"instances": [ROW]}, 400, "Malformed request"),
        ("/v1/models/small:explain", {"instances": [ROW]}, 400, "Malformed request"),
        ("/v1/models/small/versions/9", None, 404, "version 9"),
        ("/v1/models/other", None, 404, "'other'"),
        ("/v2/models", None, 404, "Malformed request"),
        ("/v1/models/small/../../etc/passwd", None, 400, "Malformed request"),
    ],
)
def test_what_does_not_fit_is_named(server, path, body, status, words):
    got, answer = ask(server, path, body)
    assert got == status
    assert list(answer) == ["error"]
    assert words in answer["error"]
    assert len(answer["error"]) < 1100


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", PREDICT, "POST"),
        ("PUT", PREDICT, "POST"),
        ("POST", "/v1/models/small", "GET"),
        ("DELETE", "/healthz", "GET"),
    ],
)
def test_other_methods_are_refused_with_those_allowed(server, method, path, allowed):
    connection = http.client.HTTPConnection("127.0.0.1", server.rest_port)
    connection.request(method, path)
    answer = connection.getresponse()
    assert answer.status == 405
    assert answer.headers["allow"] == allowed
    assert "error" in json.loads(answer.read())


def test_a_body_that_is_too_long_is_refused_however_its_length_is_told(small_model):
    body = json.dumps({"instances": [ROW | {"text": "a" * 2000}]}).encode()
    with serving(small_model, most_bytes=1000, grpc_port=None) as server:
        assert ask(server, PREDICT, {"instances": [ROW]})[0] == 200
        for sent in (body, iter([body[:900], body[900:]])):
            connection = http.client.HTTPConnection("127.0.0.1", server.rest_port)
            connection.request("POST", PREDICT, sent, encode_chunked=not isinstance(sent, bytes))
            answer = connection.getresponse()
            assert answer.status == 413
            assert "at most 1,000 bytes" in json.loads(answer.read())["error"]


def test_keys_are_asked_for_but_not_of_health(small_model):
    with serving(small_model, api_keys=(b"one", b"two"), grpc_port=None) as server:
        assert ask(server, "/healthz")[0] == 200
        assert ask(server, "/readyz")[0] == 200
        for path in ("/v1/models/small", "/metrics", "/openapi.json"):
            assert ask(server, path)[0] == 401
            assert ask(server, path, headers={"x-api-key": "three"})[0] == 401
            assert ask(server, path, headers={"x-api-key": "two"})[0] == 200
            assert ask(server, path, headers={"authorization": "Bearer one"})[0] == 200


def test_pages_of_named_origins_may_ask(small_model):
    with serving(small_model, cors=("http://page",), grpc_port=None) as server:
        connection = http.client.HTTPConnection("127.0.0.1", server.rest_port)
        for origin, allowed in (("http://page", "http://page"), ("http://other", None)):
            connection.request("GET", "/v1/models/small", headers={"origin": origin})
            answer = connection.getresponse()
            answer.read()
            assert answer.headers.get("access-control-allow-origin") == allowed


def test_metrics_count_answers_and_batches(small_model):
    with serving(small_model, grpc_port=None) as server:
        ask(server, PREDICT, {"instances": [ROW, ROW]})
        ask(server, PREDICT, {})
        ask(server, "/v1/models/nothing-like-it:predict", {})
        _, page = ask(server, "/monitoring/prometheus/metrics")
    assert 'mm_keras_requests_total{api="REST",code="OK",method="predict",model="small"} 1.0' in page
    assert 'code="INVALID_ARGUMENT",method="predict",model="small"} 1.0' in page
    assert 'code="NOT_FOUND",method="predict",model=""} 1.0' in page
    assert 'mm_keras_version_available{model="small",version="1"} 1.0' in page
    assert 'mm_keras_batch_rows_bucket{le="1.0"} 0.0' in page
    assert 'mm_keras_batch_rows_bucket{le="2.0"} 1.0' in page
    assert "process_resident_memory_bytes" in page


def test_the_description_names_each_input(server):
    status, about = ask(server, "/openapi.json")
    assert status == 200
    schema = about["paths"][PREDICT]["post"]["requestBody"]["content"]["application/json"]["schema"]
    part, other = (
        next(
            part
            for part in schema["oneOf"]
            if part["properties"]["signature_name"] == {"const": name} and "instances" in part["properties"]
        )
        for name in ("serving_default", "files")
    )
    assert part["required"] == ["instances"]  # Its name may be left out.
    assert other["required"] == ["signature_name", "instances"]
    rows = part["properties"]["instances"]["items"]
    assert rows["required"] == ["pair", "text"]
    assert rows["properties"]["pair"] == {
        "type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 2,
    }  # fmt: skip
