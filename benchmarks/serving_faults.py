"""What the embedded server does when it is treated badly; ends with status 1 if it did wrong.

    python benchmarks/serving_faults.py saved_models/av_digits ROWS.json --payloads 10000

ROWS is a JSON list of rows such as {"image": base64, "audio": base64, "text": "..."}.

Under load a new version is copied in, then a broken one, and both are removed; a client hangs up in the
middle of requests; hostile bytes and JSON are sent; the server is killed while a version is copied, and
started again. No good request may fail, and every hostile one is to be answered with a status of 400 to 499.
"""

import argparse
import asyncio
import base64
import collections
import json
import random
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
import zlib
from contextlib import contextmanager
from pathlib import Path

import httpx
from fusion_runs import existing, positive
from serving import running

PORT = 8501
URL = f"http://127.0.0.1:{PORT}"


def ask(model, body, path=":predict"):
    """Returns (status, JSON) of a request."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    try:
        with urllib.request.urlopen(f"{URL}/v1/models/{model}{path}", data, timeout=30) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def versions(model):
    with urllib.request.urlopen(f"{URL}/v1/models/{model}") as answer:
        entries = json.load(answer)["model_version_status"]
    return {int(entry["version"]): (entry["state"], entry["status"]["error_message"]) for entry in entries}


def until(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise SystemExit("What was waited for did not happen.")
        time.sleep(0.05)


@contextmanager
def loaded(model, good, threads=4):
    """Asks good requests all the time; gives the counts of what came back."""
    counts, stop = collections.Counter(), threading.Event()

    def work():
        while not stop.is_set():
            try:
                counts[ask(model, good)[0]] += 1
            except (OSError, ValueError) as error:
                counts[type(error).__name__] += 1

    workers = [threading.Thread(target=work) for _ in range(threads)]
    for worker in workers:
        worker.start()
    try:
        yield counts
    finally:
        stop.set()
        for worker in workers:
            worker.join()


def exchange_versions(model, folder, good):
    with loaded(model, good) as counts:
        shutil.copytree(folder / "1", folder / "2")
        until(lambda: versions(model).get(2, ("",))[0] == "AVAILABLE")
        time.sleep(1)
        shutil.copytree(folder / "1", folder.parent / "broken")
        data = next((folder.parent / "broken" / "variables").glob("*.data*"))
        data.write_bytes(data.read_bytes()[:1000])
        (folder.parent / "broken").rename(folder / "3")
        until(lambda: versions(model).get(3, ("",))[0] == "END")
        why = versions(model)[3][1]
        time.sleep(1)
        shutil.rmtree(folder / "3")
        shutil.rmtree(folder / "2")
        until(lambda: versions(model)[1][0] == "AVAILABLE" and versions(model)[2][0] == "END")
    return {"answers": dict(counts), "why": why[:200]}


def hang_up(model, good, count=200):
    body = json.dumps(good).encode()
    head = (
        f"POST /v1/models/{model}:predict HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\n\r\n".encode()
    )
    whole, generator = head + body, random.Random(7)
    for _ in range(count):
        with socket.create_connection(("127.0.0.1", PORT)) as client:
            client.sendall(whole[: generator.randrange(len(whole) + 1)])
    return {"hang-ups": count}


def png(width, height, data=b"", kind=2, bits=8):
    def chunk(name, content):
        return (
            struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
        )

    head = struct.pack(">IIBBBBB", width, height, bits, kind, 0, 0, 0)
    compressed = zlib.compress(data)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", compressed) + chunk(b"IEND", b"")


def wav(size, rate=8000, channels=1, bits=16, data=b"\0\0", kind=1):
    form = struct.pack("<HHIIHH", kind, channels, rate, 2 * rate % 2**32, 2, bits)
    head = b"RIFF" + struct.pack("<I", (36 + size) % 2**32) + b"WAVEfmt " + struct.pack("<I", 16)
    return head + form + b"data" + struct.pack("<I", size) + data


def hostile_files(row, generator):
    """Yields (modality, bytes) for ever: cut, flipped and made up."""
    image, sound = (base64.b64decode(row[name]["b64"]) for name in ("image", "audio"))
    while True:
        yield "image", image[: generator.randrange(8, len(image) - 12)]
        yield "image", generator.randbytes(generator.randrange(1, 400))
        yield "image", png(generator.choice([0, 9999, 2**20, 2**31 - 1]), 2 ** generator.randrange(14, 31))
        yield "image", png(28, 28, generator.randbytes(99), generator.choice([0, 2, 3, 6]))
        yield "image", b"GIF89a" + generator.randbytes(60)
        yield "image", b"\xff\xd8\xff\xe0" + generator.randbytes(60)
        yield "image", b"BM" + generator.randbytes(60)
        yield "audio", sound[: generator.randrange(1, 44)]
        yield "audio", b"RIFF" + generator.randbytes(90)
        yield "audio", sound[: generator.randrange(12, 36)]
        yield "audio", wav(10, rate=generator.choice([0, 2**31]), channels=generator.choice([0, 7]))
        yield "audio", wav(99, bits=generator.choice([0, 1, 7, 999]), kind=generator.choice([0, 2, 85]))
        yield "audio", b"OggS" + generator.randbytes(50)


def hostile_bodies(row, generator):
    """Yields bodies for ever: what no client should send."""
    files = hostile_files(row, generator)
    while True:
        for _ in range(4):
            name, contents = next(files)
            bad = {"b64": base64.b64encode(contents).decode()}
            yield json.dumps({"instances": [row | {name: bad}]}).encode()
        yield b"[" * generator.randrange(1, 100_000)
        yield b'{"instances":' + b'[{"a":' * 50_000
        yield json.dumps({"instances": [row | {"image": {"b64": "*" * 40}}]}).encode()
        yield json.dumps(
            {"instances": [row | {"text": generator.choice([1, None, [], {}, [[]], True])}]}
        ).encode()
        yield json.dumps({"instances": [row]}).encode()[: generator.randrange(1, 400)]
        yield json.dumps({"inputs": {name: [[value]] for name, value in row.items()}}).encode()
        yield json.dumps({"signature_name": "tensors", "instances": [{"image": 1}]}).encode()
        yield generator.randbytes(200)


async def send_hostile(model, row, count):
    bodies, codes = hostile_bodies(row, random.Random(7)), collections.Counter()
    limits = asyncio.Semaphore(16)
    async with httpx.AsyncClient(timeout=60) as client:

        async def one(body):
            async with limits:
                answer = await client.post(f"{URL}/v1/models/{model}:predict", content=body)
                codes[answer.status_code] += 1
                if not 400 <= answer.status_code < 500:
                    print(answer.status_code, answer.text[:200], body[:200])

        for start in range(0, count, 500):
            await asyncio.gather(*(one(next(bodies)) for _ in range(min(500, count - start))))
    return dict(codes)


def memory_of(process):
    fields = Path(f"/proc/{process.pid}/status").read_text().split("VmRSS:")[1].split()
    return round(int(fields[0]) / 1000)


def kill_while_copying(command, model, folder, good):
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    until(lambda: is_ready())
    (folder / "2").mkdir()
    names = sorted(path.relative_to(folder / "1") for path in (folder / "1").rglob("*") if path.is_file())
    for name in names[: len(names) // 2]:
        (folder / "2" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(folder / "1" / name, folder / "2" / name)
    process.kill()
    process.wait()
    with running(command, f"{URL}/readyz"):
        first = ask(model, good)[0]
        for name in names[len(names) // 2 :]:
            (folder / "2" / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(folder / "1" / name, folder / "2" / name)
        until(lambda: versions(model).get(2, ("",))[0] == "AVAILABLE")
        return {"with half a version": first, "with the whole one": ask(model, good)[0]}


def is_ready():
    try:
        return urllib.request.urlopen(f"{URL}/readyz", timeout=5).status == 200
    except OSError:
        return False


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", type=existing, help="Such as saved_models/av_digits.")
    parser.add_argument("rows", type=existing, help="JSON list of rows: image and audio as base64, text.")
    parser.add_argument("--payloads", type=positive, default=10_000)
    chosen = parser.parse_args()
    first = json.loads(chosen.rows.read_text(encoding="utf-8"))[0]
    row = {key: value if key == "text" else {"b64": value} for key, value in first.items()}
    good = {"instances": [row]}
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / chosen.model.name
        newest = max((chosen.model / "serving").iterdir(), key=lambda path: int(path.name))
        shutil.copytree(newest, folder / "1")
        model = folder.name
        command = [sys.executable, "-m", "mm_keras", "serve", str(folder), "--rest-port", str(PORT)]
        command += ["--grpc-port", "-1"]
        with running(command, f"{URL}/readyz") as process:
            status, want = ask(model, good)
            result = {"first": status, "versions": exchange_versions(model, folder, good)}
            result |= hang_up(model, good)
            before = memory_of(process)
            began = time.monotonic()
            result["hostile"] = asyncio.run(send_hostile(model, row, chosen.payloads))
            result["hostile_seconds"] = round(time.monotonic() - began, 1)
            result["memory_mb"] = [before, memory_of(process)]
            result["same_answer_after"] = ask(model, good) == (200, want)
        result["killed"] = kill_while_copying(command, model, folder, good)
    print(json.dumps(result, indent=1))
    good_all = set(result["versions"]["answers"]) == {200} and set(result["killed"].values()) == {200}
    hostile_all = all(400 <= code < 500 for code in result["hostile"])
    sys.exit(not (good_all and hostile_all and result["same_answer_after"]))


if __name__ == "__main__":
    main()
