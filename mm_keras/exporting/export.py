"""Export of a trained model, all or nothing: written aside, proven, then renamed."""

import json
import os
import shutil
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import keras

from mm_keras.balance import plain_model
from mm_keras.exporting.child import run_child
from mm_keras.exporting.parity import Reference
from mm_keras.exporting.savedmodel import write_saved_model, write_static_model
from mm_keras.exporting.warm_up import write_warm_up

PLACES = {"saved_model": "serving", "tflite": "mobile"}


def export(model, spec, data, folder=None):
    """Exports a model: `<folder>/serving/<version>/` (SavedModel), `<folder>/mobile/<version>/` (TFLite).

    Each artefact is loaded in a fresh process, run on rows of the test split, whole and with modalities
    taken away, and compared with the Keras model; `parity.json` beside it tells how far it was away.

    Args:
        model: keras.Model of `build_model` or `balance_model`, of any precision: a float32 copy is exported.
        spec: Spec.
        data: Datasets.
        folder: path or None. None: `saved_models/<spec.name>`.

    Returns: dict with "version" and for each format {"path", "bytes", "parity"}.
    Raises: ExportError, if an operator is missing in the target or an answer is over `export.tolerance`;
        nothing is left behind then, and earlier versions are untouched.
    """
    folder = Path(folder or Path("saved_models") / spec.name)
    is_new = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    model = float32_model(model)
    stage = Path(tempfile.mkdtemp(prefix=".staging-", dir=folder.resolve()))
    try:
        rows = stage / "rows"
        rows.mkdir()
        reference = Reference(model, spec, data, rows)
        written = {kind: _write(kind, model, spec, data, stage) for kind in spec.export.formats}
        with ThreadPoolExecutor() as pool:
            compare = {
                kind: pool.submit(reference.compare, kind, path, spec.export.tolerance)
                for kind, path in written.items()
            }
            parity = {kind: future.result() for kind, future in compare.items()}
        for kind, result in parity.items():
            _write_beside(kind, stage / PLACES[kind], result, data.preprocessor)
        if "saved_model" in written:
            extra = written["saved_model"] / "assets.extra"
            write_warm_up(spec.name, reference.raw, reference.present, extra)
        return _publish(folder, stage, parity, written)
    finally:
        shutil.rmtree(stage, ignore_errors=True)
        if is_new and not any(folder.iterdir()):
            folder.rmdir()


def float32_model(model):
    """Returns the plain model itself if it computes in float32, else a float32 copy with the same weights."""
    model = plain_model(model)
    if all(layer.compute_dtype == "float32" for layer in model.layers):
        return model
    # By configuration, not by spec: what the spec names to begin from may be gone since training.
    copy = keras.saving.deserialize_keras_object(_in_float32(keras.saving.serialize_keras_object(model)))
    copy.set_weights(model.get_weights())
    return copy


def _in_float32(config):
    if isinstance(config, (list, tuple)):
        return [_in_float32(part) for part in config]
    if not isinstance(config, dict):
        return config
    if config.get("class_name") == "DTypePolicy":
        return {**config, "config": {"name": "float32"}}
    return {key: _in_float32(part) for key, part in config.items()}


def _write(kind, model, spec, data, stage):
    """Writes one artefact into the stage and returns the path that is loaded."""
    place = stage / PLACES[kind]
    if kind == "saved_model":
        write_saved_model(model, spec, data.preprocessor, place)
        return place
    place.mkdir()
    write_static_model(model, data.preprocessor, stage / "static")
    path = place / "model.tflite"
    task = {"saved_model": str(stage / "static"), "tflite": str(path), "result": str(stage / "convert.json")}
    run_child("convert", task, stage)
    return path


def _write_beside(kind, place, parity, preprocessor):
    """Writes parity.json, and what a client or a phone needs to prepare its inputs."""
    beside = place / "assets.extra" if kind == "saved_model" else place
    beside.mkdir(exist_ok=True)
    preprocessor.save(beside)
    (beside / "parity.json").write_text(json.dumps(parity, indent=2) + "\n", encoding="utf-8")


def _publish(folder, stage, parity, written):
    """Renames what was staged to the next version, a number that no format of this model has."""
    taken = [
        int(child.name)
        for place in PLACES.values()
        for child in (folder / place).glob("*")
        if child.name.isdigit()
    ]
    version = max(taken, default=0) + 1
    result = {"version": version}
    for kind in parity:
        target = folder / PLACES[kind] / str(version)
        target.parent.mkdir(exist_ok=True)
        os.rename(stage / PLACES[kind], target)
        target.chmod(0o755)
        path = target if kind == "saved_model" else target / written[kind].name
        files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
        size = sum(file.stat().st_size for file in files)
        result[kind] = {"path": str(path), "bytes": size, "parity": parity[kind]}
    return result
