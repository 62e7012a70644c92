"""Compile arguments, callbacks and the run folder of one training."""

import logging
import math
import time
from collections import Counter

import keras
import tensorflow as tf

from mm_keras.balance import balance_model, plain_model
from mm_keras.checks import message
from mm_keras.data.findings import ERROR, QUARANTINE, keep_list, list_of_run, write_quarantine
from mm_keras.data.pipeline import make_datasets
from mm_keras.evaluation import warn_of_branches
from mm_keras.model import build_model, choose_precision
from mm_keras.model_heads import loss_weights, make_heads
from mm_keras.run_folder import BEST, LAST, TRAINING, make_run_folder
from mm_keras.strategy import describe_devices, make_strategy

LOG = logging.getLogger(__name__)
NOT_DECAYED = ("bias", "gamma", "beta", "token", "embeddings")


class TrainingError(RuntimeError):
    """Training gave no usable model."""


def train(spec, runs="runs", callbacks=(), decoding=None, manifest=None):
    """Trains the model of a spec into a run folder of its own and returns the best model.

    Args:
        spec: Spec.
        runs: path. The run is written to `<runs>/<spec.name>/<time>/`.
        callbacks: list of Keras callbacks, run beside those of the spec.
        decoding: callable or None. Called with (rows decoded, rows in all) while files are decoded.
        manifest: Manifest or None. None reads that of the spec.

    Returns: (Run, Datasets). `Run.model` has the weights of the best epoch. Rows and files that were left
        out stand in the run's `quarantine.csv`. Modalities of which the validation rows show that nothing was
        learned are told as warnings of the logger `mm_keras.training`, and in the run's `training.json`.
    Raises: ManifestError and DataError for the data, the latter after `<runs>/<spec.name>/quarantine.csv` was
        written; TrainingError if the loss is no longer a number.
    """
    keras.utils.set_random_seed(spec.training.seed)
    strategy = make_strategy(spec.training.strategy)
    # Refused here before anything is decoded.
    choose_steps_per_execution(spec.training.steps_per_execution, strategy.num_replicas_in_sync)
    began = time.perf_counter()
    with keep_list(list_of_run(runs, spec.name)):
        data = make_datasets(spec, strategy.num_replicas_in_sync, decoding, manifest=manifest)
    decoded = time.perf_counter()
    run = make_run_folder(runs, spec, data.preprocessor)
    bad = [finding for finding in data.manifest.findings if finding.severity == ERROR]
    if bad:
        write_quarantine(run.folder / QUARANTINE, bad)
    with strategy.scope():
        model = balance_model(build_model(spec, data), spec, data)
        model.compile(**compile_arguments(spec, data))
        build_for_fit(model, data.train)
    watch = EpochTimes()
    # Several steps in one call may not divide an epoch, and would then take batches of the next one.
    endless = model.steps_per_execution == 1
    history = model.fit(
        data.endless if endless else data.train,
        steps_per_epoch=data.steps if endless else None,
        validation_data=data.validation,
        epochs=spec.training.epochs,
        callbacks=[*make_callbacks(spec, run.folder, data.validation is not None), watch, *callbacks],
        shuffle=False,  # The dataset shuffles.
        verbose=0,
    )
    _check_finite(history.history, run.folder)
    has_best = (run.folder / BEST).is_file()
    warnings = warn_of_branches(run.model, spec, data) if has_best else []
    for warning in warnings:
        LOG.warning(warning)
    run.save_json(
        TRAINING,
        {
            "devices": describe_devices(strategy),
            "precision": choose_precision(spec.training.precision),
            "parameters": plain_model(model).count_params(),
            "rows": {split: len(rows) for split, rows in data.rows.items()},
            "bad": dict(Counter(finding.code for finding in bad)),
            "cache": data.cached_in,
            "decode_seconds": decoded - began,
            "fit_seconds": sum(watch.seconds),
            "epoch_seconds": watch.seconds,
            "epochs": len(watch.seconds),
            "warnings": warnings,
        },
    )
    return run, data


def make_callbacks(spec, folder, has_validation=True):
    """Returns the callbacks of a spec: best and last checkpoint, early stopping, CSV history, TensorBoard."""
    monitor = monitored(spec, has_validation)
    checkpoint = keras.callbacks.ModelCheckpoint
    callbacks = [
        checkpoint(
            str(folder / BEST),
            monitor=monitor,
            mode="min",
            save_best_only=True,
            initial_value_threshold=math.inf,  # Else a first loss that is NaN counts as the best.
        ),
        checkpoint(str(folder / LAST)),
        keras.callbacks.CSVLogger(str(folder / "history.csv")),
        keras.callbacks.TensorBoard(str(folder / "logs"), write_graph=False),
        keras.callbacks.TerminateOnNaN(),
    ]
    if spec.training.patience:
        callbacks.append(
            keras.callbacks.EarlyStopping(monitor=monitor, mode="min", patience=spec.training.patience)
        )
    return callbacks


def monitored(spec, has_validation):
    """Returns what the logs call the loss by which epochs are compared: never with losses of a balance."""
    if has_validation:
        return "val_loss"
    balance = spec.training.balance
    return "fused.loss" if balance and balance.adds_losses else "loss"


class EpochTimes(keras.callbacks.Callback):
    """Keeps the seconds of each epoch, validation included, in `seconds`."""

    def on_train_begin(self, logs=None):
        self.seconds = []

    def on_epoch_begin(self, epoch, logs=None):
        self.began = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        self.seconds.append(time.perf_counter() - self.began)


def _check_finite(history, folder):
    for epoch, loss in enumerate(history["loss"], start=1):
        if not math.isfinite(loss):
            fix = f"Lower training.learning_rate, or use precision: float32. The run is kept in {folder}."
            raise TrainingError(message("train", "a finite loss", f"loss={loss} in epoch {epoch}", fix))


def compile_arguments(spec, data):
    """Returns what `model.compile` takes: AdamW with warm-up and cosine decay, losses, weights and metrics.

    Args:
        spec: Spec.
        data: Datasets. Its number of training batches sets the length of the schedule.

    Returns: dict of these arguments.
    Source: Loshchilov and Hutter 2019, arXiv:1711.05101 (AdamW); 2017, arXiv:1608.03983 (cosine).
    """
    training = spec.training
    heads = make_heads(spec, data.preprocessor)
    total = data.steps * training.epochs
    warmup = min(round(training.warmup * total), total - 1)
    schedule = keras.optimizers.schedules.CosineDecay(
        0.0 if warmup else training.learning_rate,
        total - warmup,
        warmup_target=training.learning_rate if warmup else None,
        warmup_steps=warmup,
    )
    optimizer = keras.optimizers.AdamW(
        schedule, weight_decay=training.weight_decay, global_clipnorm=training.clip_norm
    )
    optimizer.exclude_from_weight_decay(var_names=list(NOT_DECAYED))
    if choose_precision(training.precision) == "mixed_float16":
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    return {
        "optimizer": optimizer,
        "loss": {key: head.loss() for key, head in heads.items()},
        "loss_weights": loss_weights(spec),
        "weighted_metrics": {key: head.metrics_of_output() for key, head in heads.items()},
        "jit_compile": False,  # XLA is slower with recurrent layers, and compiles for long.
        "steps_per_execution": choose_steps_per_execution(training.steps_per_execution),
    }


def build_for_fit(model, batches):
    """Makes the variables of a compiled model's optimizer, losses and metrics.

    Without a strategy Keras makes them in the first step of `fit`, and TensorFlow traces a step that made
    variables once more: so `fit` begins in half the time.

    Args:
        model: keras.Model. Compiled.
        batches: tf.data.Dataset of (inputs, targets) or (inputs, targets, weights): what `fit` will get, of
            which the shapes and types alone are used.
    """
    if tf.distribute.has_strategy():
        return
    x, y, *weights = map(_zeros, batches.element_spec)
    outputs = _zeros(model.output)
    model.compute_loss(x, y, outputs, *weights)
    model.compute_metrics(x, y, outputs, *weights)
    model.reset_metrics()
    model.optimizer.build(model.trainable_variables)


def _zeros(specs):
    """Returns a row of zeros of these batches' types, 1 for each size that is not known."""
    return tf.nest.map_structure(
        lambda spec: tf.zeros([1, *(size or 1 for size in spec.shape[1:])], spec.dtype), specs
    )


def choose_steps_per_execution(setting, replicas=None):
    """Returns the steps of one call of the graph.

    Args:
        setting: int or "auto": 8 on a GPU, whose steps are short, else 1.
        replicas: int or None. Devices that share a batch; None takes the strategy in scope. Keras 3.15 cannot
            run several steps in one call on more than one.

    Raises: ValueError, if more than 1 is asked for on several devices.
    """
    replicas = replicas or tf.distribute.get_strategy().num_replicas_in_sync
    if replicas > 1:
        if setting not in ("auto", 1):
            received = f"steps_per_execution={setting} on {replicas} devices"
            fix = "Use steps_per_execution: auto, or strategy: none."
            raise ValueError(message("training", "1 step in one call on several devices", received, fix))
        return 1
    if setting != "auto":
        return setting
    return 8 if keras.distribution.list_devices("gpu") else 1
