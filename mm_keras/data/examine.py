"""Decodes and measures every file that a manifest names: each once, in parallel, as training decodes it."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import chain, islice

import numpy as np
import pandas as pd
import soundfile
import tensorflow as tf

from mm_keras.data import transforms
from mm_keras.data.headers import HEAD, image_sizes, sound_seconds, stack_heads
from mm_keras.data.reasons import code_of, ending_differs
from mm_keras.data.record_damage import damage_error
from mm_keras.data.records import read_records

BATCH, BATCH_BYTES = 64, 64 * 2**20
LOOK = (8, 9)  # Rows and columns of a thumbnail: 8 x 8 differences between neighbours.
STEP = 2.0  # Grey levels, of 255, that neighbours differ by at least: noise in plain areas is none.
SILENT = 1e-4  # -80 dB of full scale.
PROBED = 1000
KEY = (0x6D6D5F6B, 0x65726173)
THREADS = 8


@dataclass
class Files:
    """The distinct files of one modality, and what was measured of each.

    Args:
        paths: str array `(F,)`. Absolute; in records the name in the table.
        of_row: int64 `(N,)`. Number of the file of each row of the manifest, -1 = none.
        records: Records or None. Shards that hold the contents, in `column`; None: files at `paths`.
        measures: dict, name -> array `(F, ...)`. Of all: `decoded` (bool), `bytes`, `content` (int64, equal
            for equal contents), `ending` (the type that a name's ending hides, "" = none); of images also
            `width`, `height` (0 = unknown), `blank` (bool), `look` (uint64, difference hash) and `thumbnail`
            (uint8 `(F, 72, C)`); of sounds `seconds` (NaN = unknown), `peak` and `rms` of what a model hears.
        faults: dict, number of a file that cannot be decoded -> (code, reason).
    """

    paths: np.ndarray
    of_row: np.ndarray
    records: object = None
    column: str = ""
    measures: dict = field(default_factory=dict)
    faults: dict = field(default_factory=dict)

    @property
    def decoded(self):
        return self.measures["decoded"]

    def rows_of(self, mask):
        """Returns bool `(N,)`: the rows whose file is in `mask`, bool `(F,)`."""
        return np.append(mask, False)[self.of_row]


def examine_files(manifest, parts, max_pixels, max_samples, progress=None):
    """Decodes each file of the modalities of kind image, audio and features, and of outputs, and measures it.

    What is kept of a file is a few numbers: the memory needed does not grow with what is in the files.

    Args:
        manifest: Manifest. Cells that are not present are not read.
        parts: dict, name -> part of the spec, of `Spec.files`.
        max_pixels, max_samples: int. Larger images and longer sounds are refused before they are decoded.
        progress: callable or None, called with (files done, files in all).

    Returns: dict, name -> Files.
    Raises: ManifestError, if record shards themselves are damaged.
    """
    names = sorted(parts)
    found, total, done = {}, 0, 0
    for name in names:
        if parts[name].kind in transforms.FILE_KINDS:
            found[name] = _list_files(manifest, name, parts[name])
            total += len(found[name].paths)
    for name, files in found.items():
        decode = _decoder(parts[name], files.records is not None, max_pixels, max_samples)
        for count in chain(_measure(files, parts[name], decode), _explain_failures(files, decode)):
            done += count
            if progress:
                progress(done, total)
        if parts[name].kind == "audio" and files.records is None:
            _probe_lengths(files)
    return found


def _list_files(manifest, name, modality):
    cells = pd.Series(manifest.cells_of(name), copy=False).where(manifest.has(name), "")
    codes, distinct = pd.factorize(cells)
    distinct = np.asarray(distinct, object)
    named = distinct != ""
    number = np.where(named, np.cumsum(named) - 1, -1)
    records = manifest.records
    if records is None or modality.column not in records.columns:
        return Files(distinct[named].astype(str), number[codes])
    return Files(distinct[named].astype(str), number[codes], records, modality.column)


def _dataset(files, wanted):
    """Returns a dataset of (number, path or contents in records) of the files in `wanted`, bool `(F,)`."""
    numbers = np.flatnonzero(wanted)
    if files.records is None:
        with tf.device("CPU:0"):
            return tf.data.Dataset.from_tensor_slices((numbers, files.paths[numbers]))
    # A row for each file: several rows may name the same one.
    first = np.full(len(files.of_row), -1)
    _, rows = np.unique(files.of_row, return_index=True)
    rows = rows[np.append(wanted, False)[files.of_row[rows]]]
    first[rows] = files.of_row[rows]
    first = tf.constant(first)

    @tf.autograph.experimental.do_not_convert
    def name_file(record):
        return tf.gather(first, record["row"]), record[files.column]

    return read_records(files.records, [files.column]).map(name_file).filter(lambda number, cell: number >= 0)


def _decoder(modality, in_records, max_pixels, max_samples):
    """Returns the graph that turns a file's path, or contents, into its tensor and what its bytes tell."""

    def decode(cell):
        contents = cell if in_records else transforms.read_file(cell)
        measures = {
            "value": transforms.decode_cell(contents, modality, max_pixels, max_samples=max_samples),
            "bytes": tf.cast(tf.strings.length(contents), tf.int64),
            "content": tf.strings.to_hash_bucket_strong(contents, tf.int64.max, KEY),
            "head": tf.strings.substr(contents, 0, tf.minimum(tf.strings.length(contents), HEAD)),
        }
        if modality.kind == "image":
            is_jpeg = tf.strings.substr(contents, 0, 2) == b"\xff\xd8"
            measures["shape"] = tf.cond(
                is_jpeg, lambda: tf.image.extract_jpeg_shape(contents), lambda: tf.zeros([3], tf.int32)
            )
        return measures

    decode = tf.function(decode, autograph=False, input_signature=[tf.TensorSpec([], tf.string)])
    return decode.get_concrete_function()  # Traced once, for all files and for those that fail.


def _measure(files, modality, decode):
    """Fills in `files.measures`, and yields how many files each batch measured."""
    count = len(files.paths)
    measures = files.measures = _empty_measures(modality, count)
    if not count:
        return
    size = int(np.prod(modality.example_shape)) * 4
    describe = {"image": _describe_images, "audio": _describe_sounds}.get(modality.kind, _describe_nothing)

    @tf.autograph.experimental.do_not_convert
    def read(number, cell):
        return {"number": number, **decode(cell)}

    @tf.autograph.experimental.do_not_convert
    def shorten(batch):
        return {**{name: x for name, x in batch.items() if name != "value"}, **describe(batch["value"])}

    dataset = _dataset(files, np.ones(count, bool))
    dataset = dataset.map(read, num_parallel_calls=tf.data.AUTOTUNE, deterministic=False).ignore_errors()
    dataset = dataset.batch(max(1, min(BATCH, BATCH_BYTES // size))).map(shorten).prefetch(1)
    for batch in dataset.as_numpy_iterator():
        numbers = batch.pop("number")
        measures["decoded"][numbers] = True
        names = files.paths[numbers]
        heads = batch.pop("head")
        measures["ending"][numbers] = [
            ending_differs(path, head) or "" for path, head in zip(names, heads, strict=True)
        ]
        for name, values in {**batch, **_read_heads(modality.kind, heads, batch)}.items():
            if name in measures:
                measures[name][numbers] = values
        yield len(numbers)


def _empty_measures(modality, count):
    empty = {
        "decoded": np.zeros(count, bool),
        "bytes": np.zeros(count, np.int64),
        "content": np.full(count, -1, np.int64),
        "ending": np.full(count, "", object),
    }
    if modality.kind == "image":
        empty |= {name: np.zeros(count, np.int64) for name in ("width", "height")}
        empty |= {"blank": np.zeros(count, bool), "look": np.zeros(count, np.uint64)}
        empty["thumbnail"] = np.zeros((count, LOOK[0] * LOOK[1], modality.channels), np.uint8)
    elif modality.kind == "audio":
        empty |= {name: np.full(count, np.nan) for name in ("seconds", "peak", "rms")}
    return empty


def _describe_nothing(values):
    return {}


def _describe_images(pixels):
    """Returns of pixels uint8 `(B, H, W, C)` whether all are equal, a thumbnail and its difference hash."""
    blank = tf.reduce_all(tf.reduce_max(pixels, [1, 2]) == tf.reduce_min(pixels, [1, 2]), axis=-1)
    small = tf.image.resize(tf.cast(pixels, tf.float32), LOOK, antialias=True)  # (B, 8, 9, C)
    grey = tf.reduce_mean(small, axis=-1)
    brighter = grey[:, :, 1:] > grey[:, :, :-1] + STEP
    bits = tf.reshape(tf.cast(brighter, tf.int64), (-1, 8, 8))
    rows = tf.reduce_sum(bits * (1 << np.arange(8)), axis=-1)  # (B, 8)
    shape = (-1, LOOK[0] * LOOK[1], pixels.shape[-1])
    thumbnail = tf.reshape(tf.cast(tf.round(small), tf.uint8), shape)
    return {"blank": blank, "look": tf.cast(rows, tf.uint8), "thumbnail": thumbnail}


def _describe_sounds(samples):
    """Returns peak and root mean square of samples float32 `(B, S)`."""
    return {
        "peak": tf.reduce_max(tf.abs(samples), axis=-1),
        "rms": tf.sqrt(tf.reduce_mean(tf.square(samples), axis=-1)),
    }


def _read_heads(kind, heads, batch):
    """Returns what the first bytes of a batch of files tell, as arrays `(B,)`."""
    if kind == "image":
        sizes = image_sizes(stack_heads(heads))
        known = batch["shape"][:, :1] > 0  # Of a JPEG: height, width, channels.
        sizes = np.where(known, batch["shape"][:, 1::-1], sizes)
        return {"width": sizes[:, 0], "height": sizes[:, 1], "look": batch["look"].copy().view("<u8")[:, 0]}
    if kind == "audio":
        return {"seconds": sound_seconds(stack_heads(heads), batch["bytes"])}
    return {}


def _probe_lengths(files):
    """Reads the lengths of the first sounds whose first bytes do not tell it, such as those of MP3."""
    unknown = np.flatnonzero(files.decoded & np.isnan(files.measures["seconds"]))[:PROBED]
    for number in unknown.tolist():
        try:
            files.measures["seconds"][number] = soundfile.info(files.paths[number]).duration
        except (OSError, soundfile.LibsndfileError):
            continue


def _explain_failures(files, decode):
    """Fills in `files.faults`: decodes what failed again, one by one, for the reason; yields how many."""
    failed = ~files.decoded
    if not failed.any():
        return
    in_records = files.records is not None

    def explain(item):
        number, cell = item
        return number, _explain(files.paths[number], cell, decode, in_records)

    with ThreadPoolExecutor(THREADS) as pool:
        try:
            items = _dataset(files, failed).as_numpy_iterator()
            # The first one alone: each thread that calls the graph before it is optimised does that again.
            first = list(map(explain, islice(items, 1)))
            for number, fault in chain(first, pool.map(explain, items)):
                files.faults[int(number)] = fault
                yield 1
        except tf.errors.DataLossError as error:
            raise damage_error(files.records) from error
    for number in np.flatnonzero(failed).tolist():
        files.faults.setdefault(number, ("undecodable", "its record cannot be read; write the shards again"))


def _explain(path, cell, decode, in_records):
    """Returns (code, reason)."""
    head = cell[:HEAD] if in_records else b""
    try:
        if not in_records:
            with open(path, "rb") as file:
                head = file.read(HEAD)
        decode(tf.constant(cell))
    except OSError as error:
        reason = error.strerror or str(error)
    except (tf.errors.OpError, ValueError) as error:
        reason = transforms.reason_of(error)
    else:
        reason = "it failed once and can be read now: it changed while it was read"
    return code_of(reason, head, path), reason
