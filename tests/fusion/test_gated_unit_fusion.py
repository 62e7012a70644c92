import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers import randomised
from mm_keras.fusion import GatedUnitFusion


@settings(max_examples=20)
@given(seed=st.integers(0, 1000), widths=st.lists(st.integers(1, 4), min_size=1, max_size=4))
def test_any_widths_and_weights_follow_the_formula(seed, widths):
    random = np.random.default_rng(seed)
    x = {f"m{i}": random.normal(size=(3, width)) for i, width in enumerate(widths)}
    layer = GatedUnitFusion(2)
    layer.build({name: array.shape for name, array in x.items()})
    w = randomised(layer, seed)
    together = np.concatenate([x[name] for name in sorted(x)], axis=1)
    expected = np.zeros((3, 2))
    for i, name in enumerate(sorted(x)):
        mine = slice(2 * i, 2 * i + 2)
        gate = 1 / (1 + np.exp(-(together @ w["gate"][:, mine] + w["gate_bias"][mine])))
        expected += gate * np.tanh(x[name] @ w[f"{name}_kernel"] + w[f"{name}_bias"])
    np.testing.assert_allclose(layer(x), expected, rtol=1e-5, atol=1e-5)


def test_each_unit_of_a_modality_has_its_own_gate():
    layer = GatedUnitFusion(2)
    layer.build({"a": (1, 2), "b": (1, 2)})
    open_and_shut = np.array([50.0, -50.0, -50.0, 50.0])  # Unit 0 from a, unit 1 from b.
    layer.set_weights([np.eye(2), np.eye(2), np.zeros(2), np.zeros(2), np.zeros((4, 4)), open_and_shut])
    x = {"a": np.array([[0.5, 0.6]]), "b": np.array([[0.7, 0.8]])}
    np.testing.assert_allclose(layer(x), np.tanh([[0.5, 0.8]]), rtol=1e-6)


def test_units_below_one_are_rejected():
    with pytest.raises(ValueError, match="`GatedUnitFusion` expects `units` .*Received: units=0"):
        GatedUnitFusion(0)


def test_sequence_input_is_rejected():
    with pytest.raises(ValueError, match=r"inputs\['text'\].shape=\(2, 7, 5\)"):
        GatedUnitFusion(4)({"image": np.ones((2, 8)), "text": np.ones((2, 7, 5))})
