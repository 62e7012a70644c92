"""When a sound belongs to timed images, and which of many cells belongs to a given one."""

import io
import re
from pathlib import Path

import numpy as np
import soundfile

from mm_keras.checks import check_choice, listing, message
from mm_keras.data.table import ManifestError
from mm_keras.prediction import PredictionError

IMAGES = (".png", ".jpg", ".jpeg", ".gif", ".bmp")
AT_ONCE = 64  # Windows that are held and answered together.
LEAST_SHARE = 0.5  # Of the frames, that must have a sound at an offset.
ANCHORS = {"start": 0.0, "middle": 0.5, "end": 1.0}


def synchronise(predictor, frames, sound, fps=None, most=2.0, hop=0.02, anchor="middle", progress=None):
    """Finds by how much a sound is late against images, with a model that draws the two together.

    The sound is cut into windows as long as the model hears, one every `hop` seconds. For each offset the
    vector of each frame is compared with that of the window that would belong to it, and the cosines are
    averaged over the frames; the offset at which they agree best is the answer.

    Args:
        predictor: Predictor of a model with a contrastive output of an image and a sound.
        frames: path. Folder of images. Without `fps` the name of each is its time in seconds, such as
            `12.40.png`; with it they come in the order of their names, numbers by value.
        sound: path. WAV, FLAC, OGG or MP3, of any length and rate.
        fps: float > 0 or None. Frames a second.
        most: float > 0. Largest offset that is looked for, to both sides (seconds).
        hop: float > 0. Step between offsets (seconds).
        anchor: "start", "middle" or "end". Where in its sound the image of a row stands that the model
            learned from, such as "middle" where the sound was cut around the moment of the frame.
        progress: callable or None, called with the number of images and windows answered since the last call.

    Returns: dict. `offset`: seconds by which the sound is late, below 0 early. `confidence`: how far the best
        score is above the median one. `score`: the best mean cosine. `curve`: list of [offset, score] over
        all offsets at which half of the frames at least have a sound, in order. `frames`, `windows`: numbers
        of them.
    Raises: PredictionError, if the model has no such output; ValueError, if the folder, the sound or an
        argument cannot be used, or too few frames have a sound.
    Source: Chung and Zisserman 2016, "Out of time: automated lip sync in the wild", section 4.1, with cosines
        in place of distances.
    """
    _check(fps, most, hop, anchor)
    name, image, audio = _pair(predictor)
    times, paths = read_frames(frames, fps)
    samples, rate = _read_sound(sound)
    width = predictor.preprocessor.modalities[audio].seconds
    steps = np.arange(max(int(np.floor(len(samples) / rate / hop)), 1))
    seen = _answer(predictor, image, map(str, paths), f"{name}_{image}", progress)
    windows = (_window(samples, rate, step * hop, width) for step in steps)
    heard = _answer(predictor, audio, windows, f"{name}_{audio}", progress)
    begin = times - ANCHORS[anchor] * width  # Of the window that belongs to each frame, at offset 0.
    reach = int(np.floor(most / hop + 1e-9))
    curve = []
    for shift in range(-reach, reach + 1):
        place = (begin + shift * hop) / hop
        inside = (place >= 0) & (place <= len(steps) - 1)
        if inside.mean() >= LEAST_SHARE:
            scores = np.sum(seen[inside] * _between(heard, place[inside]), axis=1)
            curve.append([round(shift * hop, 6), float(scores.mean())])
    if not curve:
        lasts = f"{len(samples) / rate:.2f} s of sound, frames from {times.min():.2f} to {times.max():.2f} s"
        fix = "Give the sound of these frames, or other times (`fps`)."
        raise ValueError(message("sync", "half of the frames at least to have a sound", lasts, fix))
    offsets, scores = np.array(curve).T
    best = int(scores.argmax())
    return {
        "offset": float(offsets[best]),
        "score": float(scores[best]),
        "confidence": float(scores[best] - np.median(scores)),
        "curve": curve,
        "frames": len(times),
        "windows": len(steps),
    }


def read_frames(folder, fps=None):
    """Returns (times in seconds, ascending float `(N,)`; paths of the images of a folder)."""
    folder = Path(folder)
    paths = [path for path in folder.glob("*") if path.suffix.lower() in IMAGES]
    if not paths:
        received = "none" if folder.is_dir() else f"{folder}, which is no folder"
        expected = f"a folder of images ({listing(IMAGES)})"
        raise ValueError(message("frames", expected, received, "Check the path."))
    if fps is not None:
        paths.sort(key=lambda path: [int(x) if x.isdigit() else x for x in re.split(r"(\d+)", path.stem)])
        return np.arange(len(paths)) / fps, paths
    times = []
    for path in paths:
        try:
            times.append(float(path.stem))
        except ValueError:
            fix = "Name each by its seconds, or give the frames a second (`fps`) of images in their order."
            raise ValueError(message("frames", "names such as 12.40.png", path.name, fix)) from None
    order = np.argsort(times, kind="stable")
    return np.array(times, float)[order], [paths[i] for i in order]


def retrieve(predictor, cells, rows, to, top=5, progress=None):
    """Finds the cells of a table that belong best to one example, such as the sound of an image.

    Args:
        predictor: Predictor of a model with a contrastive output.
        cells: dict, modality -> list of one path, text or row of numbers, as of `predict`. Of several the
            mean of their vectors is taken.
        rows: Rows of `read_rows`.
        to: str. The modality of the table that is looked for; of the rows that have it.
        top: int > 0. How many.
        progress: callable or None, called with the number of rows answered since the last call.

    Returns: list of at most `top` dicts, best first: `line`, `id` where the table has one, `cell` and
        `score`, the cosine in -1 to 1.
    Raises: PredictionError, if no contrastive output joins the modalities; ValueError for `top`, or a file
        that cannot be read.
    """
    if not isinstance(top, int) or top < 1:
        raise ValueError(message("top", "a whole number of at least 1", f"{top!r}", "Such as 5."))
    name, modalities = _joining(predictor, [*cells, to])
    if to in cells:
        fix = f"Ask by another modality than `{to}`: {listing(set(modalities) - {to})}."
        raise PredictionError(message("retrieve", "a modality to look for that is not given", f"{to!r}", fix))
    here = np.flatnonzero(rows.present[:, sorted(rows.cells).index(to)] > 0)
    if not len(here):
        raise ManifestError(message("retrieve", f"rows with {to}", "none", "Name another table or modality."))
    vectors = predictor.predict(cells)
    asked = np.mean([vectors[f"{name}_{modality}"][0] for modality in cells], axis=0)
    found = _answer(predictor, to, (rows.cells[to][row] for row in here), f"{name}_{to}", progress)
    scores = found @ (asked / max(np.linalg.norm(asked), 1e-12))
    ids = rows.table["id"] if "id" in rows.table else None
    answers = []
    for place in np.argsort(-scores, kind="stable")[:top]:
        row = int(here[place])
        answer = {"line": int(rows.lines[row])} | ({} if ids is None else {"id": str(ids.iloc[row])})
        cell = rows.cells[to][row]
        cell = cell if isinstance(cell, str) else [float(x) for x in cell]
        answers.append({**answer, "cell": cell, "score": round(float(scores[place]), 6)})
    return answers


def _check(fps, most, hop, anchor):
    for key, value in (("fps", fps), ("most", most), ("hop", hop)):
        if value is not None and not (np.isfinite(value) and value > 0):
            raise ValueError(message(key, "a number above 0", f"{value!r}", "Such as 25 frames, or 0.02 s."))
    if hop > most:
        fix = "Take a smaller step."
        raise ValueError(message("hop", "at most the largest offset", f"{hop} of {most}", fix))
    check_choice("sync", "anchor", anchor, tuple(ANCHORS))


def _pair(predictor):
    """Returns a contrastive output, its image and its sound."""
    modalities = predictor.preprocessor.modalities
    for name, part in predictor.preprocessor.of_kind("contrastive").items():
        first = {modalities[modality].kind: modality for modality in reversed(part.modalities)}
        if {"image", "audio"} <= first.keys():
            return name, first["image"], first["audio"]
    fix = "Train with `match: {kind: contrastive, modalities: [image, audio]}` among the outputs."
    expected = "a model with a contrastive output of an image and a sound"
    raise PredictionError(message("sync", expected, str(predictor.path), fix))


def _joining(predictor, wanted):
    """Returns the contrastive output that joins these modalities, and all of its modalities."""
    for name, part in predictor.preprocessor.of_kind("contrastive").items():
        if set(wanted) <= set(part.modalities):
            return name, part.modalities
    outputs = predictor.preprocessor.of_kind("contrastive").values()
    known = sorted({modality for part in outputs for modality in part.modalities})
    train = "Train with `match: {kind: contrastive}` among the outputs."
    fix = f"It joins {listing(known)}." if known else train
    expected = f"a model with a contrastive output of {listing(dict.fromkeys(wanted))}"
    raise PredictionError(message("retrieve", expected, str(predictor.path), fix))


def _read_sound(path):
    """Returns (float32 samples `(S, channels)` in -1 to 1, rate)."""
    try:
        samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    except (OSError, RuntimeError) as error:
        fix = "Give a WAV, FLAC, OGG or MP3 file."
        raise ValueError(message("sound", "a file of sound", f"{path}: {error}", fix)) from error
    if not len(samples):
        raise ValueError(message("sound", "a sound with samples", f"{path}, which is empty", "Give another."))
    return samples, rate


def _window(samples, rate, start, seconds):
    """Returns a part of a sound as a WAV file, which the model reads like those it was trained on."""
    first = round(start * rate)
    file = io.BytesIO()
    part = samples[first : first + round(seconds * rate)]
    soundfile.write(file, part, rate, subtype="FLOAT", format="WAV")
    return file.getvalue()


def _answer(predictor, modality, cells, key, progress):
    """Returns the vectors `(N, D)` of an iterable of cells of one modality."""
    vectors, batch = [], []

    def ask():
        vectors.append(predictor.predict({modality: batch})[key])
        if progress:
            progress(len(batch))

    for cell in cells:
        batch.append(cell)
        if len(batch) == AT_ONCE:
            ask()
            batch = []
    if batch:
        ask()
    return np.concatenate(vectors)


def _between(vectors, place):
    """Returns the vectors at places between two of them."""
    low = np.floor(place).astype(int)
    high = np.minimum(low + 1, len(vectors) - 1)
    share = (place - low)[:, None]
    return (1 - share) * vectors[low] + share * vectors[high]
