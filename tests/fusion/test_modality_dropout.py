import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mm_keras.fusion import ModalityDropout

NAMES = ("audio", "image", "text")


def shown(present, rate, seed=0, training=True):
    """Returns which modalities the layer takes as present, bool `(B, M)`."""
    present = np.asarray(present, "float32")
    x = {name: np.ones((len(present), 1), "float32") for name in NAMES[: present.shape[1]]}
    outputs = ModalityDropout(rate, seed)({**x, "present": present}, training=training)
    assert sorted(outputs) == sorted([*x, "present"])
    for name in x:
        np.testing.assert_array_equal(outputs[name], x[name])
    seen = np.array(outputs["present"])
    assert np.isin(seen, (0, 1)).all()
    return seen > 0


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
        "`ModalityDropout` expects `rate` of names among `audio`, `image`, `text`. Received: `txt`. Did you"
    )
    with pytest.raises(ValueError, match=words):
        shown(np.ones((2, 3)), {"txt": 0.1})
    with pytest.raises(
        ValueError, match=r"expects `rate\['text'\]` in \[0, 1\). Received: rate\['text'\]=1.5"
    ):
        ModalityDropout({"text": 1.5})


def test_examples_and_steps_draw_anew():
    keras.utils.set_random_seed(7)
    layer = ModalityDropout(0.5, seed=1)
    x = {"a": np.ones((64, 1)), "b": np.ones((64, 1)), "present": np.ones((64, 2))}
    first, second = (np.array(layer(x, training=True)["present"]) for _ in range(2))
    assert 0 < first.mean() < 1
    assert (first != second).any()


def test_equal_seeds_draw_equally():
    present = np.ones((32, 3))
    np.testing.assert_array_equal(shown(present, 0.5, seed=4), shown(present, 0.5, seed=4))
    assert (shown(present, 0.5, seed=4) != shown(present, 0.5, seed=5)).any()


def test_the_mask_of_a_sequence_passes():
    shapes = {"a": (3, 2), "b": (2,), "present": (2,)}
    x = {name: keras.Input(shape, name=name) for name, shape in shapes.items()}
    masked = {**x, "a": keras.layers.Masking()(x["a"])}
    model = keras.Model(x, keras.layers.GRU(2)(ModalityDropout(0.5)(masked)["a"]))
    random = np.random.default_rng(7)
    inputs = {"a": random.normal(size=(2, 3, 2)), "b": np.ones((2, 2)), "present": np.ones((2, 2))}
    inputs["a"][:, 2] = 0
    shorter = {**inputs, "a": inputs["a"][:, :2]}
    np.testing.assert_allclose(model(inputs), model.layers[-1](shorter["a"]), rtol=1e-5)


@pytest.mark.parametrize("rate", [1.0, -0.1, "0.2", float("nan")])
def test_a_rate_out_of_range_is_rejected(rate):
    with pytest.raises(ValueError, match=r"`ModalityDropout` expects `rate` in \[0, 1\). Received: rate="):
        ModalityDropout(rate)
