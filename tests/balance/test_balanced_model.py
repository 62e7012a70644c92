"""A model with further outputs: its own losses and metrics, and the plain model inside."""

import keras
import numpy as np
import pytest

from mm_keras.balance import BalancedModel, plain_model
from mm_keras.balance.balanced_model import own_part


@keras.saving.register_keras_serializable(package="tests")
class Further(BalancedModel):
    """A model with one further output."""


def further(outputs=("one", "other")):
    inputs = {"a": keras.Input((2,), name="a"), "present": keras.Input((1,), name="present")}
    one = keras.layers.Dense(1, name="one")(inputs["a"])
    other = keras.layers.Dense(1, name="other")(inputs["a"])
    own = {key: x for key, x in {"one": one, "other": other}.items() if key in outputs}
    return Further(inputs, {**own, "one.a": keras.layers.Dense(3, name="one.a")(one)})


@pytest.fixture
def batch():
    rows = np.arange(6.0, dtype="float32").reshape(3, 2)
    inputs = {"a": rows, "present": np.ones((3, 1), "float32")}
    return inputs, {"one": rows[:, :1], "other": rows[:, 1:]}


def test_losses_and_metrics_are_those_of_the_plain_model(batch):
    model = further()
    plain = plain_model(model)
    told = []
    for part in (model, plain):
        part.compile(loss={"one": "mse", "other": "mae"}, weighted_metrics={"one": ["mae"], "other": ["mse"]})
        told.append(part.test_on_batch(*batch, return_dict=True))
    assert told[0] == pytest.approx(told[1])
    assert set(told[0]) == {"loss", "one_loss", "other_loss", "one_mae", "other_mse"}


def test_the_measures_of_a_single_output_are_named_as_in_the_plain_model(batch):
    model = further(["one"])
    told = []
    for part in (model, plain_model(model)):
        part.compile(loss={"one": "mse"}, loss_weights={"one": 2.0}, weighted_metrics={"one": ["mae"]})
        told.append(part.test_on_batch(batch[0], {"one": batch[1]["one"]}, return_dict=True))
    assert told[0] == pytest.approx(told[1]) and told[0].keys() == told[1].keys()


def test_the_plain_model_shares_its_layers_and_has_no_further_ones(batch):
    model = further()
    plain = plain_model(model)
    assert type(plain) is not Further and set(plain.output) == {"one", "other"}
    assert {layer.name for layer in plain.layers} == {"a", "present", "one", "other"}
    assert plain.get_layer("one") is model.get_layer("one")
    np.testing.assert_array_equal(plain(batch[0])["other"], model(batch[0])["other"])


def test_any_other_model_is_plain():
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    assert plain_model(model) is model


def test_a_written_model_reads_the_same(batch, tmp_path):
    model = further()
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert type(loaded) is Further and loaded.names == ["a"] and loaded.name == model.name
    for key, x in model(batch[0]).items():
        np.testing.assert_array_equal(loaded(batch[0])[key], x)


def test_what_has_a_dot_is_not_the_models_own():
    assert own_part({"label": 1, "label.image": 2, "copy_image": 3}) == {"label": 1, "copy_image": 3}
