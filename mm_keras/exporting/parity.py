"""Whether a written artefact answers as the Keras model does: the same rows through both."""

from pathlib import Path

import numpy as np
import tensorflow as tf

from mm_keras.answering_model import answering_model
from mm_keras.caption_search import CaptionSearch
from mm_keras.checks import message
from mm_keras.data.raw import read_raw
from mm_keras.evaluation import subset_name, subsets_of
from mm_keras.exporting.child import ExportError, run_child
from mm_keras.exporting.example_signatures import example_outputs, examples_of
from mm_keras.generation import BYTES, Writer
from mm_keras.model import embedding_model

ROUNDING = 4  # Units in the last place.
ROWS_AT_ONCE = 32
MOST_EXAMPLES = 16  # Rows of classify and regress, which are serving_default in another form.
EXACT = ("describe/description", "classify/classes")
LEAST_EQUAL = 0.95  # Share of equal texts: where two tokens are as likely, rounding decides.


def choose_rows(data, most):
    """Returns up to `most` row numbers, evenly from the test rows, else validation, else train."""
    rows = next(
        data.rows[split] for split in ("test", "validation", "train") if len(data.rows.get(split, ()))
    )
    return rows[np.unique(np.linspace(0, len(rows) - 1, min(most, len(rows))).astype(int))]


class Reference:
    """Real rows, each whole and with modalities taken away, and what the Keras model answers to them.

    The model's inputs are made by the training pipeline's functions, the raw inputs from the same files.

    Args:
        model: float32 keras.Model.
        spec: Spec.
        data: Datasets.
        folder: path. Where the inputs are written for the process that runs the artefact.
    """

    def __init__(self, model, spec, data, folder):
        self.spec, self.preprocessor = spec, data.preprocessor
        self.folder = Path(folder)
        rows = choose_rows(data, spec.export.rows)
        present = data.manifest.present[rows]
        subsets = subsets_of(spec.modality_names)
        whole = len(subsets) - 1
        index = np.concatenate([np.arange(len(rows))] * 2)
        taken = np.concatenate([np.full(len(rows), whole), np.arange(len(rows)) % max(whole, 1)])
        masks = np.asarray([[name in subset for name in spec.modality_names] for subset in subsets], float)
        present = (present[index] * masks[taken]).astype(np.float32)
        kept = present.any(axis=1)
        index, taken, self.present = index[kept], taken[kept], present[kept]
        self.names = [subset_name(subsets[i]) for i in taken]
        raw = read_raw(self.preprocessor, data.cells(rows), np.arange(len(rows)))
        self.raw = self._blank(raw, index, self.present)
        batch = {name: tf.gather(x, index) for name, x in data.decode(rows).items()}
        self.inputs = self.preprocessor.finish(batch, tf.constant(self.present))
        self._write("raw", self.raw)
        self._write("tensors", self.inputs)
        self._answer(model)

    def _answer(self, model):
        """Sets `expected`, what each signature answers by the Keras model, signature -> name -> array."""
        answer = answering_model(model)
        outputs = {key: x.numpy() for key, x in answer(self.inputs, training=False).items()}
        self.expected = {
            "tensors": outputs,
            "serving_default": _arrays(self.preprocessor.answers(outputs)),
            "reconstruct": _arrays(self.preprocessor.reconstructions(outputs)),
        }
        self._describe()
        self._state_examples(outputs)
        if self.spec.of_kind("caption"):
            self._search(CaptionSearch(model, self.preprocessor))
        writer = Writer(self.preprocessor)
        if writer:
            parts = [  # A few rows at once: sounds are found in spectrograms that are much larger.
                _arrays(writer({key: x[i : i + ROWS_AT_ONCE] for key, x in outputs.items()}))
                for i in range(0, len(self.names), ROWS_AT_ONCE)
            ]
            written = {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}
            self.expected["generate"] = {**self.expected.get("generate", {}), **written}
        embed = embedding_model(answer)
        if embed is not None:
            self.expected["embed"] = _arrays(embed(self.inputs, training=False))

    def compare(self, kind, path, tolerance):
        """Runs the artefact at `path` in a fresh process and returns how far its answers are away.

        Raises: ExportError, if it does not run, or an answer differs by more than `tolerance`.
        """
        task = {
            "kind": kind,
            "path": str(path),
            "inputs": str(self.folder),
            "outputs": str(self.folder / f"{kind}_outputs"),
            "result": str(self.folder / f"{kind}.json"),
        }
        answer = run_child("reload", task, self.folder)
        signatures = (
            {"tensors": "tensors"} if kind == "tflite" else {name: name for name in answer["latency_ms"]}
        )
        differences, equal = {}, {}
        for signature in signatures:
            given = read_tensors(task["outputs"], signature)
            for key in self.expected[signature]:
                if key not in given:
                    fix = "Rename the output, or report this as a fault."
                    raise ExportError(message(f"export {kind}", f"output {key!r}", f"{sorted(given)}", fix))
            self._set_aside_other_texts(f"export {kind}", given, self.expected[signature])
            for key, want in self.expected[signature].items():
                place = f"{signature}/{key}"
                if place in EXACT:
                    same = given[key].shape == want.shape and np.all(given[key] == want)
                    differences[place] = 0.0 if same else np.inf
                else:
                    meant = self.meant.get(signature, key)
                    self._measure(place, meant, given[key], want, differences, equal)
        result = {
            "rows": len(self.names),
            "subsets": sorted(set(self.names)),
            "tolerance": tolerance,
            "max_difference": float(np.max(list(differences.values()), initial=0.0)),  # NaN if any is NaN.
            "equal_labels": min(equal.values(), default=1.0),
            "differences": differences,
            "labels": equal,
            "latency_ms": answer["latency_ms"],
            "operators": answer["operators"],
        }
        if not result["max_difference"] <= tolerance:
            worst = max(differences, key=lambda place: np.nan_to_num(differences[place], nan=np.inf))
            fix = "Raise export.tolerance if this is acceptable; the artefact was not kept."
            received = f"{result['max_difference']:.3g} in {worst}"
            raise ExportError(message(f"export {kind}", f"differences up to {tolerance:g}", received, fix))
        return result

    def _measure(self, place, key, given, want, differences, equal):
        """Adds the largest difference (relative to the largest value if above 1; of a regression in standard
        deviations of the target), or the equal labels."""
        if key in self.spec.of_kind("speech") or want.dtype == np.int16:
            differences[place] = sounds_apart(given, want)
            return
        rebuilt = self.preprocessor.rebuilt(key.removesuffix(BYTES))
        if want.dtype == object and rebuilt is not None and rebuilt.kind == "image":
            differences[place] = pictures_apart(given, want)
            return
        if want.dtype.kind in "OSUi":
            equal[place] = float(np.mean(same_texts(given, want)))
            return
        part = self.spec.outputs.get(key)
        kind = part.kind if part is not None else ""
        if kind == "regression":
            variance = self.preprocessor.statistics[key]["variance"]
            differences[place] = deviations_apart(given, want, variance)
            return
        scale = max(1.0, float(np.abs(want).max()))
        differences[place] = float(np.abs(given.astype("float64") - want).max()) / scale
        if kind == "classification":
            pick = (lambda x: x >= part.threshold) if part.multi_label else (lambda x: x.argmax(axis=-1))
            equal[place] = float(np.mean(pick(given) == pick(want)))

    def _set_aside_other_texts(self, owner, given, expected):
        """Takes the scores of texts that differ out of the comparison; refuses more of them than may be."""
        for name in self.spec.of_kind("caption"):
            if name not in expected:
                continue
            same = same_texts(given[name], expected[name])
            if same.mean() < LEAST_EQUAL:
                received = f"{same.mean():.1%} in `{name}`"
                fix = "Report this as a fault; the artefact was not kept."
                raise ExportError(message(owner, f"at least {LEAST_EQUAL:.0%} equal texts", received, fix))
            key = next(key for key in (f"{name}_score", f"{name}_scores") if key in expected)
            given[key] = np.where(same, given[key], expected[key])

    def _describe(self):
        about = np.array([b"", b"inputs"], object)
        self._write("describe", {"about": about})
        description = np.full(len(about), self.preprocessor.description().encode(), object)
        self.expected["describe"] = {"description": description}

    def _state_examples(self, outputs):
        """Expects of classify and regress, for a few rows, what the outputs say that they answer."""
        self.meant = example_outputs(self.preprocessor)
        few = np.unique(np.linspace(0, len(self.names) - 1, MOST_EXAMPLES).astype(int))
        examples = examples_of({name: values[few] for name, values in self.raw.items()})
        for signature, name in self.meant.items():
            self._write(signature, {"inputs": examples})
            answers = outputs[name][few]
            if signature == "classify":
                labels = [label.encode() for label in self.preprocessor.labels[name]]
                classes = np.array([labels] * len(few), object)
                self.expected[signature] = {"classes": classes, "scores": answers}
            else:
                self.expected[signature] = {"outputs": answers}

    def _search(self, captions):
        count = len(self.names)
        drawn = {
            "seed": np.arange(count, dtype=np.int32),
            "temperature": np.linspace(0.7, 1.3, count, dtype=np.float32),
            "top_p": np.linspace(0.5, 1.0, count, dtype=np.float32),
        }
        self._write("sample", drawn)
        self.expected["generate"] = _arrays(captions.beams(self.inputs))
        self.expected["sample"] = _arrays(captions.samples(self.inputs, **drawn))

    def _blank(self, raw, index, present):
        """Returns the raw rows at `index`, without the modalities that are not present."""
        blanked = {}
        for i, (name, values) in enumerate(raw.items()):
            values = values[index].copy()
            values[present[:, i] == 0] = b"" if values.dtype == object else np.nan
            blanked[name] = values
        return blanked

    def _write(self, signature, tensors):
        for name, values in tensors.items():
            tensor = tf.convert_to_tensor(values)
            path = self.folder / f"{signature}.{tensor.dtype.name}.{name}"
            path.write_bytes(tf.io.serialize_tensor(tensor).numpy())


def same_texts(given, want):
    """Returns which strings are equal, or which integers, or, of several in a row, rows of them."""
    same = given == want
    return same.all(axis=-1) if want.dtype.kind == "i" and want.ndim > 1 else same


def sounds_apart(given, want):
    """Returns how far the waveforms `(N, S)` are apart: the root mean square of the difference over that of
    the sounds, divided by 100.

    `GriffinLim` chooses among phases that fit equally well, where rounding decides; at a hundredth of the
    sound nobody hears it, and the frames of which the sound is made are compared as all numbers are.
    """
    given, want = np.asarray(given, "float64"), np.asarray(want, "float64")
    return float(np.sqrt(np.square(given - want).mean() / max(np.square(want).mean(), 1e-12))) / 100


def pictures_apart(given, want):
    """Returns the mean difference between the pixels of two arrays of PNG files, as a share of their range.

    Where a pixel is rounded up in one and down in the other, they are a 255th apart.
    """
    given, want = (np.stack([tf.io.decode_png(x).numpy() for x in files]) for files in (given, want))
    return float(np.abs(given.astype("float64") - want).mean()) / 255


def deviations_apart(given, want, variance):
    """Returns the largest difference of numbers `(N, n)`, in standard deviations of their column.

    Numbers far from 0 that vary little, such as years, have few digits left in float32: a difference in the
    last bits of the largest one is none.
    """
    apart = np.abs(given.astype("float64") - want)
    last_bits = ROUNDING * np.finfo(np.float32).eps * np.abs(want).max(axis=0)
    return float((np.where(apart <= last_bits, 0, apart) / np.sqrt(variance)).max())


def read_tensors(folder, signature):
    """Returns what the reloaded artefact answered: output name -> NumPy array."""
    tensors = {}
    for path in Path(folder).glob(f"{signature}.*"):
        dtype, name = path.name[len(signature) + 1 :].split(".", 1)
        tensors[name] = tf.io.parse_tensor(path.read_bytes(), tf.as_dtype(dtype)).numpy()
    return tensors


def _arrays(tensors):
    return {key: np.asarray(x) for key, x in tensors.items()}
