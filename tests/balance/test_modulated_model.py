"""OGM-GE: coefficients against NumPy, the gradients that reach each encoder, noise, and whole trainings."""

import csv
import math

import keras
import numpy as np
import pytest
import tensorflow as tf
import tiny

from mm_keras.balance import ModulatedModel, plain_model
from mm_keras.balance.modulated_model import modulation_coefficients, right_share
from mm_keras.data.pipeline import make_datasets
from mm_keras.strategy import make_strategy
from mm_keras.training import compile_arguments, make_callbacks, train


def still_spec(manifest, modalities=("numbers", "vec"), alpha=0.5, noise=False, **training):
    """Returns a spec whose training draws nothing but the noise of GE."""
    balance = {"kind": "ogm_ge", "alpha": alpha, "noise": noise}
    training = {"balance": balance, "warmup": 0.0, "weight_decay": 0.0, **training}
    return tiny.still_spec(manifest, modalities=modalities, training=training)


@pytest.fixture(scope="module")
def data(tiny_manifest):
    return make_datasets(still_spec(tiny_manifest))


def arrays(batch):
    return tf.nest.map_structure(lambda part: part.numpy(), batch)


def test_two_modalities_have_the_coefficients_of_the_paper():
    scores = np.array([[0.9, 0.2], [0.7, 0.4]], "float32")
    given = modulation_coefficients(scores, np.ones((2, 2), "float32"), 0.3)
    np.testing.assert_allclose(given, [1 - np.tanh(0.3 * 1.6 / 0.6), 1.0], rtol=1e-5)
    given = modulation_coefficients(scores[:, ::-1], np.ones((2, 2), "float32"), 0.3)
    np.testing.assert_allclose(given, [1.0, 1 - np.tanh(0.3 * 1.6 / 0.6)], rtol=1e-5)


def test_of_three_each_is_held_against_the_mean_of_the_others_over_the_rows_that_have_it():
    scores = np.array([[0.9, 0.2, 0.5], [0.5, 0.4, 0.1]], "float32")
    here = np.array([[1, 1, 1], [1, 1, 0]], "float32")
    means = np.array([0.7, 0.3, 0.5])
    ratios = np.array([0.7 / 0.4, 0.3 / 0.6, 0.5 / 0.5])
    want = np.where(ratios > 1 + 1e-6, 1 - np.tanh(0.5 * ratios), 1.0)
    given = modulation_coefficients(scores, here, 0.5)
    np.testing.assert_allclose(given[:2], want[:2], rtol=1e-5)
    assert means.argmax() == int(np.argmin(given))


def test_a_modality_that_no_row_has_takes_no_part():
    scores = np.array([[0.8, 0.4, 0.0]], "float32")
    given = modulation_coefficients(scores, np.array([[1, 1, 0]], "float32"), 0.5)
    np.testing.assert_allclose(given, [1 - np.tanh(1.0), 1.0, 1.0], rtol=1e-5)
    alone = modulation_coefficients(scores, np.array([[1, 0, 0]], "float32"), 0.5)
    np.testing.assert_allclose(alone, 1.0)


def test_the_share_of_right_answers_by_hand():
    given = np.array([[0.7, 0.2, 0.1]], "float32")
    np.testing.assert_allclose(right_share(np.array([[0, 1, 0]]), given, False), [0.2], rtol=1e-6)
    np.testing.assert_allclose(right_share(np.array([[1, 0, 0]]), given, True), [(0.7 + 0.8 + 0.9) / 3])


def numpy_coefficients(plain, x, y, weights, alpha):
    """Returns the coefficients of `numbers` and `vec`, from what the plain model answers with each alone."""
    names = ["numbers", "vec"]
    means = []
    for place in range(2):
        alone = {**x, "present": x["present"] * np.eye(2, dtype="float32")[place]}
        answers = {key: part.numpy() for key, part in plain(alone, training=False).items()}
        shares = {
            "label": (y["label"] * answers["label"]).sum(axis=1),
            "tags": np.where(y["tags"] > 0, answers["tags"], 1 - answers["tags"]).mean(axis=1),
        }
        known = {key: weights[key] > 0 for key in shares}
        count = sum(known.values())
        score = sum(shares[key] * known[key] for key in shares) / np.maximum(count, 1)
        rows = (x["present"][:, place] > 0) & (count > 0)
        means.append(score[rows].mean())
    ratios = [means[0] / means[1], means[1] / means[0]]
    return {name: 1 - np.tanh(alpha * r) if r > 1 else 1.0 for name, r in zip(names, ratios, strict=True)}


def step_of(model, batch):
    """Returns weight's path -> how far a step with rate 1 moves it: minus its gradient."""
    before = {weight.path: weight.numpy() for weight in model.trainable_weights}
    told = model.train_on_batch(*batch, return_dict=True)
    return {weight.path: weight.numpy() - before[weight.path] for weight in model.trainable_weights}, told


def test_the_gradients_of_each_encoder_are_scaled_and_no_others(tiny_manifest, data):
    model = tiny.compiled(still_spec(tiny_manifest, alpha=0.7), data, optimizer=keras.optimizers.SGD(1.0))
    plain, start = plain_model(model), model.get_weights()
    settings = compile_arguments(still_spec(tiny_manifest), data)
    plain.compile(**{**settings, "optimizer": keras.optimizers.SGD(1.0)})
    x, y, weights = arrays(next(iter(data.test)))
    assert 0 < x["present"].mean() < 1 and 0 in weights["label"]
    want = numpy_coefficients(plain, x, y, weights, 0.7)
    assert sorted(k == 1.0 for k in want.values()) == [False, True]
    moved, before = step_of(plain, (x, y, weights))
    model.set_weights(start)
    modulated, told = step_of(model, (x, y, weights))
    assert {f"{name}.coefficient": k for name, k in want.items()} == pytest.approx(
        {key: value for key, value in told.items() if "coefficient" in key}, rel=1e-5
    )
    assert told["loss"] == pytest.approx(before["loss"], rel=1e-5)
    scaled = set()
    for path, step in moved.items():
        k = next((k for name, k in want.items() if f"{name}.encoder" in path), 1.0)
        np.testing.assert_allclose(modulated[path], k * step, rtol=1e-5, atol=1e-5, err_msg=path)
        if k < 1 and np.abs(step).max() > 1e-4:
            scaled.add(path)
    assert scaled


def test_the_noise_has_the_deviation_of_the_gradient_and_spares_tokens_that_are_not_there(tiny_manifest):
    spec = still_spec(tiny_manifest, modalities=("text", "vec"), noise=True)
    data = make_datasets(spec)
    batch = arrays(next(iter(data.train)))
    model = tiny.compiled(spec, data, optimizer=keras.optimizers.SGD(1.0))
    start = model.get_weights()
    drawn = []
    for _ in range(40):
        model.set_weights(start)
        drawn.append(step_of(model, batch)[0])
    still = ModulatedModel(model.input, model.output, model.multi_label, noise=False)
    still.compile(**{**compile_arguments(spec, data), "optimizer": keras.optimizers.SGD(1.0)})
    model.set_weights(start)
    steps, told = step_of(still, batch)
    (path,) = [path for path in steps if "vec.encoder" in path and path.endswith("kernel")]
    noise = np.stack([step[path] - steps[path] for step in drawn])
    gradient = steps[path] / told["vec.coefficient"]
    assert noise.std() == pytest.approx(gradient.std(), rel=0.1)
    assert abs(noise.mean()) < 0.2 * noise.std()
    (path,) = [path for path in steps if path.endswith("embeddings")]
    used = np.isin(np.arange(len(steps[path])), batch[0]["text"])
    assert 0 < used.sum() < len(used)
    assert not any(step[path][~used].any() for step in drawn)
    assert all(step[path][used].all() for step in drawn)
    (path,) = [path for path in steps if "label" in path and path.endswith("kernel")]
    np.testing.assert_allclose(drawn[0][path], steps[path], atol=1e-6)


def test_a_saved_training_goes_on_as_if_it_had_not_been_stopped(tiny_manifest, data, tmp_path):
    model = tiny.compiled(still_spec(tiny_manifest), data)
    batches = list(data.train)
    for batch in batches[:2]:
        model.train_on_batch(*batch)
    model.save(tmp_path / "last.keras")
    loaded = keras.saving.load_model(tmp_path / "last.keras")
    assert type(loaded) is ModulatedModel and loaded.alpha == 0.5 and loaded.noise is False
    for batch in batches[2:]:
        want, given = (part.train_on_batch(*batch, return_dict=True) for part in (model, loaded))
    assert given.keys() == want.keys()
    for one, other in zip(model.get_weights(), loaded.get_weights(), strict=True):
        np.testing.assert_allclose(other, one, atol=1e-6)


def test_a_step_of_scaled_losses_is_the_step_of_others(tiny_manifest, data, monkeypatch):
    # Computed ones jump where two modalities are equal, by the last digit of a score.
    monkeypatch.setattr(
        "mm_keras.balance.modulated_model.modulation_coefficients",
        lambda scores, here, alpha: tf.constant([0.4, 1.0]),
    )
    batch = arrays(next(iter(data.train)))
    steps, start = [], None
    for scaled in (False, True):
        optimizer = keras.optimizers.SGD(1.0)
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer) if scaled else optimizer
        model = tiny.compiled(still_spec(tiny_manifest), data, optimizer=optimizer)
        start = model.get_weights() if start is None else start
        model.set_weights(start)
        steps.append(step_of(model, batch))
    assert steps[1][1]["loss"] == pytest.approx(steps[0][1]["loss"], rel=1e-5)
    for one, other in zip(steps[0][0].values(), steps[1][0].values(), strict=True):
        np.testing.assert_allclose(other, one, atol=1e-5)


def test_two_devices_take_the_step_of_one_where_nothing_is_ahead(tiny_manifest, data, monkeypatch):
    monkeypatch.setattr(
        "mm_keras.balance.modulated_model.modulation_coefficients", lambda scores, here, alpha: tf.ones(2)
    )
    options = tf.data.Options()
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.DATA
    rows = tf.data.Dataset.from_tensors(next(iter(data.train))).unbatch().take(6)
    batch = rows.batch(6).with_options(options)
    start, ended, losses = None, [], []
    for name in ("none", "mirrored"):
        with make_strategy(name).scope():
            model = tiny.compiled(still_spec(tiny_manifest), data, optimizer=keras.optimizers.SGD(0.5))
        start = model.get_weights() if start is None else start
        model.set_weights(start)
        losses.append(model.fit(batch, epochs=1, shuffle=False, verbose=0).history["loss"])
        ended.append(model.get_weights())
    assert losses[1] == pytest.approx(losses[0], rel=1e-5)
    for one, two in zip(*ended, strict=True):
        np.testing.assert_allclose(two, one, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("strategy", "precision"),
    [("none", "mixed_float16"), ("none", "mixed_bfloat16"), ("mirrored", "float32")],
)
def test_whole_trainings(tiny_manifest, tmp_path, strategy, precision):
    settings = {"strategy": strategy, "precision": precision, "batch_size": 14, "mixup": 0.4}
    settings["steps_per_execution"] = 2 if strategy == "none" else 1
    balance = {"kind": "ogm_ge", "alpha": 0.3}
    spec = tiny.quick_spec(tiny_manifest, training={**settings, "balance": balance})
    run, _ = train(spec, tmp_path)
    with open(run.folder / "history.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    for key in ("loss", "val_loss", "vec.coefficient", "val_numbers.coefficient"):
        assert all(math.isfinite(float(row[key])) for row in rows), key
    assert all(0 < float(row["vec.coefficient"]) <= 1 for row in rows)
    assert set(run.model.output) == {"label", "tags"}
    assert not isinstance(run.model, ModulatedModel)
    monitors = {part.monitor for part in make_callbacks(spec, tmp_path, False) if hasattr(part, "monitor")}
    assert "fused.loss" not in monitors and "loss" in monitors


def test_a_coefficient_must_slow_down(tiny_manifest, data):
    model = plain_model(tiny.compiled(still_spec(tiny_manifest), data))
    with pytest.raises(ValueError, match=r"`ModulatedModel` expects `alpha` > 0. Received: alpha=0"):
        ModulatedModel(model.input, model.output, {}, alpha=0)
