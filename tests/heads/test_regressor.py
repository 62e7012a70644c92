import keras
import numpy as np
import pytest

from mm_keras.heads import Regressor, StandardizedError

STATISTICS = {"mean": [10.0, -1.0], "variance": [4.0, 0.25]}


def identity(**arguments):
    layer = Regressor(**{**STATISTICS, **arguments})
    layer.build((1, 2))
    layer.set_weights([np.eye(2), np.zeros(2)])
    return layer


def test_standardised_values_are_given_in_their_own_units():
    inputs = np.array([[0.0, 0.0], [1.5, -2.0]])
    np.testing.assert_allclose(identity()(inputs), [[10.0, -1.0], [13.0, -2.0]], rtol=1e-6)


def test_large_values_keep_float32_under_mixed_precision():
    layer = identity(mean=[1001.0, 1.0], variance=[1e-6, 1.0], dtype="mixed_bfloat16")
    values = layer(np.zeros((1, 2)))
    assert keras.backend.standardize_dtype(values.dtype) == "float32"
    np.testing.assert_allclose(values, [[1001.0, 1.0]], rtol=1e-6)


@pytest.mark.parametrize(("kind", "expected"), [("mse", 4 / 2), ("mae", 2 / 2), ("huber", 1.5 / 2)])
def test_the_loss_is_in_units_of_deviation(kind, expected):
    error = identity(error=kind).loss()
    assert isinstance(error, StandardizedError)
    assert float(error(np.array([[10.0, -1.0]]), np.array([[14.0, -1.0]]))) == pytest.approx(expected)


def test_metrics_are_in_the_targets_own_units():
    true, guess = np.array([[10.0, 0.0], [0.0, 0.0]]), np.array([[13.0, 1.0], [0.0, 4.0]])
    metrics = identity().metrics_of_output()
    for metric in metrics:
        metric.update_state(true, guess)
    values = {metric.name: float(metric.result()) for metric in metrics}
    assert values == pytest.approx({"mae": (3 + 1 + 0 + 4) / 4, "rmse": ((9 + 1 + 0 + 16) / 4) ** 0.5})


def test_a_row_of_weight_zero_does_not_count():
    true, guess = np.array([[10.0], [0.0]]), np.array([[13.0], [999.0]])
    for metric in Regressor([0.0], [1.0]).metrics_of_output():
        metric.update_state(true, guess, sample_weight=np.array([1.0, 0.0]))
        assert float(metric.result()) == pytest.approx(3)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"mean": []}, "one of each for each target column. Received: 0 means and 2 variances."),
        ({"mean": [1.0]}, "one of each for each target column. Received: 1 means and 2 variances."),
        ({"mean": [], "variance": []}, "one of each for each target column. Received: 0 means and 0"),
        ({"error": "mean"}, "`error` in `mse`, `mae`, `huber`. Received: error='mean'"),
    ],
)
def test_a_value_out_of_range_is_rejected(arguments, words):
    with pytest.raises(ValueError, match=f"`Regressor` expects {words}"):
        Regressor(**{**STATISTICS, **arguments})
