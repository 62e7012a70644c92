"""Writes the sounds among answers as WAV files."""

import dataclasses
from pathlib import Path

import numpy as np
import soundfile


def write_sounds(part, preprocessor, folder):
    """Writes each sound of `Answers` as a 16-bit WAV file; returns the answers with the paths in its place.

    A single example's sound is `<folder>/<output>.wav`, that of a row of a manifest
    `<folder>/<output>/<line>.wav`; a file of that name is written anew.

    Args:
        part: Answers.
        preprocessor: Preprocessor.
        folder: path. Is made.
    """
    answers = dict(part.answers)
    for name, output in preprocessor.outputs.items():
        if output.kind != "speech" or name not in answers:
            continue
        paths = []
        for row, sound in enumerate(answers[name]):
            place = f"{name}.wav" if part.lines is None else f"{name}/{part.lines[row]}.wav"
            path = Path(folder) / place
            path.parent.mkdir(parents=True, exist_ok=True)
            count, rate = answers[f"{name}_samples"][row], answers[f"{name}_rate"][row]
            soundfile.write(path, sound[:count], int(rate), subtype="PCM_16")
            paths.append(str(path))
        answers[name] = np.array(paths, object)
    return dataclasses.replace(part, answers=answers)
