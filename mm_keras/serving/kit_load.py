"""Sends a real row to a model again and again, and tells how fast it is answered. Needs Python alone.

    python load.py --requests 2000 --concurrency 32

It ends after the requests or the seconds, whichever comes first, with status 1 if an answer was no success.
"""

import argparse
import collections
import http.client
import json
import sys
import threading
import time
from pathlib import Path
from urllib.parse import urlsplit

HERE = Path(__file__).resolve().parent


class Load:
    """Sends requests over several connections.

    Args:
        url: str. Of the server, such as http://localhost:8501.
        path: str. Of the request.
        body: bytes. What is sent.
        requests: int > 0. How many, in all.
        seconds: float > 0. When to stop at the latest; also the longest wait for one answer.
    """

    def __init__(self, url, path, body, requests, seconds):
        self.url, self.path, self.body = urlsplit(url), path, body
        self.left, self.seconds = requests, seconds
        self.times, self.codes = [], collections.Counter()
        self.lock = threading.Lock()

    def run(self, concurrency):
        """Returns the seconds that it took."""
        began = time.perf_counter()
        self.until = began + self.seconds
        threads = [threading.Thread(target=self._send, daemon=True) for _ in range(concurrency)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return time.perf_counter() - began

    def _send(self):
        make = http.client.HTTPSConnection if self.url.scheme == "https" else http.client.HTTPConnection
        connection = make(self.url.hostname, self.url.port, timeout=self.seconds)
        path = self.url.path.rstrip("/") + self.path
        while self._take():
            began = time.perf_counter()
            try:
                connection.request("POST", path, self.body, {"Content-Type": "application/json"})
                answer = connection.getresponse()
                answer.read()
                code = answer.status
            except (OSError, http.client.HTTPException) as error:
                code = type(error).__name__
                connection.close()
            with self.lock:
                self.times.append(time.perf_counter() - began)
                self.codes[code] += 1
        connection.close()

    def _take(self):
        with self.lock:
            self.left -= 1
            return self.left >= 0 and time.perf_counter() < self.until


def summary(load, seconds):
    """Returns what a Load measured, times in milliseconds."""
    times, failed = sorted(load.times), sum(load.codes.values()) - load.codes[200]

    def quantile(share):
        return round(1000 * times[min(int(share * len(times)), len(times) - 1)], 2) if times else None

    return {
        "requests": len(times),
        "failures": failed,
        "codes": {str(code): count for code, count in load.codes.items() if count},
        "requests_per_second": round(len(times) / seconds, 1),
        "p50_ms": quantile(0.5),
        "p99_ms": quantile(0.99),
        "max_ms": quantile(1.0),
    }


def read_arguments(arguments):
    names = sorted(path.stem for path in (HERE / "requests").glob("*.json"))
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--url", default="http://localhost:8501", help="of the REST API (%(default)s)")
    parser.add_argument("--model", default=names[0] if names else None, help=f"one of {', '.join(names)}")
    parser.add_argument("--label", help="of a version, such as canary")
    parser.add_argument("--request", type=Path, help="JSON file (requests/MODEL.json)")
    parser.add_argument("--requests", type=int, default=1000, help="in all (%(default)s)")
    parser.add_argument("--seconds", type=float, default=60.0, help="at most (%(default)s)")
    parser.add_argument("--concurrency", type=int, default=8, help="connections (%(default)s)")
    given = parser.parse_args(arguments)
    if given.model is None and given.request is None:
        parser.error("no requests/MODEL.json lies beside this file: name a --request and a --model")
    if min(given.requests, given.concurrency, given.seconds) <= 0:
        parser.error("--requests, --seconds and --concurrency expect more than 0")
    return given


def main(arguments=None):
    given = read_arguments(arguments)
    body = (given.request or HERE / "requests" / f"{given.model}.json").read_bytes()
    label = f"/labels/{given.label}" if given.label else ""
    path = f"/v1/models/{given.model}{label}:predict"
    load = Load(given.url, path, body, given.requests, given.seconds)
    told = summary(load, load.run(given.concurrency))
    sys.stdout.write(json.dumps(told, indent=2) + "\n")
    return int(told["failures"] > 0 or not told["requests"])


if __name__ == "__main__":
    sys.exit(main())
