"""Weights of gradient blending against the paper's formula, and when they are computed."""

from types import SimpleNamespace

import keras
import numpy as np
import pytest

from mm_keras.balance.gradient_blending import GradientBlending, blending_weights

BEFORE = np.array([[2.0, 2.1], [1.9, 2.0], [1.5, 1.8]])
AFTER = np.array([[1.0, 1.6], [1.5, 1.7], [0.2, 1.4]])
EQUAL = np.full(3, 1 / 3)


def test_weights_are_those_of_the_paper():
    gain = np.array([0.5, 0.3, 0.4])
    growth = np.array([0.6 - 0.1, 0.2 - 0.1, 1.2 - 0.3])
    want = gain / growth**2
    want /= want.sum()
    given = blending_weights(BEFORE, AFTER, EQUAL)
    np.testing.assert_allclose(given, 0.01 + 0.97 * want, rtol=1e-6)
    assert given.sum() == pytest.approx(1)
    assert given.argmax() == 1  # It gained least, and overfitted least by far.


def test_a_branch_that_did_not_gain_keeps_the_least_weight():
    worse = AFTER.copy()
    worse[0] = [1.0, 2.5]
    given = blending_weights(BEFORE, worse, EQUAL)
    assert given[0] == pytest.approx(0.01) and given.sum() == pytest.approx(1)


def test_where_no_branch_gained_the_weights_stay():
    weights = np.array([0.5, 0.3, 0.2])
    np.testing.assert_array_equal(blending_weights(BEFORE, BEFORE, weights), weights)
    broken = AFTER.copy()
    broken[0] = np.nan
    np.testing.assert_array_equal(blending_weights(BEFORE, broken, weights), weights)


def test_a_gap_that_hardly_grew_counts_as_a_hundredth():
    after = BEFORE - [[0.3, 0.3], [0.3, 0.301], [1.0, 0.0]]
    given = blending_weights(BEFORE, after, EQUAL)
    want = np.array([0.3, 0.301, 0.0]) / 0.01**2
    np.testing.assert_allclose(given, 0.01 + 0.97 * want / want.sum(), rtol=1e-6)


def logs_of(losses):
    logs = {}
    for name, (train, validation) in zip(["a", "b", "fused"], losses, strict=True):
        logs |= {f"{name}.loss": train, f"val_{name}.loss": validation}
    return logs


def make_model():
    start = np.full((3, 2), np.nan)
    weights = SimpleNamespace(blend=keras.Variable(EQUAL), looked_back_on=keras.Variable(start))
    return SimpleNamespace(branches=["a", "b", "fused"], **vars(weights))


def test_weights_change_every_few_epochs_and_the_logs_hold_those_in_use():
    callback, model = GradientBlending(2), make_model()
    callback.set_model(model)
    used = []
    for epoch, losses in enumerate([BEFORE, AFTER, AFTER - 0.1, AFTER - 0.2, AFTER - 0.3]):
        logs = logs_of(losses)
        callback.on_epoch_end(epoch, logs)
        used.append([logs[f"{name}.weight"] for name in model.branches])
    first = blending_weights(BEFORE, AFTER, EQUAL)
    second = blending_weights(AFTER, AFTER - 0.2, first)
    want = [EQUAL, EQUAL, first, first, second]
    np.testing.assert_allclose(used, want, rtol=1e-4)
    np.testing.assert_allclose(model.looked_back_on, AFTER - 0.2, rtol=1e-5)


def test_one_epoch_between_is_allowed_and_none_refused():
    callback, model = GradientBlending(1), make_model()
    callback.set_model(model)
    callback.on_epoch_end(0, logs_of(BEFORE))
    np.testing.assert_allclose(model.blend, EQUAL, rtol=1e-6)
    callback.on_epoch_end(1, logs_of(AFTER))
    np.testing.assert_allclose(model.blend, blending_weights(BEFORE, AFTER, EQUAL), rtol=1e-4)
    with pytest.raises(ValueError, match="`GradientBlending` expects `epochs`"):
        GradientBlending(0)
