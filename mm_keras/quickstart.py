"""The quickstart, step by step: the keypad data set, one graph trained on it, its three forms compared."""

import shlex
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from mm_keras.answers import example_options
from mm_keras.data.keypad import SCANS, write_keypad
from mm_keras.evaluation import evaluate, write_report
from mm_keras.exporting import export
from mm_keras.prediction import load_predictor
from mm_keras.spec_file import load_spec
from mm_keras.training import train

SPEC = """\
# Which key of a telephone keypad was meant? From a scan, a sound and a typed note; each may be missing.
# Every value but names and columns has a default: `mm-keras schema` lists all keys.
name: keypad

data:
  manifest: manifest.csv     # relative to this file
  split: split               # the column that says train, validation or test

modalities:                  # the names are yours; the column has the same name if `column` does not name it
  image:
    kind: image
    size: [16, 16]           # height, width
    channels: 1              # grey
    encoder: {kind: conv, filters: [16, 32], units: 64}
  audio:
    kind: audio
    rate: 8000               # Hz
    seconds: 0.5
    encoder: {kind: conv_recurrent, mel_bins: 48, window: 0.04, hop: 0.02, filters: [16, 32], units: 32}
  note:
    kind: text
    length: 16               # tokens; the vocabulary is learned from the training notes
    vocabulary_size: 500
    encoder: {kind: gru, embedding: 32, units: 48}

fusion:
  kind: gated                # how much each modality counts is decided for each example
  units: 96
  modality_dropout: 0.2      # modalities are hidden at random in training, so that each learns to stand alone

outputs:
  label: {kind: classification}  # the column `label`
  # A decoder for each modality, in the same graph.
  reconstruction: {kind: autoencoder, units: 64, weight: 0.1}

training:
  epochs: 25
  batch_size: 32
  learning_rate: 0.003

export:
  formats: [saved_model, tflite]
"""
TAKEN_AWAY = ((), (), (), ("audio",), ("image", "note"))  # From each of the rows that are compared.


@dataclass
class Compared:
    """The answers of several models to one row.

    Args:
        name: str. The row's id.
        given: list of str. Modalities that were asked with.
        truth: str. The label in the manifest.
        answers: dict, "Keras", "SavedModel" or "TFLite" -> (label, score).
    """

    name: str
    given: list
    truth: str
    answers: dict = field(default_factory=dict)


class Quickstart:
    """The steps in their order: write, train (or set `run` and `data`), evaluate, export, compare.

    Args:
        folder: path. Where the data set and its spec are written. What this class wrote before is used again.
        epochs: int or None. None: those of the spec.
        rows: int in 100..1797. Rows of the data set.
        runs: path. Folder of the run folders.
        saved_models: path. Folder of the exported models.
    """

    def __init__(self, folder="keypad", epochs=None, rows=SCANS, runs="runs", saved_models="saved_models"):
        self.folder = Path(folder)
        self.epochs = epochs
        self.rows = rows
        self.runs = Path(runs)
        self.saved_models = Path(saved_models)
        self.began = time.perf_counter()
        self.spec = self.run = self.data = self.evaluation = self.exported = self.comparison = None

    @property
    def seconds(self):
        return time.perf_counter() - self.began

    def write(self):
        """Writes the data set and its spec, and returns the Spec. A spec that is there is used as it is."""
        write_keypad(self.folder, rows=self.rows)
        path = self.folder / "spec.yaml"
        if not path.exists():
            path.write_text(SPEC, encoding="utf-8")
        self.spec = load_spec(path)
        if self.epochs:
            self.spec.training.epochs = self.epochs
        return self.spec

    def train(self):
        self.run, self.data = train(self.spec, self.runs)

    def evaluate(self):
        self.evaluation = evaluate(self.run.model, self.spec, self.data)
        write_report(self.evaluation, self.run.folder)

    def export(self):
        self.exported = export(self.run.model, self.spec, self.data, self.saved_models / self.spec.name)

    def compare(self):
        """Asks the run and both exported models the same rows, the last ones without some modalities."""
        manifest = self.data.manifest
        test = self.data.rows["test"]
        rows = test[np.linspace(0, len(test) - 1, len(TAKEN_AWAY)).astype(int)]
        cells = {name: column[rows].copy() for name, column in manifest.cells.items()}
        for place, names in enumerate(TAKEN_AWAY):
            for name in names:
                cells[name][place] = ""
        table = manifest.table.iloc[rows]
        self.comparison = [
            Compared(key, [name for name in sorted(cells) if cells[name][place]], truth)
            for place, (key, truth) in enumerate(zip(table["id"], table["label"], strict=True))
        ]
        paths = {"Keras": self.run.folder}
        for name, kind in (("SavedModel", "saved_model"), ("TFLite", "tflite")):
            if kind in self.exported:
                paths[name] = self.exported[kind]["path"]
        for kind, path in paths.items():
            answers = load_predictor(path).predict(cells)
            for place, row in enumerate(self.comparison):
                score = float(answers["label_scores"][place].max())
                row.answers[kind] = (str(answers["label"][place]), score)

    def next_commands(self):
        """Returns commands to type next, with paths that exist."""
        model = self.exported[next(kind for kind in ("tflite", "saved_model") if kind in self.exported)][
            "path"
        ]
        table = shlex.quote(str(self.folder / "manifest.csv"))
        return [
            f"mm-keras predict {shlex.quote(model)} {example_options(self.data)}",
            f"mm-keras predict {shlex.quote(str(self.run.folder))} {table} --output answers.csv",
            "mm-keras init YOUR_MANIFEST.csv",
        ]


def run_quickstart(folder="keypad", epochs=None, rows=SCANS, runs="runs", saved_models="saved_models"):
    """Runs every step and returns the `Quickstart` with what each gave."""
    steps = Quickstart(folder, epochs, rows, runs, saved_models)
    for step in (steps.write, steps.train, steps.evaluate, steps.export, steps.compare):
        step()
    return steps
