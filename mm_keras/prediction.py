"""Answers from a run, a SavedModel or a TFLite file, all asked in the same way."""

from pathlib import Path

import numpy as np
import tensorflow as tf
import tensorflow_text  # noqa: F401  registers the operators of a SavedModel's tokenizer

from mm_keras.answering_model import answering_model
from mm_keras.checks import closest, listing, message
from mm_keras.data.preprocessor import Preprocessor
from mm_keras.data.raw import check_contents, read_raw
from mm_keras.exporting.reload import make_interpreter
from mm_keras.generation import BYTES, Writer, generation_endpoints
from mm_keras.run_folder import BEST, load_run


class PredictionError(ValueError):
    """A path holds no model, or what was asked does not fit the model."""


class Predictor:
    """Answers rows of cells with a model of any kind.

    Args:
        kind: "keras", "saved_model" or "tflite".
        path: path of the model.
        preprocessor: Preprocessor.
        answer: callable, raw batch -> dict of tensors as the model's serving_default gives them.
        write: dict or None, "generate" and, of captions, "sample" -> callable, as a SavedModel's signatures.
    """

    def __init__(self, kind, path, preprocessor, answer, write=None):
        self.kind = kind
        self.path = Path(path)
        self.preprocessor = preprocessor
        self._answer = answer
        self._write = write

    def predict(self, cells, root=None, batch_size=64):
        """Answers rows of cells.

        Args:
            cells: dict, modality name -> sequence of paths, contents of files (bytes), texts or rows of
                numbers, all of one length. A modality that is not in it, and a cell that is empty (numbers:
                NaN), is missing.
            root: path or None. Folder that relative paths start from.
            batch_size: int. Rows answered at once.

        Returns: dict, name -> NumPy array with a row per example: of a classification `label` the label
            strings and `label_scores` `(B, C)`; of a regression its numbers `(B, n)`; of a caption output
            `caption` its text, found greedily, and `caption_score`, its log-probability; of a speech output
            `speech` its sounds as 16-bit PCM, int16 `(B, S)`, `speech_samples` `(B,)`, the length of each,
            and `speech_rate` `(B,)`, samples per second; of a contrastive output `match` the vectors
            `match_MODALITY` `(B, D)` of norm 1, zeros where it is missing; without any of these, the
            reconstructions.
        Raises: PredictionError for an unknown modality or a row of none; ValueError naming the row and the
            file that cannot be read.
        """
        parts = self._ask(lambda raw, rows: self._answer(raw), cells, root, batch_size)
        first = [key for name in self.preprocessor.labels for key in (name, f"{name}_scores")]
        outputs = self.preprocessor.outputs.items()
        first += [name for name, part in outputs if part.kind == "regression"]
        first += [key for name, part in outputs if part.kind == "caption" for key in (name, f"{name}_score")]
        first += [key for name in self.preprocessor.of_kind("speech") for key in sound_keys(name)]
        matches = self.preprocessor.of_kind("contrastive").items()
        first += [title for name, part in matches for title in part.titles(name)]
        names = first or sorted(parts[0])  # A SavedModel gives them in an order of its own.
        return {key: _strings(np.concatenate([part[key] for part in parts])) for key in names}

    def generate(
        self, cells, root=None, batch_size=64, to=None, sample=False, seed=0, temperature=1.0, top_p=0.9
    ):
        """Writes texts and sounds for rows of cells, and the modalities that an autoencoder rebuilds.

        Args:
            cells, root, batch_size: as of `predict`.
            to: list of str or None. What is given of all that is written, among the names of `writable`; None
                is all of it.
            sample: bool. Draw texts, in place of a beam search, and make nothing else.
            seed: int >= 0. Of the drawing; each row has a seed of its own, `seed` and those after it.
            temperature: float > 0. Of the drawing: below 1 what is likely becomes likelier.
            top_p: float in (0, 1]. Of the drawing: among the likeliest tokens that together have this share.

        Returns: dict, for each caption output `caption` as many texts as `beams` of the spec, str object
            `(B, K)`, and `caption_scores`, float32 `(B, K)`: of a search best first, log-probability divided
            by the length penalty; of a drawing the log-probability. Of each speech output what `predict`
            gives, and of each autoencoder what `Writer` does: PNG files, bytes `(B,)`, for `output_image`.
        Raises: PredictionError, if the model has no such output, is a TFLite file that writes texts, which it
            does greedily, or an argument is out of range; else as `predict`.
        """
        self.check_generation(to, sample, seed, temperature, top_p)
        write = self._write["sample" if sample else "generate"]

        def ask(raw, rows):
            ones = np.ones(len(rows), np.float32)
            drawn = {
                "seed": (seed + rows).astype(np.int32),
                "temperature": temperature * ones,
                "top_p": top_p * ones,
            }
            return write({**raw, **(drawn if sample else {})})

        parts = [self._named(part) for part in self._ask(ask, cells, root, batch_size)]
        writable = self.writable(sample)
        lost = [name for name in to or () if not set(writable[name]) & parts[0].keys()]
        if lost:
            fix = "It was exported by an earlier version: export the run again."
            raise PredictionError(message("generate", listing(lost), f"{sorted(parts[0])}", fix))
        keys = {key for name in (to or writable) for key in writable[name]} & parts[0].keys()
        answers = {key: np.concatenate([part[key] for part in parts]) for key in sorted(keys)}
        return {key: x if self._is_image(key) else _strings(x) for key, x in answers.items()}

    def writable(self, sample=False):
        """Returns what `generate` can write: name of a caption or speech output, or of a modality that an
        autoencoder rebuilds -> the keys of its answers. A TFLite file writes no captions here."""
        names = {}
        for name, part in self.preprocessor.outputs.items():
            if part.kind == "caption" and self.kind != "tflite":
                names[name] = [name, f"{name}_scores"]
            elif part.kind == "speech" and not sample:
                names[name] = sound_keys(name)
        for key, modality in () if sample else self.preprocessor.copies.items():
            names.setdefault(modality, []).extend(sound_keys(key))
        return names

    def _named(self, written):
        """Returns what a signature gave, under the names of `writable`: without the suffix of files."""
        names = {key + BYTES: key for key in self.preprocessor.copies if self._is_image(key)}
        return {names.get(key, key): x for key, x in written.items()}

    def _is_image(self, key):
        """Tells whether an answer of `generate` is a file, and no text."""
        modality = self.preprocessor.rebuilt(key)
        return modality is not None and modality.kind == "image"

    def check_generation(self, to=None, sample=False, seed=0, temperature=1.0, top_p=0.9):
        """Raises the PredictionError of `generate` that no row can help."""
        greedy = self.kind == "tflite" and self.preprocessor.of_kind("caption")
        if self._write is None or (greedy and to is None):
            fix = "`predict` gives its answers; a TFLite file's captions are found greedily."
            if self._write is not None:
                fix += f" What else it writes has the names {listing(self.writable())}: give them as `to`."
            expected = "a caption output of a run or a SavedModel, or a speech or autoencoder output"
            raise PredictionError(message("generate", expected, f"{self.path} ({self.kind})", fix))
        if sample and "sample" not in self._write:
            fix = "Leave `sample` out: of the same row there is one answer."
            raise PredictionError(message("generate", "a caption output to draw from", f"{self.path}", fix))
        names = self.writable(sample)
        for name in to or ([""] if to is not None else ()):
            if name not in names:
                fix = f"{closest(name, names)}Name what the model writes."
                raise PredictionError(message("to", listing(names), f"{name!r}", fix))
        if not (temperature > 0 and 0 < top_p <= 1 and 0 <= seed < 2**31):
            received = f"temperature={temperature}, top_p={top_p}, seed={seed}"
            expected = "temperature > 0, top_p in (0, 1] and a seed of at least 0"
            raise PredictionError(message("generate", expected, received, "Such as 1.0, 0.9 and 0."))

    def _ask(self, ask, cells, root, batch_size):
        """Returns what `ask(raw, rows)` gives of each batch of rows of cells."""
        count = self._check(cells)
        cells = {name: self._rooted(name, column, root) for name, column in cells.items()}
        parts = []
        for start in range(0, count, batch_size):
            rows = np.arange(start, min(start + batch_size, count))
            raw = read_raw(self.preprocessor, cells, rows)
            try:
                answers = ask(raw, rows)
            except tf.errors.InvalidArgumentError:
                check_contents(self.preprocessor, raw, cells, rows)
                raise
            parts.append({key: np.asarray(value) for key, value in answers.items()})
        return parts

    def _check(self, cells):
        names = self.preprocessor.names
        fix = "Name its inputs as the spec does."
        for name in cells:
            if name not in names:
                expected = f"modalities among {listing(names)}"
                raise PredictionError(message("predict", expected, f"{name!r}", fix))
        lengths = {len(column) for column in cells.values()}
        if len(lengths) != 1 or not lengths.copy().pop():
            received = f"{ {name: len(column) for name, column in cells.items()} }"
            raise PredictionError(message("predict", "columns of one length > 0", received, fix))
        count = lengths.pop()
        for row in range(count):
            if all(_is_missing(column[row]) for column in cells.values()):
                expected, fix = (
                    "a modality that is there in each row",
                    "Fill in a cell, or leave the row out.",
                )
                raise PredictionError(message("predict", expected, f"none in row {row + 1}", fix))
        return count

    def _rooted(self, name, column, root):
        if root is None or self.preprocessor.modalities[name].kind not in ("image", "audio", "features"):
            return column
        return [str(Path(root) / cell) if cell and not isinstance(cell, bytes) else cell for cell in column]


def load_predictor(path):
    """Loads what a path holds: a run folder, a SavedModel's folder, or a `.tflite` file.

    Of a folder with versions, such as `saved_models/NAME/serving`, the newest is taken.

    Returns: Predictor.
    Raises: PredictionError, if the path holds none of them.
    """
    path = Path(path)
    if path.suffix == ".tflite" and path.is_file():
        return _load_tflite(path)
    versions = [
        child for child in path.glob("*") if child.name.isdigit() and (child / "saved_model.pb").is_file()
    ]
    if versions:
        path = max(versions, key=lambda child: int(child.name))
    if (path / "saved_model.pb").is_file():
        return _load_saved_model(path)
    if path.is_dir() and (any(path.glob(f"*/{BEST}")) or (path / BEST).is_file()):
        run = load_run(path)
        return Predictor("keras", run.folder, run.preprocessor, _keras_answer(run), _keras_write(run))
    expected = "a run folder, the folder of a SavedModel, or a .tflite file"
    received = f"{path}, which " + ("holds none of them" if path.exists() else "does not exist")
    fix = "Give what `mm-keras train` or `mm-keras export` printed."
    raise PredictionError(message("predict", expected, received, fix))


def _keras_answer(run):
    model = answering_model(run.model)

    @tf.function(input_signature=[run.preprocessor.raw_spec()], autograph=False)
    def answer(raw):
        outputs = model(run.preprocessor.tensors(raw), training=False)
        return run.preprocessor.answers(outputs)

    return answer


def _keras_write(run):
    """Returns what the signatures "generate" and "sample" of a SavedModel do; None of a model without
    them."""
    model, prepare = answering_model(run.model), run.preprocessor.tensors
    endpoints = generation_endpoints(
        run.model, run.preprocessor, prepare, lambda inputs: model(inputs, training=False)
    )
    return {
        name: tf.function(write, input_signature=[inputs], autograph=False)
        for name, (write, inputs) in endpoints.items()
    } or None


def _load_saved_model(path):
    preprocessor = Preprocessor.load(path / "assets.extra")
    loaded = tf.saved_model.load(str(path))

    def caller(name):
        signature = loaded.signatures[name]

        def call(raw):
            return signature(**{name: tf.convert_to_tensor(values) for name, values in raw.items()})

        call.keep = loaded  # A signature alone does not keep its variables.
        return call

    names = [name for name in ("generate", "sample") if name in loaded.signatures]
    write = {name: caller(name) for name in names} or None
    return Predictor("saved_model", path, preprocessor, caller("serving_default"), write)


def _load_tflite(path):
    preprocessor = Preprocessor.load(path.parent)
    runner = make_interpreter(str(path)).get_signature_runner("serving_default")
    prepare = tf.function(preprocessor.tensors, input_signature=[preprocessor.raw_spec()], autograph=False)

    def run(raw):
        inputs = {name: x.numpy() for name, x in prepare(raw).items()}
        rows = len(inputs["present"])
        answers = [runner(**{name: x[i : i + 1] for name, x in inputs.items()}) for i in range(rows)]
        return {key: tf.concat([row[key] for row in answers], axis=0) for key in answers[0]}

    def answer(raw):
        return preprocessor.answers(run(raw))

    writer, write = Writer(preprocessor), None
    if writer:
        write = {"generate": lambda raw: writer(run(raw))}
    return Predictor("tflite", path, preprocessor, answer, write)


def sound_keys(name):
    """Returns the names under which a sound, its length and its rate are answered."""
    return [name, f"{name}_samples", f"{name}_rate"]


def _is_missing(cell):
    if isinstance(cell, bytes):  # The contents of a file.
        return not cell
    return not str(cell).strip() if isinstance(cell, (str, Path)) else bool(np.all(np.isnan(cell)))


def _strings(values):
    if values.dtype.kind not in "OS":
        return values
    return np.asarray([value.decode("utf-8", "replace") for value in values.ravel()], object).reshape(
        values.shape
    )
