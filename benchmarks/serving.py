"""Requests a second of the embedded server, by REST and gRPC, beside FastAPI with ONNX Runtime.

    mm-keras train av_digits.yaml && mm-keras export runs/av_digits
    python benchmarks/serving.py saved_models/av_digits av_digits/manifest.csv --peer FOLDER

The model reads `image`, `audio` and `text`, and every request has all three. FOLDER is what `serving_peer.py`
wrote of the same run; without it the peer is left out. Server and load are processes on the same cores, and
take turns. Then comes twice the capacity for a while: what is not answered within a second is to be refused.
Figures go to benchmarks/figures/serving.json, and to README between its marks.
"""

import argparse
import base64
import csv
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path

from fusion_runs import existing, make_head, positive, show

FOLDER = Path(__file__).parent
REST, GRPC, PEER = 8501, 8500, 8600
KINDS = {"rest": REST, "grpc": GRPC, "peer": PEER}
TITLES = {"rest": "mm-keras, REST", "grpc": "mm-keras, gRPC", "peer": "FastAPI, ONNX Runtime"}
CONCURRENCY = [1, 8, 32, 128]
MOST_ROWS = 400
DEADLINE = 1.0  # Seconds, at twice the capacity.
CROWD = 600


def read_rows(manifest):
    """Returns the last rows with all three modalities, files as base64."""
    with open(manifest, encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["image"] and row["audio"] and row["text"]]

    def encoded(path):
        return base64.b64encode((Path(manifest).parent / path).read_bytes()).decode()

    return [
        {"image": encoded(row["image"]), "audio": encoded(row["audio"]), "text": row["text"]}
        for row in rows[-MOST_ROWS:]
    ]


@contextmanager
def running(command, url, core=None):
    """Gives a server's process once `url` answers; on one core alone, if that is given."""
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, preexec_fn=_bound_to(core)
    )
    try:
        end = time.monotonic() + 120
        while process.poll() is None and time.monotonic() < end:
            try:
                urllib.request.urlopen(url, timeout=5)
                break
            except OSError:
                time.sleep(0.2)
        else:
            raise SystemExit(f"{' '.join(map(str, command))} did not start.")
        yield process
    finally:
        process.terminate()
        process.wait(60)


def _bound_to(core):
    return None if core is None else lambda: os.sched_setaffinity(0, {core})


def load(kind, model, rows, core=None, **options):
    command = [sys.executable, str(FOLDER / "serving_load.py"), kind, str(KINDS[kind]), model, str(rows)]
    for name, value in options.items():
        command += [f"--{name}", str(value)]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        preexec_fn=_bound_to(core),
    )
    if done.returncode:
        raise SystemExit(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


def usage(process):
    """Returns (seconds of processor, resident MB) of a process."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    seconds = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return seconds, int(fields[21]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def measure(process, kind, model, rows, **options):
    before, _ = usage(process)
    result = load(kind, model, rows, **options)
    after, memory = usage(process)
    milliseconds = round(1000 * (after - before) / result["requests"], 3)
    return {**result, "server_ms": milliseconds, "memory_mb": round(memory)}


def measure_all(chosen, rows):
    model = chosen.model.name
    serve = [sys.executable, "-m", "mm_keras", "serve", str(chosen.model)]
    serve += ["--rest-port", str(REST), "--grpc-port", str(GRPC)]
    peer = [sys.executable, str(FOLDER / "serving_fastapi.py"), str(chosen.peer), "--port", str(PEER)]
    results, seconds = {}, {"seconds": chosen.seconds}
    for turn in range(chosen.turns):
        for kinds, command, url in (
            (["rest", "grpc"], serve, f"http://127.0.0.1:{REST}/readyz"),
            (["peer"] if chosen.peer else [], peer, f"http://127.0.0.1:{PEER}/openapi.json"),
        ):
            if not kinds:
                continue
            with running(command, url) as process:
                for kind in kinds:
                    load(kind, model, rows, concurrency=32, seconds=3)
                    for count in chosen.concurrency:
                        found = measure(process, kind, model, rows, concurrency=count, **seconds)
                        results.setdefault(f"{kind} {count}", []).append(found)
                        print(turn + 1, kind, count, found, flush=True)
    best = {key: max(turns, key=lambda turn: turn["per_second"]) for key, turns in results.items()}
    overloads = overload(chosen, serve, rows) if chosen.overload else {}
    return {"best": best, "turns": results, "overload": overloads}


def overload(chosen, serve, rows):
    """Asks for twice what the server can, for a while; server and load have a core each, so that it is the
    server that has too much to do."""
    model, (first, second) = chosen.model.name, sorted(os.sched_getaffinity(0))[:2]
    found = {}
    with running(serve, f"http://127.0.0.1:{REST}/readyz", core=first) as process:
        for kind in ("grpc", "rest"):
            capacity = load(kind, model, rows, core=second, concurrency=32, seconds=chosen.seconds)
            _, before = usage(process)
            # By REST connections that ask again at once: more of them than rows may wait.
            much = {"rate": 2 * capacity["per_second"]} if kind == "grpc" else {"concurrency": CROWD}
            options = {**much, "seconds": chosen.overload, "timeout": DEADLINE}
            found[kind] = {"capacity": capacity["per_second"], "before_mb": round(before)}
            found[kind] |= measure(process, kind, model, rows, core=second, **options)
            print("overload", kind, found[kind], flush=True)
    return found


def make_table(figures, concurrency):
    lines = make_head(["server", "at once", "requests/s", "p50", "p99", "of the server a request", "memory"])
    for kind, title in TITLES.items():
        for count in concurrency:
            found = figures["best"].get(f"{kind} {count}")
            if found:
                cells = [title, count, f"{found['per_second']:,.0f}"]
                cells += [f"{found['p50_ms']:.1f} ms", f"{found['p99_ms']:.1f} ms"]
                cells += [f"{found['server_ms']:.2f} ms", f"{found['memory_mb']:,} MB"]
                lines.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", type=existing, help="Such as saved_models/av_digits.")
    parser.add_argument("manifest", type=existing)
    parser.add_argument("--peer", type=existing, help="What serving_peer.py wrote.")
    parser.add_argument("--concurrency", type=positive, nargs="+", default=CONCURRENCY)
    parser.add_argument("--seconds", type=positive, default=10)
    parser.add_argument("--turns", type=positive, default=2, help="The best of so many is shown.")
    parser.add_argument("--overload", type=int, default=60, help="Seconds at twice the capacity; 0: none.")
    parser.add_argument("--output", type=Path, default=FOLDER / "figures" / "serving.json")
    parser.add_argument("--readme", type=existing, help="Put the table into this README.")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rows = Path(folder) / "rows.json"
        rows.write_text(json.dumps(read_rows(chosen.manifest)), encoding="utf-8")
        figures = measure_all(chosen, rows)
    chosen.output.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    show(make_table(figures, chosen.concurrency), chosen.readme, "serving")


if __name__ == "__main__":
    main()
