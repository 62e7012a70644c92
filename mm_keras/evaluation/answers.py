"""What a model answers with each subset of its modalities, over all rows of a split."""

from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf

from mm_keras.evaluation.scores import predicted_classes
from mm_keras.model import encoded_tensors


@dataclass
class Answers:
    """True and given answers of one output.

    Args:
        true: array `(N,)` of classes, bool `(N, C)` of labels, or float `(N, n)` of numbers.
        known: bool array `(N,)`. Whether a row's answer is known.
        present: bool array `(N, M)`. Which modalities, sorted by name, a row has.
        guesses: dict, subset (tuple of modality names) -> array like `true`.
        names: list of str. The modalities, sorted.
    """

    true: np.ndarray
    known: np.ndarray
    present: np.ndarray
    guesses: dict
    names: list

    def rows(self, subset):
        """Returns bool `(N,)`: rows that have one of these modalities at least, and a known answer."""
        return self.known & self.present[:, [name in subset for name in self.names]].any(axis=1)

    def of(self, subset):
        """Returns (true, given) of these rows."""
        rows = self.rows(subset)
        return self.true[rows], self.guesses[subset][rows]


def collect_answers(model, spec, batches, subsets, see=None):
    """Answers each batch with each subset of the modalities; encoders run once.

    Args:
        model: keras.Model of `build_model`.
        spec: Spec.
        batches: iterable of (inputs, targets, weights).
        subsets: list of tuples of modality names, the last one of all of them.
        see: callable or None. Called with the targets, outputs and weights of each batch, whole.

    Returns: dict, classification or regression -> Answers.
    """
    encode, decide = _cut(model)
    names, parts = spec.modality_names, {**spec.of_kind("classification"), **spec.of_kind("regression")}
    true, known, present = {name: [] for name in parts}, {name: [] for name in parts}, []
    guesses = {name: {subset: [] for subset in subsets} for name in parts}
    for inputs, targets, weights in batches:
        embeddings = encode(inputs)
        present.append(inputs["present"].numpy() > 0)
        for name, part in parts.items():
            true[name].append(_read(targets[name], part))
            known[name].append(weights[name].numpy() > 0)
        for subset in subsets:
            here = inputs["present"] * tf.constant([float(name in subset) for name in names])
            outputs = decide(embeddings, here)
            for name, part in parts.items():
                guesses[name][subset].append(_read(outputs[name], part))
        if see:
            see(targets, outputs, weights)
    present = np.concatenate(present)
    return {
        name: Answers(
            np.concatenate(true[name]),
            np.concatenate(known[name]),
            present,
            {subset: np.concatenate(given) for subset, given in guesses[name].items()},
            names,
        )
        for name in parts
    }


def _read(values, part):
    values = values.numpy()
    return predicted_classes(values, part) if part.kind == "classification" else values


def _cut(model):
    """Parts a model behind its encoders: inputs -> embeddings, and embeddings -> outputs."""
    names = [name for name in model.input if name != "present"]
    between = encoded_tensors(model)
    encoders = keras.Model({name: model.input[name] for name in names}, between)
    rest = keras.Model([*between.values(), model.input["present"]], model.output)

    @tf.function(reduce_retracing=True)
    def encode(batch):
        return encoders({name: batch[name] for name in names}, training=False)

    @tf.function(reduce_retracing=True)
    def decide(embedded, present):
        return rest([*(embedded[name] for name in between), present], training=False)

    return encode, decide
