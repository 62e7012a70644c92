"""The one order of: list, decode, keep, shuffle, batch, augment, prepare, prefetch."""

from dataclasses import dataclass, field

import numpy as np
import tensorflow as tf

from mm_keras.data.augment import make_augmentation
from mm_keras.data.draws import uniform
from mm_keras.data.examples import open_examples
from mm_keras.data.findings import DataError
from mm_keras.data.fitting import fit_preprocessor
from mm_keras.data.manifest import load_manifest
from mm_keras.data.mixup import mix
from mm_keras.data.order import seeds
from mm_keras.data.row_source import RowSource, as_tensor
from mm_keras.data.sequence_lengths import relative_lengths, trim
from mm_keras.data.service import check_service, serve_from
from mm_keras.data.transforms import choose_caption
from mm_keras.speech_frames import SpeechFrames

__all__ = ["DataError", "Datasets", "choose_cache", "fill_batch", "make_datasets"]

AHEAD = 2  # Batches that lie ready while the input of the next epoch begins.


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
    source: RowSource | None = None

    @property
    def steps(self):
        """The number of training batches of one epoch."""
        return int(self.train.cardinality())

    @property
    def endless(self):
        """`train` again and again, `steps` batches an epoch: the first ones lie ready when it begins."""
        return self.train.repeat().prefetch(AHEAD)

    def cells(self, rows):
        """Returns the cells of rows, modality -> column, as `read_raw` takes them; of records, contents."""
        cells = {name: column[rows] for name, column in self.manifest.cells.items()}
        if self.source.in_records:
            found = {int(row["row/index"]): row for row in self.source.dataset(rows).as_numpy_iterator()}
            for name in cells.keys() & set(self.source.names):
                cells[name] = np.asarray([found[row][name] for row in rows], object)
        return cells

    def decode(self, rows):
        """Decodes rows anew, and returns them as a batch for `Preprocessor.finish`, without `present`."""
        batch = join_columns(self.manifest, self.preprocessor)(tf.constant(np.asarray(rows, np.int64)))
        batch = {name: batch[name] for name in self.preprocessor.names if name in batch}
        if self.source.names:
            decoded = self.source.dataset(rows).map(self.source.decode).batch(len(rows))
            found = next(iter(decoded))
            places = {row: place for place, row in enumerate(found["row/index"].numpy().tolist())}
            order = [places[row] for row in np.asarray(rows).tolist()]
            batch.update({name: tf.gather(found[name], order) for name in self.source.names})
        return batch


def make_datasets(spec, replicas=1, progress=None, preprocessor=None, manifest=None, table=None):
    """Reads the manifest, decodes every file once, learns vocabularies and statistics.

    Args:
        spec: Spec.
        replicas: int. Devices that share a batch. A last batch that they cannot share equally is filled up
            with rows of weight 0.
        progress: callable or None, called with (rows decoded, rows in all).
        preprocessor: Preprocessor or None. None learns one from the training rows.
        manifest: Manifest or None. None reads that of the spec.
        table: pandas.DataFrame, Hugging Face data set, tf.data.Dataset of dicts, or None. Read instead of
            `data.manifest`; paths in it are relative to the folder of `data.manifest`.

    Returns: Datasets. Only `train` is shuffled, augmented and mixed. `manifest.findings` names what is bad.
    Raises: ManifestError, if the table does not fit the spec. DataError, if more rows are bad than
        `data.on_bad` and `data.max_bad` allow; it holds all findings.
    """
    manifest = manifest or load_manifest(spec, table=table)
    place = choose_cache(spec, manifest)
    examples = open_examples(spec, manifest, place, progress)
    preprocessor = preprocessor or fit_preprocessor(spec, manifest, examples.moments)
    batches = {
        split: _batches(spec, split, examples, preprocessor, replicas) if len(rows) else None
        for split, rows in examples.rows.items()
    }
    return Datasets(
        batches["train"],
        batches.get("validation"),
        batches.get("test"),
        preprocessor,
        manifest,
        dict(examples.rows),
        examples.place,
        examples.source,
    )


def choose_cache(spec, manifest):
    """Returns where decoded examples are kept: "memory" while they fit the budget, else "file"; or "none"."""
    if spec.input.service:
        return "none"  # The workers decode; what this process keeps would not reach them.
    if spec.data.cache != "auto":
        return spec.data.cache
    source = RowSource(manifest, spec.files, spec.data)
    size = sum(len(rows) for rows in manifest.splits.values()) * source.row_bytes
    return "memory" if size <= spec.data.cache_memory else "file"


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


def join_columns(manifest, preprocessor):
    """Returns the function that gives the cells that are no files, the targets and weights of rows `(B,)`."""
    columns = {"present": tf.constant(manifest.present)}
    for name, modality in preprocessor.modalities.items():
        if modality.kind == "numbers":
            columns[name] = tf.constant(manifest.cells[name])
        elif modality.kind == "text":
            columns[name] = as_tensor(manifest.cells[name])
    for name in manifest.targets:
        values = manifest.targets[name]
        if preprocessor.outputs[name].kind != "speech":  # Whose answers are files.
            columns[f"target/{name}"] = (
                tf.constant(values) if isinstance(values, np.ndarray) else as_tensor(values)
            )
        columns[f"weight/{name}"] = tf.constant(manifest.target_weights[name])

    @tf.autograph.experimental.do_not_convert
    def join(index):
        return {name: tf.gather(column, index) for name, column in columns.items()}

    return join


def _batches(spec, split, examples, preprocessor, replicas):
    count = len(examples.rows[split])
    training = split == "train"
    batch_size = max(spec.training.batch_size // replicas, 1) * replicas
    lengths = None
    if training and spec.input.bucketing:
        manifest = examples.source.manifest
        lengths = relative_lengths(len(manifest.lines), spec.modalities, manifest.cells, examples.steps)
    seed = spec.training.seed
    service = spec.input.service if training and examples.source.names else None
    if service:
        check_service(service, examples.source, examples.rows[split])
        batches = serve_from(examples.epoch_maker(split, batch_size, lengths), seed, service, batch_size)
    else:
        batches = examples.batches(split, batch_size, seed if training else None, lengths)
    finish = _finisher(spec, preprocessor, examples.source.manifest, replicas, training)
    batches = tf.data.Dataset.zip(batches, seeds(seed + 1))
    batches = batches.map(finish, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    batches = batches.apply(tf.data.experimental.assert_cardinality(-(-count // batch_size)))
    options = tf.data.Options()
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
    return batches.prefetch(tf.data.AUTOTUNE).with_options(options)


def _finisher(spec, preprocessor, manifest, replicas, training):
    """Returns the function that makes a batch of decoded rows `(inputs, targets, weights)`."""
    join = join_columns(manifest, preprocessor)
    augment = make_augmentation(spec.modalities, manifest.root) if training else None
    alpha = spec.training.mixup if training else 0
    kinds = {name: modality.kind for name, modality in spec.modalities.items()}
    sequences = [name for name, modality in spec.modalities.items() if modality.is_sequence]
    captions = spec.of_kind("caption")
    sounds = {name: SpeechFrames(**output.frames) for name, output in spec.of_kind("speech").items()}
    copies = {
        key: modality
        for name in spec.of_kind("autoencoder")
        for key, modality in spec.copies_of(name).items()
    }
    denoises = augment is not None and any(part.denoise for part in spec.of_kind("autoencoder").values())

    @tf.autograph.experimental.do_not_convert
    def finish(rows, seed):
        rows = fill_batch({**rows, **join(rows["row/index"])}, replicas)
        clean = preprocessor.finish(rows, rows["present"]) if denoises else None
        if augment is not None:
            rows = augment(rows, seed)
        inputs = preprocessor.finish(rows, rows["present"])
        if training and spec.input.bucketing:
            inputs |= {name: trim(inputs[name], spec.modalities[name]) for name in sequences}
        targets, weights = _targets(spec, preprocessor, rows, inputs, clean)
        for name, output in captions.items():
            cells = rows[f"target/{name}"]
            draws = uniform(cells, seed, f"{name}/caption") if training else tf.zeros_like(weights[name])
            ids = preprocessor.caption_ids(name, choose_caption(cells, output.separator, draws))
            if training:  # What is longer than each text of the batch would be computed for nothing.
                ids = ids[:, : tf.maximum(tf.reduce_max(tf.math.count_nonzero(ids, axis=1)), 2)]
            inputs[f"{name}.given"], targets[name] = ids[:, :-1], ids[:, 1:]
        for name, group in sounds.items():
            groups = group(rows[name])
            if training:  # As with texts.
                groups = groups[:, : tf.reduce_max(tf.math.count_nonzero(groups[:, :, -1] < 1, axis=1)) + 1]
            inputs[f"{name}.given"] = tf.pad(groups[:, :-1], [[0, 0], [1, 0], [0, 0]])
            targets[name] = groups
        if alpha:
            inputs, targets, weights = mix(inputs, targets, weights, alpha, seed, kinds, copies)
        return inputs, targets, weights

    return finish


def _targets(spec, preprocessor, rows, inputs, clean):
    """Returns targets and weights; an autoencoder that denoises learns the `clean` inputs, others what they
    read."""
    targets, weights = {}, {}
    for name, output in spec.outputs.items():
        if output.kind == "autoencoder":
            learned = clean if output.denoise and clean is not None else inputs
            for key, modality in spec.copies_of(name).items():
                targets[key] = learned[modality]
                weights[key] = rows["present"][:, spec.modality_names.index(modality)]
            for key in set(spec.keys_of(name)) - targets.keys():  # The code's divergence, of every row.
                weights[key] = tf.ones_like(rows["present"][:, 0])
                targets[key] = tf.zeros_like(rows["present"][:, :1])
            continue
        if output.kind == "contrastive":
            places = [spec.modality_names.index(modality) for modality in output.modalities]
            here = tf.gather(rows["present"], places, axis=1) * rows["row/real"][:, None]
            targets[name] = here[:, :, None]
            weights[name] = tf.cast(tf.reduce_sum(here, axis=1) > 1, tf.float32)
            continue
        weights[name] = rows[f"weight/{name}"]
        if output.kind in ("caption", "speech"):
            continue
        target = rows[f"target/{name}"]
        single = target.dtype.is_integer
        targets[name] = tf.one_hot(target, len(preprocessor.labels[name])) if single else target
    return targets, {key: weight * rows["row/real"] for key, weight in weights.items()}
