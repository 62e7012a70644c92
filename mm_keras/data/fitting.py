"""What is learned from the training rows before the model: vocabularies and statistics."""

import numpy as np
import pandas as pd
import tensorflow as tf
from tensorflow_text.tools.wordpiece_vocab import bert_vocab_from_dataset

from mm_keras.checks import message
from mm_keras.data.preprocessor import Preprocessor
from mm_keras.data.table import TEXT
from mm_keras.data.transforms import RESERVED_TOKENS
from mm_keras.hub import load_vocabulary

MOST_TEXTS = 200_000


def fit_preprocessor(spec, manifest, moments=None):
    """Returns the `Preprocessor` of the training rows of `manifest`: test rows leave no trace in it.

    Args:
        spec: Spec.
        manifest: Manifest.
        moments: dict, features modality -> {"mean", "variance"} over train, of decoded files.
    """
    train = manifest.splits["train"]
    vocabularies, statistics = {}, dict(moments or {})
    for name, modality in spec.modalities.items():
        if modality.kind == "text":
            cells = manifest.cells[name][train]
            if modality.encoder.kind == "keras_hub":
                vocabularies[name] = known_vocabulary(modality)
            else:
                vocabularies[name] = learn_vocabulary(cells, modality, spec.training.seed)
        elif modality.kind == "numbers":
            statistics[name] = _moments(manifest.cells[name][train])
    for name, output in spec.of_kind("caption").items():
        cells = manifest.targets[name][train]
        if output.separator:
            cells = [text for cell in cells for text in output.captions_of(cell)]
        vocabularies[name] = learn_vocabulary(cells, output, spec.training.seed)
    for name in spec.of_kind("regression"):
        known = manifest.target_weights[name][train] > 0
        statistics[name] = _moments(manifest.targets[name][train][known])
    return Preprocessor(
        spec.modalities,
        spec.outputs,
        vocabularies,
        manifest.labels,
        statistics,
        spec.data.max_pixels,
        spec.data.max_samples,
    )


def known_vocabulary(modality):
    """Returns the vocabulary of the preset that a text modality's encoder names: nothing is learned.

    Raises: ValueError, if the preset cannot be had, has no WordPiece vocabulary, or differs in `lowercase`.
    """
    known = load_vocabulary(modality.encoder.preset, RESERVED_TOKENS)
    if known.lowercase != modality.lowercase:
        expected = (
            f"`lowercase: {str(known.lowercase).lower()}`, as preset `{modality.encoder.preset}` has it"
        )
        received = f"lowercase={modality.lowercase}"
        raise ValueError(message("lowercase", expected, received, "Write it so."))
    return known.tokens


def learn_vocabulary(texts, part, seed):
    """Returns a WordPiece vocabulary of at most `part.vocabulary_size` tokens, the reserved ones first.

    Of more than 200,000 texts a seeded sample is read.
    Source: Wu et al. 2016, arXiv:1609.08144, as built by tensorflow_text's `wordpiece_vocab`.
    """
    texts = pd.array(texts, dtype=TEXT)
    known = np.flatnonzero(texts != "")
    if len(known) > MOST_TEXTS:
        known = np.sort(np.random.default_rng(seed).choice(known, MOST_TEXTS, replace=False))
    if not len(known):
        return list(RESERVED_TOKENS)
    texts = texts[known].to_numpy()
    vocabulary = bert_vocab_from_dataset.bert_vocab_from_dataset(
        tf.data.Dataset.from_tensor_slices(texts).batch(1000),
        vocab_size=part.vocabulary_size,
        reserved_tokens=list(RESERVED_TOKENS),
        bert_tokenizer_params={"lower_case": part.lowercase},
    )
    return vocabulary[: part.vocabulary_size]


def _moments(values):
    """Returns mean and variance of each column without the missing ones; 0 and 1 for a column of none."""
    values = np.asarray(values, "float64")
    known = ~np.isnan(values)
    count = np.maximum(known.sum(axis=0), 1)
    mean = np.where(known, values, 0).sum(axis=0) / count
    variance = np.where(known, (values - mean) ** 2, 0).sum(axis=0) / count
    return {"mean": mean.tolist(), "variance": np.where(variance > 0, variance, 1.0).tolist()}


class Moments:
    """Mean and variance of the last axis of features, over all steps that are not padding.

    Args:
        width: int > 0. Length of the last axis.
    """

    def __init__(self, width):
        self.count, self.total, self.squares = 0, np.zeros(width), np.zeros(width)

    def add(self, batch):
        """Takes in features `(B, ..., width)`; a step of zeros is the padding of a short sequence."""
        steps = np.reshape(batch, [-1, len(self.total)]).astype("float64")
        steps = steps[np.any(steps != 0, axis=1)]
        self.count += len(steps)
        self.total += steps.sum(axis=0)
        self.squares += (steps**2).sum(axis=0)

    def result(self):
        """Returns {"mean": [...], "variance": [...]}; 0 and 1 for a place that never differs."""
        mean = self.total / max(self.count, 1)
        variance = np.maximum(self.squares / max(self.count, 1) - mean**2, 0)
        return {"mean": mean.tolist(), "variance": np.where(variance > 1e-12, variance, 1.0).tolist()}
