"""Scores of a classification or a regression, by scikit-learn."""

import numpy as np
from sklearn.metrics import (
    classification_report,
    confusion_matrix,
    mean_absolute_error,
    multilabel_confusion_matrix,
    r2_score,
    root_mean_squared_error,
)

MOST_POINTS = 500


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


def explained(true, guess):
    """Returns R2, the mean of the columns of `(N, n)`: 1 is perfect, 0 is as good as always answering with
    the mean of these rows; None of fewer than two rows."""
    if len(true) < 2:
        return None
    return float(r2_score(true.astype("float64"), guess.astype("float64")))


def regression_scores(true, guess, columns):
    """Returns mean absolute error, root mean squared error and R2, of each column and as their means.

    Args:
        true, guess: float arrays `(N, n)`, N > 0.
        columns: list of n str.

    Returns: dict with mae, rmse and r2 (None of fewer than two rows); `columns`: column -> the same three;
        `points`: [true, predicted] of each column in at most 500 rows, evenly drawn.
    """
    true, guess = np.asarray(true, "float64"), np.asarray(guess, "float64")
    errors = {
        "mae": mean_absolute_error(true, guess, multioutput="raw_values"),
        "rmse": root_mean_squared_error(true, guess, multioutput="raw_values"),
    }
    per_column = {
        column: {
            **{name: float(values[index]) for name, values in errors.items()},
            "r2": explained(true[:, index], guess[:, index]),
        }
        for index, column in enumerate(columns)
    }
    rows = np.unique(np.linspace(0, len(true) - 1, MOST_POINTS).astype(int))
    return {
        **{name: float(values.mean()) for name, values in errors.items()},
        "r2": explained(true, guess),
        "columns": per_column,
        "points": {
            column: np.stack([true[rows, index], guess[rows, index]], axis=1).tolist()
            for index, column in enumerate(columns)
        },
    }
