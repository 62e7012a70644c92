"""The load script: run as a user runs it, against a small server of this process."""

import json
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from mm_keras.serving import kit_load

SOURCE = Path(kit_load.__file__)


@pytest.fixture
def answering():
    """Starts a server that answers by (status, seconds); gives its URL and what it was sent."""
    started = []

    def start(statuses=(200,), seconds=0.0):
        seen = []

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                seen.append((self.path, body))
                time.sleep(seconds)
                self.send_response(statuses[len(seen) % len(statuses)])
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, *arguments):
                return

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        started.append(server)
        return f"http://127.0.0.1:{server.server_port}", seen

    yield start
    for server in started:
        server.shutdown()
        server.server_close()


@pytest.fixture
def kit(tmp_path):
    (tmp_path / "requests").mkdir()
    (tmp_path / "requests/keypad.json").write_text('{"inputs": {}}')
    (tmp_path / "load.py").write_text(SOURCE.read_text())
    return tmp_path


def run(kit, *arguments):
    command = [
        sys.executable,
        "-I",
        "-S",
        str(kit / "load.py"),
        *arguments,
    ]  # No installed package is needed.
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    return done.returncode, json.loads(done.stdout) if done.stdout else done.stderr


def test_as_many_requests_as_asked_for_are_sent_and_told(kit, answering):
    url, seen = answering()
    status, told = run(kit, "--url", url, "--requests", "40", "--concurrency", "4", "--label", "canary")
    assert status == 0 and told["requests"] == 40 and told["failures"] == 0 and told["codes"] == {"200": 40}
    assert set(seen) == {("/v1/models/keypad/labels/canary:predict", b'{"inputs": {}}')} and len(seen) == 40
    assert 0 < told["p50_ms"] <= told["p99_ms"] <= told["max_ms"] and told["requests_per_second"] > 0


def test_failures_are_counted_and_end_in_a_status(kit, answering):
    url, _ = answering(statuses=(200, 503))
    status, told = run(kit, "--url", url, "--requests", "10", "--concurrency", "1")
    assert status == 1 and told["failures"] == 5 and told["codes"] == {"200": 5, "503": 5}


def test_nobody_there_is_a_failure_and_no_crash(kit):
    status, told = run(kit, "--url", "http://127.0.0.1:9", "--requests", "2")
    assert status == 1 and told["codes"] == {"ConnectionRefusedError": 2}


def test_the_seconds_are_a_bound(kit, answering):
    url, _ = answering(seconds=0.05)
    began = time.perf_counter()
    _, told = run(kit, "--url", url, "--requests", "100000", "--seconds", "0.3", "--concurrency", "2")
    assert time.perf_counter() - began < 10 and 2 <= told["requests"] <= 20


def test_what_makes_no_sense_is_refused(kit):
    status, said = run(kit, "--concurrency", "0")
    assert status == 2 and "expect more than 0" in said
    (kit / "requests/keypad.json").unlink()
    status, said = run(kit)
    assert status == 2 and "name a --request" in said


def test_quantiles_are_of_all_times():
    load = kit_load.Load("http://localhost", "/", b"", 1, 1.0)
    load.times, load.codes[200] = [i / 1000 for i in range(100, 0, -1)], 100
    told = kit_load.summary(load, 2.0)
    assert (told["p50_ms"], told["p99_ms"], told["max_ms"]) == (51.0, 100.0, 100.0)
    assert told["requests_per_second"] == 50.0
