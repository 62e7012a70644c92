"""How fast each stage of a spec's input is, which one limits training, and what to change."""

import dataclasses
import io
import tempfile
import time

import numpy as np
import soundfile
import tensorflow as tf
from PIL import Image, UnidentifiedImageError

from mm_keras.benchmark_advice import advise, conversion_of, input_from
from mm_keras.data.augment import make_augmentation
from mm_keras.data.examples import AT_ONCE, Examples
from mm_keras.data.manifest import load_manifest
from mm_keras.data.pipeline import choose_cache, make_datasets
from mm_keras.data.row_source import RowSource
from mm_keras.data.transforms import read_unless_empty
from mm_keras.model import build_model
from mm_keras.training import build_for_fit, compile_arguments

MOST_ROWS, SAMPLE_BYTES = 2048, 256 * 2**20  # Of the rows that are measured.
LOOKED_AT = 16  # Files whose size or rate is compared with the spec's.
WARM = 2  # Elements before the clock starts: the first builds the graph.


def measure_input(spec, seconds=2.0, model=True, progress=None):
    """Measures the stages of a spec's input one after another, each alone, over the same training rows.

    Args:
        spec: Spec.
        seconds: float > 0. Time for each stage.
        model: bool. Measure the training step too, on one batch that lies ready.
        progress: callable or None, called with the name of the stage that begins.

    Returns: dict with `rows` (of train), `sample` (rows that were measured), `cache` (where this spec keeps
        decoded examples), `stages` (list of {"name", "examples_per_second"}), `shares` (name -> share of the
        time of one example, of the stages that an epoch repeats), `input` and `step` (examples/s of the whole
        input from the second epoch on, and of the training step or None), `waiting` (share of an epoch that
        the step waits for input, foretold from both; None without a model) and `advice` (list of str).
    Raises: ManifestError and DataError, as in training.
    """
    began = time.perf_counter()
    manifest = load_manifest(spec)
    read = len(manifest.lines) / (time.perf_counter() - began)
    measured = _Measurement(spec, manifest, seconds, progress or (lambda name: None))
    measured.speeds["read the table"] = read
    measured.measure_batches()
    measured.measure_files()
    step = measured.measure_step() if model else None
    return measured.result(step)


class _Measurement:
    """What is known of the stages so far.

    Args:
        spec: Spec.
        manifest: Manifest.
        seconds: float > 0.
        progress: callable, called with a stage's name.
    """

    def __init__(self, spec, manifest, seconds, progress):
        self.spec, self.manifest, self.seconds, self.progress = spec, manifest, seconds, progress
        self.place = choose_cache(spec, manifest)
        self.source = RowSource(manifest, spec.files, spec.data)
        self.speeds, self.without = {}, {}
        rows = manifest.splits["train"]
        most = min(MOST_ROWS, max(SAMPLE_BYTES // max(self.source.row_bytes, 1), 1), len(rows))
        random = np.random.default_rng(spec.training.seed)
        self.rows = np.sort(random.choice(rows, most, replace=False))

    def measure_batches(self):
        """Measures what stands behind the decoders: both caches, augmentation, the last steps to inputs."""
        with tempfile.TemporaryDirectory() as folder:
            data = None
            for place in ("file", "memory") if self.source.names else ("memory",):
                data = self._datasets(place, folder, data and data.preprocessor)
                self._measure(input_from(place), data.train.repeat())
            if self.source.names:
                decoding = self._datasets("none", folder, data.preprocessor)
                self._measure(input_from("none"), decoding.train.repeat())
        self.data = data
        size = min(self.spec.training.batch_size, len(data.rows["train"]))
        rows = data.rows["train"][:size]
        batch = {**data.decode(rows), "present": tf.constant(data.manifest.present[rows])}
        ready = tf.data.Dataset.from_tensors(batch).repeat()
        finish = data.preprocessor.finish
        finished = ready.map(lambda batch: finish(batch, batch["present"]), tf.data.AUTOTUNE)
        self._measure("finish batches", finished)
        augment = make_augmentation(self.spec.modalities, data.manifest.root)
        if augment is not None:
            seed = tf.constant([1, self.spec.training.seed])
            changed = ready.map(lambda batch: augment(batch, seed), tf.data.AUTOTUNE)
            self._measure("augment", changed)

    def measure_files(self):
        """Reads and decodes files, each modality alone and all together, as training does."""
        source = self._source(self.source.modalities)
        if not source.names:
            return
        rows = self._present(source.names)

        def read(row):
            texts = [row[name] for name in source.names]
            if source.in_records:
                return tf.add_n([tf.strings.length(text) for text in texts])
            return tf.add_n([tf.strings.length(read_unless_empty(text)) for text in texts])

        self._measure("read the files", _map(source.dataset(rows), read).batch(AT_ONCE).repeat())
        for name in source.names:
            self._measure_decoding(name)
        self._measure("decode all", self._decoded(source, rows))

    def _measure_decoding(self, name):
        """Decodes one modality; and again as it is in the files, to know what its conversion costs."""
        rows = self._present([name])
        if not len(rows):
            return
        source = self._source({name: self.source.modalities[name]})
        self._measure(f"decode {name}", self._decoded(source, rows))
        cells = [row[name] for row in source.dataset(rows).take(LOOKED_AT).as_numpy_iterator()]
        own = _own_settings(cells, source.modalities[name], source.in_records)
        if own:
            other = self._source({name: source.modalities[name].model_copy(update=own)})
            self._measure(f"decode {name} without {conversion_of(own)}", self._decoded(other, rows))
            self.without[name] = own

    def _decoded(self, source, rows):
        """Returns batches of decoded rows: in each epoch many are decoded at once, for a cache one by one."""
        if self.place == "none":
            return Examples("none", source, {"train": rows}).batches("train", AT_ONCE).repeat()
        return _map(source.dataset(rows), source.decode).batch(AT_ONCE).repeat()

    def _present(self, names):
        """Returns the rows that hold a file of any of some modalities and can be decoded, ascending."""
        rows = np.sort(self.data.rows["train"])
        return rows[np.any([self.data.manifest.has(name)[rows] for name in names], axis=0)]

    def _source(self, modalities):
        return RowSource(self.data.manifest, modalities, self.spec.data)

    def measure_step(self):
        """Returns the examples/s of the training step on a batch that lies ready."""
        self.progress("train")
        model = build_model(self.spec, self.data)
        model.compile(**compile_arguments(self.spec, self.data))
        build_for_fit(model, self.data.train)
        batch = next(iter(self.data.train))
        size = len(batch[0]["present"])
        ready = tf.data.Dataset.from_tensors(batch).repeat()
        model.fit(ready, steps_per_epoch=WARM, verbose=0)
        steps, began = 0, time.perf_counter()
        # Several steps in one call, as in training, and calls until the time is over.
        at_once = 8
        while time.perf_counter() - began < self.seconds:
            model.fit(ready, steps_per_epoch=at_once, verbose=0)
            steps += at_once
        self.speeds["train"] = steps * size / (time.perf_counter() - began)
        return self.speeds["train"]

    def result(self, step):
        whole = self.speeds[input_from(self.place if self.source.names else "memory")]
        shares = self._shares()
        waiting = None if step is None else max(0.0, 1 - whole / step)
        found = {
            "rows": len(self.manifest.splits["train"]),
            "sample": len(self.rows),
            "cache": self.place,
            "stages": [{"name": k, "examples_per_second": v} for k, v in self.speeds.items()],
            "shares": shares,
            "input": whole,
            "step": step,
            "waiting": waiting,
        }
        return {**found, "advice": advise(found, self._modalities(), self.without)}

    def _shares(self):
        """Returns the share of each stage that an epoch repeats: decoding only where nothing is kept."""
        times = {name: 1 / self.speeds[name] for name in ("finish batches", "augment") if name in self.speeds}
        decoding = {f"decode {name}" for name in self.source.names} & self.speeds.keys()
        if self.place == "none":
            times |= {name: 1 / self.speeds[name] for name in sorted(decoding)}
        elif self.source.names:
            rest = 1 / self.speeds[input_from(self.place)] - sum(times.values())
            times["read the cache"] = max(rest, 0.0)
        total = sum(times.values())
        return {name: value / total for name, value in times.items()} if total else {}

    def _modalities(self):
        return {name: modality.kind for name, modality in self.source.modalities.items()}

    def _datasets(self, place, folder, preprocessor):
        """Returns the Datasets of the measured rows alone, kept in `place`."""
        spec = self.spec.model_copy(deep=True)
        spec.data.cache, spec.data.cache_folder, spec.input.service = place, folder, None
        manifest = dataclasses.replace(
            self.manifest,
            splits={
                name: self.rows if name == "train" else x[:0] for name, x in self.manifest.splits.items()
            },
            cells=dict(self.manifest.cells),
            present=self.manifest.present.copy(),
            targets=dict(self.manifest.targets),
            target_weights={name: x.copy() for name, x in self.manifest.target_weights.items()},
            findings=list(self.manifest.findings),
        )
        return make_datasets(spec, preprocessor=preprocessor, manifest=manifest)

    def _measure(self, name, dataset):
        self.progress(name)
        elements = iter(dataset.prefetch(tf.data.AUTOTUNE))
        for _ in range(WARM):
            next(elements)
        count, began = 0, time.perf_counter()
        while (passed := time.perf_counter() - began) < self.seconds or not count:
            count += _length(next(elements))
        self.speeds[name] = count / max(passed, 1e-9)


def _own_settings(cells, modality, in_records):
    """Returns the size or rate that files have in common, if it is not the modality's; else None."""
    found = {_measure_file(cell, modality.kind, in_records) for cell in cells}
    if len(found) != 1 or (own := found.pop()) is None:
        return None
    if modality.kind == "image":
        return {"size": own} if own != tuple(modality.size) else None
    # As many samples come out as before: the seconds are those that so many samples last.
    return {"rate": own, "seconds": modality.samples / own} if own != modality.rate else None


def _measure_file(cell, kind, in_records):
    file = io.BytesIO(cell) if in_records else cell.decode()
    try:
        if kind == "image":
            with Image.open(file) as image:
                return (image.height, image.width)
        return soundfile.info(file).samplerate if kind == "audio" else None
    except (OSError, UnidentifiedImageError, soundfile.LibsndfileError):
        return None


def _map(dataset, function):
    function = tf.autograph.experimental.do_not_convert(function)
    return dataset.map(function, num_parallel_calls=tf.data.AUTOTUNE)


def _length(element):
    return int(tf.shape(tf.nest.flatten(element)[0])[0])
