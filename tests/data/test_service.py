"""The tf.data service with a real dispatcher and real workers: processes on this computer."""

import json
import os
import socket
import subprocess
import sys

import pytest
import tiny

from mm_keras.data.pipeline import make_datasets
from mm_keras.data.service import check_service, start_dispatcher, start_worker
from mm_keras.training import train

WORKER = """
import sys
from mm_keras.data.service import start_worker
server, host = start_worker(sys.argv[1])
print(host, flush=True)
sys.stdin.read()
"""


@pytest.fixture(scope="module")
def dispatcher():
    return start_dispatcher(0)


@pytest.fixture(scope="module")
def workers(dispatcher):
    """Two worker processes; each ends when its standard input is closed."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", WORKER, dispatcher.target]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    started = [subprocess.Popen(command, env=environment, **pipes) for _ in range(2)]
    assert [worker.stdout.readline().strip() for worker in started] == ["127.0.0.1"] * 2
    yield started
    for worker in started:
        worker.stdin.close()
        worker.wait()


def served_spec(manifest, dispatcher, **changes):
    spec = tiny.tiny_spec(manifest, **changes)
    spec.input.service = dispatcher.target
    return spec


def rows_of(batches):
    """Returns the numbers, which are of one row each, that come in one epoch, in the order they come."""
    return [float(row) for inputs, _, _ in batches for row in inputs["numbers"].numpy()[:, 0]]


@pytest.mark.slow
def test_two_workers_give_each_row_once_an_epoch(tiny_manifest, dispatcher, workers):
    changes = {"modalities": ("image", "numbers"), "outputs": ["copy"]}
    here = make_datasets(tiny.tiny_spec(tiny_manifest, **changes))
    there = make_datasets(served_spec(tiny_manifest, dispatcher, **changes))
    assert there.cached_in == "none" and there.steps == here.steps
    epochs = [rows_of(there.train) for _ in range(3)]
    for epoch in epochs:
        assert sorted(epoch) == sorted(rows_of(here.train))
    assert epochs[0] != epochs[1] != epochs[2]
    assert images_of(there.train) == images_of(here.train)


def images_of(batches):
    """Returns the pixels of each row that has numbers, by the first of them."""
    pairs = ((inputs["numbers"].numpy()[:, 0], inputs["image"].numpy()) for inputs, _, _ in batches)
    return {row: image.tobytes() for rows, x in pairs for row, image in zip(rows, x, strict=True) if row}


@pytest.mark.slow
def test_a_spec_trains_through_the_service(tiny_manifest, dispatcher, workers, tmp_path):
    changes = {"modalities": ("numbers", "vec"), "outputs": ["copy"], "max_bad": 0.5}
    spec = served_spec(tiny_manifest, dispatcher, training={"epochs": 2}, **changes)
    run, data = train(spec, tmp_path)
    log = json.loads((run.folder / "training.json").read_text())
    assert log["epochs"] == 2 and log["rows"]["train"] == len(data.rows["train"])


def test_sounds_that_python_decodes_are_refused(tiny_manifest, dispatcher):
    data = make_datasets(tiny.tiny_spec(tiny_manifest, modalities=("audio",), outputs=["copy"], max_bad=0.5))
    rows = data.rows["train"]
    check_service(dispatcher.target, data.source, rows)
    cells = data.manifest.cells["audio"].copy()
    cells[rows[:2]] = ["/sounds/a.FLAC", "/sounds/b.ogg"]
    data.manifest.cells["audio"] = cells
    with pytest.raises(
        ValueError, match=r"WAV in `audio`.*2 others, such as /sounds/a.FLAC.*mm-keras prepare"
    ):
        check_service(dispatcher.target, data.source, rows)


def test_an_address_where_nobody_answers_is_named():
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        address = f"localhost:{probe.getsockname()[1]}"
    with pytest.raises(
        ValueError, match=f"a dispatcher that answers.*refused from {address}.*dispatcher` there"
    ):
        start_worker(address)


@pytest.mark.parametrize("address", ["host", "host:", ":5050", "host:many", "host:99999"])
def test_an_address_without_host_or_port_is_refused(address):
    with pytest.raises(ValueError, match=f"an address such as host:5050.*'{address}'"):
        start_worker(address)


def test_a_port_in_use_is_refused(dispatcher):
    port = int(dispatcher.target.rpartition(":")[2])
    with pytest.raises(ValueError, match=f"a free port.*port {port}.*--port"):
        start_dispatcher(port)
    with pytest.raises(ValueError, match=f"a free port.*port {port}"):
        start_worker(dispatcher.target, port)
