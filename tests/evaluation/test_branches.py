"""Which modalities a model has learned nothing of: the test against chance, and trainings with pure noise."""

import csv
import io
import itertools
import json
import logging
from types import SimpleNamespace

import numpy as np
import pytest
from rich.console import Console

from mm_keras.console_evaluation import show_evaluation
from mm_keras.evaluation import evaluate, warn_of_branches
from mm_keras.evaluation.answers import Answers
from mm_keras.evaluation.branches import LEAST_ROWS, against_chance, judge_branches
from mm_keras.spec_file import make_spec
from mm_keras.spec_outputs import ClassificationOutput, RegressionOutput
from mm_keras.training import train

ONE = ClassificationOutput(kind="classification")
MANY = ClassificationOutput(kind="classification", multi_label=True)
NUMBERS = RegressionOutput(kind="regression", columns=["a", "b"])
NAMES = ["a", "b"]


def draw(part, count, random):
    if part is ONE:
        return random.integers(0, 3, count)
    return random.random((count, 2)) < 0.3 if part is MANY else random.normal(size=(count, 2))


def fit_of(true, guess, part):
    """Returns the mean of right answers, or of the correlations of the columns."""
    if part is NUMBERS:
        return np.mean([np.corrcoef(true[:, i], guess[:, i])[0, 1] for i in range(2)])
    return (true == guess).mean()


@pytest.mark.parametrize("part", [ONE, MANY, NUMBERS])
def test_chance_is_the_mean_and_the_deviation_over_all_orders(part):
    random = np.random.default_rng(7)
    true, guess = draw(part, 6, random), draw(part, 6, random)
    if part is MANY:
        true[0], guess[1] = True, True
    orders = [fit_of(true, guess[list(order)], part) for order in itertools.permutations(range(6))]
    score, chance, deviation = against_chance(true, guess, part)
    assert score == pytest.approx(fit_of(true, guess, part))
    assert chance == pytest.approx(np.mean(orders))
    assert deviation == pytest.approx(np.std(orders)) and deviation > 0


def spec_of(part):
    return SimpleNamespace(modality_names=NAMES, outputs={"out": part})


def judged(part, true, alone, without, whole=None, count=None):
    """Returns the warnings on `a`, whose answers alone, without it, and with both modalities these are."""
    rows = len(true)
    guesses = {("a",): alone, ("b",): without, ("a", "b"): without if whole is None else whole}
    given = Answers(true, np.ones(rows, bool), np.ones((rows, 2), bool), guesses, NAMES)
    _, warnings = judge_branches({"out": given}, spec_of(part), "validation")
    return [sentence for sentence in warnings if sentence.startswith("`a`")]


def mostly(part, true, share, random):
    """Returns answers of which a share is right."""
    right = random.random(len(true)) < share
    if part is NUMBERS:
        return np.where(right[:, None], true, draw(part, len(true), random)) * 3 + 100
    other = draw(part, len(true), random)
    return np.where(right if part is ONE else right[:, None], true, other)


@pytest.mark.parametrize("part", [ONE, MANY, NUMBERS])
def test_noise_is_told_and_what_is_half_right_is_not(part):
    random = np.random.default_rng(7)
    told = {0.0: 0, 0.5: 0}
    for _ in range(100):
        true = draw(part, 100, random)
        good = mostly(part, true, 0.9, random)
        for share in told:
            told[share] += bool(judged(part, true, mostly(part, true, share, random), good))
    assert told[0.0] >= 90 and told[0.5] == 0


@pytest.mark.parametrize("part", [ONE, MANY, NUMBERS])
def test_an_answer_that_is_always_the_same_is_told(part):
    random = np.random.default_rng(7)
    true = draw(part, 80, random)
    same = np.repeat(true[:1], 80, axis=0)
    (sentence,) = judged(part, true, same, true)
    assert "`a` has not been learned: alone it answers no better than by chance" in sentence
    assert "80 validation rows" in sentence and "balance: {kind: auxiliary}" in sentence


def test_rare_classes_that_are_found_count_though_the_commonest_class_is_right_more_often():
    true = (np.arange(200) < 10).astype(int)
    alone = true.copy()
    alone[50:90] = 1  # 80% right, 95% are of the commonest class.
    assert not judged(ONE, true, alone, true)
    assert judged(ONE, true, np.zeros(200, int), np.zeros(200, int))


def test_what_helps_only_together_with_another_is_learned():
    random = np.random.default_rng(7)
    true = random.integers(0, 2, 100)
    nothing = np.zeros(100, int)
    assert not judged(ONE, true, nothing, nothing, whole=true)
    assert judged(ONE, true, nothing, nothing)


def test_too_few_rows_and_rows_without_the_modality_tell_nothing():
    count = LEAST_ROWS
    true, nothing = np.arange(count) % 2, np.zeros(count, int)
    assert judged(ONE, true, nothing, nothing)
    assert not judged(ONE, true[1:], nothing[1:], nothing[1:])
    present = np.ones((count, 2), bool)
    present[0, 0] = False
    guesses = dict.fromkeys([("a",), ("b",), ("a", "b")], nothing)
    given = Answers(true, np.ones(count, bool), present, guesses, NAMES)
    branches, warnings = judge_branches({"out": given}, spec_of(ONE), "test")
    assert set(branches) == {"b"} and len(warnings) == 1


def test_one_output_that_is_learned_is_enough():
    true, nothing = np.arange(60) % 2, np.zeros(60, int)
    known, present = np.ones(60, bool), np.ones((60, 2), bool)
    bad = Answers(true, known, present, dict.fromkeys([("a",), ("b",), ("a", "b")], nothing), NAMES)
    good = Answers(true, known, present, {**bad.guesses, ("a",): true}, NAMES)
    spec = SimpleNamespace(modality_names=NAMES, outputs={"x": ONE, "y": ONE})
    _, warnings = judge_branches({"x": bad, "y": good}, spec, "test")
    assert [sentence[:3] for sentence in warnings] == ["`b`"]


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """400 rows: `good` tells the label and the number, `noise` nothing."""
    random = np.random.default_rng(7)
    path = tmp_path_factory.mktemp("noise") / "manifest.csv"
    with open(path, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["good", "noise", "label", "price", "split"])
        for row in range(400):
            label, split = row % 3, ("train", "validation", "test")[(0, 0, 1, 2)[row % 4]]
            good = label + random.normal(0, 0.3)
            price = 10 * good + random.normal()
            writer.writerow([good, random.normal(), f"class {label}", price, split])
    return path


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["classification", "regression"])
def test_training_and_report_tell_of_noise_alone(table, tmp_path, kind, caplog):
    encoder = {"units": 8, "layers": 1}
    spec = make_spec(
        {
            "name": "noise",
            "data": {"manifest": str(table), "split": "split", "cache": "none"},
            "modalities": {name: {"kind": "numbers", "encoder": encoder} for name in ("good", "noise")},
            "fusion": {"kind": "gated", "units": 8, "modality_dropout": 0.2},
            "outputs": {"label" if kind == "classification" else "price": {"kind": kind}},
            "training": {"epochs": 6, "batch_size": 20, "learning_rate": 0.02, "strategy": "none"},
        }
    )
    with caplog.at_level(logging.WARNING, "mm_keras"):
        run, data = train(spec, tmp_path)
    (record,) = [record for record in caplog.records if record.name == "mm_keras.training"]
    assert record.getMessage().startswith("`noise` has not been learned")
    assert "100 validation rows" in record.getMessage()
    told = json.loads((run.folder / "training.json").read_text(encoding="utf-8"))
    assert told["warnings"] == run.warnings == [record.getMessage()]
    result = evaluate(run.model, spec, data)
    (sentence,) = result["warnings"]
    assert sentence.startswith("`noise`") and "100 test rows" in sentence
    (good,), (noise,) = (result["branches"][name].values() for name in ("good", "noise"))
    assert good["learned"] and not noise["learned"]
    out = Console(file=io.StringIO(), width=80, markup=False)
    show_evaluation(out, result)
    assert f"Warning: {sentence}" in out.file.getvalue()


def test_a_split_too_small_to_tell_is_not_run():
    spec = SimpleNamespace(modalities={"a": 0, "b": 0})
    for batches, rows in ((None, 0), (iter(()), LEAST_ROWS - 1)):
        data = SimpleNamespace(validation=batches, rows={"validation": range(rows)})
        assert warn_of_branches(None, spec, data) == []
