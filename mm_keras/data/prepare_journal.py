"""What is known of a folder that shards are written into: its inputs, its finished shards, who writes it."""

import fcntl
import hashlib
import json
import os
import shutil
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

from mm_keras.checks import listing, message

FORMAT = 2  # Of what is written.
READABLE = (1, 2)  # Images that were resized are PNG in 1, BMP in 2.
JOURNAL, LOCK, BUILDING, CHECKED = "journal.json", ".lock", ".building", ".checked"
SCHEMA, CHECKSUMS, ROWS = "schema.json", "checksums.json", "rows.parquet"
SPEC, QUARANTINE = "spec.yaml", "quarantine.csv"
SHARD = "{split}-{index:05d}.tfrecord"


@dataclass
class Shard:
    """A shard that was written whole: of which split, its records, its size and its SHA-256."""

    name: str
    split: str
    rows: int
    bytes: int
    sha256: str


@dataclass
class Journal:
    """The inputs of a preparation, and the shards that are done.

    Args:
        folder: Path.
        inputs: dict, name -> text. All that the shards depend on.
        shards: list of Shard, in the order in which they were written.
    """

    folder: Path
    inputs: dict
    shards: list = field(default_factory=list)

    def rows_of(self, split):
        return sum(shard.rows for shard in self.shards if shard.split == split)

    def next_name(self, split):
        return SHARD.format(split=split, index=sum(shard.split == split for shard in self.shards))

    def add(self, shard):
        self.shards.append(shard)
        self.save()

    def save(self):
        write_json(self.folder / JOURNAL, {"inputs": self.inputs, "shards": [asdict(s) for s in self.shards]})

    def drop_damaged(self):
        """Forgets the first shard that is not there as it was written, and all behind it."""
        for place, shard in enumerate(self.shards):
            path = self.folder / shard.name
            if not path.is_file() or path.stat().st_size != shard.bytes:
                self.shards = self.shards[:place]
                return


def is_prepared(folder):
    """Tells whether a folder is one that `prepare` has written or has begun to write."""
    return (folder / JOURNAL).is_file() or ((folder / SCHEMA).is_file() and (folder / CHECKSUMS).is_file())


def open_journal(folder, inputs):
    """Returns the journal of a preparation that was stopped, or a new one.

    Raises: ValueError, if what was stopped had other inputs.
    """
    path = folder / JOURNAL
    if not path.is_file():
        _refuse_other_files(folder)
        journal = Journal(folder, inputs)
        journal.save()
        return journal
    content = json.loads(path.read_text(encoding="utf-8"))
    check_inputs(folder, content["inputs"], inputs, "begun")
    journal = Journal(folder, inputs, [Shard(**shard) for shard in content["shards"]])
    journal.drop_damaged()
    return journal


def check_inputs(folder, before, now, state):
    """Refuses to mix shards of different inputs; says which differ."""
    different = [name for name in now if before.get(name) != now[name]]
    if not different:
        return
    named = [name for name in different if name != "files"] or ["files"]
    shown = [f"`{name}` {_shown(before.get(name))} instead of {_shown(now[name])}" for name in named]
    fix = "Name another folder, or write it anew with --force (in Python: force=True)."
    expected = f"the inputs that {folder} was {state} with"
    raise ValueError(message("prepare", expected, f"others: {'; '.join(shown)}", fix))


def remove_all(folder):
    """Removes what a preparation writes, and nothing else."""
    for name in (SCHEMA, JOURNAL, CHECKSUMS, ROWS, SPEC, QUARANTINE):  # Without a schema: unfinished.
        (folder / name).unlink(missing_ok=True)
    for pattern in ("train", "validation", "test"):
        for path in folder.glob(f"{pattern}-[0-9]*.tfrecord"):
            path.unlink()
    remove_drafts(folder)


def remove_drafts(folder):
    for name in (BUILDING, CHECKED):
        shutil.rmtree(folder / name, ignore_errors=True)


@contextmanager
def locked(folder):
    """Makes a folder and keeps it for one process.

    Raises: ValueError, if it cannot be written or another process writes it.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder / LOCK, os.O_CREAT | os.O_RDWR, 0o644)
    except OSError as error:
        fix = "Name another folder, or change its permissions."
        received = f"{folder}: {error.strerror or error}"
        raise ValueError(message("prepare", "a folder that can be written", received, fix)) from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(handle)
        fix = "Wait until it is done, or name another folder."
        received = f"{folder}, which another process is writing"
        raise ValueError(message("prepare", "a folder of its own", received, fix)) from error
    try:
        yield
    finally:
        os.close(handle)


def write_json(path, value):
    write_whole(path, lambda draft: draft.write_text(to_json(value), encoding="utf-8"))


def to_json(value):
    return json.dumps(value, indent=1, ensure_ascii=False) + "\n"


def write_whole(path, write):
    """Writes a file whole or not at all: `write` is given the path of a draft."""
    draft = path.with_name(f".{path.name}.draft")
    try:
        write(draft)
        keep_on_disk(draft)
        os.replace(draft, path)
    except OSError as error:
        with suppress(OSError):
            draft.unlink()
        raise no_room(path, error) from error
    keep_on_disk(path.parent)


def no_room(path, error):
    """Returns the error of a file that could not be written."""
    reason = getattr(error, "strerror", None) or getattr(error, "message", None) or str(error)
    fix = "Make room or mend the folder, and run it again: it goes on behind the last whole shard."
    return ValueError(message("prepare", f"to write {path.name} in {path.parent}", reason, fix))


def keep_on_disk(path):
    """Waits until a file, or a folder's list of names, is on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sha256_of(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _refuse_other_files(folder):
    """A folder of other things is left alone: names may clash."""
    others = sorted(path.name for path in folder.iterdir() if path.name not in (LOCK, QUARANTINE))
    if others:
        fix = "Name a folder that is not there yet."
        received = f"{folder}, which holds {listing(others, 3)}"
        raise ValueError(message("prepare", "a new or an empty folder", received, fix))


def _shown(value):
    value = str(value)
    return value if len(value) <= 160 else f"{value[:160]}..."
