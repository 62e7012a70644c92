"""The file cache: read again when nothing changed, written anew when anything did, never half-written."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import tiny

from mm_keras.data import file_cache
from mm_keras.data.examples import open_examples
from mm_keras.data.file_cache import KEPT, CacheWriter, open_cache
from mm_keras.data.manifest import load_manifest
from mm_keras.data.row_source import RowSource

LAYOUT = {"x": ((2, 3), np.uint8), "a": ((4,), np.float32)}


@pytest.fixture
def folder(tiny_manifest, tmp_path):
    return Path(
        shutil.copytree(tiny_manifest.parent, tmp_path / "tiny", ignore=shutil.ignore_patterns("cache"))
    )


def open_tiny(folder, told=None):
    spec = tiny.tiny_spec(
        folder / "manifest.csv", modalities=("image", "vec"), outputs=["label"], max_bad=0.2
    )
    return open_examples(spec, load_manifest(spec), "file", told)  # Two rows have no label.


def batch_of(rows, random):
    return {
        "row/index": np.asarray(rows, np.int64),
        "x": random.integers(0, 255, (len(rows), 2, 3)).astype(np.uint8),
        "a": random.normal(size=(len(rows), 4)).astype(np.float32),
    }


def test_records_give_back_what_was_written(tmp_path):
    random = np.random.default_rng(7)
    train, test = batch_of(range(100), random), batch_of([200, 150], random)
    with CacheWriter(tmp_path, "n", "key", LAYOUT, 7, 0) as writer:
        writer.add("train", train)
        writer.add("test", test)
        cache = writer.finish([], {"a": {"mean": [0.0], "variance": [1.0]}}, {"b": np.array([3, 0, 2])})
    assert cache.rows["test"].tolist() == [200, 150]
    assert sorted(cache.rows["train"].tolist()) == list(range(100)) != cache.rows["train"].tolist()
    for split, wanted in (("train", train), ("test", test)):
        records = tf.data.FixedLengthRecordDataset(cache.files[split], cache.record_bytes)
        given = next(iter(records.batch(100).map(cache.read_batch)))
        np.testing.assert_array_equal(given["row/index"], cache.rows[split])
        order = [wanted["row/index"].tolist().index(row) for row in cache.rows[split]]
        for name in "xa":
            np.testing.assert_array_equal(given[name], wanted[name][order])
    assert cache.moments == {"a": {"mean": [0.0], "variance": [1.0]}}


def test_a_cache_is_read_again_and_nothing_is_decoded(folder):
    told = []
    first = open_tiny(folder, told=lambda *counts: told.append(counts))
    assert told[-1] == (tiny.ROWS - 2, tiny.ROWS - 2)
    again = open_tiny(folder, told=lambda *counts: pytest.fail("decoded again"))
    assert again.cache.folder == first.cache.folder and again.moments == first.moments


def test_a_cache_of_another_version_is_left_alone(folder, monkeypatch):
    monkeypatch.setattr("mm_keras.data.examples.FORMAT", 1)
    monkeypatch.setattr("mm_keras.data.file_cache.FORMAT", 1)
    old = open_tiny(folder).cache.folder
    monkeypatch.undo()
    new = open_tiny(folder).cache.folder
    assert new != old and new.exists() and old.exists()


def change_contents(folder):
    path = folder / "image/3.png"
    path.write_bytes((folder / "image/2.png").read_bytes())


def touch(folder):
    path = folder / "image/3.png"
    stat = path.stat()
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns + 1))


def lose_row(folder):
    lines = (folder / "manifest.csv").read_text().splitlines()
    (folder / "manifest.csv").write_text("\n".join(lines[:-1]) + "\n")


def key_of(folder, size=None, on_bad="quarantine", place="file", **data):
    spec = tiny.tiny_spec(
        folder / "manifest.csv", modalities=("image", "vec"), outputs=["label"], max_bad=0.2, **data
    )
    if size:
        spec.modalities["image"].size = size
    return RowSource(load_manifest(spec), spec.modalities, spec.data).fingerprint(place, on_bad)


@pytest.mark.parametrize(
    ("change", "settings"),
    [
        (change_contents, {}),
        (touch, {}),
        (lose_row, {}),
        (None, {"size": (9, 8)}),
        (None, {"max_pixels": 1000}),
        (None, {"on_bad": "missing"}),
        (None, {"place": "none"}),
    ],
)
def test_what_changes_decoding_changes_the_key(folder, change, settings):
    first = key_of(folder)
    assert key_of(folder) == first
    if change:
        change(folder)
    assert key_of(folder, **settings) != first


def test_what_does_not_change_decoding_keeps_the_key(folder):
    first = key_of(folder)
    rows = tiny.read_table(folder / "manifest.csv")
    for row in rows:
        row.update(text="other", label=row["label"] and {"blau": "x"}.get(row["label"], "y"))
    tiny.write_table(folder / "manifest.csv", rows)
    assert key_of(folder) == first


def test_files_that_were_found_bad_are_known_when_the_cache_is_read_again(folder):
    (folder / "image/2.png").write_bytes(b"x")
    first, again = open_tiny(folder), open_tiny(folder)
    assert first.cache.folder == again.cache.folder
    for examples in (first, again):
        found = [(f.row, f.modality) for f in examples.source.manifest.findings if f.hits == "cell"]
        assert found == [(2, "image")]
        assert 2 not in examples.rows["train"]


def write_cache(folder, key):
    with CacheWriter(folder, "n", key, LAYOUT, 7, 0) as writer:
        writer.add("test", batch_of([1], np.random.default_rng(7)))
        return writer.finish([], {}, {})


def test_old_caches_go_unless_they_are_read(tmp_path):
    used = write_cache(tmp_path, "used")
    for age in range(KEPT + 3):
        write_cache(tmp_path, f"{age}")
        os.utime(tmp_path / f"n-{age}", (age, age))
    names = {path.name for path in tmp_path.iterdir()}
    assert "n-used" in names and len(names) == KEPT + 1 and f"n-{KEPT + 2}" in names
    os.utime(used.folder, (0, 0))
    del used
    write_cache(tmp_path, "new")
    assert "n-used" not in {path.name for path in tmp_path.iterdir()}


KILLED = """
import os, sys, signal
import numpy as np
from mm_keras.data.file_cache import CacheWriter
with CacheWriter(sys.argv[1], "n", "key", {"x": ((4,), np.float32)}, 7, 0) as writer:
    writer.add("train", {"row/index": np.arange(3), "x": np.ones((3, 4), np.float32)})
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.slow
def test_what_a_killed_process_left_is_not_read_and_goes(tmp_path):
    subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], check=False, capture_output=True)
    assert [path.name.startswith(".building-n-") for path in tmp_path.iterdir()] == [True]
    assert open_cache(tmp_path, "n", "key", LAYOUT) is None
    with CacheWriter(tmp_path, "n", "key", LAYOUT, 7, 0) as writer:
        assert len(list(tmp_path.iterdir())) == 1  # Its own.
        writer.add("train", batch_of([1], np.random.default_rng(7)))
        writer.finish([], {}, {})
    assert [path.name for path in tmp_path.iterdir()] == ["n-key"]


def test_an_error_leaves_nothing_behind(tmp_path):
    with pytest.raises(KeyError), CacheWriter(tmp_path, "n", "key", LAYOUT, 7, 0) as writer:
        writer.add("train", {"row/index": np.arange(3)})
    assert not list(tmp_path.iterdir())


def test_a_disk_that_is_too_small_is_told_before(tmp_path, monkeypatch):
    monkeypatch.setattr(file_cache.shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10, 5, 5))
    with pytest.raises(
        ValueError, match=r"GB of disk for decoded examples. Received: .* free .*cache_folder"
    ):
        CacheWriter(tmp_path, "n", "key", LAYOUT, 7, 10**9)
