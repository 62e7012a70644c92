"""Scores of a classification, by scikit-learn."""

import numpy as np
from sklearn.metrics import classification_report, confusion_matrix, multilabel_confusion_matrix


def predicted_classes(scores, output):
    """Returns class indices `(B,)`, or bool `(B, C)` of the labels given when there may be several."""
    return scores >= output.threshold if output.multi_label else np.argmax(scores, axis=-1)


def right_rows(true, guess):
    """Returns bool `(B,)`: whether a row's class is right, or all its labels where there may be several."""
    return true == guess if true.ndim == 1 else np.all(true == guess, axis=-1)


def classification_scores(true, guess, labels, multi_label=False):
    """Returns accuracy, macro F1, the scores of each class, and the confusion matrix (rows: true).

    Of a multi-label output, accuracy is the share of rows with exactly the right labels, and `confusion`
    holds for each label [[true negatives, false positives], [false negatives, true positives]].
    """
    index = range(len(labels))
    report = classification_report(
        true, guess, labels=index, target_names=labels, output_dict=True, zero_division=0.0
    )
    matrix = multilabel_confusion_matrix if multi_label else confusion_matrix
    return {
        "accuracy": float(np.mean(right_rows(true, guess))),
        "macro_f1": report["macro avg"]["f1-score"],
        "labels": list(labels),
        "classes": {label: report[label] for label in labels},
        "confusion": matrix(true, guess, labels=index).tolist(),
    }
