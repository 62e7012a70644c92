import keras
import numpy as np
import pytest

from mm_keras.heads import StandardizedError

NAN = float("nan")


def test_squares_are_in_units_of_each_columns_variance():
    loss = StandardizedError([4.0, 0.25], reduction=None)
    true = np.array([[10.0, 1.0], [0.0, 0.0]])
    guess = np.array([[14.0, 1.5], [0.0, 1.0]])
    np.testing.assert_allclose(loss(true, guess), [(16 / 4 + 0.25 / 0.25) / 2, (0 + 4) / 2], rtol=1e-6)


def test_always_answering_with_the_mean_costs_one():
    true = np.random.default_rng(7).normal(3.0, 5.0, (50, 2))
    loss = StandardizedError(true.var(axis=0))
    assert float(loss(true, np.tile(true.mean(axis=0), (50, 1)))) == pytest.approx(1, rel=1e-5)


def test_a_missing_number_does_not_count():
    loss = StandardizedError([1.0, 1.0], reduction=None)
    true = np.array([[NAN, 1.0], [NAN, NAN], [0.0, 0.0]])
    np.testing.assert_allclose(loss(true, np.array([[9.0, 3.0]] * 3)), [4, 0, (81 + 9) / 2], rtol=1e-6)


def test_steps_of_a_sequence_are_averaged():
    loss = StandardizedError([4.0], reduction=None)
    true, guess = np.zeros((1, 4, 1)), np.array([[[2.0], [2.0], [0.0], [0.0]]])
    np.testing.assert_allclose(loss(true, guess), [0.5], rtol=1e-6)


def test_a_missing_number_leaves_training_finite():
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(2)])
    model.compile(keras.optimizers.SGD(0.1), StandardizedError([1.0, 1.0]))
    before = np.array(model.get_weights()[1])
    model.train_on_batch(np.ones((2, 1)), np.array([[5.0, NAN], [5.0, NAN]]))
    after = np.array(model.get_weights()[1])
    assert np.isfinite(after).all()
    assert after[0] > before[0]
    assert after[1] == before[1]


@pytest.mark.parametrize(
    ("kind", "expected"),
    [("mse", (2.0**2 + 0.5**2) / 2), ("mae", (2.0 + 0.5) / 2), ("huber", (2.0 - 0.5 + 0.5**2 / 2) / 2)],
)
def test_each_kind_of_error_by_hand(kind, expected):
    loss = StandardizedError([4.0, 0.25], kind, reduction=None)  # 2 and 0.5 deviations away.
    np.testing.assert_allclose(loss(np.array([[10.0, 1.0]]), np.array([[6.0, 1.25]])), [expected], rtol=1e-6)
    assert StandardizedError.from_config(loss.get_config()).error == kind


def test_huber_is_that_of_keras():
    true = np.random.default_rng(7).normal(0, 3, (40, 2)).astype("float32")
    guess = np.random.default_rng(8).normal(0, 3, (40, 2)).astype("float32")
    ours = float(StandardizedError([1.0, 1.0], "huber")(true, guess))
    assert ours == pytest.approx(float(keras.losses.Huber(delta=1.0)(true, guess)), rel=1e-5)


@pytest.mark.parametrize("kind", ["mse", "mae", "huber"])
def test_numbers_of_a_large_unit_stay_finite(kind):
    loss = StandardizedError([1e50], kind)
    assert float(loss(np.array([[3e25]]), np.array([[1e25]]))) == pytest.approx(
        {"mse": 4, "mae": 2, "huber": 1.5}[kind], rel=1e-5
    )


def test_an_unknown_kind_is_rejected():
    with pytest.raises(ValueError, match="`StandardizedError` expects `error` in `mse`, `mae`, `huber`"):
        StandardizedError([1.0], "rmse")
