"""Evaluation of a model on one split, whole and with modalities taken away."""

import itertools

import keras
import numpy as np
import tensorflow as tf

from mm_keras.balance import plain_model
from mm_keras.checks import message
from mm_keras.evaluation.answers import collect_answers, written_texts
from mm_keras.evaluation.branches import judge_branches
from mm_keras.evaluation.caption_scores import caption_scores, mean_rouge_l
from mm_keras.evaluation.retrieval import retrieval_scores
from mm_keras.evaluation.scores import (
    classification_scores,
    explained,
    regression_scores,
    right_rows,
)
from mm_keras.model_heads import loss_weights, make_heads

MOST_SUBSETS_OF = 6
MOST_EXAMPLES = 12


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
        a regression mae, rmse and r2, also of each column, and points to draw, of a caption output those of
        `caption_scores` on texts found greedily, and examples, of a speech output mel_error (decibels, of
        frames after the true ones) and mel_cepstral_distortion of `cepstral_distortions`, of a contrastive
        output what `retrieval_scores` returns (its loss is told among the rows of a batch); `subsets`: for
        each subset such as "audio+image" the accuracy of each classification, the R2 of each regression, the
        ROUGE-L of each caption output, the mel-cepstral distortion of each speech output, and of each
        modality that an autoencoder rebuilds the pixel error, the token accuracy or else the loss, over the
        rows that have at least one of these modalities; `branches` and `warnings` of `judge_branches`.
    Raises: ValueError, if the split has no rows.
    """
    batches = getattr(data, split, None)
    if batches is None:
        fix = "Add such rows, or evaluate another split."
        raise ValueError(message("evaluate", f"rows in split {split!r}", "none", fix))
    heads = make_heads(spec, data.preprocessor)
    meters = {key: _Meter(head) for key, head in heads.items()}
    matched = {name: [] for name in spec.of_kind("contrastive")}

    def see(targets, outputs, weights):
        for key, meter in meters.items():
            meter.add(targets[key], outputs[key], weights[key])
        for name, pairs in matched.items():
            pairs.append((outputs[name].numpy(), targets[name].numpy()[..., 0]))

    subsets = subsets_of(spec.modality_names)
    copies = [key for name in spec.of_kind("autoencoder") for key in spec.copies_of(name)]
    rebuilt = {subset: {key: _Meter(heads[key]) for key in copies} for subset in subsets}

    def see_subset(subset, targets, outputs, weights):
        for key, meter in rebuilt[subset].items():
            meter.add(targets[key], outputs[key], weights[key])

    answers = collect_answers(plain_model(model), spec, batches, subsets, see, see_subset if copies else None)
    result = _collect(spec, data, split, meters, answers, matched)
    for subset, parts in rebuilt.items():
        scores = {key: meter.told() for key, meter in parts.items()}
        result["subsets"][subset_name(subset)] = {**result["subsets"].get(subset_name(subset), {}), **scores}
    return result


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

    def told(self):
        """Returns the one number that says how well a subset of the modalities does, None of no rows."""
        meter = self.metrics[0] if self.metrics else self.mean
        return float(meter.result()) if float(self.mean.count) else None

    def result(self):
        return {"loss": float(self.mean.result()), **{m.name: float(m.result()) for m in self.metrics}}


def _collect(spec, data, split, meters, answers, matched):
    outputs = {key: meter.result() for key, meter in meters.items()}
    for name, pairs in matched.items():
        vectors, here = (np.concatenate(column) for column in zip(*pairs, strict=True))
        outputs[name].update(retrieval_scores(vectors, here, spec.outputs[name].modalities))
    table = {}
    for name, given in answers.items():
        part = spec.outputs[name]
        if part.kind == "caption":
            given = written_texts(given, name, data, split)
        for subset in given.guesses:
            true, guess = given.of(subset)
            table.setdefault(subset_name(subset), {})[name] = (
                _distortion(given, subset) if part.kind == "speech" else _score(true, guess, part)
            )
        if not len(true):  # The last subset is the whole row.
            continue
        if part.kind == "classification":
            labels = data.preprocessor.labels[name]
            outputs[name].update(classification_scores(true, guess, labels, part.multi_label))
        elif part.kind == "speech":
            outputs[name]["mel_cepstral_distortion"] = _distortion(given, subset)
        elif part.kind == "caption":
            outputs[name].update(caption_scores(list(true), list(guess), part.lowercase))
            outputs[name]["examples"] = _examples(true, guess)
        else:
            outputs[name].update(regression_scores(true, guess, part.columns))
    weights = loss_weights(spec)
    branches, warnings = judge_branches(answers, spec, split)
    return {
        "split": split,
        "rows": len(data.rows[split]),
        "loss": sum(weights[key] * outputs[key]["loss"] for key in outputs),
        "outputs": outputs,
        "subsets": table,
        "branches": branches,
        "warnings": warnings,
    }


def _score(true, guess, part):
    """Returns the one number that says how well a subset of the modalities does, None of too few rows."""
    if part.kind == "regression":
        return explained(true, guess)
    if part.kind == "caption":
        return mean_rouge_l(list(true), list(guess), part.lowercase) if len(true) else None
    return float(right_rows(true, guess).mean()) if len(true) else None


def _distortion(given, subset):
    """Returns the mean mel-cepstral distortion of the sounds of a subset (decibels), None of no rows."""
    values = given.distortions[subset][given.rows(subset)]
    return float(values.mean()) if len(values) else None


def _examples(true, guess):
    """Returns [references, text] of up to 12 rows, evenly drawn."""
    rows = np.unique(np.linspace(0, len(true) - 1, MOST_EXAMPLES).astype(int))
    return [[list(true[row]), str(guess[row])] for row in rows]
