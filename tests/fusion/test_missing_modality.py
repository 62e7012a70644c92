import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mm_keras.fusion import MissingModality

NAMES = ("audio", "image", "text")
HIDDEN, SHOWN = -1.0, 1.0


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


def shown(present, rate, seed=0, training=True):
    """Returns which modalities the layer lets through, bool `(B, M)`."""
    present = np.asarray(present, "float32")
    names = NAMES[: present.shape[1]]
    layer = MissingModality(rate, seed)
    x = {name: np.full((len(present), 1), SHOWN, "float32") for name in names}
    layer.build({**{name: array.shape for name, array in x.items()}, "present": present.shape})
    layer.set_weights([np.array([HIDDEN])] * len(names) + layer.get_weights()[len(names) :])
    outputs = layer({**x, "present": present}, training=training)
    together = np.concatenate([np.array(outputs[name]) for name in names], axis=-1)
    assert np.isin(together, (HIDDEN, SHOWN)).all()
    return together == SHOWN


rates = st.floats(0, 0.999) | st.dictionaries(st.sampled_from(NAMES), st.floats(0, 0.999))
rows = st.lists(st.tuples(*[st.integers(0, 1)] * 3), min_size=1, max_size=8)


@settings(max_examples=50)
@given(present=rows, rate=rates, seed=st.integers(0, 2**31 - 1))
def test_what_is_shown_was_there_and_never_is_all_hidden(present, rate, seed):
    there = np.array(present, bool)
    seen = shown(present, rate, seed)
    assert not (seen & ~there).any()
    np.testing.assert_array_equal(seen.any(axis=1), there.any(axis=1))


@settings(max_examples=20)
@given(present=rows, rate=st.floats(0, 0.999))
def test_outside_training_exactly_what_is_there_is_shown(present, rate):
    np.testing.assert_array_equal(shown(present, rate, training=False), np.array(present, bool))


def test_each_modality_is_hidden_at_the_rate():
    rate, count = 0.3, 3
    hidden = 1 - shown(np.ones((4000, count)), rate).mean(axis=0)
    # Where all are drawn, one of the three stays. The deviation of a share of 4000 rows is 0.007.
    np.testing.assert_allclose(hidden, rate - rate**count / count, atol=0.03)


def test_of_those_drawn_to_hide_any_may_stay():
    seen = shown(np.ones((4000, 2)), 0.9)
    np.testing.assert_allclose(seen.mean(axis=0), 1 - (0.9 - 0.9**2 / 2), atol=0.04)


def test_each_modality_has_its_own_rate():
    rates = {"image": 0.6, "text": 0.1}
    hidden = 1 - shown(np.ones((4000, 3)), rates).mean(axis=0)  # The audio is never hidden, so never are all.
    assert hidden[0] == 0
    np.testing.assert_allclose(hidden[1:], [0.6, 0.1], atol=0.03)


def test_of_modalities_drawn_at_unequal_rates_any_may_stay():
    rates = {"audio": 0.9, "image": 0.3}
    hidden = 1 - shown(np.ones((8000, 2)), rates).mean(axis=0)
    # Both are drawn in 0.27 of the rows, and each stays in half of them.
    np.testing.assert_allclose(hidden, [0.9 - 0.135, 0.3 - 0.135], atol=0.02)


def test_a_rate_of_zero_hides_nothing_and_shows_nothing_that_is_absent():
    present = np.array([[1, 1, 0], [0, 1, 0], [0, 0, 1]] * 200)
    seen = shown(present, {"audio": 0.9, "image": 0.9})
    assert not (seen & ~present.astype(bool)).any()
    np.testing.assert_array_equal(seen[1:3], present[1:3].astype(bool))
    assert seen.any(axis=1).all()


def test_a_rate_of_an_unknown_modality_is_rejected():
    words = (
        "`MissingModality` expects `rate` of names among `audio`, `image`, `text`. Received: `txt`. Did you"
    )
    with pytest.raises(ValueError, match=words):
        shown(np.ones((2, 3)), {"txt": 0.1})
    with pytest.raises(
        ValueError, match=r"expects `rate\['text'\]` in \[0, 1\). Received: rate\['text'\]=1.5"
    ):
        MissingModality({"text": 1.5})


def test_examples_and_steps_draw_anew():
    keras.utils.set_random_seed(7)
    layer = MissingModality(0.5, seed=1)
    x = {"a": np.ones((64, 1)), "b": np.ones((64, 1)), "present": np.ones((64, 2))}
    first, second = (np.array(layer(x, training=True)["a"]) for _ in range(2))
    assert 0 < first.mean() < 1
    assert (first != second).any()


def test_equal_seeds_draw_equally():
    present = np.ones((32, 3))
    np.testing.assert_array_equal(shown(present, 0.5, seed=4), shown(present, 0.5, seed=4))
    assert (shown(present, 0.5, seed=4) != shown(present, 0.5, seed=5)).any()


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


@pytest.mark.parametrize("rate", [1.0, -0.1, "0.2", float("nan")])
def test_a_rate_out_of_range_is_rejected(rate):
    with pytest.raises(ValueError, match=r"`MissingModality` expects `rate` in \[0, 1\). Received: rate="):
        MissingModality(rate)


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
