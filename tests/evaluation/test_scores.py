"""Scores of a classification against a case computed by hand."""

import numpy as np
import pytest

from mm_keras.evaluation.scores import classification_scores, predicted_classes
from mm_keras.spec import ClassificationOutput

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
