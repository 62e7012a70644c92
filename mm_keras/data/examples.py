"""Decoded files of rows: decoded once, then kept in memory or in files; or decoded anew in each epoch."""

import functools
from dataclasses import dataclass, field

import numpy as np
import tensorflow as tf

from mm_keras.data.bad_files import find_bad_files
from mm_keras.data.file_cache import FORMAT, CacheWriter, open_cache
from mm_keras.data.findings import check_limit
from mm_keras.data.fitting import Moments
from mm_keras.data.order import epoch_batches, index_batches, sorted_batches
from mm_keras.data.row_source import FEW, RowSource
from mm_keras.data.sequence_lengths import SequenceLengths

AT_ONCE = 64  # Rows that pass from the decoders to where they are kept, in one step.
SHUFFLE_BYTES = 16 * 2**20
READERS, BLOCK = 8, 32  # Shards of the file cache that are read in turn, and rows of each turn.
WINDOW = 32  # Batches among which rows that are streamed are sorted by length.


@dataclass
class Examples:
    """Decoded examples of the rows of each split.

    Args:
        place: "memory", "file" or "none".
        source: RowSource.
        rows: dict, split name -> int array of rows, in the order in which they are read when not shuffled.
        moments: dict, features modality -> {"mean", "variance"} over train.
        steps: dict, modality of sounds or sequences -> int32 array `(N,)`. Steps of each row before padding.
        arrays: dict, modality -> tensor `(slots, ...)`. Of "memory".
        slots: int64 array `(N,)`. Slot of each row in `arrays`.
        cache: FileCache or None. Of "file".
    """

    place: str
    source: RowSource
    rows: dict
    moments: dict = field(default_factory=dict)
    steps: dict = field(default_factory=dict)
    arrays: dict = field(default_factory=dict)
    slots: np.ndarray = None
    cache: object = None

    def batches(self, split, batch_size, seed=None, lengths=None):
        """Returns a dataset of batches {"row/index": int64 `(B,)`, modality: tensor `(B, ...)`}.

        Args:
            split: str.
            batch_size: int.
            seed: int or None. None reads the rows in order; else each epoch shuffles them anew.
            lengths: float array `(N,)` or None. Shuffled rows of similar length come in one batch.
        """
        rows = self.rows[split]
        if self.place == "memory" or not self.source.names:
            return _map(index_batches(rows, batch_size, seed, lengths), self._gatherer())
        if self.place == "file":
            records = self._records(split, seed)
            return _batch(_batcher(records), self.cache.read_batch, batch_size, seed, lengths)
        if self.source.in_records:
            return self._stream(rows, batch_size, seed, lengths)
        places = index_batches(
            np.arange(len(rows)), batch_size, seed, None if lengths is None else lengths[rows]
        )
        return self._decode_places(places, self.source.taker(rows), batch_size)

    def epoch_maker(self, split, batch_size, lengths=None):
        """Returns the function that makes the shuffled `batches` of one epoch from a seed, int tensor `(2,)`.

        For the workers of a tf.data service, which decode while they read.
        """
        rows = self.rows[split]
        if self.source.in_records:
            return lambda drawn: self._stream(rows, batch_size, drawn, lengths)
        take = self.source.taker(rows)
        places, lengths = np.arange(len(rows)), None if lengths is None else lengths[rows]
        return lambda drawn: self._decode_places(
            epoch_batches(places, batch_size, drawn, lengths), take, batch_size
        )

    def _decode_places(self, places, take, batch_size):
        return self._decode_rows(_map(places, take).unbatch(), batch_size)

    def _stream(self, rows, batch_size, seed, lengths):
        drawn = seed[0] if tf.is_tensor(seed) else seed
        rows = _shuffled(self.source.dataset(rows, seed), len(rows), self.source.row_bytes, drawn)
        return self._decode_rows(rows, batch_size, drawn, lengths)

    def _decode_rows(self, rows, batch_size, seed=None, lengths=None):
        if self.source.is_small:
            in_batches = _map(rows.batch(FEW), self.source.fetch_few).rebatch
        else:
            in_batches = _batcher(_map(rows, self.source.fetch))
        return _batch(in_batches, self.source.finish, batch_size, seed, lengths)

    def _gatherer(self):
        slots = tf.constant(self.slots)

        @tf.autograph.experimental.do_not_convert
        def gather(index):
            places = tf.gather(slots, index)
            return {"row/index": index, **{name: tf.gather(x, places) for name, x in self.arrays.items()}}

        return gather

    def _records(self, split, seed):
        files, width = self.cache.files[split], self.cache.record_bytes
        if seed is None:
            return tf.data.FixedLengthRecordDataset(files, width)
        names = tf.data.Dataset.from_tensor_slices(files).shuffle(len(files), seed)
        records = names.interleave(
            lambda name: tf.data.FixedLengthRecordDataset(name, width),
            cycle_length=READERS,
            block_length=BLOCK,
            num_parallel_calls=tf.data.AUTOTUNE,
            deterministic=True,
        )
        return _shuffled(records, len(self.rows[split]), width, seed)


def _map(dataset, function):
    return dataset.map(function, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)


def _shuffled(dataset, count, row_bytes, seed):
    """Shuffles a stream of rows within a buffer of bounded memory."""
    most = max(min(count, SHUFFLE_BYTES // max(row_bytes, 1)), 1)
    return dataset if seed is None else dataset.shuffle(most, seed, reshuffle_each_iteration=True)


def _batcher(dataset):
    return functools.partial(dataset.batch, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)


def _batch(in_batches, read, batch_size, seed=None, lengths=None):
    """Batches a stream; `in_batches` gives it in batches of a size, and `read` turns one of these into
    {"row/index", modality: tensor}."""
    if seed is None or lengths is None:
        return _map(in_batches(batch_size), read)
    known = tf.constant(np.asarray(lengths, np.float32))

    @tf.autograph.experimental.do_not_convert
    def part(window):
        window = read(window)
        places = tf.range(tf.size(window["row/index"]), dtype=tf.int64)
        here = tf.gather(known, window["row/index"])
        # Of the window's own rows too, so that windows differ in their order.
        drawn = tf.stack([window["row/index"][0], tf.cast(seed, tf.int64)])
        cut = sorted_batches(places, here, batch_size, drawn)
        return cut.map(lambda chosen: {name: tf.gather(x, chosen) for name, x in window.items()})

    return in_batches(batch_size * WINDOW).flat_map(part)


def open_examples(spec, manifest, place, progress=None):
    """Decodes the files of all rows once.

    Args:
        spec: Spec.
        manifest: Manifest. Rows with files that cannot be decoded lose their split, or the one modality, as
            `data.on_bad` says; its findings name them.
        place: "memory", "file" or "none": where what was decoded is kept.
        progress: callable or None, called with (rows decoded, rows in all).

    Returns: Examples.
    Raises: DataError, if more rows are bad than the spec allows.
    """
    source = RowSource(manifest, spec.files, spec.data)
    if not source.names:
        return Examples("memory", source, manifest.splits, slots=np.zeros(len(manifest.lines), np.int64))
    if place == "memory":
        return _keep_in_memory(spec, manifest, source, progress)
    return _keep_in_files(spec, manifest, source, place, progress)


def _keep_in_memory(spec, manifest, source, progress):
    lengths = SequenceLengths(source.modalities, len(manifest.lines))
    slots, first = source.slots(np.concatenate(list(manifest.splits.values())))
    arrays = {name: _aligned((len(first), *shape), dtype) for name, (shape, dtype) in source.layout.items()}

    def keep(batch):
        places = slots[batch["row/index"]]
        for name, array in arrays.items():
            array[places] = batch[name]
        lengths.add(batch)

    lost = _decode(source, first, keep, progress)
    again = _judge(
        spec, manifest, source, np.flatnonzero(np.isin(slots, slots[lost]) & _in_splits(manifest)), lost
    )
    _decode(source, again, keep)
    moments = {name: Moments(arrays[name].shape[-1]) for name in source.features}
    train = manifest.splits["train"]
    for start in range(0, len(train), 1024):
        for name, moment in moments.items():
            moment.add(arrays[name][slots[train[start : start + 1024]]])
    return Examples(
        "memory",
        source,
        manifest.splits,
        {name: moment.result() for name, moment in moments.items()},
        {name: steps[first][slots] for name, steps in lengths.steps.items()},
        # Without a copy: the examples may fill half of the memory.
        {name: tf.experimental.dlpack.from_dlpack(array.__dlpack__()) for name, array in arrays.items()},
        slots,
    )


def _keep_in_files(spec, manifest, source, place, progress):
    key = source.fingerprint(str(FORMAT), place, spec.data.on_bad)
    parent = spec.data.cache_folder
    cache = open_cache(parent, spec.name, key, source.layout)
    if cache is not None:
        _apply(spec, manifest, cache.findings)
    else:
        needed = len(manifest.lines) * source.row_bytes if place == "file" else 0
        with CacheWriter(parent, spec.name, key, source.layout, spec.training.seed, needed) as writer:
            moments = {name: Moments(source.layout[name][0][-1]) for name in source.features}
            lengths = SequenceLengths(source.modalities, len(manifest.lines))
            known = len(manifest.findings)
            _write_all(spec, manifest, source, writer, moments, lengths, place, progress)
            results = {name: moment.result() for name, moment in moments.items()}
            cache = writer.finish(manifest.findings[known:], results, lengths.steps)
    rows = {split: cache.rows.get(split, rows) for split, rows in manifest.splits.items()}
    rows = rows if place == "file" else manifest.splits
    return Examples(place, source, rows, cache.moments, cache.steps, cache=cache)


def _write_all(spec, manifest, source, writer, moments, lengths, place, progress):
    """Decodes all rows into a cache, those of train in a random order; `moments` and `lengths` see them."""
    random = np.random.default_rng(spec.training.seed)
    total, done = sum(len(rows) for rows in manifest.splits.values()), 0

    def keep(split):
        def write(batch):
            if place == "file":
                writer.add(split, batch)
            lengths.add(batch)
            for name, moment in moments.items() if split == "train" else ():
                moment.add(batch[name])

        return write

    lost = {}
    for split, rows in manifest.splits.items():
        rows = random.permutation(rows) if split == "train" else rows
        counted = progress and (lambda count, _, before=done: progress(before + count, total))
        lost[split] = _decode(source, rows, keep(split), counted)
        done += len(rows)
    again = _judge(spec, manifest, source, np.concatenate(list(lost.values())).astype(int))
    for split, rows in lost.items():
        _decode(source, rows[np.isin(rows, again)], keep(split))


def _decode(source, rows, keep, progress=None):
    """Decodes rows, hands them over in batches, and returns those that failed, ascending."""
    if not len(rows):
        return np.zeros(0, int)
    seen = np.zeros(len(source.manifest.lines), bool)
    decoded = _map(source.dataset(rows), source.decode).ignore_errors()
    done = 0
    for batch in decoded.batch(AT_ONCE).prefetch(2).as_numpy_iterator():
        keep(batch)
        seen[batch["row/index"]] = True
        done += len(batch["row/index"])
        if progress:
            progress(done, len(rows))
    if progress and done < len(rows):
        progress(len(rows), len(rows))
    return np.sort(rows[~seen[rows]])


def _judge(spec, manifest, source, bad, tried=None):
    """Finds what is wrong with rows that failed, applies the spec's policy, and returns the rows to decode
    again, without what is wrong."""
    _apply(spec, manifest, find_bad_files(source, bad))
    again = bad if tried is None else tried
    return again[_in_splits(manifest)[again]]


def _apply(spec, manifest, findings):
    manifest.hide(findings)
    manifest.drop_bad(spec.data.on_bad)
    check_limit(manifest.findings, manifest.rows_in_all, spec.data.on_bad, spec.data.max_bad)


def _in_splits(manifest):
    inside = np.zeros(len(manifest.lines), bool)
    for rows in manifest.splits.values():
        inside[rows] = True
    return inside


def _aligned(shape, dtype, boundary=64):
    """Returns zeros that begin where TensorFlow wants its own tensors to begin."""
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    content = np.zeros(size + boundary, np.uint8)
    start = -content.ctypes.data % boundary
    return content[start : start + size].view(dtype).reshape(shape)
