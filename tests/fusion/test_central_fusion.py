import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers import randomised
from mm_keras.fusion import CentralFusion


def relu(x):
    return np.maximum(x, 0)


@settings(max_examples=20)
@given(
    seed=st.integers(0, 1000),
    hidden=st.lists(st.integers(1, 4), min_size=1, max_size=4),
    widths=st.lists(st.integers(1, 4), min_size=1, max_size=3),
)
def test_any_depth_and_widths_follow_the_formula(seed, hidden, widths):
    random = np.random.default_rng(seed)
    x = {f"m{i}": random.normal(size=(3, width)) for i, width in enumerate(widths)}
    layer = CentralFusion(2, hidden)
    layer.build({name: array.shape for name, array in x.items()})
    w = randomised(layer, seed)
    h, central = dict(x), None
    for i in range(len(hidden)):
        h = {name: relu(h[name] @ w[f"{name}_{i}_kernel"] + w[f"{name}_{i}_bias"]) for name in sorted(h)}
        mixed = sum(scale * h[name] for scale, name in zip(w[f"scales_{i}"], sorted(h), strict=False))
        if i > 0:
            mixed = mixed + w[f"scales_{i}"][-1] * central
        central = relu(mixed @ w[f"central_{i}_kernel"] + w[f"central_{i}_bias"])
    np.testing.assert_allclose(layer(x), central, rtol=1e-4, atol=1e-5)  # Up to eight layers in float32.


def test_it_begins_with_the_mean_of_what_each_central_layer_reads():
    layer = CentralFusion(2, [3, 4])
    layer.build({"a": (1, 2), "b": (1, 2)})
    np.testing.assert_allclose(layer.scales[0], [1 / 2] * 2, rtol=1e-6)
    np.testing.assert_allclose(layer.scales[1], [1 / 3] * 3, rtol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"units": 0}, "expects `units` to be an int > 0. Received: units=0"),
        ({"hidden": []}, r"expects `hidden` to be a list of ints > 0. Received: hidden=\[\]"),
        ({"hidden": [4, 0]}, r"expects `hidden\[1\]` to be an int > 0. Received: hidden\[1\]=0"),
    ],
)
def test_a_size_below_one_is_rejected(arguments, words):
    with pytest.raises(ValueError, match=f"`CentralFusion` {words}"):
        CentralFusion(**{"units": 4, **arguments})


def test_sequence_input_is_rejected():
    with pytest.raises(ValueError, match=r"inputs\['text'\].shape=\(2, 7, 5\)"):
        CentralFusion(4)({"image": np.ones((2, 8)), "text": np.ones((2, 7, 5))})
