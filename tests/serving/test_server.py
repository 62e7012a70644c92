"""A server as a process: how it starts, ends, and what it refuses."""

import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
import urllib.request

import grpc
import pytest
from small_models import ask, serving
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

PREDICT = "/v1/models/small:predict"
SLOW = {"signature_name": "slow", "instances": [100_000]}


def free_port():
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return listening.getsockname()[1]


@pytest.mark.slow
def test_the_command_serves_tells_json_lines_and_a_stop_answers_what_it_took(small_model):
    port = free_port()
    command = [sys.executable, "-m", "mm_keras", "serve", str(small_model), "--rest-port", str(port)]
    command += ["--grpc-port", "-1", "--access-log"]
    process = subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, env={**os.environ, "COLUMNS": "200"}
    )
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(600):
            time.sleep(0.1)
            try:
                urllib.request.urlopen(f"{url}/readyz")
                break
            except OSError:
                assert process.poll() is None
        answers = []

        def load():
            body = json.dumps(SLOW).encode()
            answers.append(json.load(urllib.request.urlopen(f"{url}{PREDICT}", body)))

        thread = threading.Thread(target=load)
        thread.start()
        time.sleep(0.2)
        process.send_signal(signal.SIGTERM)
        thread.join()
        assert answers == [{"predictions": [100_000]}]
        _, told = process.communicate(timeout=30)
    finally:
        process.kill()
    assert process.returncode == 0
    assert "small, version 1" in told
    lines = [json.loads(line) for line in told.splitlines() if line.startswith("{")]
    assert [line["message"] for line in lines][:2] == ["A version is served", "Listening"]
    assert lines[-1]["message"] == "Stopped"
    request = next(line for line in lines if line.get("path") == PREDICT)
    assert (request["status"], request["level"]) == (200, "INFO")


def test_a_port_that_is_taken_is_named(small_model):
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        port = listening.getsockname()[1]
        with pytest.raises(ValueError, match=f"--rest-port.*{port}"), serving(small_model, rest_port=port):
            pass
        with pytest.raises(ValueError, match=f"--grpc-port.*{port}"), serving(small_model, grpc_port=port):
            pass


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"rest_port": None, "grpc_port": None}, "`serve` expects a port"),
        ({"rest_port": 65536}, "`--rest-port` expects a port, 0 to 65535. Received: 65536"),
        ({"grpc_port": -2}, "`--grpc-port` expects a port, 0 to 65535. Received: -2"),
        ({"certificate": "c.pem"}, "a certificate and its key, or neither"),
        ({"certificate": "no.pem", "key": "no.pem"}, "no.pem and no.pem: No such file"),
        ({"certificate": __file__, "key": __file__}, "Give PEM files that belong together"),
        ({"host": "no.such.host.invalid"}, "`--host` expects an address of this machine"),
    ],
)
def test_settings_that_cannot_be_are_named_before_a_model_is_loaded(small_model, settings, words):
    with pytest.raises(ValueError) as caught, serving(small_model, **settings):
        pass
    assert words in str(caught.value)


@pytest.mark.slow
def test_a_second_signal_ends_at_once(small_model):
    port = free_port()
    command = [sys.executable, "-m", "mm_keras", "serve", str(small_model), "--rest-port", str(port)]
    process = subprocess.Popen([*command, "--grpc-port", "-1"], stderr=subprocess.PIPE, text=True)
    try:
        for line in process.stderr:
            if "Listening" in line:
                break
        endless = json.dumps({"signature_name": "slow", "instances": [2**31 - 1]}).encode()
        head = f"POST {PREDICT} HTTP/1.1\r\nhost: x\r\ncontent-length: {len(endless)}\r\n\r\n".encode()
        with socket.create_connection(("127.0.0.1", port)) as client:
            client.sendall(head + endless)
            time.sleep(0.3)
            process.send_signal(signal.SIGINT)
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(1)
            process.send_signal(signal.SIGINT)
            assert process.wait(10) == 128 + signal.SIGINT
        assert "Stopped at once" in process.stderr.read()
    finally:
        process.kill()


def test_a_full_queue_refuses_at_once_and_the_others_are_answered(small_model):
    with serving(small_model, workers=1, most_rows=1, most_waiting=2) as server:
        results = []
        threads = [
            threading.Thread(target=lambda: results.append(ask(server, PREDICT, SLOW))) for _ in range(12)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        statuses = [status for status, _ in results]
        assert set(statuses) == {200, 503}
        assert statuses.count(200) >= 3
        assert all("to wait" in answer["error"] for status, answer in results if status == 503)


def test_a_request_that_takes_too_long_is_ended_in_the_graph_too(small_model):
    endless = {"signature_name": "slow", "instances": [2**31 - 1]}
    with serving(small_model, timeout=0.2, workers=1) as server:
        for _ in range(3):
            status, answer = ask(server, PREDICT, endless)
            assert status == 504
            assert "an answer in time" in answer["error"]
        time.sleep(0.3)
        assert ask(server, PREDICT, {"instances": [{"text": "a", "pair": [1, 2]}]})[0] == 200


def test_clients_that_hang_up_do_no_harm(small_model):
    with serving(small_model) as server:
        head = f"POST {PREDICT} HTTP/1.1\r\nhost: x\r\ncontent-length: 500\r\n\r\n".encode()
        body = json.dumps(SLOW).encode()
        whole = head.replace(b"500", b"%d" % len(body)) + body
        for sent in (b"", b"POST", head, head + body[:10], whole, b"\x16\x03\x01\x02\x00" * 40):
            with socket.create_connection(("127.0.0.1", server.rest_port)) as client:
                client.sendall(sent)
        assert ask(server, PREDICT, {"instances": [{"text": "a", "pair": [1, 2]}]})[0] == 200


def test_both_interfaces_speak_tls(small_model, tmp_path):
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    make = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", *subject]
    try:
        subprocess.run([*make, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("needs openssl")
    with serving(small_model, certificate=certificate, key=key) as server:
        context = ssl.create_default_context(cafile=certificate)
        url = f"https://localhost:{server.rest_port}/v1/models/small"
        assert urllib.request.urlopen(url, context=context).status == 200
        credentials = grpc.ssl_channel_credentials(certificate.read_bytes())
        with grpc.secure_channel(f"localhost:{server.grpc_port}", credentials) as channel:
            request = predict_pb2.PredictRequest()
            request.model_spec.name, request.model_spec.signature_name = "small", "files"
            request.inputs["text"].dtype = 7
            request.inputs["text"].tensor_shape.dim.add(size=1)
            request.inputs["text"].string_val.append(b"a")
            stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
            assert stub.Predict(request, timeout=20).outputs["file_bytes"].string_val == [b"a\xff"]
