"""Evaluation of a model on one split, whole and with modalities taken away."""

import itertools

import keras
import numpy as np
import tensorflow as tf

from mm_keras.balance import plain_model
from mm_keras.checks import message
from mm_keras.evaluation.retrieval import retrieval_scores
from mm_keras.evaluation.scores import (
    classification_scores,
    explained,
    predicted_classes,
    regression_scores,
    right_rows,
)
from mm_keras.model import loss_weights, make_heads

MOST_SUBSETS_OF = 6


def subsets_of(names):
    """Returns the subsets of modalities, smallest first; of more than 6 only single, all but one, and all."""
    names = sorted(names)
    sizes = range(1, len(names) + 1) if len(names) <= MOST_SUBSETS_OF else (1, len(names) - 1, len(names))
    return [subset for size in sizes for subset in itertools.combinations(names, size)]


def subset_name(subset):
    return "+".join(subset)


def evaluate(model, spec, data, split="test"):
    """Evaluates a model on a split.

    Encoders run once; what follows them runs once more for each subset of modalities.

    Args:
        model: keras.Model of `build_model` or `balance_model`.
        spec: Spec.
        data: Datasets.
        split: "train", "validation" or "test".

    Returns: dict with the weighted `loss`; `outputs`: loss and metrics of each output key, of a
        classification accuracy, macro_f1, the scores of each class and the confusion matrix (rows: true), of
        a regression mae, rmse and r2, also of each column, and points to draw, of a contrastive output what
        `retrieval_scores` returns (its loss is told among the rows of a batch); `subsets`: for each subset
        such as "audio+image" the accuracy of each classification and the R2 of each regression, over the
        rows that have at least one of these modalities.
    Raises: ValueError, if the split has no rows.
    """
    batches = getattr(data, split, None)
    if batches is None:
        fix = "Add such rows, or evaluate another split."
        raise ValueError(message("evaluate", f"rows in split {split!r}", "none", fix))
    heads = make_heads(spec, data.preprocessor)
    subsets = subsets_of(spec.modality_names)
    meters = {key: _Meter(head) for key, head in heads.items()}
    answered = {
        name: {subset: [] for subset in subsets}
        for name, part in spec.outputs.items()
        if part.kind in ("classification", "regression")
    }
    matched = {name: [] for name in spec.of_kind("contrastive")}
    encode, decide = _cut(plain_model(model))
    for inputs, targets, weights in batches:
        embeddings, present = encode(inputs), inputs["present"]
        for subset in subsets:
            here = present * tf.constant([float(name in subset) for name in spec.modality_names])
            outputs = decide(embeddings, here)
            kept = tf.reduce_any(here > 0, axis=1)
            for name, pairs in answered.items():
                used = (kept & (weights[name] > 0)).numpy()
                part = spec.outputs[name]
                pairs[subset].append([_read(x[name].numpy()[used], part) for x in (targets, outputs)])
        for key, meter in meters.items():  # The last subset is the whole row.
            meter.add(targets[key], outputs[key], weights[key])
        for name, pairs in matched.items():
            pairs.append((outputs[name].numpy(), targets[name].numpy()[..., 0]))
    return _collect(spec, data, split, meters, answered, matched)


def _read(values, part):
    return predicted_classes(values, part) if part.kind == "classification" else values


class _Meter:
    """Mean loss and metrics of one output over the rows whose target is there."""

    def __init__(self, head):
        self.loss = head.loss()
        self.loss.reduction = None
        self.mean = keras.metrics.Mean()
        self.metrics = head.metrics_of_output()

    def add(self, target, output, weight):
        known = tf.cast(weight > 0, tf.float32)
        self.mean.update_state(self.loss(target, output), sample_weight=known)
        for metric in self.metrics:
            metric.update_state(target, output, sample_weight=known)

    def result(self):
        return {"loss": float(self.mean.result()), **{m.name: float(m.result()) for m in self.metrics}}


def _cut(model):
    """Parts a model behind its encoders: inputs -> embeddings, and embeddings -> outputs."""
    names = [name for name in model.input if name != "present"]
    between = {name: model.get_layer(f"{name}.encoder").output for name in names}
    masks = {f"{name}.steps" for name in names} & {layer.name for layer in model.layers}
    between |= {name: model.get_layer(name).output for name in sorted(masks)}  # Of sequences.
    encoders = keras.Model({name: model.input[name] for name in names}, between)
    rest = keras.Model([*between.values(), model.input["present"]], model.output)

    @tf.function(reduce_retracing=True)
    def encode(batch):
        return encoders({name: batch[name] for name in names}, training=False)

    @tf.function(reduce_retracing=True)
    def decide(embedded, present):
        return rest([*(embedded[name] for name in between), present], training=False)

    return encode, decide


def _collect(spec, data, split, meters, answered, matched):
    outputs = {key: meter.result() for key, meter in meters.items()}
    for name, pairs in matched.items():
        vectors, here = (np.concatenate(column) for column in zip(*pairs, strict=True))
        outputs[name].update(retrieval_scores(vectors, here, spec.outputs[name].modalities))
    table = {}
    for name, subsets in answered.items():
        part = spec.outputs[name]
        for subset, pairs in subsets.items():
            true, guess = (np.concatenate(column) for column in zip(*pairs, strict=True))
            table.setdefault(subset_name(subset), {})[name] = _score(true, guess, part)
        if not len(true):  # The last subset is the whole row.
            continue
        if part.kind == "classification":
            labels = data.preprocessor.labels[name]
            outputs[name].update(classification_scores(true, guess, labels, part.multi_label))
        else:
            outputs[name].update(regression_scores(true, guess, part.columns))
    weights = loss_weights(spec)
    return {
        "split": split,
        "rows": len(data.rows[split]),
        "loss": sum(weights[key] * outputs[key]["loss"] for key in outputs),
        "outputs": outputs,
        "subsets": table,
    }


def _score(true, guess, part):
    """Returns the one number that says how well a subset of the modalities does, None of too few rows."""
    if part.kind == "regression":
        return explained(true, guess)
    return float(right_rows(true, guess).mean()) if len(true) else None
