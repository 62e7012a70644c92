"""Writes what was generated as files: WAV, PNG, text and NumPy arrays."""

import dataclasses
from pathlib import Path

import numpy as np
import soundfile

SUFFIXES = {"image": ".png", "audio": ".wav", "features": ".npy", "text": ".txt"}


def write_files(part, preprocessor, folder):
    """Writes what `Predictor.generate` gave into files; returns the answers with the paths in its place.

    Sounds become 16-bit WAV files, rebuilt images PNG, rebuilt features `.npy`, and the rebuilt text of a
    single example a file too; other texts and numbers stay as they are. A single example's file is
    `<folder>/<key>.wav`, that of a row of a manifest `<folder>/<key>/<line>.wav`; a file of that name is
    written anew.

    Args:
        part: Answers.
        preprocessor: Preprocessor.
        folder: path. Is made.
    """
    answers = dict(part.answers)
    for key, kind in file_keys(preprocessor).items():
        if key not in answers or (kind == "text" and part.lines is not None):
            continue
        paths = []
        for row in range(len(answers[key])):
            place = key if part.lines is None else f"{key}/{part.lines[row]}"
            path = Path(folder) / f"{place}{SUFFIXES[kind]}"
            path.parent.mkdir(parents=True, exist_ok=True)
            write_file(path, kind, part.answers, key, row)
            paths.append(str(path))
        if kind != "text":  # Which is told itself.
            answers[key] = np.array(paths, object)
    return dataclasses.replace(part, answers=answers)


def file_keys(preprocessor):
    """Returns the answers of `Predictor.generate` that are files, key -> kind."""
    kinds = {key: preprocessor.modalities[name].kind for key, name in preprocessor.copies.items()}
    kinds |= dict.fromkeys(preprocessor.of_kind("speech"), "audio")
    return {key: kind for key, kind in kinds.items() if kind in SUFFIXES}


def write_file(path, kind, answers, key, row):
    """Writes the answer `key` of a row as a file of a kind."""
    value = answers[key][row]
    if kind == "audio":
        count, rate = answers[f"{key}_samples"][row], answers[f"{key}_rate"][row]
        soundfile.write(path, value[:count], int(rate), subtype="PCM_16")
    elif kind == "image":
        path.write_bytes(value)
    elif kind == "features":
        np.save(path, value)
    else:
        path.write_text(f"{value}\n", encoding="utf-8")
