"""Writes a data set as record shards: contents of files in reading order, and all other cells beside them."""

import hashlib
import os
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pydantic import ByteSize, TypeAdapter, ValidationError

from mm_keras.checks import check_choice, message
from mm_keras.data.cells import as_arrow, columns_of
from mm_keras.data.examples import open_examples
from mm_keras.data.findings import CELL, ERROR, DataError, write_quarantine
from mm_keras.data.manifest import load_manifest
from mm_keras.data.prepare_journal import (
    CHECKED,
    CHECKSUMS,
    FORMAT,
    JOURNAL,
    QUARANTINE,
    ROWS,
    SCHEMA,
    SPEC,
    check_inputs,
    locked,
    open_journal,
    remove_all,
    remove_drafts,
    sha256_of,
    write_json,
    write_whole,
)
from mm_keras.data.prepare_shards import COMPRESSIONS, describe_columns, write_shards
from mm_keras.data.row_source import RowSource
from mm_keras.data.table_prepared import read_schema
from mm_keras.spec_file import save_spec

AT_ONCE = 65_536  # Rows of the table that are digested, or written as a row group, at once.
SPLIT = "split"


def prepare(spec, folder, compression="none", resize=False, shard_size="128MB", progress=None, force=False):
    """Writes the good rows of a spec's manifest into a folder that a spec names as its `data.manifest`.

    First every file is decoded, as training decodes it: what is bad is left out as `data.on_bad` says, and
    listed in `quarantine.csv`. Then the files' contents are written into shards, those of train in a random
    order; all other cells into `rows.parquet`, with the split that each row has now. Images and arrays keep
    their bytes. Sounds become 16-bit WAV files of one channel, at the rate and up to the seconds of the
    spec: the same samples if they were so before, else within half a step of 1/32768, and cut at full
    scale. A run that was stopped goes on behind its last whole shard; a finished folder is left as it is.

    Args:
        spec: Spec.
        folder: str or path. New, empty, or begun by the same call.
        compression: "none" or "gzip". Of the shards.
        resize: bool. Write images at the spec's size, as BMP: what training sees of them, and no more.
        shard_size: int or str such as "128MB". Bytes of contents after which a shard is closed.
        progress: callable or None, called with (steps done, steps in all); a row is decoded in one step and
            written in another.
        force: bool. Write the folder anew, whatever it was begun with.

    Returns: dict with `folder`, `rows` (split -> count), `shards`, `bytes`, `bad_rows`, `columns` (of the
        files, as in schema.json), `kept` (shards that were there before), `finished_before` and `seconds`.
    Raises: ManifestError and DataError as in training. ValueError, if an argument is wrong, the folder
        cannot be written, is written by another process or was begun with other inputs.
    """
    began = time.perf_counter()
    folder = Path(os.path.abspath(folder))
    check_choice("prepare", "compression", compression, tuple(COMPRESSIONS))
    options = {"compression": compression, "resize": resize, "shard_size": _read_size(shard_size)}
    if Path(os.path.abspath(spec.data.manifest)) == folder:
        fix = "Name another folder."
        raise ValueError(message("prepare", "a folder other than `data.manifest`", str(folder), fix))
    with locked(folder):
        if force:
            remove_all(folder)
        with _telling(folder):
            manifest = load_manifest(spec)
        source = RowSource(manifest, spec.files, spec.data)
        inputs = _describe_inputs(spec, manifest, source, options)
        finished = (folder / SCHEMA).is_file()
        if finished:
            schema = read_schema(folder)
            check_inputs(folder, schema["inputs"], inputs, "written")
            kept = len(schema["shards"])
        else:
            journal = open_journal(folder, inputs)
            kept = len(journal.shards)
            schema = _write(spec, manifest, source, journal, options, progress)
    return {
        "folder": str(folder),
        **{key: schema[key] for key in ("rows", "bytes", "bad_rows", "columns")},
        "shards": len(schema["shards"]),
        "kept": kept,
        "finished_before": finished,
        "seconds": time.perf_counter() - began,
    }


def _read_size(size):
    try:
        size = int(TypeAdapter(ByteSize).validate_python(size))
    except ValidationError:
        size = 0
    if size < 1:
        fix = 'Write a number with its unit, such as "128MB".'
        raise ValueError(message("prepare", "`shard_size` of at least one byte", f"shard_size={size!r}", fix))
    return size


@contextmanager
def _telling(folder):
    """Writes what is wrong with rows into a folder that is not finished, if it is too much."""
    try:
        yield
    except DataError as error:
        if not (folder / SCHEMA).is_file():
            write_quarantine(folder / QUARANTINE, error.findings)
        raise


def _describe_inputs(spec, manifest, source, options):
    """Returns all that the shards depend on, name -> value of JSON's types."""
    settings = {
        f"modalities.{name}": part.model_dump_json(exclude={"encoder", "augment"})
        for name, part in source.modalities.items()
    }
    split = spec.data.split
    return {
        "format": FORMAT,
        **options,
        **settings,
        "data.split": split if isinstance(split, str) else split.model_dump_json(),
        "data.on_bad": spec.data.on_bad,
        "training.seed": spec.training.seed,
        "table": _digest_of(manifest.table),
        "files": source.fingerprint(),
    }


def _digest_of(frame):
    digest = hashlib.blake2b("|".join(map(str, frame.columns)).encode(), digest_size=12)
    for name in frame:
        column = pa.table({"cells": as_arrow(frame[name].array)})
        for batch in column.to_batches(AT_ONCE):
            digest.update(batch.serialize())
    return digest.hexdigest()


def _write(spec, manifest, source, journal, options, progress):
    """Checks all files, writes what lacks, and returns the schema."""
    folder = journal.folder
    total = 2 * sum(len(rows) for rows in manifest.splits.values())
    checking = spec.model_copy(deep=True)
    checking.data.cache_folder = str(folder / CHECKED)  # A run that goes on finds there what was bad.
    with _telling(folder):
        open_examples(checking, manifest, "none", progress and (lambda done, _: progress(done, total)))
    kept = np.sort(np.concatenate(list(manifest.splits.values())))
    columns = describe_columns(source.modalities, options["resize"])
    if columns:
        written = progress and (lambda done: progress(total - len(kept) + done, total))
        write_shards(manifest, source, columns, kept, journal, options, spec.training.seed, written)
    split = spec.data.split if isinstance(spec.data.split, str) else _free_name(manifest.table)
    words = _words_of(manifest)
    emptied = _emptied_cells(spec, manifest)
    write_whole(
        folder / ROWS, lambda draft: _write_rows(draft, manifest.table, kept, emptied, {split: words})
    )
    schema = _describe(spec, manifest, journal, options, columns, split)
    _write_beside(spec, manifest, folder, schema, journal)
    if progress:
        progress(total, total)
    return schema


def _free_name(frame):
    name = SPLIT
    while name in frame:
        name += "_"
    return name


def _words_of(manifest):
    """Returns the split of each row as text, `(N,)`."""
    words = np.full(len(manifest.lines), "", object)
    for name, rows in manifest.splits.items():
        words[rows] = name
    return pa.array(words, pa.large_string())


def _emptied_cells(spec, manifest):
    """Returns the cells that are taken as missing, column -> rows."""
    emptied = {}
    for finding in manifest.findings:
        if finding.severity == ERROR and finding.hits == CELL and finding.row >= 0:
            modality = spec.modalities.get(finding.modality)
            for column in columns_of(modality, finding.modality) if modality else [finding.column]:
                emptied.setdefault(column, []).append(finding.row)
    return emptied


def _write_rows(path, frame, kept, emptied, replaced):
    """Writes rows of a table as Parquet, every cell as text."""
    columns, places = {}, pa.array(kept)
    for name in dict.fromkeys([*frame.columns, *replaced]):
        cells = replaced[name] if name in replaced else as_arrow(frame[name].array)
        if name in emptied:
            bad = np.zeros(len(cells), bool)
            bad[emptied[name]] = True
            cells = pc.if_else(pa.array(bad), pa.scalar("", pa.large_string()), cells)
        columns[name] = cells.take(places)
    pq.write_table(pa.table(columns), path, compression="zstd", row_group_size=AT_ONCE)


def _describe(spec, manifest, journal, options, columns, split):
    shares = None if isinstance(spec.data.split, str) else spec.data.split.model_dump(mode="json")
    package = sys.modules[__package__.partition(".")[0]]  # Of a higher rank: it cannot be imported here.
    return {
        "format": FORMAT,
        "written_by": f"{package.__name__} {package.__version__}",
        "manifest": str(spec.data.manifest),
        "columns": columns,
        "table_columns": list(dict.fromkeys([*map(str, manifest.table.columns), split])),
        "split": {"column": split, "shares": shares},
        "rows": {name: len(rows) for name, rows in manifest.splits.items()},
        "bad_rows": len({finding.line for finding in manifest.findings if finding.severity == ERROR}),
        "compression": COMPRESSIONS[options["compression"]],
        "shards": [{"name": s.name, "split": s.split, "rows": s.rows} for s in journal.shards],
        "bytes": sum(shard.bytes for shard in journal.shards) + (journal.folder / ROWS).stat().st_size,
        "inputs": journal.inputs,
    }


def _write_beside(spec, manifest, folder, schema, journal):
    """Writes the quarantine, the spec and the checksums, and last the schema: with it the folder is whole."""
    write_whole(folder / QUARANTINE, lambda draft: write_quarantine(draft, manifest.findings))
    ready = spec.model_copy(deep=True)
    ready.data.manifest, ready.data.split = str(folder), schema["split"]["column"]
    ready.data.cache_folder = str(folder / ".mm_keras_cache")
    save_spec(ready, folder / SPEC)
    files = {
        shard.name: {"bytes": shard.bytes, "rows": shard.rows, "sha256": shard.sha256}
        for shard in journal.shards
    }
    rows = folder / ROWS
    count = sum(schema["rows"].values())
    files[ROWS] = {"bytes": rows.stat().st_size, "rows": count, "sha256": sha256_of(rows)}
    write_json(folder / CHECKSUMS, files)
    write_json(folder / SCHEMA, schema)
    (folder / JOURNAL).unlink()
    remove_drafts(folder)
