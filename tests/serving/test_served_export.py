"""What `export` wrote, asked through a server: the same answers, whatever is missing or batched."""

import asyncio
import struct
import time
import zlib
from pathlib import Path

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest
from small_models import serving

from mm_keras.data.manifest import load_rows
from mm_keras.data.raw import read_raw
from mm_keras.exporting.reload import operators_of
from mm_keras.prediction import load_predictor
from mm_keras.serving.batcher import Batcher
from mm_keras.serving.client import Client
from mm_keras.serving.errors import ServingError
from mm_keras.serving.served_model import ServedModel

pytestmark = pytest.mark.slow
READ_OR_WRITE = ("ReadFile", "WriteFile", "MatchingFiles", "PyFunc", "EagerPyFunc", "DecodeFile", "Shell")


@pytest.fixture(scope="module")
def folder(exported):
    return Path(exported["saved_model"]["path"]).parents[1]


@pytest.fixture(scope="module")
def served(folder):
    with serving(folder) as server:
        yield server


@pytest.fixture(scope="module")
def clients(served):
    rest = Client(f"http://127.0.0.1:{served.rest_port}", model="tiny")
    rpc = Client(f"grpc://127.0.0.1:{served.grpc_port}", model="tiny")
    with rest, rpc:
        yield rest, rpc


@pytest.fixture(scope="module")
def rows(folder, tiny_manifest):
    """Rows of the manifest as a client is given them, each with another subset of the modalities."""
    predictor = load_predictor(folder / "serving")
    loaded = load_rows(tiny_manifest, predictor.preprocessor.modalities)
    random, chosen = np.random.default_rng(7), []
    for index in range(12):
        row = {name: column[index] for name, column in loaded.cells.items()}
        hidden = random.random(len(row)) < 0.4
        kept = {name: cell for (name, cell), gone in zip(row.items(), hidden, strict=True) if not gone}
        if any(isinstance(cell, str) and cell for cell in kept.values()):
            chosen.append(kept)
    return predictor, chosen


def test_any_subset_is_answered_as_by_the_local_predictor_by_rest_and_grpc(clients, rows):
    predictor, rows = rows
    assert len({tuple(row) for row in rows}) > 4
    want = [predictor.predict({name: [cell] for name, cell in row.items()}) for row in rows]
    for client in clients:
        together = client.predict_batch(rows)
        for index, (row, expected) in enumerate(zip(rows, want, strict=True)):
            alone = client.predict(**row)
            for key, value in expected.items():
                for answer in (alone[key], together[key][index]):
                    if value.dtype.kind in "OSU":
                        assert answer == value[0]
                    else:
                        np.testing.assert_allclose(answer, value[0], rtol=1e-5, atol=1e-6)


def test_rows_of_many_requests_are_answered_as_each_alone(folder, rows):
    predictor, rows = rows
    model = ServedModel(folder / "serving" / "1")
    signature = model.signature("")
    raw = [
        {name: x for name, x in predictor_raw(predictor, row).items() if name in signature.inputs}
        for row in rows
    ]

    async def ask(raw):
        batcher = Batcher(workers=1)
        batcher.start()
        deadline = time.monotonic() + 60
        tasks = [batcher.ask(model, signature, inputs, 1, deadline) for inputs in raw]
        answers = await asyncio.gather(*tasks)
        batcher.stop()
        return answers

    answers = asyncio.run(ask(raw))
    for inputs, answer in zip(raw, answers, strict=True):
        for key, want in model.run(signature, inputs).items():
            if want.dtype == object:
                assert answer[key].tolist() == want.tolist()
            else:
                np.testing.assert_allclose(answer[key], want, rtol=1e-5, atol=1e-6)
    model.close()


def predictor_raw(predictor, row):
    cells = {name: [cell] for name, cell in row.items()}
    return read_raw(predictor.preprocessor, cells, np.arange(1))


def png(width, height, data=b""):
    def chunk(kind, content):
        return (
            struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        )

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(data))
        + chunk(b"IEND", b"")
    )


def wav(size, rate=8000, channels=1, bits=16, data=b"\0\0"):
    form = struct.pack("<HHIIHH", 1, channels, rate, rate * channels * bits // 8, channels * bits // 8, bits)
    return b"RIFF" + struct.pack("<I", 36 + size) + b"WAVEfmt " + struct.pack("<I", 16) + form + (
        b"data" + struct.pack("<I", size) + data
    )  # fmt: skip


HOSTILE = {
    "image": [
        b"\0",
        b"x" * 1000,
        png(60000, 60000),
        png(2**31 - 1, 1),
        png(4, 4),
        png(0, 0),
        b"\xff\xd8\xff" * 9,
    ],
    "audio": [b"RIFF", wav(10, channels=0), wav(10, rate=0), wav(8, bits=7)],
}


@pytest.mark.parametrize(("name", "contents"), [(name, x) for name, many in HOSTILE.items() for x in many])
def test_hostile_bytes_are_refused_in_little_time_and_the_next_is_answered(clients, rows, name, contents):
    _, rows = rows
    for client in clients:
        began = time.monotonic()
        with pytest.raises(ServingError) as caught:
            client.predict(**{name: contents})
        assert caught.value.code == "INVALID_ARGUMENT"
        assert time.monotonic() - began < 5
        assert client.predict(**rows[0])


@hypothesis.given(st.binary(max_size=300), st.sampled_from(["", "RIFF", "\x89PNG\r\n\x1a\n", "BM", "GIF89a"]))
@hypothesis.settings(max_examples=150, suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture])
def test_no_bytes_bring_it_down(clients, contents, head):
    client = clients[0]
    for name in ("image", "audio"):
        try:
            client.predict(**{name: head.encode("latin1") + contents, "text": "one"})
        except ServingError as error:
            assert error.code == "INVALID_ARGUMENT"
        except ValueError:
            continue  # The client itself sends no sound of an unknown kind.


def test_the_graph_reads_no_path_and_runs_no_python(folder):
    operators = operators_of(folder / "serving" / "1")
    assert len(operators) > 50
    assert not set(operators) & set(READ_OR_WRITE)
