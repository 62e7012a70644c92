import keras
import numpy as np
import pytest

from mm_keras.fusion import MissingModality


def test_an_absent_modality_is_replaced_by_its_token():
    layer = MissingModality()
    layer.build({"b": (2, 1), "a": (2, 2, 2), "present": (2, 2)})
    layer.set_weights([np.array([7.0, 8.0]), np.array([9.0])])
    a, b = np.arange(8.0).reshape(2, 2, 2), np.array([[10.0], [20.0]])
    outputs = layer({"b": b, "a": a, "present": np.array([[1.0, 0.0], [0.0, 1.0]])})
    assert sorted(outputs) == ["a", "b"]
    np.testing.assert_array_equal(outputs["a"], [a[0], [[7, 8], [7, 8]]])
    np.testing.assert_array_equal(outputs["b"], [[9], [20]])


def test_tokens_are_learned():
    layer = MissingModality()
    layer.build({"a": (2, 2), "present": (2, 1)})
    assert [weight.path.split("/")[-1] for weight in layer.trainable_weights] == ["a_token"]


def sequence_inputs(random, steps=4):
    """Returns the inputs, where the sequence `a` has a step of padding and is absent in the second row."""
    a = random.normal(size=(3, steps, 2)).astype("float32")
    a[:, -1] = 0
    return {"a": a, "b": np.ones((3, 2), "float32"), "present": np.array([[1, 1], [0, 1], [1, 0]], "float32")}


def attending_model():
    """A sequence with Keras's mask, its token, and a layer that counts and adds what its mask shows."""
    shapes = {"a": (None, 2), "b": (2,), "present": (2,)}
    x = {name: keras.Input(shape, name=name) for name, shape in shapes.items()}
    seen = MissingModality(name="missing")({**x, "a": keras.layers.Masking()(x["a"])})
    pooled = keras.layers.GlobalAveragePooling1D()(seen["a"])
    model = keras.Model(x, pooled)
    model.get_layer("missing").set_weights([np.array([5.0, -3.0]), np.zeros(2)])
    return model


def test_an_absent_sequence_is_its_token_once_whatever_its_length():
    model = attending_model()
    inputs = sequence_inputs(np.random.default_rng(7))
    wanted = np.stack([inputs["a"][0, :3].mean(axis=0), [5, -3], inputs["a"][2, :3].mean(axis=0)])
    np.testing.assert_allclose(model(inputs), wanted, rtol=1e-5)
    longer = {**inputs, "a": np.pad(inputs["a"], ((0, 0), (0, 3), (0, 0)))}
    np.testing.assert_allclose(model(longer), wanted, rtol=1e-5)


def test_the_masks_stay_when_the_model_is_written_and_read(tmp_path):
    model, inputs = attending_model(), sequence_inputs(np.random.default_rng(7))
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(again(inputs), model(inputs), rtol=1e-6)


def small_model():
    """Two dense encoders whose embeddings, or tokens, are added."""
    keras.utils.set_random_seed(7)
    inputs = {name: keras.Input((2,), name=name) for name in ("a", "b")}
    encoded = {name: keras.layers.Dense(3, name=f"{name}_dense")(x) for name, x in inputs.items()}
    inputs["present"] = keras.Input((2,), name="present")
    seen = MissingModality(name="missing")({**encoded, "present": inputs["present"]})
    outputs = keras.layers.Dense(1, name="answer")(keras.layers.Add()([seen["a"], seen["b"]]))
    model = keras.Model(inputs, outputs)
    model.compile(keras.optimizers.SGD(0.1), "mse")
    return model


def weights_of(model, layer):
    return [np.array(weight) for weight in model.get_layer(layer).get_weights()]


@pytest.mark.parametrize("content", [0.0, 1e3])
def test_an_absent_modality_gives_its_encoder_no_gradient(content):
    model = small_model()
    x = {"a": np.ones((4, 2)), "b": np.full((4, 2), content), "present": np.array([[1, 0]] * 4)}
    before = {name: weights_of(model, name) for name in ("a_dense", "b_dense", "missing")}
    model.train_on_batch(x, np.ones((4, 1)))
    after = {name: weights_of(model, name) for name in before}
    for old, new in zip(before["b_dense"], after["b_dense"], strict=True):
        np.testing.assert_array_equal(new, old)
    assert (before["a_dense"][0] != after["a_dense"][0]).all()
    np.testing.assert_array_equal(after["missing"][0], before["missing"][0])
    assert (after["missing"][1] != before["missing"][1]).all()


def test_what_an_absent_row_holds_does_not_change_training():
    random = np.random.default_rng(7)
    present = np.array([[1, 0], [0, 1], [1, 1], [1, 0]], "float32")
    x = {name: random.normal(size=(4, 2)) * present[:, i : i + 1] for i, name in enumerate("ab")}
    noise = {
        name: x[name] + 100 * random.normal(size=(4, 2)) * (1 - present[:, i : i + 1])
        for i, name in enumerate("ab")
    }
    trained = []
    for inputs in (x, noise):
        model = small_model()
        for _ in range(3):
            model.train_on_batch({**inputs, "present": present}, np.ones((4, 1)))
        trained.append([np.array(weight) for weight in model.get_weights()])
    for clean, noisy in zip(*trained, strict=True):
        np.testing.assert_allclose(noisy, clean, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize(
    ("present", "received"), [(None, "None"), ((2, 3), r"\(2, 3\)"), ((2,), r"\(2,\)"), ((2, 1), r"\(2, 1\)")]
)
def test_present_of_another_width_is_rejected(present, received):
    x = {"a": np.ones((2, 1)), "b": np.ones((2, 1))}
    if present:
        x["present"] = np.ones(present)
    words = rf'"present" of shape \(B, 2\), one column a modality. Received: present.shape={received}. Pass'
    with pytest.raises(ValueError, match=words):
        MissingModality()(x)


def test_present_alone_is_rejected():
    with pytest.raises(ValueError, match="`MissingModality` expects a dict of at least 2 modalities"):
        MissingModality()({"present": np.ones((2, 1))})


def test_a_layer_that_drew_what_to_hide_is_read_and_named():
    config = {**MissingModality(name="missing").get_config(), "rate": 0.2, "seed": 7}
    with pytest.warns(UserWarning, match="`MissingModality` expects no `rate`. Received: rate=0.2, which an"):
        assert MissingModality.from_config(config).name == "missing"
