"""What AV-MNIST-R is built from: MNIST's idx files, spoken digits, and clips of noise."""

import gzip
import hashlib
import re
import wave
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from scipy.signal import resample_poly

from mm_keras.checks import message

OWNER = "write_avmnist"
RATE = 8000  # Hz, of the Free Spoken Digit Dataset.
SAMPLES = RATE  # One second.
DIGITS = 10
SIZE = 28
IDX_NAMES = ("{part}-{what}-idx{axes}-ubyte", "{part}-{what}.idx{axes}-ubyte")
SUFFIXES = (".wav", ".wave", ".flac", ".ogg", ".oga", ".mp3")
RECORDING = re.compile(r"(\d)_([^_]+)_(.+)")  # digit, speaker, take
ESC = re.compile(r"\d+-(\d+)-([A-Z]+)-(\d+)")  # fold, source on freesound.org, take, class
CLIP_SECONDS = 30  # Of a longer clip the beginning is used.
FAINT = 1e-7  # Mean square of -70 dB below full scale: noise that cannot be heard.


@dataclass(frozen=True)
class Sound:
    """A file of sound, and what its name says of it.

    Args:
        name: str. Path in its folder, with `/`.
        kind: int or str. Digit of a recording, class of a clip.
        group: str. Speaker of a recording; of a clip what it was cut from.
        samples: float32 array `(S,)`, at 8000 Hz.
    """

    name: str
    kind: int | str
    group: str
    samples: np.ndarray


def read_mnist(folder):
    """Reads MNIST's four idx files, plain or `.gz`.

    Returns: dict, "train" and "t10k" -> (uint8 array `(N, 28, 28)`, int array `(N,)`): images and labels.
    Raises: ValueError, if a file is not there, is damaged, or is no such idx file.
    """
    folder = _check_folder("mnist", folder, "MNIST's idx files")
    parts = {}
    for part in ("train", "t10k"):
        images = _read_idx(_find_idx(folder, part, "images", 3), 3)
        labels = _read_idx(_find_idx(folder, part, "labels", 1), 1).astype(int)
        if images.shape[1:] != (SIZE, SIZE) or len(images) != len(labels) or labels.max(initial=0) >= DIGITS:
            received = f"{part}: images {images.shape}, labels {labels.shape} up to {labels.max(initial=0)}"
            expected = "as many labels 0 to 9 as images of 28x28"
            raise ValueError(message(OWNER, expected, received, "Take both files from one copy of MNIST."))
        parts[part] = (images, labels)
    return parts


def read_recordings(folder):
    """Reads spoken digits named `{digit}_{speaker}_{take}.wav`, sorted by name.

    A recording of more than one second is cut to the second that holds most of its energy.

    Raises: ValueError, if there is none of a digit, or a file cannot be read or is silent.
    """
    folder = _check_folder("fsdd", folder, "recordings named {digit}_{speaker}_{take}.wav")
    recordings = []
    for path in _list_sounds(folder):
        found = RECORDING.fullmatch(path.stem)
        if found:
            samples = loudest_second(_read_sound(path))
            recordings.append(Sound(_name(path, folder), int(found[1]), found[2], samples))
    digits = {recording.kind for recording in recordings}
    lacking = [digit for digit in range(DIGITS) if digit not in digits]
    if lacking:
        received = f"{folder}, with no recording of {', '.join(map(str, lacking))}"
        fix = "Name them {digit}_{speaker}_{take}.wav, as the Free Spoken Digit Dataset does."
        raise ValueError(message(OWNER, "`fsdd` with recordings of every digit", received, fix))
    return _without_copies(recordings)


def read_clips(folder):
    """Reads clips of noise, sorted by name; of those named as in ESC-50, class and origin are known.

    Raises: ValueError, if there is none, or a file cannot be read or cannot be heard.
    """
    folder = _check_folder("noise", folder, "clips of noise")
    clips = []
    for path in _list_sounds(folder):
        found = ESC.fullmatch(path.stem)
        kind, group = (found[3], found[1]) if found else ("", _name(path, folder))
        clips.append(Sound(_name(path, folder), kind, group, _read_sound(path)))
    if not clips:
        fix = f"Put sounds there, with names that end in {', '.join(SUFFIXES)}."
        raise ValueError(message(OWNER, "`noise` to hold clips of noise", f"{folder}, with none", fix))
    return _without_copies(clips)


def loudest_second(samples):
    """Returns the second of a sound that holds most of its energy, or all of a shorter one."""
    if len(samples) <= SAMPLES:
        return samples
    start = np.argmax(second_powers(samples))
    return samples[start : start + SAMPLES]


def second_powers(samples):
    """Returns the mean square of the second that begins at each sample, while the sound lasts one."""
    sums = np.concatenate([[0.0], np.cumsum(np.square(samples, dtype=np.float64))])
    return (sums[SAMPLES:] - sums[:-SAMPLES]) / SAMPLES


def digest_mnist(parts):
    """Returns one SHA-256 of the images and labels."""
    digest = hashlib.sha256()
    for part in sorted(parts):
        for array in parts[part]:
            digest.update(np.ascontiguousarray(array, dtype=np.uint8))
    return digest.hexdigest()


def digest_sounds(sounds):
    """Returns one SHA-256 of the names and the samples as they were read."""
    digest = hashlib.sha256()
    for sound in sounds:
        digest.update(f"{sound.name} {len(sound.samples)}\n".encode())
        digest.update(sound.samples)
    return digest.hexdigest()


def _check_folder(name, folder, what):
    folder = Path(folder).expanduser()
    if not folder.is_dir():
        received = f"{name}={str(folder)!r}, which is {'a file' if folder.exists() else 'not there'}"
        raise ValueError(message(OWNER, f"`{name}` to be a folder of {what}", received, "Check the path."))
    return folder


def _find_idx(folder, part, what, axes):
    names = [name.format(part=part, what=what, axes=axes) for name in IDX_NAMES]
    for name in names:
        for path in (folder / name, folder / f"{name}.gz"):
            if path.is_file():
                return path
    fix = f"Put `{names[0]}` or `{names[0]}.gz` there."
    raise ValueError(message(OWNER, f"`mnist` with the file {names[0]}", f"{folder}, without it", fix))


def _read_idx(path, axes):
    """Reads an idx file of uint8: 0, 0, 8, number of axes; their sizes as big-endian int32; the numbers."""
    fix = "Fetch the file again."
    try:
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(message(OWNER, "idx files that can be read", f"{path}: {error}", fix)) from error
    magic = bytes([0, 0, 8, axes])
    if content[:4] != magic:
        expected = f"an idx file of {axes} axes of uint8, which begins with {magic.hex(' ')}"
        raise ValueError(message(OWNER, expected, f"{path}, with {content[:4].hex(' ')}", fix))
    start = 4 + 4 * axes
    shape = tuple(int(size) for size in np.frombuffer(content[4:start].ljust(4 * axes, b"\0"), ">u4"))
    if len(content) - start != np.prod(shape, dtype=object):
        expected = f"{shape} numbers, as its header says"
        raise ValueError(message(OWNER, expected, f"{path}, with {max(len(content) - start, 0)}", fix))
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)


def _list_sounds(folder):
    found = [path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file()]
    return sorted(path for path in found if not path.name.startswith("."))


def _name(path, folder):
    return path.relative_to(folder).as_posix()


def _read_sound(path):
    """Returns a sound as float32 at 8000 Hz, its channels averaged."""
    fix = "Write this file again, or take it out of the folder."
    try:
        samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    except (OSError, soundfile.LibsndfileError) as error:
        raise ValueError(message(OWNER, "sounds that can be read", f"{path}: {error}", fix)) from error
    told = _frames_told(path)
    if told > len(samples):
        received = f"{path}, of whose {told:,} samples {len(samples):,} are there"
        raise ValueError(message(OWNER, "whole sounds", received, fix))
    samples = samples[: CLIP_SECONDS * rate].mean(axis=1)
    if rate != RATE:
        samples = resample_poly(samples, RATE, rate).astype(np.float32)
    if not len(samples) or np.mean(np.square(loudest_second(samples))) < FAINT:
        raise ValueError(message(OWNER, "sounds that can be heard", f"{path}, which is silent", fix))
    return samples


def _frames_told(path):
    """Returns how many samples the header of a PCM WAV file tells, which soundfile passes over; else 0."""
    try:
        with wave.open(str(path)) as file:
            return file.getnframes()
    except (wave.Error, EOFError):
        return 0


def _without_copies(sounds):
    """Leaves out sounds that repeat an earlier one under another name: it might stand in another split."""
    seen, kept = set(), []
    for sound in sounds:
        key = sound.samples.tobytes()
        if key not in seen:
            seen.add(key)
            kept.append(sound)
    return kept
