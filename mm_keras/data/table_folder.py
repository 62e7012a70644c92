"""Reads a folder of files as a table of text: a folder per class, or a folder per modality."""

import os
import warnings
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa

from mm_keras.checks import listing, message
from mm_keras.data.findings import Finding
from mm_keras.data.infer_columns import ENDINGS
from mm_keras.data.splits import WORDS
from mm_keras.data.table import ManifestError, Table, text_column

KINDS = {**{ending: kind for kind, endings in ENDINGS.items() for ending in endings}, ".txt": "text"}
LABELS = tuple(f"labels{ending}" for ending in (".csv", ".tsv", ".jsonl", ".parquet"))
STEM = "stem"


class _File(NamedTuple):
    """A file: its path below the folder, the folders on the way, its name without ending, its kind."""

    path: str
    split: str
    folders: tuple
    stem: str
    kind: str


class _Key(NamedTuple):
    """What the files of a row share; `ending` tells files of a folder per class apart that are rows alone."""

    split: str
    label: str
    name: str
    ending: str = ""


def read_folder(path, read_labels, columns=None):
    """Reads a folder of files.

    A folder per class: `cat/1.png`, `dog/2.png`. The first folder is the label, the kind of a file its
    column: image, audio, features or text. Files of several kinds but one name are one row.

    A folder per modality: `image/1.png`, `audio/1.wav`, `text/1.txt`, joined by the name without its ending;
    the columns are named after the folders. It is read so if its folders hold different kinds of files, or
    if beside them there is a table `labels` (.csv, .tsv, .jsonl or .parquet): its column `stem`, else its
    first one, has these names, and its other columns are joined.

    Above both there may be a folder for each split (`train`, `val`, `test`): the column `split`. Texts
    (.txt) are read into the table. Hidden files are passed over; those of unknown endings with a warning.

    Args:
        path: Path. Cells are relative to it.
        read_labels: callable, Path -> Table. Reads the table of labels.
        columns: list of str or None. The columns to keep; None: all.

    Returns: Table, rows sorted by split, label and name. Its lines are numbers of rows, from 1.
    Raises: ManifestError, if no file is of a known kind, or a name stands for two files of one modality.
    """
    files, labels_path = _find_files(path)
    by_modality = labels_path is not None or _are_modalities(files)
    rows = _group(path, files, by_modality)
    cells = {name: [row.get(name, "") for row in rows.values()] for name in _columns_of(rows)}
    texts = {file.path for file in files if file.kind == "text"}
    findings = _read_texts(path, cells, texts)
    if not by_modality and any(key.label for key in rows):
        cells["label"] = [key.label for key in rows]
    if any(key.split for key in rows):
        cells["split"] = [key.split for key in rows]
    if labels_path:
        findings += _join_labels(cells, [key.name for key in rows], read_labels(labels_path))
    names = [name for name in cells if columns is None or name in columns]
    frame = pd.DataFrame({name: text_column([pa.array(cells[name], pa.large_string())]) for name in names})
    lines = np.arange(1, len(next(iter(cells.values()))) + 1)
    return Table(path, frame, lines, path, findings, names=list(cells))


def _find_files(folder):
    """Returns the files of known kinds, sorted, and the path of the table of labels or None."""
    found, unknown, labels_path = [], Counter(), None
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if name[0] not in "._")
        parts = Path(place).relative_to(folder).parts
        for name in sorted(name for name in names if name[0] != "."):
            stem, ending = os.path.splitext(name)
            if not parts and name.lower() in LABELS:
                labels_path = Path(place, name)
            elif not _is_unicode("/".join((*parts, name))) or ending.lower() not in KINDS:
                unknown[ending.lower() or name] += 1
            else:
                found.append(_File("/".join((*parts, name)), "", parts, stem, KINDS[ending.lower()]))
    _report_unknown(folder, found, unknown)
    top = {file.folders[0] for file in found if file.folders}
    if top and all(name.lower() in WORDS for name in top):
        found = [
            file._replace(split=file.folders[0], folders=file.folders[1:]) for file in found if file.folders
        ]
    elif top and labels_path is None:
        # Beside folders of classes, files at the top are such as a README.txt.
        found = [file for file in found if file.folders]
    return found, labels_path


def _is_unicode(name):
    return name.isascii() or not any("\ud800" <= letter <= "\udfff" for letter in name)


def _report_unknown(folder, found, unknown):
    counts = ", ".join(f"{count} of `{ending}`" for ending, count in unknown.most_common(8))
    if not found:
        expected = f"files that end in {listing(KINDS, len(KINDS))}, or a table"
        received = f"a folder with {counts}" if unknown else "a folder without files"
        fix = "Name the table in it, or put the files of each class into a folder of its name."
        raise ManifestError(message(str(folder), expected, received, fix))
    if unknown:
        fix = f"They are left out; files are read that end in {listing(KINDS, len(KINDS))}."
        warnings.warn(message(str(folder), "files of known endings", counts, fix), stacklevel=4)


def _are_modalities(files):
    """Returns whether each folder holds files of one kind, and not all the same one."""
    kinds = {}
    for file in files:
        kinds.setdefault(file.folders[:1], set()).add(file.kind)
    alone = all(len(found) == 1 for found in kinds.values())
    return () not in kinds and alone and len(set.union(*kinds.values())) > 1


def _group(folder, files, by_modality):
    """Returns the rows: dict, _Key -> dict of column -> path, sorted."""
    several = len({file.kind for file in files}) > 1
    rows, twice = {}, []
    for file in files:
        column = file.folders[0] if by_modality and file.folders else file.kind
        inner = "/".join((*file.folders[1:], file.stem))
        if by_modality:
            key = _Key(file.split, "", inner)
        else:
            label = file.folders[0] if file.folders else ""
            key = _Key(file.split, label, inner, "" if several else file.path)
        row = rows.setdefault(key, {})
        if column in row:
            twice.append((row[column], file.path))
        row[column] = file.path
    if twice:
        received = f"{len(twice)} such as `{twice[0][0]}` and `{twice[0][1]}`"
        fix = "Rename or remove one of each: files are joined by their names without endings."
        expected = "one file of a name and kind in each folder"
        raise ManifestError(message(str(folder), expected, received, fix))
    return dict(sorted(rows.items()))


def _columns_of(rows):
    return sorted({name for row in rows.values() for name in row})


def _read_texts(folder, cells, texts):
    """Puts the texts of files into the cells that name them; returns findings about those that are none."""
    findings = []
    for name, column in cells.items():
        for row, cell in enumerate(column):
            if cell not in texts:
                continue
            try:
                column[row] = (folder / cell).read_text("utf-8-sig").strip()
            except UnicodeDecodeError:
                column[row] = ""
                reason = "bytes that are no UTF-8 text; save the file as UTF-8"
                findings.append(Finding("not_text", row + 1, name, cell, reason, row))
            except OSError as error:
                column[row] = ""
                reason = f"cannot be read: {error.strerror or error}"
                findings.append(Finding("missing_file", row + 1, name, cell, reason, row))
    return findings


def _join_labels(cells, names, labels):
    """Adds the columns of the table of labels to the cells; rows of which there is no file come last.

    Returns: list of Finding. Those of the table, its rows numbered as in the cells.
    """
    stem = STEM if STEM in labels.frame else labels.names[0]
    added = [name for name in labels.frame if name != stem]
    both = [name for name in added if name in cells]
    if both:
        fix = "Rename the columns or the folders."
        received = f"{listing(both)} as both"
        raise ManifestError(message(str(labels.path), "columns beside the folders", received, fix))
    keys = [_without_ending(key) for key in labels.frame[stem]]
    rows_of = {}
    for row, key in enumerate(keys):
        if rows_of.setdefault(key, row) != row:
            received = f"`{key}` in lines {labels.lines[rows_of[key]]} and {labels.lines[row]}"
            fix = "Remove one of them."
            raise ManifestError(message(str(labels.path), f"each `{stem}` once", received, fix))
    known = set(names)
    sources = [rows_of.get(name, -1) for name in names]
    sources += [row for row, key in enumerate(keys) if key not in known]
    for column in cells.values():
        column += [""] * (len(sources) - len(column))
    for name in added:
        values = labels.frame[name].tolist()
        cells[name] = [values[row] if row >= 0 else "" for row in sources]
    return [moved for finding in labels.findings for moved in _move(finding, sources, labels.path.name)]


def _move(finding, sources, file):
    """Returns the finding about a row of the table of labels, for each row of the folder that it became."""
    reason = f"{finding.reason} ({file}, line {finding.line})"
    if finding.row < 0:
        return [Finding(finding.code, finding.line, finding.column, finding.path, reason)]
    rows = [row for row, source in enumerate(sources) if source == finding.row]
    return [Finding(finding.code, row + 1, finding.column, finding.path, reason, row) for row in rows]


def _without_ending(name):
    stem, ending = os.path.splitext(name)
    return stem if ending.lower() in KINDS else name
