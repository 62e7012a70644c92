import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers import randomised
from mm_keras.fusion import FilmFusion


@settings(max_examples=20)
@given(seed=st.integers(0, 1000), widths=st.lists(st.integers(1, 4), min_size=2, max_size=4), data=st.data())
def test_any_modality_is_modulated_by_all_the_others(seed, widths, data):
    random = np.random.default_rng(seed)
    x = {f"m{i}": random.normal(size=(3, width)) for i, width in enumerate(widths)}
    target = data.draw(st.sampled_from(sorted(x)))
    layer = FilmFusion(2, conditioned=target)
    layer.build({name: array.shape for name, array in x.items()})
    w = randomised(layer, seed)
    others = np.concatenate([x[name] for name in sorted(x) if name != target], axis=1)
    gamma = 1 + others @ w["modulation"][:, :2] + w["modulation_bias"][:2]
    beta = others @ w["modulation"][:, 2:] + w["modulation_bias"][2:]
    expected = np.maximum(gamma * (x[target] @ w["kernel"] + w["bias"]) + beta, 0)
    np.testing.assert_allclose(layer(x), expected, rtol=1e-4, atol=1e-5)  # A product of sums in float32.


def test_the_first_by_name_is_modulated_unless_another_is_named():
    shapes = {"text": (1, 2), "image": (1, 3)}
    for conditioned, width in ((None, 3), ("image", 3), ("text", 2)):
        layer = FilmFusion(4, conditioned)
        layer.build(shapes)
        assert layer.kernel.shape == (width, 4)
        assert layer.get_config()["conditioned"] == conditioned


def test_without_modulation_the_features_pass():
    layer = FilmFusion(2)
    layer.build({"a": (1, 2), "b": (1, 1)})
    layer.set_weights([np.eye(2), np.array([0.5, 0.0]), np.zeros((1, 4)), np.zeros(4)])
    x = {"a": np.array([[1.0, -2.0]]), "b": np.array([[9.0]])}
    np.testing.assert_allclose(layer(x), [[1.5, 0.0]], rtol=1e-6)


def test_a_name_that_no_modality_has_is_rejected():
    words = r"expects `conditioned` in `image`, `text`. Received: conditioned='imag'. Did you mean `image`\?"
    with pytest.raises(ValueError, match=words):
        FilmFusion(4, "imag").build({"image": (1, 2), "text": (1, 2)})


def test_units_below_one_are_rejected():
    with pytest.raises(ValueError, match="`FilmFusion` expects `units` .*Received: units=0"):
        FilmFusion(0)


def test_one_modality_alone_is_rejected():
    with pytest.raises(ValueError, match="`FilmFusion` expects a dict of at least 2 modalities"):
        FilmFusion(4)({"image": np.ones((2, 8))})


def test_sequence_input_is_rejected():
    with pytest.raises(ValueError, match=r"inputs\['text'\].shape=\(2, 7, 5\)"):
        FilmFusion(4)({"image": np.ones((2, 8)), "text": np.ones((2, 7, 5))})
