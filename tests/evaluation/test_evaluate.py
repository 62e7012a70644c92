"""Evaluation of a trained model: whole, and with every subset of its modalities."""

import itertools
from dataclasses import replace

import keras
import numpy as np
import pytest
import tensorflow as tf
import tiny

from mm_keras.data.pipeline import make_datasets
from mm_keras.evaluation import evaluate, subset_name, subsets_of
from mm_keras.model import build_model
from mm_keras.model_heads import loss_weights, make_heads

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def result(trained):
    run, data = trained
    return evaluate(run.model, run.spec, data)


@pytest.fixture(scope="module")
def rows(trained):
    """All test rows as one batch of NumPy arrays."""
    return whole_batch(trained[1].test)


def whole_batch(dataset):
    batches = [tf.nest.map_structure(lambda x: x.numpy(), batch) for batch in dataset]
    return tf.nest.map_structure(lambda *parts: np.concatenate(parts), *batches)


def test_subsets_of_few_and_of_many_modalities():
    assert [subset_name(x) for x in subsets_of(["b", "a", "c"])] == [
        *("a", "b", "c", "a+b", "a+c", "b+c", "a+b+c"),
    ]
    many = subsets_of("abcdefgh")
    assert [len(x) for x in many] == [1] * 8 + [7] * 8 + [8]


def test_a_model_that_was_evaluated_can_be_saved(trained, result, tmp_path):
    run, _ = trained
    run.model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras", compile=False)
    assert again.count_params() == run.model.count_params()


def test_every_subset_equals_the_model_with_inputs_taken_away(trained, result, rows):
    run, _ = trained
    inputs, targets, weights = rows
    assert len(result["subsets"]) == 2 ** len(tiny.NAMES) - 1
    sizes = range(1, len(tiny.NAMES) + 1)
    for subset in itertools.chain.from_iterable(itertools.combinations(tiny.NAMES, n) for n in sizes):
        mask = np.array([name in subset for name in tiny.NAMES])
        taken = {name: x if name in subset else np.zeros_like(x) for name, x in inputs.items()}
        taken["present"] = inputs["present"] * mask
        outputs = run.model.predict(taken, verbose=0, batch_size=8)
        there = taken["present"].any(axis=1)
        right = outputs["label"].argmax(axis=1) == targets["label"].argmax(axis=1)
        exact = ((outputs["tags"] >= 0.5) == (targets["tags"] == 1)).all(axis=1)
        given = result["subsets"][subset_name(subset)]
        assert given["label"] == pytest.approx(right[there & (weights["label"] > 0)].mean()), subset
        assert given["tags"] == pytest.approx(exact[there & (weights["tags"] > 0)].mean()), subset


def test_subsets_of_sequences_equal_the_model_with_inputs_taken_away(tiny_manifest):
    fusion = {"kind": "cross_attention", "units": 8, "num_heads": 2}
    spec = tiny.tiny_spec(tiny_manifest, ("audio", "numbers", "text"), ["label"], fusion=fusion, max_bad=0.1)
    spec.modalities["text"].encoder.pooling = spec.modalities["audio"].encoder.pooling = "none"
    data = make_datasets(spec)
    keras.utils.set_random_seed(7)
    model = build_model(spec, data)
    subsets = evaluate(model, spec, data, "train")["subsets"]
    (inputs, targets, weights), places = whole_batch(data.train), {"audio": 0, "text": 2}
    for name, place in places.items():
        present = inputs["present"] * np.eye(3, dtype="float32")[place]
        outputs = model.predict({**inputs, "present": present}, verbose=0)["label"]
        right = outputs.argmax(axis=1) == targets["label"].argmax(axis=1)
        known = present.any(axis=1) & (weights["label"] > 0)
        assert subsets[name]["label"] == pytest.approx(right[known].mean()), name


def test_scores_and_losses_equal_those_of_predict(trained, result, rows):
    run, data = trained
    inputs, targets, weights = rows
    outputs = run.model.predict(inputs, verbose=0, batch_size=8)
    known = weights["label"] > 0
    true, guess = targets["label"][known].argmax(axis=1), outputs["label"][known].argmax(axis=1)
    label = result["outputs"]["label"]
    matrix = np.zeros((3, 3), int)
    np.add.at(matrix, (true, guess), 1)
    assert label["confusion"] == matrix.tolist()
    assert matrix.sum() == 7  # One of the 8 rows has no label.
    assert label["accuracy"] == pytest.approx((true == guess).mean())
    total = 2 * np.diag(matrix) / np.maximum(matrix.sum(axis=0) + matrix.sum(axis=1), 1)
    assert label["macro_f1"] == pytest.approx(total.mean())
    for key, head in make_heads(run.spec, data.preprocessor).items():
        there = weights[key] > 0
        loss = head.loss()
        want = float(loss(targets[key][there], outputs[key][there]))
        assert result["outputs"][key]["loss"] == pytest.approx(want, rel=1e-4), key
    parts = {key: weight * result["outputs"][key]["loss"] for key, weight in loss_weights(run.spec).items()}
    assert result["loss"] == pytest.approx(sum(parts.values()))
    assert result["rows"] == 8 and result["split"] == "test"


def test_each_output_has_its_measures(result):
    assert set(result["outputs"]) == {"label", "tags", *(f"copy_{name}" for name in tiny.NAMES)}
    assert result["outputs"]["label"]["labels"] == list(tiny.LABELS)
    assert np.shape(result["outputs"]["tags"]["confusion"]) == (2, 2, 2)
    assert 0 <= result["outputs"]["copy_text"]["token_accuracy"] <= 1


def test_train_and_validation_rows_can_be_evaluated(trained):
    run, data = trained
    for split, rows in (("train", 24), ("validation", 8)):
        told = evaluate(run.model, run.spec, data, split)
        assert told["split"] == split and told["rows"] == rows
        labelled = {"train": 23, "validation": 8}[split]
        assert np.sum(told["outputs"]["label"]["confusion"]) == labelled


def test_a_split_without_rows_is_refused(trained):
    run, data = trained
    with pytest.raises(ValueError, match=r"rows in split 'test'. Received: none. Add such rows"):
        evaluate(run.model, run.spec, replace(data, test=None))
