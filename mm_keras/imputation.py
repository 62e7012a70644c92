"""Fills in the modalities that rows lack by what an autoencoder makes of the others."""

import os
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np

from mm_keras.answer_table import shortest
from mm_keras.answers import predict_rows, read_rows
from mm_keras.checks import message
from mm_keras.data.cells import columns_of
from mm_keras.generated_files import SUFFIXES, write_file
from mm_keras.generation import Generator
from mm_keras.prediction import PredictionError

MARK = "imputed"


def impute(predictor, manifest, output, progress=None):
    """Writes a manifest anew, with the modalities that its rows lack filled in.

    What stands in the manifest stays. What is made lies beside the new one, in a folder of its name:
    `filled.csv` names `filled/<modality>/<line>.png`, `.wav` or `.npy`; texts and numbers stand in their
    cells, of numbers each that is missing. The new column `imputed` names the modalities of a row that were
    made, with a `|` between them, so that no row looks as if all of it had been measured.

    Args:
        predictor: Predictor of a model with an autoencoder output; what this rebuilds is filled in.
        manifest: path. A table as of `predict`; modalities whose column it lacks are filled in too.
        output: path. A new `.csv` file in the folder of the manifest, from which its paths go.
        progress: callable or None, called with the number of rows answered since the last call.

    Returns: dict with `manifest`, the path of `output`; `folder`, that of the files, or None where none was
        made; `rows`; and `made`, modality -> number of rows.
    Raises: PredictionError, if the model has no autoencoder; ValueError, if `output` cannot be written there
        or the table has a column `imputed`; ManifestError, if the table or a file of it cannot be read.
    """
    return impute_rows(predictor, read_rows(predictor, manifest), output, progress)


def impute_rows(predictor, rows, output, progress=None):
    """Does what `impute` does with `Rows` that were read."""
    output = Path(os.path.abspath(output))
    rebuilt = _rebuilt(predictor)
    generator = Generator(predictor, to=sorted(rebuilt))
    files = output.with_suffix("")
    _check(rows, output, files)
    modalities = {name: predictor.preprocessor.modalities[name] for name in rebuilt}
    columns = _columns(rows, modalities.values())
    marks = np.full(len(rows.lines), "", object)
    with tempfile.TemporaryDirectory(prefix=f".{output.stem}.", dir=output.parent) as aside:
        draft, done = Path(aside) / files.name, 0
        for part in predict_rows(generator, rows, progress=progress):
            here, done = np.arange(done, done + len(part.lines)), done + len(part.lines)
            for name, key in rebuilt.items():
                _fill(columns, marks, rows, modalities[name], name, here, part.answers, key, draft)
        table = rows.table.assign(**columns, **{MARK: marks})
        table.to_csv(Path(aside) / output.name, index=False, lineterminator="\n")
        made = draft.is_dir()
        if made:
            os.replace(draft, files)
        os.replace(Path(aside) / output.name, output)
    counts = Counter(name for mark in marks for name in mark.split("|") if name)
    return {
        "manifest": str(output),
        "folder": str(files) if made else None,
        "rows": len(rows.lines),
        "made": {name: counts[name] for name in sorted(rebuilt)},
    }


def _check(rows, output, files):
    root = Path(os.path.abspath(rows.root))
    if output.suffix != ".csv" or output.parent != root:
        fix = f"Such as {root / 'filled.csv'}."
        raise ValueError(message("impute", "a .csv file in the manifest's folder", str(output), fix))
    for path in (output, files):
        if path.exists():
            raise ValueError(
                message("impute", f"no {path.name} yet", f"{path}", "Name another, or remove it.")
            )
    if MARK in rows.table:
        fix = "Take the table as it was before, or rename the column."
        raise ValueError(message("impute", f"a table without a column `{MARK}`", "one with it", fix))


def _rebuilt(predictor):
    """Returns modality -> the answer of the first autoencoder that rebuilds it."""
    rebuilt = {}
    for key, modality in predictor.preprocessor.copies.items():
        rebuilt.setdefault(modality, key)
    if not rebuilt:
        fix = "Add `reconstruction: {kind: autoencoder}` to the outputs of its spec, and train."
        raise PredictionError(
            message("impute", "a model with an autoencoder output", str(predictor.path), fix)
        )
    return rebuilt


def _columns(rows, modalities):
    """Returns the columns of modalities, name -> array of cells, "" in those that the table lacks."""
    names = [name for modality in modalities for name in columns_of(modality)]
    empty = [""] * len(rows.lines)
    return {name: np.array(rows.table.get(name, empty), object) for name in names}


def _fill(columns, marks, rows, modality, name, here, answers, key, folder):
    """Fills in a modality of the rows `here` from the answers to them."""
    names = columns_of(modality)
    for place, row in enumerate(here):
        if modality.kind == "numbers":
            made = {}
            for index in np.flatnonzero(np.isnan(rows.cells[name][row])):
                made[names[index]] = str(shortest(answers[key][place][index]))
        elif rows.cells[name][row]:
            continue
        else:
            made = {names[0]: _make(modality.kind, name, rows.lines[row], answers, key, place, folder)}
        for column, cell in made.items():
            columns[column][row] = cell
        if any(made.values()):
            marks[row] = f"{marks[row]}|{name}" if marks[row] else name


def _make(kind, name, line, answers, key, place, folder):
    """Returns what stands in a cell, and writes the file that it may name."""
    if kind == "text":
        return str(answers[key][place])
    path = folder / name / f"{line}{SUFFIXES[kind]}"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_file(path, kind, answers, key, place)
    return f"{folder.name}/{name}/{path.name}"
