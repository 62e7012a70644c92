"""Training: the run folder, stopping, weights of losses, precisions, and the way in six lines of Python."""

import csv
import dataclasses
import json
import math
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
import tiny

import mm_keras as mm
from mm_keras.data.pipeline import make_datasets
from mm_keras.model import build_model
from mm_keras.model_heads import loss_weights
from mm_keras.spec_file import load_spec, save_spec
from mm_keras.training import (
    TrainingError,
    build_for_fit,
    choose_steps_per_execution,
    compile_arguments,
    make_callbacks,
    train,
)


@pytest.fixture(scope="module")
def quick_data(tiny_manifest):
    return make_datasets(tiny.quick_spec(tiny_manifest))


@dataclasses.dataclass
class Steps:
    """What `compile_arguments` reads of Datasets."""

    preprocessor: object
    steps: int


def learning_rates(data, steps=100, **training):
    settings = {"batch_size": 1, "epochs": 1, "warmup": 0.1, **training}
    spec = tiny.quick_spec("m.csv", training=settings)
    optimizer = compile_arguments(spec, Steps(data.preprocessor, steps))["optimizer"]
    return np.array([float(optimizer._learning_rate(step)) for step in range(steps + 1)])


@pytest.mark.slow
def test_the_run_folder_holds_all_that_a_run_gives(trained, tiny_manifest):
    run, data = trained
    folder = run.folder
    assert folder.parent.name == "tiny"
    assert {path.name for path in folder.iterdir()} == {
        "spec.yaml",
        "best.keras",
        "last.keras",
        "history.csv",
        "logs",
        "preprocess.json",
        "training.json",
        "vocabulary.txt",
        "labels_label.txt",
        "labels_tags.txt",
    }
    assert load_spec(folder / "spec.yaml").data.manifest == str(tiny_manifest)
    with open(folder / "history.csv", newline="") as file:
        history = list(csv.DictReader(file))
    assert [row["epoch"] for row in history] == ["0", "1"]
    for key in ("loss", "val_loss", "val_label_accuracy", "val_tags_macro_f1", "copy_image_loss"):
        assert all(math.isfinite(float(row[key])) for row in history), key
    assert {path.name for path in (folder / "logs").iterdir()} == {"train", "validation"}
    told = json.loads((folder / "training.json").read_text())
    assert told["rows"] == {"train": 24, "validation": 8, "test": 8}
    assert told["devices"] == "1 x CPU" and told["precision"] == "float32" and told["cache"] == "memory"
    assert told["epochs"] == len(told["epoch_seconds"]) == 2
    assert told["parameters"] == run.model.count_params() > 0
    assert 0 < told["fit_seconds"] == pytest.approx(sum(told["epoch_seconds"]))
    assert told["decode_seconds"] > 0


@pytest.mark.slow
def test_the_best_and_the_last_epoch_are_kept(tiny_manifest, tmp_path):
    class Spoil(keras.callbacks.Callback):
        """Makes every epoch after the second one bad."""

        def on_epoch_begin(self, epoch, logs=None):
            if epoch >= 2:
                kernel = self.model.get_layer("label").logits.kernel
                kernel.assign(kernel + 40 * (-1) ** np.arange(kernel.shape[1]) * epoch)

    spec = tiny.quick_spec(tiny_manifest, training={"epochs": 20, "patience": 2})
    run, data = train(spec, tmp_path, [Spoil()])
    with open(run.folder / "history.csv", newline="") as file:
        losses = [float(row["val_loss"]) for row in csv.DictReader(file)]
    best = int(np.argmin(losses))
    assert best < 2
    assert len(losses) == best + 1 + 2  # Stopped once two epochs were no better.
    last = keras.saving.load_model(run.folder / "last.keras")
    arguments = {"loss": last.loss, "loss_weights": loss_weights(spec)}
    for model, loss in ((last, losses[-1]), (run.model, losses[best])):
        model.compile(**arguments)
        assert model.evaluate(data.validation, verbose=0, return_dict=True)["loss"] == pytest.approx(loss)


def test_without_patience_it_never_stops_early(tmp_path):
    def kinds(**training):
        return {type(part) for part in make_callbacks(tiny.quick_spec("m.csv", training=training), tmp_path)}

    assert keras.callbacks.EarlyStopping in kinds(patience=1)
    assert keras.callbacks.EarlyStopping not in kinds(patience=0)


@pytest.mark.slow
def test_without_validation_rows_the_training_loss_decides(tiny_manifest, tmp_path):
    rows = [row for row in tiny.read_table(tiny_manifest) if row["split"] == "train"]
    manifest = tiny.write_table(tiny_manifest.parent / "no_validation.csv", rows)
    run, data = train(tiny.quick_spec(manifest), tmp_path)
    assert data.validation is None
    assert run.model.count_params() > 0
    parts = make_callbacks(run.spec, tmp_path, has_validation=False)
    best, stopping = (
        next(part for part in parts if isinstance(part, kind))
        for kind in (keras.callbacks.ModelCheckpoint, keras.callbacks.EarlyStopping)
    )
    assert best.monitor == stopping.monitor == "loss"


@pytest.mark.slow
def test_a_loss_that_is_no_number_ends_the_training(tiny_manifest, tmp_path):
    class Break(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            for weight in self.model.trainable_weights:
                weight.assign(np.full(weight.shape, np.nan))

    spec = tiny.quick_spec(tiny_manifest, training={"epochs": 3})
    with pytest.raises(TrainingError, match=r"expects a finite loss\. Received: loss=nan in epoch 1\. Lower"):
        train(spec, tmp_path, [Break()])
    (folder,) = (tmp_path / "tiny").iterdir()
    assert not (folder / "best.keras").exists()
    assert not (folder / "training.json").exists()


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["none", "mirrored"])
def test_a_model_learns_from_batches_of_any_length_and_answers_at_full_length(
    tiny_manifest, tmp_path, strategy
):
    names = ("audio", "numbers", "text")
    training = {"epochs": 1, "strategy": strategy}
    spec = tiny.quick_spec(tiny_manifest, modalities=names, training=training, input={"bucketing": True})
    spec.modalities["text"].length = 24
    spec.modalities["audio"].seconds = 0.2  # Twice as long as the sounds.
    run, data = train(spec, tmp_path)
    assert {inputs["text"].shape[1] for inputs, _, _ in data.train} <= set(range(1, 17))
    assert {inputs["audio"].shape[1] for inputs, _, _ in data.train} <= {200, 1000}
    inputs = next(iter(data.test))[0]
    short = {**inputs, "text": inputs["text"][:, :16], "audio": inputs["audio"][:, :1000]}
    assert inputs["text"].shape[1] == 24 and not np.any(inputs["text"][:, 16:])
    assert inputs["audio"].shape[1] == 1600 and not np.any(inputs["audio"][:, 800:])
    whole = run.model(inputs)
    for key, x in run.model(short).items():
        np.testing.assert_allclose(x, whole[key], atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["mixed_bfloat16", "mixed_float16"])
def test_each_precision_trains(tiny_manifest, tmp_path, precision):
    spec = tiny.tiny_spec(
        tiny_manifest,
        modalities=("numbers", "image"),
        training={"precision": precision, "epochs": 1},
    )
    run, data = train(spec, tmp_path)
    assert json.loads((run.folder / "training.json").read_text())["precision"] == precision
    dtypes = {name: run.model.get_layer(name).compute_dtype for name in spec.output_names}
    assert set(dtypes.values()) == {precision.removeprefix("mixed_")}
    outputs = run.model(next(iter(data.test))[0])
    assert all(x.dtype == tf.float32 and np.isfinite(x).all() for x in outputs.values())
    optimizer = compile_arguments(spec, data)["optimizer"]
    scaled = isinstance(optimizer, keras.optimizers.LossScaleOptimizer)
    assert scaled == (precision == "mixed_float16")


@pytest.mark.slow
def test_mirrored_trains_on_both_devices(tiny_manifest, tmp_path):
    spec = tiny.quick_spec(tiny_manifest, training={"strategy": "mirrored", "batch_size": 14, "epochs": 1})
    run, _ = train(spec, tmp_path)
    told = json.loads((run.folder / "training.json").read_text())
    assert told["devices"] == "2 x CPU"
    with open(run.folder / "history.csv", newline="") as file:
        (row,) = csv.DictReader(file)
    assert math.isfinite(float(row["loss"])) and math.isfinite(float(row["val_loss"]))


@pytest.mark.slow
def test_class_weights_arrive_as_weights_of_the_loss(tiny_manifest):
    label = {"kind": "classification", "class_weights": {"blau": 3.0, "grün": 0.5}}
    spec = tiny.quick_spec(tiny_manifest, outputs={"label": label, "tags": tiny.OUTPUTS["tags"]})
    data = make_datasets(spec)
    inputs, targets, weights = next(iter(data.test))
    rows = [row for row in range(tiny.ROWS) if tiny.split_of(row) == "test"][:7]
    want = [0 if row == 14 else (3.0, 0.5, 1.0)[row % 3] for row in rows]
    np.testing.assert_allclose(weights["label"], want)
    model = build_model(spec, data)
    model.compile(**compile_arguments(spec, data))
    told = model.evaluate(data.test.take(1), verbose=0, return_dict=True)["label_loss"]
    scores = model(inputs)["label"].numpy()
    each = -(targets["label"].numpy() * np.log(scores)).sum(axis=1)
    assert told == pytest.approx((each * want).sum() / len(want), rel=1e-4)


@pytest.mark.slow
def test_losses_are_weighted_and_smoothed(quick_data, tiny_manifest):
    outputs = {
        "label": {"kind": "classification", "weight": 2.0, "label_smoothing": 0.3},
        "tags": tiny.OUTPUTS["tags"],
        "copy": {"kind": "autoencoder", "weight": 0.5},
    }
    spec = tiny.quick_spec(tiny_manifest, outputs=outputs)
    arguments = compile_arguments(spec, quick_data)
    assert arguments["loss_weights"] == {"label": 2.0, "tags": 1.0, "copy_numbers": 0.25, "copy_vec": 0.25}
    scores = np.array([[0.7, 0.2, 0.1]])
    target = 0.7 * np.array([[1.0, 0, 0]]) + 0.3 / 3
    given = arguments["loss"]["label"](np.array([[1.0, 0, 0]]), scores)
    assert float(given) == pytest.approx(-(target * np.log(scores)).sum(), rel=1e-5)
    assert set(arguments["loss"]) == set(arguments["weighted_metrics"]) == set(spec.output_names)


def test_the_learning_rate_warms_up_and_falls_to_zero(quick_data):
    rates = learning_rates(quick_data, learning_rate=0.01)
    np.testing.assert_allclose(rates[:11], np.linspace(0, 0.01, 11), rtol=1e-5)
    cosine = 0.005 * (1 + np.cos(np.pi * np.arange(91) / 90))
    np.testing.assert_allclose(rates[10:], cosine, atol=1e-8)
    assert learning_rates(quick_data, warmup=0.0, learning_rate=0.01)[0] == pytest.approx(0.01)
    assert np.isfinite(learning_rates(quick_data, steps=1, warmup=0.9)).all()


def test_biases_norms_tokens_and_embeddings_do_not_decay(trained):
    run, data = trained
    optimizer = compile_arguments(run.spec, data)["optimizer"]
    optimizer.build(run.model.trainable_variables)
    decayed = {x.path for x in run.model.trainable_variables if optimizer._use_weight_decay(x)}
    assert decayed
    assert all(path.rsplit("/", 1)[-1] not in ("bias", "gamma", "beta", "embeddings") for path in decayed)
    assert not any("token" in path for path in decayed)
    assert any(path.endswith("kernel") for path in decayed)


@pytest.mark.slow
def test_a_step_built_before_is_traced_once_and_learns_the_same(tiny_manifest, monkeypatch):
    traced, step = [], keras.Model.train_step
    monkeypatch.setattr(
        keras.Model, "train_step", lambda model, batch: traced.append(0) or step(model, batch)
    )
    spec = tiny.quick_spec(tiny_manifest)
    told = []
    for build in (build_for_fit, lambda model, batches: None):
        keras.utils.set_random_seed(7)
        data = make_datasets(spec)
        model = build_model(spec, data)
        model.compile(**compile_arguments(spec, data))
        build(model, data.train)
        told.append(model.fit(data.train, epochs=1, shuffle=False, verbose=0).history)
        if build is build_for_fit:
            assert len(traced) == 1
    assert told[0] == told[1]


def test_steps_per_execution_is_taken_from_the_spec():
    assert choose_steps_per_execution(5) == 5
    gpus = keras.distribution.list_devices("gpu")
    assert choose_steps_per_execution("auto") == (8 if gpus else 1)


def test_several_devices_take_one_step_in_a_call():
    assert choose_steps_per_execution("auto", replicas=2) == 1
    assert choose_steps_per_execution(1, replicas=2) == 1
    with pytest.raises(ValueError, match="steps_per_execution=4 on 2 devices.*Use steps_per_execution: auto"):
        choose_steps_per_execution(4, replicas=2)


def test_several_steps_in_a_call_of_several_devices_are_refused_with_a_way_out(tiny_manifest, tmp_path):
    training = {"strategy": "mirrored", "steps_per_execution": 4, "epochs": 1}
    with pytest.raises(ValueError, match="strategy: none"):
        train(tiny.quick_spec(tiny_manifest, training=training), tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
@pytest.mark.core
def test_six_lines_of_python_give_a_served_model(tiny_manifest, tmp_path):
    save_spec(tiny.quick_spec(tiny_manifest, export={"formats": ["saved_model"]}), tmp_path / "spec.yaml")

    spec = mm.load_spec(tmp_path / "spec.yaml")
    data = mm.make_datasets(spec)
    model = mm.build_model(spec, data)
    model.compile(**mm.compile_arguments(spec, data))
    model.fit(data.train, validation_data=data.validation, epochs=1, verbose=0)
    result = mm.export(model, spec, data, tmp_path / "saved_models/tiny")

    assert isinstance(model, keras.Model)
    predictor = mm.load_predictor(Path(result["saved_model"]["path"]))
    answer = predictor.predict({"numbers": [[1.0, 2.0]]})
    assert answer["label"][0] in tiny.LABELS
