"""A folder of background noise, read once into memory."""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import tensorflow as tf

from mm_keras.checks import message
from mm_keras.data.decode import decode_audio
from mm_keras.data.transforms import read_file, reason_of

OWNER = "augment.noise.folder"
SUFFIXES = (".flac", ".mp3", ".oga", ".ogg", ".opus", ".wav", ".wave")
MOST_BYTES = 64 * 2**20  # Of samples in memory: at 16 kHz 17 minutes, far more than a batch can tell apart.


@dataclass(frozen=True)
class NoiseClips:
    """Sounds, one after another in one tensor.

    Args:
        samples: float32 tensor `(N,)`.
        starts: int32 tensor `(K,)`. Where each clip begins.
        lengths: int32 tensor `(K,)`. Samples of each clip, > 0.
    """

    samples: tf.Tensor
    starts: tf.Tensor
    lengths: tf.Tensor


def read_noise(folder, rate, most_bytes=MOST_BYTES):
    """Decodes every sound in a folder and the folders below it.

    Together they take at most `most_bytes`: what short files leave of their equal share goes to longer
    ones, and of a file that is longer than its share the beginning is kept.

    Args:
        folder: str or path.
        rate: int > 0. Samples per second (Hz) of the clips.
        most_bytes: int > 0. Memory of all samples.

    Returns: NoiseClips, in the same order on every computer.
    Raises: ValueError, if the folder is not there or holds no sound, or a file cannot be read or is silent.
    """
    paths = _list_sounds(Path(folder))
    counts = [_count_samples(path, rate) for path in paths]
    left, clips = most_bytes // 4, {}
    for done, i in enumerate(sorted(range(len(paths)), key=counts.__getitem__)):
        kept = max(min(counts[i], left // (len(paths) - done)), 1)
        left -= kept
        clips[i] = _decode(paths[i], rate, kept)
    clips = [clips[i] for i in range(len(paths))]
    lengths = np.array([len(clip) for clip in clips], "int32")
    with tf.device("CPU:0"):
        return NoiseClips(
            tf.constant(np.concatenate(clips)),
            tf.constant(np.cumsum(lengths, dtype="int32") - lengths),
            tf.constant(lengths),
        )


def _list_sounds(folder):
    if not folder.is_dir():
        received = f"{folder}, which is {'a file' if folder.exists() else 'not there'}"
        fix = "Check the path; it is relative to the spec file."
        raise ValueError(message(OWNER, "a folder of sounds", received, fix))
    walked = os.walk(folder, followlinks=True)
    found = [Path(place, name) for place, _, names in walked for name in names if not name.startswith(".")]
    sounds = sorted(path for path in found if path.suffix.lower() in SUFFIXES)
    if not sounds:
        received = f"{folder}, with {len(found)} other files" if found else f"{folder}, which is empty"
        fix = f"Put sounds there, with names that end in {', '.join(SUFFIXES)}."
        raise ValueError(message(OWNER, "a folder of sounds", received, fix))
    return sounds


def _count_samples(path, rate):
    try:
        with open(path, "rb") as file:
            about = soundfile.info(file)
    except (OSError, soundfile.LibsndfileError) as error:
        raise _bad_file(path, getattr(error, "error_string", None) or str(error)) from error
    return -(-about.frames * rate // about.samplerate)


def _decode(path, rate, samples):
    try:
        clip = decode_audio(read_file(str(path)), rate, samples).numpy()
    except (tf.errors.OpError, ValueError) as error:
        raise _bad_file(path, reason_of(error)) from error
    if not clip.any():
        raise _bad_file(path, "only silence")
    return clip


def _bad_file(path, reason):
    fix = "Write this file again, or take it out of the folder."
    return ValueError(message(OWNER, "sounds that can be read", f"{path}: {reason.strip()}", fix))
