"""Connections that ask for nothing, hold too much or take no answer, and those that are only unusual."""

import json
import re
import socket
import time

import pytest
from small_models import ask, serving

PREDICT = "/v1/models/small:predict"
BODY = json.dumps({"instances": [{"text": "a", "pair": [1.0, 2.0]}]}).encode()
HEAD = f"POST {PREDICT} HTTP/1.1\r\nhost: x\r\n".encode()
WHOLE = HEAD + b"content-length: %d\r\n\r\n" % len(BODY) + BODY
HEALTH = b"GET /healthz HTTP/1.1\r\nhost: x\r\n"
CHUNKED = HEAD + b"transfer-encoding: chunked\r\n\r\n%x\r\n" % len(BODY) + BODY + b"\r\n0\r\n"


@pytest.fixture(scope="module")
def impatient(small_model):
    """A server with which a request has half a second."""
    with serving(small_model, timeout=0.5, grpc_port=None) as server:
        yield server
        assert ask(server, PREDICT, BODY)[0] == 200


def raw(server, *parts, answers=10_000):
    """Returns what comes back to bytes that are sent by hand, until the connection is closed or
    all answers are there."""
    with socket.create_connection(("127.0.0.1", server.rest_port), timeout=20) as client:
        answer = b""
        try:
            for part in parts:
                client.sendall(part)
            while (len(statuses(answer)) < answers or answer[-1:] != b"}") and (piece := client.recv(2**16)):
                answer += piece
        except ConnectionError:  # It closed while more was sent.
            pass
        return answer


def statuses(answer):
    return re.findall(rb"HTTP/1.1 (\d+)", answer)


def test_a_request_that_does_not_come_to_an_end_is_closed(impatient):
    answer = raw(impatient, HEAD + b"content-length: 500\r\n\r\n", b'{"inst')
    assert statuses(answer) == [b"408"]
    assert b"its body within 0.5 s. Received: 6 bytes" in answer
    for unfinished in (b"", b"POST", HEAD, b"\r\n"):
        assert raw(impatient, unfinished) == b""


@pytest.mark.parametrize("behind", [b"\r\n", b"a"])
def test_what_comes_behind_an_answer_keeps_no_connection_open(impatient, behind):
    head = HEALTH + (b"\r\n" if behind == b"\r\n" else b"content-length: 9999\r\n\r\n")
    with socket.create_connection(("127.0.0.1", impatient.rest_port), timeout=20) as client:
        client.sendall(head)
        assert statuses(client.recv(2**16)) == [b"200"]
        began = time.monotonic()
        with pytest.raises(ConnectionError):
            while time.monotonic() - began < 4:  # uvicorn's own end is 5 s without a byte.
                client.sendall(behind)
                time.sleep(0.1)


@pytest.mark.parametrize(
    "start",
    [
        HEAD + b"x: ",
        HEALTH + b"transfer-encoding: chunked\r\n\r\n0\r\n",
        HEALTH + b"transfer-encoding: chunked\r\n\r\n0\r\nx: ",
        CHUNKED,
        HEALTH + b"\r\n",
    ],
    ids=["head", "trailers", "trailer", "trailers of a body", "empty lines"],
)
def test_what_has_no_end_is_not_read(impatient, start):
    more = b"\r\n" * 2**15 if start == HEALTH + b"\r\n" else b"a: b\r\n" * 2**13
    if start.endswith(b"x: "):
        more = b"a" * 2**16
    sent = 0
    with socket.create_connection(("127.0.0.1", impatient.rest_port), timeout=20) as client:
        with pytest.raises(ConnectionError):
            client.sendall(start)
            while sent < 2**26:
                sent += client.send(more)
    assert sent < 2**25  # What lies in the sockets of both ends included.


def test_trailers_of_a_body_are_left_out(impatient):
    answer = raw(impatient, CHUNKED + b"x-trailer: 1\r\n\r\n" + WHOLE, answers=2)
    assert statuses(answer) == [b"200", b"200"]


def test_requests_before_an_answer_are_answered_in_turn_but_not_without_number(impatient):
    answer = raw(impatient, (WHOLE + HEALTH + b"\r\n") * 20, answers=40)
    assert statuses(answer) == [b"200"] * 40
    bodies = re.findall(rb'\{"predictions|\{"status', answer)
    assert bodies == [b'{"predictions', b'{"status'] * 20
    assert len(statuses(raw(impatient, WHOLE * 5000))) < 200


def test_a_client_that_offers_another_protocol_is_answered_by_this_one(impatient):
    offer = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n"
    request = WHOLE.replace(b"host: x\r\n", b"host: x\r\n" + offer)
    answer = raw(impatient, request + WHOLE, answers=2)
    assert statuses(answer) == [b"200", b"200"]
    assert answer.count(b"first a") == 2


def test_an_answer_that_nobody_takes_is_not_kept(impatient):
    text = "a" * 2**24
    body = json.dumps({"signature_name": "files", "inputs": [text]}).encode()
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2**12)
        client.settimeout(30)
        client.connect(("127.0.0.1", impatient.rest_port))
        client.sendall(HEAD + b"content-length: %d\r\n\r\n" % len(body) + body)
        time.sleep(3)
        taken = 0
        with pytest.raises(ConnectionError):
            while piece := client.recv(2**16):
                taken += len(piece)
            raise ConnectionResetError  # Closed as if that were all.
    assert taken < len(text)
