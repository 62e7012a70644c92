"""Decoded examples in files: records of one length in shards, in a folder named after all they depend on."""

import fcntl
import json
import os
import shutil
import tempfile
import weakref
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tensorflow as tf

from mm_keras.checks import message
from mm_keras.data.findings import Finding

FORMAT = 2  # Of these files, and of what the decoders make: a part of each cache's key.
INDEX, STEPS, LOCK, BUILDING = "index.json", "steps.npz", ".lock", ".building-"
SHARDS = 16  # Of the train rows; they are dealt out at random, so that each shard is a sample of all.
KEPT = 2  # Caches of the same spec that are kept beside the one in use.
ROW_BYTES = 8


@dataclass
class FileCache:
    """A cache that was written whole.

    Args:
        folder: Path.
        layout: dict, modality -> (shape, NumPy dtype) of one example; records hold them sorted by name,
            behind the row number.
        files: dict, split name -> list of paths of shards.
        rows: dict, split name -> int64 array of the rows, in the order of the records.
        findings: list of Finding.
        moments: dict, features modality -> {"mean", "variance"}.
        steps: dict, modality of sounds or sequences -> int32 array. Steps of each row before padding.
    """

    folder: Path
    layout: dict
    files: dict
    rows: dict
    findings: list
    moments: dict
    steps: dict

    @property
    def record_bytes(self):
        return ROW_BYTES + sum(bytes_of(*entry) for entry in self.layout.values())

    @tf.autograph.experimental.do_not_convert
    def read_batch(self, records):
        """Turns records, strings `(B,)`, into {"row/index", modality: tensor `(B, ...)`}."""
        content = tf.io.decode_raw(records, tf.uint8, fixed_length=self.record_bytes)  # (B, bytes)
        batch = {"row/index": tf.bitcast(content[:, :ROW_BYTES], tf.int64)}
        start = ROW_BYTES
        for name, (shape, dtype) in sorted(self.layout.items()):
            part = content[:, start : start + bytes_of(shape, dtype)]
            start += bytes_of(shape, dtype)
            if dtype != np.uint8:
                width = np.dtype(dtype).itemsize
                part = tf.bitcast(tf.reshape(part, [-1, int(np.prod(shape)), width]), dtype)
            batch[name] = tf.reshape(part, [-1, *shape])
        return batch


def bytes_of(shape, dtype):
    return int(np.prod(shape)) * np.dtype(dtype).itemsize


def open_cache(parent, name, key, layout):
    """Returns the cache of this key if there is one, else None; it is kept from removal while it is used."""
    folder = Path(parent) / f"{name}-{key}"
    if not (folder / INDEX).is_file():
        return None
    content = json.loads((folder / INDEX).read_text(encoding="utf-8"))
    if content["format"] != FORMAT:
        return None
    cache = FileCache(
        folder,
        layout,
        {split: [str(folder / file) for file in files] for split, files in content["files"].items()},
        {split: np.load(folder / f"{split}.npy") for split in content["files"]},
        [Finding(**finding) for finding in content["findings"]],
        content["moments"],
        _load_steps(folder / STEPS),
    )
    os.utime(folder)
    handle = os.open(folder / LOCK, os.O_RDONLY)
    fcntl.flock(handle, fcntl.LOCK_SH)
    weakref.finalize(cache, os.close, handle)
    return cache


def _load_steps(path):
    with np.load(path) as arrays:
        return dict(arrays)


class CacheWriter:
    """Writes a cache beside its place, and moves it there when it is whole; a context manager.

    Args:
        parent: path. Folder of all caches.
        name: str. Of the spec.
        key: str. Digest of all that the records depend on.
        layout: dict, modality -> (shape, NumPy dtype).
        seed: int. Deals the train rows out to the shards.
        needed: int. Bytes that will be written.
    """

    def __init__(self, parent, name, key, layout, seed, needed):
        self.parent, self.name, self.key = Path(parent), name, key
        self.layout = dict(sorted(layout.items()))
        self.random = np.random.default_rng(seed)
        self.parent.mkdir(parents=True, exist_ok=True)
        remove_unused(self.parent, name)
        free = shutil.disk_usage(self.parent).free
        if needed > free:
            fix = "Free some, name another `data.cache_folder`, or set `data.cache: none`."
            expected = f"{needed / 1e9:.1f} GB of disk for decoded examples"
            raise ValueError(message("data.cache", expected, f"{free / 1e9:.1f} GB free in {parent}", fix))

    def __enter__(self):
        self.folder = Path(tempfile.mkdtemp(prefix=f"{BUILDING}{self.name}-", dir=self.parent))
        self.handle = os.open(self.folder / LOCK, os.O_CREAT | os.O_RDWR)
        fcntl.flock(self.handle, fcntl.LOCK_SH)
        self.open, self.rows = {}, {}
        return self

    def __exit__(self, *error):
        for file in self.open.values():
            file.close()
        shutil.rmtree(self.folder, ignore_errors=True)
        os.close(self.handle)

    def add(self, split, batch):
        """Writes a batch {"row/index": `(B,)`, modality: array `(B, ...)`}."""
        rows = np.asarray(batch["row/index"], np.int64)
        parts = [rows.view(np.uint8).reshape(len(rows), ROW_BYTES)]
        parts += [
            np.ascontiguousarray(batch[name]).reshape(len(rows), -1).view(np.uint8) for name in self.layout
        ]
        records = np.concatenate(parts, axis=1)
        shards = (
            self.random.integers(SHARDS, size=len(rows)) if split == "train" else np.zeros(len(rows), int)
        )
        for shard in np.unique(shards):
            chosen = shards == shard
            key = f"{split}-{shard:02}"
            if key not in self.open:
                self.open[key] = open(self.folder / f"{key}.records", "wb")
            self.open[key].write(records[chosen].data)
            self.rows.setdefault(key, []).append(rows[chosen])

    def finish(self, findings, moments, steps):
        """Moves the cache to its place and returns the `FileCache`."""
        files = {}
        for key in sorted(self.open):
            self.open[key].close()
            files.setdefault(key.rpartition("-")[0], []).append(f"{key}.records")
        for split in files:
            rows = [
                part
                for key in sorted(self.rows)
                if key.rpartition("-")[0] == split
                for part in self.rows[key]
            ]
            np.save(self.folder / f"{split}.npy", np.concatenate(rows))
        np.savez(self.folder / STEPS, **steps)
        content = {
            "format": FORMAT,
            "files": files,
            "findings": [vars(finding) for finding in findings],
            "moments": moments,
        }
        (self.folder / INDEX).write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
        place = self.parent / f"{self.name}-{self.key}"
        try:
            os.rename(self.folder, place)
        except OSError:  # Another process was quicker.
            if not (place / INDEX).is_file():
                raise
        return open_cache(self.parent, self.name, self.key, self.layout)


def remove_unused(parent, name):
    """Removes what a killed process left half-written, and all but the newest caches of this spec that nobody
    reads now."""
    for folder in parent.glob(f"{BUILDING}*"):
        _remove_unlocked(folder)
    finished = [folder for folder in parent.glob(f"{name}-*") if (folder / INDEX).is_file()]
    finished = [folder for folder in finished if folder.name.rpartition("-")[0] == name]
    for folder in sorted(finished, key=lambda folder: folder.stat().st_mtime, reverse=True)[KEPT:]:
        _remove_unlocked(folder)


def _remove_unlocked(folder):
    try:
        handle = os.open(folder / LOCK, os.O_RDONLY)
    except OSError:
        return
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder, ignore_errors=True)
    except BlockingIOError:
        return
    finally:
        os.close(handle)
