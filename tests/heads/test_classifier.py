import keras
import numpy as np
import pytest

from mm_keras.heads import Classifier


def identity(num_classes, **arguments):
    layer = Classifier(num_classes, **arguments)
    layer.build((1, num_classes))
    layer.set_weights([np.eye(num_classes), np.zeros(num_classes)])
    return layer


LOGITS = np.log(np.array([[1.0, 2.0, 5.0], [3.0, 3.0, 3.0]]))


def test_classes_share_a_probability_of_one():
    np.testing.assert_allclose(identity(3)(LOGITS), [[1 / 8, 2 / 8, 5 / 8], [1 / 3] * 3], rtol=1e-6)


def test_with_multi_label_each_class_stands_alone():
    expected = [[1 / 2, 2 / 3, 5 / 6], [3 / 4] * 3]
    np.testing.assert_allclose(identity(3, multi_label=True)(LOGITS), expected, rtol=1e-6)


def test_probabilities_are_float32_and_sum_to_one_under_mixed_precision():
    layer = Classifier(50, dtype="mixed_bfloat16")
    scores = layer(np.random.default_rng(7).normal(size=(4, 8)))
    assert keras.backend.standardize_dtype(scores.dtype) == "float32"
    np.testing.assert_allclose(np.array(scores).sum(axis=-1), 1, rtol=1e-5)


TRUE = np.array([[0, 0, 1.0], [0, 1, 0]])
SCORES = np.array([[0.1, 0.3, 0.6], [0.5, 0.4, 0.1]])


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_the_loss_is_cross_entropy_with_smoothed_targets(smoothing):
    smooth = TRUE * (1 - smoothing) + smoothing / 3
    expected = -(smooth * np.log(SCORES)).sum(axis=-1).mean()
    loss = Classifier(3, label_smoothing=smoothing).loss()
    assert float(loss(TRUE, SCORES)) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_the_multi_label_loss_is_binary_cross_entropy(smoothing):
    smooth = TRUE * (1 - smoothing) + smoothing / 2
    entropy = -(smooth * np.log(SCORES) + (1 - smooth) * np.log(1 - SCORES))
    loss = Classifier(3, multi_label=True, label_smoothing=smoothing).loss()
    assert float(loss(TRUE, SCORES)) == pytest.approx(entropy.mean(), rel=1e-5)


def measured(layer, true, scores, weights=None):
    metrics = layer.metrics_of_output()
    for metric in metrics:
        metric.update_state(np.array(true, "float32"), np.array(scores, "float32"), sample_weight=weights)
    return {metric.name: float(metric.result()) for metric in metrics}


ONE_OF_TWO = ([[1, 0], [1, 0], [1, 0], [0, 1]], [[0.9, 0.1], [0.8, 0.2], [0.3, 0.7], [0.4, 0.6]])


def test_metrics_are_accuracy_and_macro_f1():
    # Class 0: precision 2/2, recall 2/3, F1 4/5. Class 1: precision 1/2, recall 1/1, F1 2/3.
    expected = {"accuracy": 3 / 4, "macro_f1": (4 / 5 + 2 / 3) / 2}
    assert measured(Classifier(2), *ONE_OF_TWO) == pytest.approx(expected)


def test_a_row_of_weight_zero_does_not_count():
    weights = np.array([1, 1, 0, 1], "float32")
    assert measured(Classifier(2), *ONE_OF_TWO, weights) == pytest.approx({"accuracy": 1, "macro_f1": 1})


def test_multi_label_metrics_give_a_label_from_one_half():
    # Class 0: hit, false alarm: F1 2/3. Class 1: hit, miss: F1 2/3. Right cells: 2 of 4.
    values = measured(Classifier(2, multi_label=True), [[1, 1], [0, 1]], [[0.6, 0.9], [0.7, 0.2]])
    assert values == pytest.approx({"accuracy": 2 / 4, "macro_f1": 2 / 3})


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"num_classes": 0}, "`num_classes` to be an int > 0. Received: num_classes=0"),
        ({"label_smoothing": 1.0}, r"`label_smoothing` in \[0, 1\). Received: label_smoothing=1.0"),
    ],
)
def test_a_value_out_of_range_is_rejected(arguments, words):
    with pytest.raises(ValueError, match=f"`Classifier` expects {words}"):
        Classifier(**{"num_classes": 3, **arguments})
