"""The folder of one training: spec, preprocessing, checkpoints, history, report."""

import json
import time
from pathlib import Path

import keras

import mm_keras.model  # Registers the layers that a checkpoint names.
from mm_keras.balance import plain_model
from mm_keras.checks import message
from mm_keras.data.preprocessor import Preprocessor
from mm_keras.spec_file import load_spec, save_spec

BEST, LAST, SPEC, TRAINING = "best.keras", "last.keras", "spec.yaml", "training.json"


class Run:
    """One training on disk.

    Args:
        folder: path of the run.
        spec: Spec.
        preprocessor: Preprocessor.
    """

    def __init__(self, folder, spec, preprocessor):
        self.folder = Path(folder)
        self.spec = spec
        self.preprocessor = preprocessor
        self._model = None

    @property
    def model(self):
        """The functional model of the best epoch, loaded on first use, without its optimizer."""
        if self._model is None:
            mm_keras.model.import_layers(self.spec.fusion)
            # Lambda layers, which are code of whoever wrote the file, are refused.
            loaded = keras.saving.load_model(self.folder / BEST, compile=False, safe_mode=True)
            self._model = plain_model(loaded)
        return self._model

    @property
    def warnings(self):
        """What training warned of: a list of sentences."""
        path = self.folder / TRAINING
        return json.loads(path.read_text(encoding="utf-8")).get("warnings", []) if path.is_file() else []

    def save_json(self, file, value):
        (self.folder / file).write_text(
            json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8"
        )


def make_run_folder(runs, spec, preprocessor):
    """Makes `<runs>/<name>/<time>/` with the spec and the preprocessing, and returns its Run."""
    parent = Path(runs) / spec.name
    stamp = time.strftime("%Y%m%d-%H%M%S")
    folder, count = parent / stamp, 1
    while folder.exists():
        folder, count = parent / f"{stamp}-{count}", count + 1
    folder.mkdir(parents=True)
    save_spec(spec, folder / SPEC)
    preprocessor.save(folder)
    return Run(folder, spec, preprocessor)


def load_run(path):
    """Loads a run: its folder, or `<runs>/<name>`, of which the newest run with a checkpoint is taken.

    Raises: ValueError, if there is no run, or training did not get through its first epoch.
    """
    path = Path(path)
    if not (path / SPEC).is_file() and path.is_dir():
        found = sorted(child for child in path.iterdir() if (child / BEST).is_file())
        path = found[-1] if found else path
    if not (path / BEST).is_file():
        fix = "Give the folder that `mm-keras train` printed, such as runs/NAME/20250131-120000."
        raise ValueError(message("load_run", f"a run folder with {SPEC} and {BEST}", str(path), fix))
    return Run(path, load_spec(path / SPEC), Preprocessor.load(path))
