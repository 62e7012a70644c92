"""Numbers that are dialled on the embedded keypad: timed images, and a sound that may be early or late."""

import json
import os
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image
from scipy.io import wavfile

from mm_keras.checks import message
from mm_keras.data.keypad_sounds import RATE

LEAD = 1.0  # Seconds before the first key.
PAUSE = (0.05, 0.4)  # Shortest and longest, between keys (seconds).


def write_dial(keypad, folder, keys="2580147369", offset=0.0, fps=20.0, seed=7):
    """Writes what is seen and heard while keys are pressed, each a scan and a sound of its own of test rows.

    The folder holds `frames/<seconds>.png`, at `fps` while the scan of a key is shown, `sound.wav`, which is
    late by `offset`, and `dial.json`, which says both and when each key was pressed.

    Args:
        keypad: path of the keypad data set's folder.
        folder: path. New or empty; appears whole or not at all.
        keys: str of digits.
        offset: float in [-1, 1]. Seconds by which the sound is late; below 0 it is early.
        fps: float > 0. Frames a second.
        seed: int >= 0.

    Returns: pathlib.Path of `folder`.
    Raises: ValueError, if an argument is out of range, `keypad` holds no such data set, or `folder` holds
        files.
    """
    folder, keypad = Path(os.path.abspath(folder)), Path(keypad)
    table = _read(keypad)
    _check(folder, keys, offset, fps)
    random = np.random.default_rng(seed)
    pressed, time, sounds = [], LEAD, []
    images = []
    for key in keys:
        of_key = table[table["label"] == key]
        image = keypad / random.choice(of_key["image"][of_key["image"] != ""].to_numpy())
        _, sound = wavfile.read(keypad / random.choice(of_key["audio"][of_key["audio"] != ""].to_numpy()))
        lasts = len(sound) / RATE
        pressed.append([key, round(time, 4), round(time + lasts, 4)])
        shown = np.arange(np.ceil(time * fps), np.ceil((time + lasts) * fps)) / fps
        images += [(second, image) for second in shown]
        sounds.append((round((time + offset) * RATE), sound))
        time += lasts + random.uniform(*PAUSE)
    whole = np.zeros(round((time + LEAD + max(offset, 0)) * RATE), np.int16)
    for start, sound in sounds:
        whole[start : start + len(sound)] = sound
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as aside:
        written = Path(aside) / "dial"
        (written / "frames").mkdir(parents=True)
        for second, image in images:
            Image.open(image).save(written / f"frames/{second:.3f}.png")
        wavfile.write(written / "sound.wav", RATE, whole)
        told = {"offset": offset, "fps": fps, "seed": seed, "keys": pressed}
        (written / "dial.json").write_text(json.dumps(told) + "\n", encoding="utf-8")
        os.replace(written, folder)
    return folder


def _read(keypad):
    """Returns the test rows of the keypad data set."""
    path = keypad / "manifest.csv"
    if not (keypad / "keypad.json").is_file() or not path.is_file():
        fix = "Write it with `mm-keras data keypad`."
        raise ValueError(message("keypad", "a folder of the keypad data set", str(keypad), fix))
    table = pd.read_csv(path, dtype=str, keep_default_na=False)
    return table[table["split"] == "test"]


def _check(folder, keys, offset, fps):
    def refuse(expected, received, fix):
        raise ValueError(message("write_dial", expected, received, fix))

    if not keys or not set(keys) <= set("0123456789"):
        refuse("`keys` of digits", f"keys={keys!r}", "Such as 2580147369.")
    if not -LEAD <= offset <= LEAD:
        refuse(f"`offset` in [-{LEAD:g}, {LEAD:g}]", f"offset={offset!r}", "Such as 0.3 seconds.")
    if not 0 < fps <= 1000:
        refuse("`fps` in (0, 1000]", f"fps={fps!r}", "Such as 20.")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        refuse("`folder` to be new or empty", str(folder), "Choose another folder, or delete this one.")
