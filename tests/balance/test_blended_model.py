"""Gradient blending in training: the loss against its parts, two devices, a training that goes on."""

import csv

import keras
import numpy as np
import pytest
import tensorflow as tf
import tiny

from mm_keras.balance import BlendedModel
from mm_keras.data.pipeline import make_datasets
from mm_keras.strategy import make_strategy
from mm_keras.training import train


def still_spec(manifest, **training):
    balance = {"kind": "gradient_blending", "epochs": 1}
    training = {"balance": balance, "warmup": 0.0, "weight_decay": 0.0, **training}
    return tiny.still_spec(manifest, training=training)


@pytest.fixture(scope="module")
def data(tiny_manifest):
    return make_datasets(still_spec(tiny_manifest))


def test_the_loss_of_training_is_the_blend_and_that_of_validation_the_models_own(tiny_manifest, data):
    model = tiny.compiled(still_spec(tiny_manifest), data)
    assert model.branches == ["numbers", "vec", "fused"]
    np.testing.assert_allclose(model.blend, 1 / 3, rtol=1e-6)
    model.blend.assign([0.2, 0.5, 0.3])
    x, y, weights = next(iter(data.test))
    told = model.test_on_batch(x, y, weights, return_dict=True)
    parts = [told[f"{branch}.loss"] for branch in model.branches]
    assert told["loss"] == pytest.approx(parts[2], rel=1e-5)
    model.reset_metrics()
    blended = model.train_on_batch(x, y, weights, return_dict=True)["loss"]
    assert blended == pytest.approx(0.2 * parts[0] + 0.5 * parts[1] + 0.3 * parts[2], rel=1e-5)


def test_two_devices_take_the_step_of_one(tiny_manifest, data):
    options = tf.data.Options()
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.DATA
    rows = tf.data.Dataset.from_tensors(next(iter(data.train))).unbatch().take(6)
    batch = rows.batch(6).with_options(options)
    start, ended = None, []
    for name in ("none", "mirrored"):
        with make_strategy(name).scope():
            model = tiny.compiled(still_spec(tiny_manifest), data, optimizer=keras.optimizers.SGD(0.5))
        start = model.get_weights() if start is None else start
        model.set_weights(start)
        model.fit(batch, validation_data=batch, epochs=2, shuffle=False, verbose=0)
        ended.append(model.trainable_weights)
    for one, two in zip(*ended, strict=True):
        np.testing.assert_allclose(two, one, atol=1e-5)


def test_a_saved_training_goes_on_as_if_it_had_not_been_stopped(tiny_manifest, data, tmp_path):
    model = tiny.compiled(still_spec(tiny_manifest), data)
    settings = {"validation_data": data.validation, "shuffle": False, "verbose": 0}
    model.fit(data.test, epochs=2, **settings)
    model.save(tmp_path / "last.keras")
    loaded = keras.saving.load_model(tmp_path / "last.keras")
    assert type(loaded) is BlendedModel and loaded.epochs == 1
    blend = np.array(loaded.blend)
    np.testing.assert_allclose(blend, model.blend)
    np.testing.assert_allclose(loaded.looked_back_on, model.looked_back_on)
    assert np.abs(blend - 1 / 3).max() > 1e-3
    for part in (model, loaded):
        part.fit(data.test, epochs=4, initial_epoch=2, **settings)
    # Loose: the weights of the blend divide small differences of losses by the squares of others.
    for one, other in zip(model.get_weights(), loaded.get_weights(), strict=True):
        np.testing.assert_allclose(other, one, atol=1e-2)
    assert np.abs(loaded.blend - blend).max() > 2e-2


def test_without_validation_rows_it_is_refused(tiny_manifest, data):
    with pytest.raises(ValueError, match=r"`gradient_blending` expects validation rows in training"):
        tiny.compiled(still_spec(tiny_manifest), data).fit(data.train, epochs=1)


@pytest.mark.slow
@pytest.mark.parametrize(("strategy", "precision"), [("mirrored", "float32"), ("none", "mixed_float16")])
def test_whole_trainings(tiny_manifest, tmp_path, strategy, precision):
    settings = {"strategy": strategy, "precision": precision, "batch_size": 14, "epochs": 3, "mixup": 0.4}
    settings["steps_per_execution"] = 2 if strategy == "none" else 1
    balance = {"kind": "gradient_blending", "epochs": 1}
    spec = tiny.quick_spec(tiny_manifest, training={**settings, "balance": balance})
    run, _ = train(spec, tmp_path)
    with open(run.folder / "history.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    weights = [[float(row[f"{name}.weight"]) for name in ("numbers", "vec", "fused")] for row in rows]
    np.testing.assert_allclose(weights[0], 1 / 3, rtol=1e-5)
    np.testing.assert_allclose(np.sum(weights, axis=1), 1, rtol=1e-5)
    assert np.abs(np.array(weights[2]) - 1 / 3).max() > 1e-3
    assert set(run.model.output) == {"label", "tags"} and not isinstance(run.model, BlendedModel)
