"""The one order of: list, decode, cache, shuffle, batch, prefetch."""

import shutil
import tempfile
import weakref
from dataclasses import dataclass, field

import numpy as np
import tensorflow as tf

from mm_keras.checks import message
from mm_keras.data import transforms
from mm_keras.data.fitting import fit_preprocessor
from mm_keras.data.manifest import load_manifest

FILE_SHUFFLE_BYTES = 256 * 2**20


class DataError(ValueError):
    """Files of the manifest cannot be read; the message names them with the reasons."""


@dataclass
class Datasets:
    """Datasets of the splits, and what was learned from the training rows.

    Each of `train`, `validation` and `test` is a `tf.data.Dataset` of batches `(inputs, targets, weights)`,
    or None if the split has no rows; `present` is a part of `inputs`. `rows` maps a split to its row
    numbers in the manifest, in the order in which `validation` and `test` yield them.
    """

    train: tf.data.Dataset
    validation: tf.data.Dataset | None
    test: tf.data.Dataset | None
    preprocessor: object
    manifest: object
    rows: dict = field(default_factory=dict)
    cached_in: str = "none"

    @property
    def steps(self):
        """The number of training batches of one epoch."""
        return int(self.train.cardinality())


def make_datasets(spec, replicas=1, progress=None, preprocessor=None, manifest=None):
    """Reads the manifest, learns vocabularies and statistics, decodes and caches every example once.

    Args:
        spec: Spec.
        replicas: int. Devices that share a batch. A last batch that they cannot share equally is filled up
            with rows of weight 0.
        progress: callable or None, called with (rows decoded, rows in all).
        preprocessor: Preprocessor or None. None learns one from the training rows.
        manifest: Manifest or None. None reads that of the spec.

    Returns: Datasets.
    Raises: ManifestError, if the table does not fit the spec. DataError, if files cannot be decoded: those
        of the first ten such rows are named, each with its line and the reason, and the others counted.
    """
    manifest = manifest or load_manifest(spec)
    preprocessor = preprocessor or fit_preprocessor(spec, manifest)
    place = choose_cache(spec, manifest)
    decode = _decoder(preprocessor)
    total = sum(len(rows) for rows in manifest.splits.values())
    datasets, done, bad = {}, 0, []
    for split, rows in manifest.splits.items():
        if not len(rows):
            datasets[split] = None
            continue
        source = _rows_dataset(spec, manifest, rows)
        decoded = _decode(source, decode).ignore_errors()
        kept = _cache(decoded, place)
        seen = np.zeros(len(manifest.table), bool)
        for batch in kept.map(_index).batch(64).as_numpy_iterator():
            seen[batch] = True
            done += len(batch)
            if progress:
                progress(done, total)
        bad += [row for row in rows if not seen[row]]
        datasets[split] = (source, kept)
    if bad:
        raise DataError(_describe_bad(bad, manifest, preprocessor))
    batches = {
        split: pair
        and _batches(spec, split, pair, decode, preprocessor, place, replicas, len(manifest.splits[split]))
        for split, pair in datasets.items()
    }
    return Datasets(
        batches["train"],
        batches.get("validation"),
        batches.get("test"),
        preprocessor,
        manifest,
        dict(manifest.splits),
        place,
    )


def choose_cache(spec, manifest):
    """Returns where decoded examples are kept: "memory" while they fit the budget, else "file"; or "none"."""
    if spec.data.cache != "auto":
        return spec.data.cache
    size = sum(len(rows) for rows in manifest.splits.values()) * bytes_per_row(spec)
    return "memory" if size <= spec.data.cache_memory else "file"


def bytes_per_row(spec):
    """Returns the bytes of one decoded example: an image takes 1 a value, all else 4."""
    return sum(
        int(np.prod(transforms.tensor_shape(modality))) * (1 if modality.kind == "image" else 4)
        for modality in spec.modalities.values()
    )


def fill_batch(rows, replicas):
    """Repeats rows of a batch until the replicas get equally many: Keras fails on a first batch that differs,
    and on a replica without rows.

    Args:
        rows: dict, name -> tensor `(B, ...)`, "row/index" among them.
        replicas: int > 0.

    Returns: dict of the same names and "row/real", float32 `(B,)`: 0 for a repeated row, else 1.
    """
    count = tf.shape(rows["row/index"])[0]
    if replicas == 1:
        return {**rows, "row/real": tf.ones([count])}
    places = tf.range(-(-count // replicas) * replicas)
    filled = {name: tf.gather(x, places % count) for name, x in rows.items()}
    return {**filled, "row/real": tf.cast(places < count, tf.float32)}


def _rows_dataset(spec, manifest, rows):
    row = {"row/index": rows.astype(np.int64), "present": manifest.present[rows]}
    for name, modality in spec.modalities.items():
        cells = manifest.cells[name][rows]
        row[name] = cells if modality.kind == "numbers" else cells.astype(str)
    for name in manifest.targets:
        row[f"target/{name}"] = manifest.targets[name][rows]
        row[f"weight/{name}"] = manifest.target_weights[name][rows]
    with tf.device("CPU:0"):
        return tf.data.Dataset.from_tensor_slices(row)


def _decoder(preprocessor):
    """Returns the function that decodes a row; its graph is traced once for all splits."""
    decode_row = tf.function(preprocessor.decode_row, autograph=False)

    @tf.autograph.experimental.do_not_convert
    def decode(row):
        return {**row, **decode_row({name: row[name] for name in preprocessor.names})}

    return decode


def _decode(dataset, decode):
    return dataset.map(decode, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)


@tf.autograph.experimental.do_not_convert
def _index(row):
    return row["row/index"]


def _cache(dataset, place):
    if place == "none":
        return dataset
    if place == "memory":
        return dataset.cache()
    folder = tempfile.mkdtemp(prefix="mm_keras_cache_")
    cached = dataset.cache(f"{folder}/rows")
    weakref.finalize(cached, shutil.rmtree, folder, ignore_errors=True)
    return cached


def _batches(spec, split, pair, decode, preprocessor, place, replicas, count):
    source, dataset = pair
    batch_size = max(spec.training.batch_size // replicas, 1) * replicas
    if split == "train":
        most = count if place != "file" else min(count, FILE_SHUFFLE_BYTES // bytes_per_row(spec) + 1)
        shuffled = source if place == "none" else dataset
        dataset = shuffled.shuffle(most, seed=spec.training.seed, reshuffle_each_iteration=True)
    if place == "none":
        dataset = _decode(dataset if split == "train" else source, decode)
    finish = _finisher(spec, preprocessor, replicas)
    batches = dataset.batch(batch_size, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    batches = batches.map(finish, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    batches = batches.apply(tf.data.experimental.assert_cardinality(-(-count // batch_size)))
    options = tf.data.Options()
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
    return batches.prefetch(tf.data.AUTOTUNE).with_options(options)


def _finisher(spec, preprocessor, replicas):
    """Returns the function that makes a batch of decoded rows `(inputs, targets, weights)`."""
    names = spec.modality_names

    @tf.autograph.experimental.do_not_convert
    def finish(rows):
        rows = fill_batch(rows, replicas)
        inputs = preprocessor.finish(rows, rows["present"])
        targets, weights = {}, {}
        for name, output in spec.outputs.items():
            if output.kind == "autoencoder":
                for modality, key in zip(output.modalities, spec.keys_of(name), strict=True):
                    targets[key] = inputs[modality]
                    weights[key] = rows["present"][:, names.index(modality)]
                continue
            target = rows[f"target/{name}"]
            single = target.dtype.is_integer
            targets[name] = tf.one_hot(target, len(preprocessor.labels[name])) if single else target
            weights[name] = rows[f"weight/{name}"]
        return inputs, targets, {key: weight * rows["row/real"] for key, weight in weights.items()}

    return finish


def _describe_bad(bad, manifest, preprocessor, most=10):
    """Decodes the rows that failed one by one and returns a message with each file and its reason."""
    lines = []
    for row in bad[:most]:
        for name, modality in preprocessor.modalities.items():
            path = manifest.cells[name][row]
            if modality.kind not in transforms.FILE_KINDS or not path:
                continue
            try:
                transforms.decode_cell(transforms.read_file(path), modality, preprocessor.max_pixels)
            except (tf.errors.OpError, ValueError) as error:
                lines.append(f"  line {manifest.lines[row]}, {name}: {path}: {transforms.reason_of(error)}")
    more = f"\n  and {len(bad) - most} more rows" if len(bad) > most else ""
    fix = "Replace these files, or empty their cells: an empty cell is a missing modality."
    rows = f"{len(bad)} row{'s' if len(bad) > 1 else ''}"
    received = f"{rows} with a file that cannot be read"
    first = message("data.manifest", "files that can be decoded", received, fix)
    return "\n".join([first, *lines]) + more
