"""What is learned from the training rows before the model: vocabularies and statistics."""

import numpy as np
import tensorflow as tf
from tensorflow_text.tools.wordpiece_vocab import bert_vocab_from_dataset

from mm_keras.data.preprocessor import Preprocessor
from mm_keras.data.transforms import RESERVED_TOKENS, decode_cell

MOST_TEXTS = 200_000


def fit_preprocessor(spec, manifest):
    """Returns the `Preprocessor` of the training rows of `manifest`: test rows leave no trace in it."""
    train = manifest.splits["train"]
    vocabularies, statistics = {}, {}
    for name, modality in spec.modalities.items():
        cells = manifest.cells[name][train]
        if modality.kind == "text":
            vocabularies[name] = learn_vocabulary(cells, modality, spec.training.seed)
        elif modality.kind == "numbers":
            statistics[name] = _moments(cells)
        elif modality.kind == "features":
            statistics[name] = _feature_moments(cells, modality)
    return Preprocessor(
        spec.modalities, spec.outputs, vocabularies, manifest.labels, statistics, spec.data.max_pixels
    )


def learn_vocabulary(texts, modality, seed):
    """Returns a WordPiece vocabulary of at most `vocabulary_size` tokens, the reserved ones first.

    Of more than 200,000 texts a seeded sample is read.
    Source: Wu et al. 2016, arXiv:1609.08144, as built by tensorflow_text's `wordpiece_vocab`.
    """
    texts = np.asarray([text for text in texts if text], object)
    if len(texts) > MOST_TEXTS:
        texts = np.random.default_rng(seed).choice(texts, MOST_TEXTS, replace=False)
    if not len(texts):
        return list(RESERVED_TOKENS)
    vocabulary = bert_vocab_from_dataset.bert_vocab_from_dataset(
        tf.data.Dataset.from_tensor_slices(texts.astype(str)).batch(1000),
        vocab_size=modality.vocabulary_size,
        reserved_tokens=list(RESERVED_TOKENS),
        bert_tokenizer_params={"lower_case": modality.lowercase},
    )
    return vocabulary[: modality.vocabulary_size]


def _moments(values):
    """Returns mean and variance of each column without the missing ones; 0 and 1 for a column of none."""
    values = np.asarray(values, "float64")
    known = ~np.isnan(values)
    count = np.maximum(known.sum(axis=0), 1)
    mean = np.where(known, values, 0).sum(axis=0) / count
    variance = np.where(known, (values - mean) ** 2, 0).sum(axis=0) / count
    return {"mean": mean.tolist(), "variance": np.where(variance > 0, variance, 1.0).tolist()}


def _feature_moments(paths, modality):
    """Returns mean and variance of the last axis over all steps; a file that fails is left out."""
    width = modality.shape[-1]
    count, total, squares = 0, np.zeros(width), np.zeros(width)

    @tf.autograph.experimental.do_not_convert
    def decode(path):
        return decode_cell(tf.io.read_file(path), modality, max_pixels=1)

    present = np.asarray([path for path in paths if path], object).astype(str)
    if not len(present):
        return {"mean": [0.0] * width, "variance": [1.0] * width}
    files = tf.data.Dataset.from_tensor_slices(present).map(decode, tf.data.AUTOTUNE)
    for batch in files.ignore_errors().batch(256).prefetch(1).as_numpy_iterator():
        steps = batch.reshape(-1, width).astype("float64")
        steps = steps[np.any(steps != 0, axis=1)]  # without the padding of short sequences
        count += len(steps)
        total += steps.sum(axis=0)
        squares += (steps**2).sum(axis=0)
    mean = total / max(count, 1)
    variance = np.maximum(squares / max(count, 1) - mean**2, 0)
    return {"mean": mean.tolist(), "variance": np.where(variance > 1e-12, variance, 1.0).tolist()}
