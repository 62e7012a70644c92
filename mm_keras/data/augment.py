"""Random changes of a batch of training rows, as the spec says."""

from pathlib import Path

import tensorflow as tf

from mm_keras.data.augment_audio import AudioAugmentation
from mm_keras.data.augment_image import ImageAugmentation
from mm_keras.data.augment_text import TextAugmentation
from mm_keras.data.draws import seed_for

AT_INPUT = {
    "image": (
        "flip",
        "rotation",
        "crop",
        "brightness",
        "contrast",
        "saturation",
        "hue",
        "rand_augment",
        "noise",
        "mask",
    ),
    "audio": ("shift", "gain_db", "noise"),  # The masks of the spectrogram are a layer of the model.
    "text": ("token_dropout", "typos"),
}


def make_augmentation(modalities, root):
    """Returns the function that changes the rows of a training batch at random, or None if nothing changes.

    The function takes `rows`, a dict of name -> tensor `(B, ...)` before `Preprocessor.finish`, with
    "present" float32 `(B, M)` (modalities sorted by name, 1 = there), and `seed`, int tensor `(2,)`. It
    returns `rows` with the modalities that have `augment` changed: images uint8 `(B, H, W, C)`, audio
    float32 `(B, S)`, texts string `(B,)`. What is absent stays as it is. The same seed and rows give the
    same result, in whatever order a parallel `map` takes the batches; each example has its own draws.

    Args:
        modalities: dict, name -> modality of the spec.
        root: str or path. `augment.noise.folder` is relative to it; the spec's own is already absolute.

    Returns: callable (rows, seed) -> rows, or None.
    Raises: ValueError, if a folder of noise, or a sound in it, cannot be read.
    """
    names = sorted(modalities)
    changes = {name: _make(modalities[name], Path(root)) for name in names if _is_on(modalities[name])}
    if not changes:
        return None

    @tf.autograph.experimental.do_not_convert
    def augment(rows, seed):
        changed = dict(rows)
        for name, change in changes.items():
            x = rows[name]
            here = rows["present"][:, names.index(name)] > 0
            here = tf.reshape(here, [-1] + [1] * (x.shape.rank - 1))
            changed[name] = tf.where(here, change(x, seed_for(seed, name)), x)
        return changed

    return augment


def _is_on(modality):
    settings = getattr(modality, "augment", None)
    values = [getattr(settings, key) for key in AT_INPUT[modality.kind]] if settings else []
    return any(value and value != "none" for value in values)


def _make(modality, root):
    if modality.kind == "image":
        return ImageAugmentation(modality)
    return AudioAugmentation(modality, root) if modality.kind == "audio" else TextAugmentation(modality)
