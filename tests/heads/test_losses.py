"""What every loss of a picture, sound or text promises: a value an example, weights of 0, a written form."""

import json

import keras
import numpy as np
import pytest

from mm_keras import heads

RANDOM = np.random.default_rng(7)
LOG_MEL = {"rate": 1000, "mel_bins": 6, "window": 0.032, "hop": 0.016}
CASES = {  # name -> arguments, y_true, y_pred
    "CaptionCrossentropy": (
        {"label_smoothing": 0.1, "tokens": 3},
        np.array([[4, 2, 3], [2, 3, 0], [3, 0, 0]]),
        RANDOM.normal(size=(3, 3, 5)),
    ),
    "Divergence": ({}, np.zeros((3, 1)), RANDOM.uniform(0.1, 2, (3, 1))),
    "LogMelError": ({"log_mel": LOG_MEL}, RANDOM.uniform(-1, 1, (3, 64)), RANDOM.normal(size=(3, 5, 6))),
    "PixelCrossentropy": ({}, *RANDOM.uniform(0, 255, (2, 3, 4, 4, 1))),
    "SpeechLoss": (
        {"groups": 3},
        np.concatenate(
            [RANDOM.normal(size=(3, 3, 4)), [[[0], [0], [1]], [[0], [1], [1]], [[1]] * 3]], axis=2
        ),
        RANDOM.normal(size=(3, 3, 5)),
    ),
    "StandardizedError": ({"variance": [4.0, 0.25]}, *RANDOM.normal(size=(2, 3, 2))),
    "TokenCrossentropy": ({}, np.array([[2, 4, 3], [2, 3, 0], [0, 0, 0]]), RANDOM.normal(size=(3, 3, 5))),
}


def test_every_loss_is_listed():
    public = {name: getattr(heads, name) for name in heads.__all__}
    losses = [name for name, value in public.items() if issubclass(value, keras.losses.Loss)]
    compares_rows = [
        "PairCrossentropy"
    ]  # It has no value for an example alone; its own tests are beside this.
    assert sorted([*CASES, *compares_rows]) == sorted(losses)


@pytest.fixture(params=CASES)
def case(request):
    arguments, true, guess = CASES[request.param]
    return getattr(heads, request.param), arguments, true, guess


def test_each_example_has_a_value_of_its_own(case):
    loss_class, arguments, true, guess = case
    loss = loss_class(**arguments, reduction=None)
    together = np.array(loss(true, guess))
    assert together.shape == (3,)
    assert np.isfinite(together).all() and (together > 0).all()
    alone = [float(loss(true[i : i + 1], guess[i : i + 1])[0]) for i in range(3)]
    np.testing.assert_allclose(alone, together, rtol=1e-5)


def test_a_weight_of_zero_takes_an_example_out(case):
    loss_class, arguments, true, guess = case
    loss = loss_class(**arguments)
    values = np.array(loss_class(**arguments, reduction=None)(true, guess))
    weighted = float(loss(true, guess, sample_weight=np.array([1.0, 0.0, 1.0])))
    assert weighted == pytest.approx((values[0] + values[2]) / 3, rel=1e-5)


def test_a_reloaded_loss_is_the_same(case):
    loss_class, arguments, true, guess = case
    loss = loss_class(**arguments, name="mine", reduction="sum")
    written = json.loads(json.dumps(keras.saving.serialize_keras_object(loss)))
    assert written["registered_name"].startswith("mm_keras>")
    clone = keras.saving.deserialize_keras_object(written)
    assert clone.get_config() == loss.get_config()
    assert clone.name == "mine"
    np.testing.assert_allclose(clone(true, guess), loss(true, guess), rtol=1e-6)


def test_half_precision_predictions_are_compared_in_float32(case):
    loss_class, arguments, true, guess = case
    half = keras.ops.cast(guess, "bfloat16")
    rounded = np.array(keras.ops.convert_to_numpy(keras.ops.cast(half, "float32")))
    loss = loss_class(**arguments)
    value = loss(true, half)
    assert keras.backend.standardize_dtype(value.dtype) == "float32"
    np.testing.assert_allclose(value, loss(true, rounded), rtol=1e-5)
