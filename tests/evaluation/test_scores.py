"""Scores of a classification and of a regression against cases computed by hand."""

import numpy as np
import pytest

from mm_keras.evaluation.scores import (
    MOST_POINTS,
    classification_scores,
    explained,
    predicted_classes,
    regression_scores,
)
from mm_keras.spec_outputs import ClassificationOutput

ONE = ClassificationOutput(kind="classification")
MANY = ClassificationOutput(kind="classification", multi_label=True, threshold=0.7)


def test_single_labels_by_hand():
    true, guess = np.array([0, 0, 0, 1, 1, 2]), np.array([0, 0, 1, 1, 2, 2])
    scores = classification_scores(true, guess, ["a", "b", "c", "d"])
    assert scores["accuracy"] == pytest.approx(4 / 6)
    # a: precision 1, recall 2/3; b: 1/2, 1/2; c: 1/2, 1; d is in no row.
    assert scores["macro_f1"] == pytest.approx((0.8 + 0.5 + 2 / 3 + 0) / 4)
    assert scores["confusion"] == [[2, 1, 0, 0], [0, 1, 1, 0], [0, 0, 1, 0], [0, 0, 0, 0]]
    assert scores["labels"] == list(scores["classes"]) == ["a", "b", "c", "d"]
    assert scores["classes"]["a"] == pytest.approx(
        {"precision": 1.0, "recall": 2 / 3, "f1-score": 0.8, "support": 3}
    )


def test_several_labels_by_hand():
    true = np.array([[1, 0], [1, 1], [0, 0], [0, 1]], bool)
    guess = np.array([[1, 0], [1, 0], [0, 0], [1, 1]], bool)
    scores = classification_scores(true, guess, ["x", "y"], multi_label=True)
    assert scores["accuracy"] == 0.5  # Rows with exactly the right labels.
    assert scores["macro_f1"] == pytest.approx((0.8 + 2 / 3) / 2)
    assert scores["confusion"] == [[[1, 1], [0, 2]], [[2, 0], [1, 1]]]


def test_a_label_is_given_from_its_threshold_on():
    scores = np.array([[0.2, 0.8], [0.7, 0.69]])
    assert predicted_classes(scores, ONE).tolist() == [1, 0]
    assert predicted_classes(scores, MANY).tolist() == [[False, True], [True, False]]


def test_numbers_by_hand():
    true = np.array([[0.0, 10.0], [2.0, 20.0], [4.0, 30.0]])
    guess = true + [[1.0, 0.0], [-1.0, 0.0], [2.0, 10.0]]
    scores = regression_scores(true, guess, ["a", "b"])
    # a: absolute errors 1, 1, 2 and variance around the mean 8; b: errors 0, 0, 10 and 200.
    a = {"mae": 4 / 3, "rmse": 2**0.5, "r2": 1 - 6 / 8}
    b = {"mae": 10 / 3, "rmse": (100 / 3) ** 0.5, "r2": 1 - 100 / 200}
    assert scores["columns"]["a"] == pytest.approx(a)
    assert scores["columns"]["b"] == pytest.approx(b)
    means = {name: (a[name] + b[name]) / 2 for name in a}
    assert {name: scores[name] for name in a} == pytest.approx(means)
    assert scores["points"] == {
        "a": [[0.0, 1.0], [2.0, 1.0], [4.0, 6.0]],
        "b": [[10.0, 10.0], [20.0, 20.0], [30.0, 40.0]],
    }


def test_one_row_explains_nothing():
    one = np.ones((1, 2))
    assert explained(one, one) is None
    assert regression_scores(one, one, ["a", "b"])["r2"] is None


def test_of_many_rows_some_points_are_kept_from_all_over():
    numbers = np.arange(5000.0)[:, None]
    points = np.array(regression_scores(numbers, numbers + 1, ["a"])["points"]["a"])
    assert len(points) == MOST_POINTS
    assert (points[0, 0], points[-1, 0]) == (0, 4999)
    assert (points[:, 1] - points[:, 0] == 1).all()
