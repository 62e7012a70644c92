"""What a model says with each subset of its modalities, in numbers that do not grow with the sounds."""

import math

import numpy as np

from mm_keras.evaluation.speech_scores import cepstral_distortions
from mm_keras.log_mel import LogMel
from mm_keras.speech_frames import SCALE, SpeechFrames

PARTS, BANDS = 8, 16  # Of an outline: parts of the time, and of the frequencies.


class SpeechReader:
    """Reads the sounds of a speech output, true and given, as log-mel spectrograms.

    Args:
        part: SpeechOutput of the spec.
    """

    def __init__(self, part):
        self.bins, self.reduction = part.mel_bins, part.reduction
        grouping = SpeechFrames(**part.frames)
        self.stride, self.group_samples = grouping.log_mel.stride, grouping.group_samples
        self.frames = 1 + part.sound.samples // self.stride

    def true(self, groups):
        """Returns (log-mel spectrograms `(B, T, F)`, frames of each that are heard) of targets `(B, G,
        ...)`."""
        groups = groups.numpy()
        frames = groups[:, :, :-1].reshape(len(groups), -1, self.bins)
        lacking = max(self.frames - frames.shape[1], 0)  # Of training, each batch is as long as its longest.
        frames = np.pad(frames, [(0, 0), (0, lacking), (0, 0)])[:, : self.frames]
        heard = (groups[:, :, -1] < 0.5).sum(axis=1) + 1
        return SCALE * frames + math.log(LogMel.floor), np.minimum(heard * self.reduction, self.frames)

    def given(self, outputs, name):
        """Returns the same of what `answering_model` gives."""
        counts = -(-outputs[f"{name}_samples"].numpy() // self.stride)
        return outputs[f"{name}_frames"].numpy(), np.minimum(counts, self.frames)


def outline(log_mel):
    """Returns the course of log-mel spectrograms `(B, T, F)` in few numbers `(B, K)`, by which they are
    compared: the mean of each of 8 parts of the time and 16 of the frequencies."""
    for axis, count in ((1, PARTS), (2, BANDS)):
        places = np.unique(np.linspace(0, log_mel.shape[axis], count + 1).astype(int)[:-1])
        sizes = np.diff([*places, log_mel.shape[axis]])
        shape = [-1 if other == axis else 1 for other in range(3)]
        log_mel = np.add.reduceat(log_mel, places, axis=axis) / sizes.reshape(shape)
    return log_mel.reshape(len(log_mel), -1)


def distortions(true, given):
    """Returns `cepstral_distortions` of what `SpeechReader` read."""
    return cepstral_distortions(*true, *given)
