"""Heads of single modalities: losses against NumPy, two devices, saved and loaded, whole trainings."""

import csv
import math

import keras
import numpy as np
import pytest
import tensorflow as tf
import tiny
from typer.testing import CliRunner

from mm_keras.balance import AuxiliaryModel, balance_model, plain_model
from mm_keras.cli import app
from mm_keras.data.pipeline import make_datasets
from mm_keras.evaluation import evaluate
from mm_keras.exporting import export
from mm_keras.model import build_model
from mm_keras.prediction import load_predictor
from mm_keras.spec_file import save_spec
from mm_keras.strategy import make_strategy
from mm_keras.training import compile_arguments, make_callbacks, train

WEIGHTS = {"numbers": 0.5, "vec": 2.0}
OUTPUTS = {
    "label": {"kind": "classification", "weight": 3.0, "class_weights": {"blau": 2.0}},
    "copy": {"kind": "autoencoder", "weight": 0.1, "units": 4},
    "b": {"kind": "regression", "columns": ["a"]},
}


def still_spec(manifest, training=None, **changes):
    """Returns a spec whose training draws nothing, of an output of each kind, for `numbers` and `vec`."""
    outputs = {name: OUTPUTS[name] for name in ("label", "copy")}
    balance = {"kind": "auxiliary", "weight": WEIGHTS}
    training = {"balance": balance, "warmup": 0.0, **(training or {})}
    return tiny.still_spec(manifest, outputs=outputs, training=training, **changes)


@pytest.fixture(scope="module")
def data(tiny_manifest):
    return make_datasets(still_spec(tiny_manifest))


def mean_loss(target, scores, counts):
    return float((-(target * np.log(scores)).sum(axis=1) * counts).sum() / len(counts))


def test_the_loss_of_training_counts_each_head_where_its_modality_and_the_answer_are(tiny_manifest, data):
    spec = still_spec(tiny_manifest)
    model = tiny.compiled(spec, data)
    x, y, weights = tf.nest.map_structure(lambda part: part.numpy(), next(iter(data.test)))
    assert 0 < x["present"].mean() < 1 and set(weights["label"]) == {0.0, 1.0, 2.0}
    outputs = {key: part.numpy() for key, part in model(x).items()}
    own = float(model.compute_loss(x, y, outputs, weights, training=False))
    plain = plain_model(model)
    plain.compile(**compile_arguments(spec, data))
    assert own == pytest.approx(plain.test_on_batch(x, y, weights, return_dict=True)["loss"], rel=1e-5)
    alone = {
        name: 3.0 * mean_loss(y["label"], outputs[f"label.{name}"], weights["label"] * x["present"][:, place])
        for place, name in enumerate(WEIGHTS)
    }
    total = own + sum(WEIGHTS[name] * loss for name, loss in alone.items())
    assert float(model.compute_loss(x, y, outputs, weights, training=True)) == pytest.approx(total, rel=1e-5)
    told = model.test_on_batch(x, y, weights, return_dict=True)
    assert told["loss"] == pytest.approx(own, rel=1e-5)
    want = {"fused.loss": own, "numbers.loss": alone["numbers"], "vec.loss": alone["vec"]}
    assert {key: told[key] for key in want} == pytest.approx(want, rel=1e-5)


def test_a_regression_has_heads_in_its_own_units(tiny_manifest):
    spec = tiny.quick_spec(
        tiny_manifest,
        modalities=("text", "vec"),
        outputs={"b": OUTPUTS["b"]},
        training={"balance": {"kind": "auxiliary"}},
        max_bad=1.0,
    )
    data = make_datasets(spec)
    model = tiny.compiled(spec, data)
    x, y, weights = next(iter(data.train))
    outputs = model(x)
    assert set(outputs) == {"b", "b.text", "b.vec"}
    (mean,) = data.preprocessor.statistics["b"]["mean"]
    layer = model.get_layer("b.vec")
    embedding = keras.Model(model.input, model.get_layer("vec.encoder").output)(x)
    deviation = data.preprocessor.statistics["b"]["variance"][0] ** 0.5
    want = mean + deviation * (embedding @ layer.values.kernel + layer.values.bias)
    np.testing.assert_allclose(outputs["b.vec"], want, rtol=1e-5)
    told = model.train_on_batch(x, y, weights, return_dict=True)
    assert told["loss"] > told["fused.loss"] and math.isfinite(told["loss"])


def test_two_devices_take_the_step_of_one(tiny_manifest, data):
    spec = still_spec(tiny_manifest)
    x, y, weights = next(iter(data.test))
    rows = tf.data.Dataset.from_tensors(
        tf.nest.map_structure(lambda part: part[:6], (x, y, {key: w for key, w in weights.items()}))
    )
    options = tf.data.Options()
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.DATA
    batch = rows.unbatch().batch(6).with_options(options)
    start, told, ended = None, [], []
    for name in ("none", "mirrored"):
        with make_strategy(name).scope():
            model = tiny.compiled(spec, data, optimizer=keras.optimizers.SGD(0.5))
        start = model.get_weights() if start is None else start
        model.set_weights(start)
        told.append(model.fit(batch, epochs=1, verbose=0).history)
        ended.append(model.get_weights())
    assert told[0].keys() == told[1].keys()
    for key in told[0]:
        if "loss" in key:
            assert told[1][key] == pytest.approx(told[0][key], rel=1e-4), key
    moved = [np.abs(one - old).max() for one, old in zip(ended[0], start, strict=True)]
    assert np.mean(np.array(moved) > 1e-4) > 0.8
    for one, two in zip(*ended, strict=True):
        np.testing.assert_allclose(two, one, atol=1e-5)


def test_a_saved_training_goes_on_as_if_it_had_not_been_stopped(tiny_manifest, data, tmp_path):
    model = tiny.compiled(still_spec(tiny_manifest, {"weight_decay": 0.0}), data)
    batches = list(data.test) * 4
    for batch in batches[:3]:
        model.train_on_batch(*batch)
    model.save(tmp_path / "last.keras")
    loaded = keras.saving.load_model(tmp_path / "last.keras")
    assert type(loaded) is AuxiliaryModel
    for batch in batches[3:]:
        want, given = (part.train_on_batch(*batch, return_dict=True) for part in (model, loaded))
    assert given.keys() == want.keys()
    for one, other in zip(model.get_weights(), loaded.get_weights(), strict=True):
        np.testing.assert_allclose(other, one, atol=1e-6)


def test_several_steps_in_one_call_are_the_same_steps(tiny_manifest, data):
    history, start = [], None
    for steps in (1, 3):
        model = tiny.compiled(still_spec(tiny_manifest, {"steps_per_execution": steps}), data)
        start = model.get_weights() if start is None else start
        model.set_weights(start)
        history.append(model.fit(data.test.repeat(3), epochs=1, shuffle=False, verbose=0).history)
    assert history[0].keys() == history[1].keys() >= {"fused.loss", "numbers.loss", "vec.loss"}
    for key, values in history[0].items():
        assert history[1][key] == pytest.approx(values, rel=1e-4), key


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["mixed_bfloat16", "mixed_float16"])
def test_each_precision_trains(tiny_manifest, tmp_path, precision):
    spec = tiny.quick_spec(
        tiny_manifest,
        training={"precision": precision, "epochs": 1, "mixup": 0.4, "balance": {"kind": "auxiliary"}},
        fusion={"modality_dropout": 0.3},
    )
    run, data = train(spec, tmp_path)
    before = balance_model(build_model(spec, data), spec, data)
    assert before.get_layer("label.vec").compute_dtype == precision.removeprefix("mixed_")
    trained = keras.saving.load_model(run.folder / "last.keras")
    kernel = trained.get_layer("label.vec").logits.kernel
    assert np.isfinite(kernel).all()
    assert run.model.get_layer("label").compute_dtype == precision.removeprefix("mixed_")


@pytest.mark.slow
def test_what_is_used_after_training_on_two_devices_has_no_further_heads(tiny_manifest, tmp_path):
    balance = {"kind": "auxiliary", "weight": {"vec": 0.5}}
    training = {"balance": balance, "strategy": "mirrored", "batch_size": 14}
    spec = tiny.quick_spec(tiny_manifest, training=training)
    run, data = train(spec, tmp_path)
    with open(run.folder / "history.csv", newline="") as file:
        history = list(csv.DictReader(file))
    assert {"vec.loss", "val_vec.loss", "fused.loss"} <= set(history[0])
    assert "numbers.loss" not in history[0]
    for row in history:
        total = float(row["fused.loss"]) + 0.5 * float(row["vec.loss"])
        assert float(row["loss"]) == pytest.approx(total, rel=1e-4)
        assert float(row["val_loss"]) == pytest.approx(float(row["val_fused.loss"]), rel=1e-5)
    names = {layer.name for layer in run.model.layers}
    assert set(run.model.output) == {"label", "tags"} and "label.vec" not in names
    told = evaluate(run.model, spec, data, "validation")
    assert set(told["outputs"]) == {"label", "tags"}
    assert all(math.isfinite(output["loss"]) for output in told["outputs"].values())


@pytest.mark.slow
def test_the_commands_take_a_run_with_further_heads(tiny_manifest, tmp_path):
    spec = tiny.quick_spec(tiny_manifest, training={"balance": {"kind": "auxiliary"}, "epochs": 1})
    save_spec(spec, tmp_path / "spec.yaml")
    runs, saved = tmp_path / "runs", tmp_path / "saved_models"
    for command in (
        ["train", str(tmp_path / "spec.yaml"), "--runs", str(runs)],
        ["evaluate", str(runs / "tiny")],
        ["export", str(runs / "tiny"), "--output", str(saved)],
        ["predict", str(saved / "serving"), "--numbers", "1,2"],
        ["predict", str(runs / "tiny"), "--numbers", "1,2"],
    ):
        result = CliRunner().invoke(app, command)
        assert result.exit_code == 0, result.output
    kept = load_predictor(saved / "mobile" / "1" / "model.tflite").predict({"numbers": [[1.0, 2.0]]})
    asked = load_predictor(runs / "tiny").predict({"numbers": [[1.0, 2.0]]})
    assert set(kept) == set(asked) == {"label", "label_scores", "tags", "tags_scores"}
    np.testing.assert_allclose(kept["label_scores"], asked["label_scores"], atol=1e-4)


@pytest.mark.slow
def test_the_model_that_was_trained_is_exported_as_the_plain_one(tiny_manifest, data, tmp_path):
    spec = still_spec(tiny_manifest, export={"formats": ["saved_model"]})
    model = tiny.compiled(spec, data)
    model.fit(data.train, epochs=1, verbose=0)
    result = export(model, spec, data, tmp_path)
    answer = load_predictor(result["saved_model"]["path"]).predict({"numbers": [[1.0, 2.0]]})
    assert set(answer) == {"label", "label_scores"}


@pytest.mark.slow
def test_without_validation_rows_the_loss_of_the_model_alone_decides(tiny_manifest, tmp_path):
    rows = [row for row in tiny.read_table(tiny_manifest) if row["split"] == "train"]
    manifest = tiny.write_table(tiny_manifest.parent / "no_validation_balance.csv", rows)
    spec = tiny.quick_spec(manifest, training={"balance": {"kind": "auxiliary"}})
    run, _ = train(spec, tmp_path)
    assert set(run.model.output) == {"label", "tags"}
    parts = make_callbacks(spec, tmp_path, has_validation=False)
    best, stopping = (
        next(part for part in parts if isinstance(part, kind))
        for kind in (keras.callbacks.ModelCheckpoint, keras.callbacks.EarlyStopping)
    )
    assert best.monitor == stopping.monitor == "fused.loss"
