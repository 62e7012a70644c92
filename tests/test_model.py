"""`build_model`: names and shapes, every kind of part, training, and the written model."""

import types

import keras
import numpy as np
import pytest
import tensorflow as tf

from mm_keras.encoders import ENCODERS
from mm_keras.fusion import FUSIONS
from mm_keras.log_mel import LogMel
from mm_keras.model import build_model, choose_precision, embedding_model
from mm_keras.model_heads import log_mel_arguments, loss_weights, make_heads
from mm_keras.spec_file import make_spec
from mm_keras.training import build_for_fit

pytestmark = [pytest.mark.core, pytest.mark.tensorflow]

WORDS = ["[PAD]", "[UNK]", "[START]", "[END]", "[MASK]", "red", "blue"]
MODALITIES = {
    "vec": {"kind": "features", "shape": [3, 2], "encoder": {"kind": "gru", "units": 4, "dropout": 0.0}},
    "text": {"kind": "text", "length": 5, "encoder": {"embedding": 4, "units": 4, "dropout": 0.0}},
    "numbers": {"kind": "numbers", "columns": ["a", "b"], "encoder": {"units": 4, "dropout": 0.0}},
    "image": {
        "kind": "image",
        "size": [6, 5],
        "channels": 3,
        "encoder": {"filters": [4, 2], "units": 4, "dropout": 0.0},
    },
    "audio": {
        "kind": "audio",
        "rate": 1000,
        "seconds": 0.1,
        "encoder": {
            "mel_bins": 6,
            "window": 0.032,
            "hop": 0.016,
            "filters": [3],
            "units": 4,
            "dropout": 0.0,
        },
    },
}
OUTPUTS = {
    "label": {"kind": "classification"},
    "tags": {"kind": "classification", "multi_label": True, "weight": 0.5},
    "copy": {"kind": "autoencoder", "weight": 0.2, "units": 6},
}
MEAN, DEVIATION = [1.0, -2.0], [2.0, 0.5]
STATISTICS = {"mean": MEAN, "variance": [4.0, 0.25]}


def spec_of(modalities=MODALITIES, outputs=OUTPUTS, fusion=None, **training):
    if not isinstance(modalities, dict):
        modalities = {name: MODALITIES[name] for name in modalities}
    if not isinstance(outputs, dict):
        outputs = {name: OUTPUTS[name] for name in outputs}
    still = {"kind": "gated", "units": 8, "modality_dropout": 0.0, "dropout": 0.0}
    return make_spec(
        {
            "name": "tiny-1.0",
            "data": {"manifest": "manifest.csv"},
            "modalities": modalities,
            "outputs": outputs,
            "fusion": {**still, **(fusion or {})},
            "training": {"precision": "float32", **training},
        }
    )


def fitted_for(spec):
    """Returns what `build_model` reads of a Preprocessor."""
    return types.SimpleNamespace(
        vocabularies={name: WORDS for name in spec.of_kind("text")},
        labels={name: ["x", "y", "z"] for name in spec.of_kind("classification")},
        statistics={name: STATISTICS for name in {**spec.of_kind("numbers"), **spec.of_kind("features")}},
    )


def build(spec, **arguments):
    return build_model(spec, fitted_for(spec), **arguments)


def inputs_for(spec, batch=3, seed=7):
    random = np.random.default_rng(seed)
    draw = {
        "image": lambda shape: random.integers(0, 256, shape).astype("float32"),
        "text": lambda shape: random.integers(1, len(WORDS), shape).astype("int32"),
        "audio": lambda shape: random.uniform(-1, 1, shape).astype("float32"),
        "features": lambda shape: random.normal(MEAN, DEVIATION, shape).astype("float32"),
        "numbers": lambda shape: random.normal(MEAN, DEVIATION, shape).astype("float32"),
    }
    inputs = {name: draw[m.kind]((batch, *m.example_shape)) for name, m in spec.modalities.items()}
    return {**inputs, "present": np.ones((batch, len(spec.modalities)), "float32")}


def targets_for(spec, inputs):
    classes = np.eye(3, dtype="float32")[np.arange(len(inputs["present"])) % 3]
    targets = {name: classes for name in spec.of_kind("classification")}
    for name, output in spec.of_kind("autoencoder").items():
        keys = zip(spec.keys_of(name), output.modalities, strict=True)
        targets.update({key: inputs[modality] for key, modality in keys})
    return targets


def predict(model, inputs):
    return {name: np.array(value) for name, value in model(inputs, training=False).items()}


def assert_same(first, second, **tolerance):
    assert first.keys() == second.keys()
    for name in first:
        np.testing.assert_allclose(first[name], second[name], **{"rtol": 1e-5, "atol": 1e-5, **tolerance})


@pytest.fixture(scope="module")
def whole():
    """(spec, model) of all five modalities and all three outputs."""
    keras.utils.set_random_seed(7)
    spec = spec_of()
    model = build(spec)
    tokens = model.get_layer("missing.modality")
    weights = tokens.get_weights()
    tokens.set_weights([weight + 0.1 * (i + 1) for i, weight in enumerate(weights)])
    return spec, model


SHAPES = {
    "label": (3,),
    "tags": (3,),
    "copy_audio": (7, 6),
    "copy_image": (6, 5, 3),
    "copy_numbers": (2,),
    "copy_text": (5, 7),
    "copy_vec": (3, 2),
}


def test_inputs_and_outputs_have_the_names_and_shapes_of_the_contract(whole):
    spec, model = whole
    shapes = {"audio": (100,), "image": (6, 5, 3), "numbers": (2,), "text": (5,), "vec": (3, 2)}
    assert {name: x.shape for name, x in model.input.items()} == {
        **{name: (None, *shape) for name, shape in shapes.items()},
        "present": (None, 5),
    }
    assert {name: x.dtype for name, x in model.input.items() if x.dtype != "float32"} == {"text": "int32"}
    assert list(model.output) == spec.output_names
    assert {name: x.shape[1:] for name, x in model.output.items()} == SHAPES
    outputs = model(inputs_for(spec))
    assert {name: tuple(x.shape[1:]) for name, x in outputs.items()} == SHAPES


def test_classifications_give_probabilities(whole):
    spec, model = whole
    outputs = predict(model, inputs_for(spec))
    np.testing.assert_allclose(outputs["label"].sum(axis=-1), 1, rtol=1e-5)
    assert ((outputs["tags"] > 0) & (outputs["tags"] < 1)).all()
    assert np.abs(outputs["tags"].sum(axis=-1) - 1).max() > 1e-3


@pytest.mark.slow
def test_what_an_absent_modality_holds_does_not_matter(whole):
    spec, model = whole
    full, other = inputs_for(spec), inputs_for(spec, seed=8)
    for i, name in enumerate(spec.modality_names):
        present = np.ones((3, 5), "float32")
        present[1:, i] = 0
        mixed = {**full, "present": present}
        mixed[name] = np.concatenate([full[name][:1], other[name][1:]])
        outputs = predict(model, mixed)
        assert_same(outputs, predict(model, {**full, "present": present}))
        whole_row = predict(model, full)
        assert any(np.abs(outputs[key][1] - whole_row[key][1]).max() > 1e-5 for key in outputs)
        assert_same({k: v[0] for k, v in outputs.items()}, {k: v[0] for k, v in whole_row.items()})


def test_a_row_gives_the_same_alone_and_beside_others(whole):
    spec, model = whole
    inputs = inputs_for(spec)
    together = predict(model, inputs)
    alone = predict(model, {name: x[1:2] for name, x in inputs.items()})
    assert_same(alone, {name: x[1:2] for name, x in together.items()}, atol=1e-4)  # Pixels up to 255.


def test_the_order_of_the_spec_changes_nothing(whole):
    spec, model = whole
    turned = spec_of({name: MODALITIES[name] for name in reversed(MODALITIES)})
    other = build(turned)
    other.set_weights(model.get_weights())
    inputs = inputs_for(spec)
    inputs["present"][1, 2] = 0
    shuffled = {name: inputs[name] for name in reversed(list(inputs))}
    assert_same(predict(model, inputs), predict(other, shuffled))


def test_a_missing_number_gives_finite_outputs(whole):
    spec, model = whole
    inputs = inputs_for(spec)
    inputs["numbers"][0, 1] = np.nan
    assert all(np.isfinite(value).all() for value in predict(model, inputs).values())


def test_the_written_model_reloads_equal(whole, tmp_path):
    spec, model = whole
    model.save(tmp_path / "model.keras")
    reloaded = keras.saving.load_model(tmp_path / "model.keras")
    assert_same(predict(reloaded, inputs_for(spec)), predict(model, inputs_for(spec)), rtol=0, atol=0)
    assert list(reloaded.output) == spec.output_names


def test_the_embedding_is_what_the_heads_read(whole):
    spec, model = whole
    inputs = inputs_for(spec)
    outputs = embedding_model(model)(inputs, training=False)
    assert list(outputs) == ["embedding"]
    assert outputs["embedding"].shape == (3, 8)
    expected = predict(model, inputs)
    for key in spec.output_names:
        read = model.get_layer(key)(outputs["embedding"])
        np.testing.assert_allclose(read, expected[key], rtol=1e-5, atol=1e-5)


def compiled(spec, model, learning_rate=0.05):
    heads = make_heads(spec, fitted_for(spec))
    model.compile(
        keras.optimizers.SGD(learning_rate),
        {key: head.loss() for key, head in heads.items()},
        loss_weights=loss_weights(spec),
        weighted_metrics={key: head.metrics_of_output() for key, head in heads.items()},
    )
    inputs = inputs_for(spec)
    build_for_fit(model, tf.data.Dataset.from_tensors((inputs, targets_for(spec, inputs))))
    return model


@pytest.mark.slow
def test_a_training_step_lowers_the_loss_of_every_output():
    spec = spec_of()
    inputs = inputs_for(spec)
    inputs["numbers"][0, 1] = np.nan
    targets = targets_for(spec, inputs)
    model = compiled(spec, build(spec))
    before = model.test_on_batch(inputs, targets, return_dict=True)
    for _ in range(3):
        model.train_on_batch(inputs, targets)
        after = model.test_on_batch(inputs, targets, return_dict=True)
        assert after["loss"] < before["loss"]
        before = after
    named = [f"{key}_loss" for key in spec.output_names]
    assert {"label_accuracy", "tags_macro_f1", "copy_image_pixel_error", *named} <= set(before)
    weights = loss_weights(spec)
    total = sum(weights[key] * before[f"{key}_loss"] for key in spec.output_names)
    assert before["loss"] == pytest.approx(total, rel=1e-5)


@pytest.mark.slow
def test_every_weight_is_trained_in_one_step():
    spec = spec_of(fusion={"modality_dropout": 0.3, "dropout": 0.1})
    inputs = inputs_for(spec, batch=12)
    inputs["present"][np.arange(12), np.arange(12) % 5] = 0
    inputs["numbers"][0, 1] = np.nan
    model = compiled(spec, build(spec), 1.0)
    before = [np.array(weight) for weight in model.trainable_weights]
    model.train_on_batch(inputs, targets_for(spec, inputs))
    still = [
        weight.path
        for weight, old in zip(model.trainable_weights, before, strict=True)
        if (np.array(weight) == old).all()
    ]
    assert still == []
    assert all(np.isfinite(np.array(weight)).all() for weight in model.trainable_weights)


@pytest.mark.parametrize("precision", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision_gives_float32(precision):
    spec = spec_of(precision=precision)
    model = build(spec)
    assert model.get_layer("image.encoder").compute_dtype == precision.removeprefix("mixed_")
    assert all(weight.dtype == "float32" for weight in model.trainable_weights)
    outputs = {**model(inputs_for(spec)), **embedding_model(model)(inputs_for(spec))}
    assert {x.dtype.name for x in outputs.values()} == {"float32"}
    plain = build(spec, precision="float32")
    plain.set_weights(model.get_weights())
    expected = predict(plain, inputs_for(spec))
    for key in ("label", "tags"):  # bfloat16 has 8 bits of precision.
        np.testing.assert_allclose(outputs[key], expected[key], atol=0.05)


def test_the_argument_goes_before_the_precision_of_the_spec():
    spec = spec_of(["numbers"], ["label"], precision="mixed_bfloat16")
    assert build(spec, precision="float32").get_layer("numbers.encoder").compute_dtype == "float32"


def test_auto_precision_is_half_on_a_gpu_alone(monkeypatch):
    for devices, expected in (([], "float32"), (["gpu:0"], "mixed_bfloat16")):
        monkeypatch.setattr(keras.distribution, "list_devices", lambda kind, found=devices: found)
        assert choose_precision("auto") == expected
        assert choose_precision("mixed_float16") == "mixed_float16"


@pytest.mark.parametrize(
    "fusion",
    [
        {"kind": "concatenate"},
        {"kind": "weighted_sum"},
        {"kind": "weighted_sum", "weights": "vector", "activation": "tanh"},
        {"kind": "matrix_product", "rank": 3},
        {"kind": "gated"},
        {"kind": "gated_unit"},
        {"kind": "tensor", "width": 3},
        {"kind": "low_rank", "rank": 2},
        {"kind": "film", "conditioned": "text"},
        {"kind": "compact_bilinear", "sketch": 64, "l2": False, "seed": 3},
        {"kind": "factorized_bilinear", "factor": 2, "product_dropout": 0.3},
        {"kind": "mutan", "width": 5, "rank": 2},
        {"kind": "central", "hidden": [5, 4]},
        {"kind": "cross_attention", "num_heads": 2, "layers": 2},
        {"kind": "bottleneck", "num_heads": 3, "fusion_layer": 0, "bottlenecks": 2},
    ],
)
def test_each_fusion_joins_the_modalities(fusion):
    spec = spec_of(["numbers", "text"], ["label"], {**fusion, "units": 6})
    model = build(spec)
    layer = next(layer for layer in model.layers if type(layer) is FUSIONS[fusion["kind"]])
    assert layer.names == ["numbers", "text"]
    settings = {key: value for key, value in fusion.items() if key != "kind"}
    assert {key: layer.get_config()[key] for key in settings} == settings
    inputs = inputs_for(spec)
    assert embedding_model(model)(inputs)["embedding"].shape == (3, 6)
    for name in ("numbers", "text"):
        changed = {**inputs, name: inputs_for(spec, seed=9)[name]}
        assert np.abs(predict(model, inputs)["label"] - predict(model, changed)["label"]).max() > 1e-6


def test_every_fusion_of_the_spec_is_a_layer():
    kinds = spec_of().model_json_schema()["properties"]["fusion"]["discriminator"]["mapping"]
    assert sorted(kinds) == sorted([*FUSIONS, "registered"])


@pytest.mark.parametrize(
    ("name", "encoder", "width"),
    [
        ("text", {"kind": "gru"}, 4),
        ("text", {"kind": "lstm", "bidirectional": True}, 8),
        ("vec", {"kind": "dense", "layers": 1}, 4),
        ("vec", {"kind": "gru", "bidirectional": True}, 8),
        ("vec", {"kind": "lstm"}, 4),
        ("audio", {"cell": "lstm"}, 8),
        ("audio", {"cell": "gru", "bidirectional": True}, 16),
        ("numbers", {"layers": 3}, 4),
    ],
)
def test_each_encoder_reads_its_modality(name, encoder, width):
    part = MODALITIES[name]
    old = dict(part["encoder"])
    spec = spec_of({name: {**part, "encoder": {**old, **encoder, "units": 4}}}, ["label"])
    model = build(spec)
    layer = model.get_layer(f"{name}.encoder")
    kind = spec.modalities[name].encoder.kind
    assert type(layer) is ENCODERS[spec.modalities[name].kind, kind]
    assert layer.output.shape == (None, width)
    settings = {key: value for key, value in encoder.items() if key != "kind"}
    assert {key: layer.get_config()[key] for key in settings} == settings
    if kind in ("gru", "lstm"):
        assert layer.cell == kind
    assert np.isfinite(predict(model, inputs_for(spec))["label"]).all()


def test_two_modalities_of_a_kind_keep_the_users_names():
    front = {**MODALITIES["image"], "column": "photo_front"}
    small = {**MODALITIES["image"], "size": [4, 4], "channels": 1}
    spec = spec_of({"front": front, "Back_2": small, "caption": MODALITIES["text"]}, ["label", "copy"])
    model = build(spec)
    assert spec.modality_names == ["Back_2", "caption", "front"]  # Also the order of `present`.
    assert model.input["Back_2"].shape == (None, 4, 4, 1)
    assert list(model.output) == ["label", "copy_Back_2", "copy_caption", "copy_front"]
    inputs = inputs_for(spec)
    inputs["present"][:, 0] = 0
    changed = {**inputs, "Back_2": 255 - inputs["Back_2"]}
    assert_same(predict(model, inputs), predict(model, changed))
    changed = {**inputs, "front": 255 - inputs["front"]}
    assert np.abs(predict(model, inputs)["label"] - predict(model, changed)["label"]).max() > 1e-6


@pytest.mark.parametrize(
    ("modalities", "output"),
    [
        (["fusion", "missing"], "label"),
        (["vec", "vec_encoder", "vec_standardized"], "embedding_1"),
        (["vec"], "fusion"),
        (["vec", "fusion_dropout"], "vec_encoder"),
        (["label", "dropout"], "missing_modality"),
    ],
)
def test_no_name_of_the_user_clashes_with_a_layer(modalities, output):
    part = {"kind": "features", "shape": [2], "encoder": {"kind": "dense", "units": 3}}
    spec = spec_of({name: part for name in modalities}, {output: {"kind": "classification", "column": "y"}})
    model = build(spec)
    assert list(model.output) == [output]
    assert predict(model, inputs_for(spec))[output].shape == (3, 3)
    assert embedding_model(model)(inputs_for(spec))["embedding"].shape == (3, 8)


@pytest.mark.parametrize("name", MODALITIES)
def test_one_modality_alone_is_a_model(name):
    spec = spec_of([name], ["label", "copy"], {"kind": "concatenate"})
    inputs = inputs_for(spec)
    outputs = predict(build(spec), inputs)
    assert list(outputs) == ["label", f"copy_{name}"]
    assert outputs[f"copy_{name}"].shape[1:] == SHAPES[f"copy_{name}"]


def test_a_product_of_one_modality_is_refused():
    spec_or_error = r"expects .*at least 2 modalities|expects .*two modalities"
    with pytest.raises(ValueError, match=spec_or_error):
        build(spec_of(["numbers"], ["label"], {"kind": "matrix_product"}))


def test_an_autoencoder_alone_reconstructs_what_it_names():
    outputs = {"copy": {"kind": "autoencoder", "modalities": ["vec", "image"], "weight": 0.5}}
    spec = spec_of(["vec", "image", "numbers"], outputs)
    model = build(spec)
    assert list(model.output) == ["copy_image", "copy_vec"]
    images = predict(model, inputs_for(spec))["copy_image"]
    assert ((images >= 0) & (images <= 255)).all()
    assert loss_weights(spec) == {"copy_image": 0.25, "copy_vec": 0.25}


def test_several_classifications_have_their_own_classes():
    outputs = {
        "colour": {"kind": "classification", "label_smoothing": 0.1},
        "tags": {"kind": "classification", "multi_label": True},
    }
    spec = spec_of(["numbers"], outputs)
    fitted = fitted_for(spec)
    fitted.labels = {"colour": ["red", "green"], "tags": ["a", "b", "c", "d"]}
    model = build_model(spec, types.SimpleNamespace(preprocessor=fitted))  # Datasets hold one.
    assert {name: x.shape for name, x in model.output.items()} == {"colour": (None, 2), "tags": (None, 4)}
    heads = make_heads(spec, fitted)
    assert (heads["colour"].multi_label, heads["colour"].label_smoothing) == (False, 0.1)
    assert (heads["tags"].multi_label, heads["tags"].label_smoothing) == (True, 0.0)


def test_loss_weights_share_the_weight_of_an_autoencoder():
    weights = loss_weights(spec_of())
    copies = {key: value for key, value in weights.items() if key.startswith("copy_")}
    assert {key: weights[key] for key in ("label", "tags")} == {"label": 1.0, "tags": 0.5}
    assert copies == pytest.approx(dict.fromkeys([key for key in SHAPES if key.startswith("copy")], 0.04))


def test_a_decoder_of_sound_has_the_frames_of_its_encoder():
    spec = spec_of(["audio"], ["copy"])
    arguments = log_mel_arguments(spec.modalities["audio"])
    assert arguments == {"rate": 1000, "mel_bins": 6, "window": 0.032, "hop": 0.016}
    frames = LogMel(**arguments)(inputs_for(spec)["audio"]).shape
    assert build(spec).output["copy_audio"].shape[1:] == tuple(frames[1:])


def test_numbers_and_features_are_standardised_before_their_encoder():
    spec = spec_of(["numbers", "vec"], ["label"])
    model = build(spec)
    layers = {name: model.get_layer(f"{name}.standardized") for name in ("numbers", "vec")}
    inputs = inputs_for(spec)
    expected = (inputs["numbers"] - MEAN) / DEVIATION
    np.testing.assert_allclose(np.array(layers["numbers"](inputs["numbers"]))[:, :2], expected, rtol=1e-5)
    expected = (inputs["vec"] - MEAN) / DEVIATION
    np.testing.assert_allclose(layers["vec"](inputs["vec"]), expected, rtol=1e-5)


def test_the_padding_of_a_feature_sequence_changes_nothing():
    outputs, vec = {}, MODALITIES["vec"]
    steps = inputs_for(spec_of(["vec"], ["label"]))["vec"]
    for length in (3, 6):
        spec = spec_of({"vec": {**vec, "shape": [length, 2]}}, ["label"])
        model = build(spec)
        if length == 3:
            weights = model.get_weights()
        model.set_weights(weights)
        padded = np.pad(steps, ((0, 0), (0, length - 3), (0, 0)))
        outputs[length] = predict(model, {"vec": padded, "present": np.ones((3, 1), "float32")})
    assert_same(outputs[3], outputs[6])


def test_modality_dropout_works_in_training_alone():
    spec = spec_of(["numbers", "vec"], ["label"], {"modality_dropout": 0.5})
    model, inputs = build(spec), inputs_for(spec, batch=16)
    quiet = predict(model, inputs)["label"]
    np.testing.assert_array_equal(quiet, predict(model, inputs)["label"])
    assert np.abs(np.array(model(inputs, training=True)["label"]) - quiet).max() > 1e-4


def test_modality_dropout_takes_a_rate_for_each_modality():
    spec = spec_of(["numbers", "vec"], ["label"], {"modality_dropout": {"vec": 0.5}})
    hide = build(spec).get_layer("modality.dropout")
    assert hide.rate == {"vec": 0.5}
    x = {"numbers": np.ones((64, 4)), "vec": np.ones((64, 4)), "present": np.ones((64, 2), "float32")}
    seen = np.array(hide(x, training=True)["present"])
    assert seen[:, 0].all() and 0 < seen[:, 1].mean() < 1


@pytest.mark.slow
def test_training_on_rows_that_miss_modalities_is_the_masked_computation():
    """Against the same layers, where each encoder sees those rows alone that have its modality."""
    keras.utils.set_random_seed(7)
    spec = spec_of()
    model, inputs = build(spec), inputs_for(spec, batch=6)
    names = spec.modality_names
    present = np.ones((6, 5), "float32")
    present[np.arange(5), np.arange(5)] = 0
    present[4, :3] = 0
    inputs["present"] = present
    targets = targets_for(spec, inputs)
    rebuilt = {key: name for key in spec.output_names for name in names if key == f"copy_{name}"}
    weights = {
        key: present[:, names.index(rebuilt[key])] if key in rebuilt else np.ones(6) for key in targets
    }
    losses = {key: head.loss() for key, head in make_heads(spec, fitted_for(spec)).items()}
    shares = loss_weights(spec)

    def gradients(outputs_of):
        with tf.GradientTape() as tape:
            outputs = outputs_of()
            loss = sum(
                shares[key] * losses[key](targets[key], x, sample_weight=weights[key])
                for key, x in outputs.items()
            )
        found = tape.gradient(loss, model.trainable_variables)
        paths = [weight.path for weight in model.trainable_variables]
        return {path: tf.convert_to_tensor(x).numpy() for path, x in zip(paths, found, strict=True)}

    encoders = {
        name: keras.Model(model.input[name], model.get_layer(f"{name}.encoder").output) for name in names
    }
    tokens = model.get_layer("missing.modality").tokens

    def masked():
        embeddings = {}
        for i, name in enumerate(names):
            here = np.flatnonzero(present[:, i])
            x = encoders[name](inputs[name][here], training=True)
            absent = tf.constant(1 - present[:, i : i + 1]) * tokens[name].value
            embeddings[name] = tf.scatter_nd(here[:, None], x, (6, x.shape[1])) + absent
        fused = model.get_layer("fused.embedding")(embeddings)
        return {key: model.get_layer(key)(fused) for key in spec.output_names}

    expected = gradients(masked)
    assert all(np.abs(gradient).max() > 0 for gradient in expected.values())
    noise = inputs_for(spec, batch=6, seed=8)
    for i, name in enumerate(names):
        noise[name] = np.where(
            present[:, i].reshape(-1, *[1] * (inputs[name].ndim - 1)) > 0, inputs[name], noise[name]
        )
    for given in (inputs, {**noise, "present": present}):
        found = gradients(lambda given=given: model(given, training=True))
        for path, want in expected.items():
            np.testing.assert_allclose(found[path], want, rtol=1e-4, atol=1e-5, err_msg=path)


def test_masks_of_the_spectrogram_work_in_training_alone():
    augment = {"time_mask": 4, "frequency_mask": 3, "gain_db": 6}
    masked = spec_of({"audio": {**MODALITIES["audio"], "augment": augment}}, ["label"], seed=11)
    plain = spec_of({"audio": {**MODALITIES["audio"], "augment": {"gain_db": 6}}}, ["label"])
    model, without = build(masked), build(plain)
    layer = model.get_layer("audio.mask")
    assert (layer.time_mask, layer.frequency_mask, layer.masks, layer.seed) == (4, 3, 1, 11)
    assert "audio.mask" not in [layer.name for layer in without.layers]
    without.set_weights(model.get_weights())
    inputs = inputs_for(masked)
    assert_same(predict(model, inputs), predict(without, inputs))
    spectrogram = keras.Model(model.input, layer.output)
    trained = keras.ops.convert_to_numpy(spectrogram(inputs, training=True))
    assert (trained != keras.ops.convert_to_numpy(spectrogram(inputs, training=False))).any()


def test_the_seed_of_the_spec_makes_the_draws_of_training():
    trained = []
    for seed in (1, 1, 2):
        spec = spec_of(["numbers", "vec"], ["label"], {"modality_dropout": 0.5}, seed=seed)
        keras.utils.set_random_seed(7)
        model = build(spec)
        trained.append(np.array(model(inputs_for(spec, batch=16), training=True)["label"]))
    np.testing.assert_array_equal(trained[0], trained[1])
    assert np.abs(trained[0] - trained[2]).max() > 1e-4
