"""Reads a folder that `mm-keras prepare` wrote, as a table whose files are in shards."""

import json
import os
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from pydantic import BaseModel

from mm_keras.checks import listing, message
from mm_keras.data.prepare_journal import CHECKSUMS, READABLE, ROWS, SCHEMA, sha256_of
from mm_keras.data.records import Records
from mm_keras.data.table import ManifestError, Table, text_column

AGAIN = "Prepare the data again with this spec, or name the original manifest in `data.manifest`."


@dataclass
class PreparedTable(Table):
    """The rows of a prepared folder.

    Args:
        schema: dict. What schema.json holds.
    """

    schema: dict = field(default_factory=dict)

    def check_fit(self, files):
        """Refuses parts of a spec that want of a file what was not kept of it."""
        for name in sorted(files):
            part = files[name]
            if part.kind in ("image", "audio", "features"):
                _check_modality(self, f"{part.section}.{name}", part)

    def split_of(self, asked):
        """Returns the column of the frozen split for the shares that it was made with."""
        split = self.schema["split"]
        if not isinstance(asked, BaseModel):
            return asked
        shares = asked.model_dump(mode="json")
        if split["shares"] == shares:
            return split["column"]
        expected = f"the split that {self.path.name} was prepared with, column `{split['column']}`"
        fix = f"Set `data.split: {split['column']}`, or prepare the data again with these shares."
        raise ManifestError(message("data.split", expected, f"{shares}", fix))


def read_prepared(folder, columns=None):
    """Reads a prepared folder.

    Args:
        folder: str or path. It is not written.
        columns: iterable of str or None. The columns to keep; None: all.

    Returns: PreparedTable. Its `records` hold the files.
    Raises: ManifestError, if the folder is not finished, or a file of it is not there or has another size.
    """
    folder = Path(folder).absolute()
    schema = read_schema(folder)
    known = _read_json(folder, CHECKSUMS)
    wrong = [name for name in known if not _has_size(folder / name, known[name]["bytes"])]
    if wrong:
        raise _damaged(folder, wrong)
    names = schema["table_columns"]
    wanted = names if columns is None else [name for name in names if name in set(columns)]
    table = pq.read_table(folder / ROWS, columns=wanted)
    frame = _to_frame(table)
    records = None
    if schema["columns"]:
        records = Records(
            tuple(str(folder / shard["name"]) for shard in schema["shards"]),
            tuple(schema["columns"]),
            tuple(shard["rows"] for shard in schema["shards"]),
            schema["compression"],
        )
    lines = np.arange(1, len(frame) + 1)
    return PreparedTable(folder, frame, lines, folder, records=records, names=names, schema=schema)


def read_schema(folder):
    """Reads and checks schema.json.

    Raises: ManifestError, if it is not there or of another version.
    """
    if not (folder / SCHEMA).is_file():
        fix = "Run the same `mm-keras prepare` again: it goes on where it stopped."
        raise ManifestError(message(str(folder), "a finished prepared folder", f"no {SCHEMA}", fix))
    schema = _read_json(folder, SCHEMA)
    if schema.get("format") not in READABLE:
        fix = "Prepare the data again with this version of mm_keras."
        received = f"format={schema.get('format')!r}"
        expected = f"format {READABLE[0]} or {READABLE[1]}"
        raise ManifestError(message(str(folder / SCHEMA), expected, received, fix))
    return schema


def check_folder(folder, progress=None):
    """Compares every shard and `rows.parquet` with their SHA-256.

    Args:
        folder: str or path. A prepared folder.
        progress: callable or None, called with (bytes read, bytes in all).

    Returns: dict with `folder`, `files`, `bytes` and `rows`.
    Raises: ManifestError, naming every file that is not as it was written.
    """
    folder = Path(folder).absolute()
    schema = read_schema(folder)
    known = _read_json(folder, CHECKSUMS)
    total, done, wrong = sum(entry["bytes"] for entry in known.values()), 0, []
    for name, entry in known.items():
        path = folder / name
        if not _has_size(path, entry["bytes"]) or sha256_of(path) != entry["sha256"]:
            wrong.append(name)
        done += entry["bytes"]
        if progress:
            progress(done, total)
    if wrong:
        raise _damaged(folder, wrong)
    return {"folder": str(folder), "files": len(known), "bytes": total, "rows": sum(schema["rows"].values())}


def _read_json(folder, name):
    try:
        content = json.loads((folder / name).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise _damaged(folder, [name]) from error
    if not isinstance(content, dict):
        raise _damaged(folder, [name])
    return content


def _has_size(path, size):
    return path.is_file() and os.path.getsize(path) == size


def _damaged(folder, names):
    expected = "files as `mm-keras prepare` wrote them"
    fix = "Copy the folder again, or write it anew with `mm-keras prepare --force`."
    return ManifestError(message(str(folder), expected, f"{listing(names)} missing or changed", fix))


def _to_frame(table):
    columns = {name: text_column(table.column(name).chunks) for name in table.column_names}
    return pd.DataFrame(columns)


def _check_modality(table, owner, modality):
    stored = table.schema["columns"].get(modality.column)
    kept = f"{table.path.name} to hold what the spec asks for"
    if stored is None:
        if modality.column not in table.names:
            return  # Reading the cells names the columns that there are.
        received = f"column `{modality.column}`, whose files are not in its shards"
        raise ManifestError(message(f"{owner}.column", kept, received, AGAIN))
    if stored["kind"] != modality.kind:
        received = f"kind={modality.kind!r}, prepared as {stored['kind']!r}"
        raise ManifestError(message(f"{owner}.kind", kept, received, AGAIN))
    if "rate" in stored and modality.rate != stored["rate"]:
        received = f"rate={modality.rate}, prepared at {stored['rate']}"
        raise ManifestError(message(f"{owner}.rate", kept, received, AGAIN))
    if "samples" in stored and modality.samples > stored["samples"]:
        seconds = stored["samples"] / stored["rate"]
        received = f"seconds={modality.seconds:g}, sounds were cut after {seconds:g}"
        raise ManifestError(message(f"{owner}.seconds", kept, received, AGAIN))
    if "size" in stored and any(now > then for now, then in zip(modality.size, stored["size"], strict=True)):
        received = f"size={list(modality.size)}, images were resized to {stored['size']}"
        raise ManifestError(message(f"{owner}.size", kept, received, AGAIN))
    if "channels" in stored and modality.channels > stored["channels"]:
        received = f"channels={modality.channels}, images were written with {stored['channels']}"
        raise ManifestError(message(f"{owner}.channels", kept, received, AGAIN))
