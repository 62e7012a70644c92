import keras
import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from attention_numpy import SHAPES, STEPS, block, draw, masks, norm, positions
from helpers import randomised
from mm_keras.fusion import BottleneckFusion


def fused(w, x, visible, units, heads, layers, fusion_layer):
    """NumPy reading of the layer for one example: name -> `(T, D_m)` and name -> the places it shows."""
    names, z, shown = sorted(x), {}, {}
    for name in names:
        steps = (x[name] * np.array(visible[name])[:, None]) @ w[f"{name}_projection"]
        steps = steps + (positions(len(steps), units) if len(SHAPES[name]) == 3 else 0)
        z[name] = np.concatenate([w[f"{name}_class"], steps])
        shown[name] = [True, *visible[name]]
    there = [name for name in names if any(visible[name])]
    shared = w["bottlenecks"]
    for i in range(layers):
        versions = []
        for name in names:
            if i < fusion_layer:
                z[name] = block(w, z[name], None, shown[name], heads, f"{name}_{i}/")
                continue
            tokens = np.concatenate([z[name], shared])
            tokens = block(w, tokens, None, [*shown[name], *[True] * len(shared)], heads, f"{name}_{i}/")
            z[name] = tokens[: len(z[name])]
            if name in there:
                versions.append(tokens[len(z[name]) :])
        if i >= fusion_layer:
            shared = np.mean(versions, axis=0) if versions else np.zeros_like(shared)
    tokens = [norm(z[name][0], w[f"{name}_norm/gamma"], w[f"{name}_norm/beta"]) for name in there]
    return np.mean(tokens, axis=0) if there else np.zeros(units)


@pytest.mark.slow
@settings(max_examples=8, phases=[Phase.generate])  # To shrink a failure takes minutes.
@given(seed=st.integers(0, 1000), mask=masks, fusion_layer=st.integers(0, 2))
def test_three_modalities_follow_the_formula_under_any_mask(seed, mask, fusion_layer):
    x = draw(seed)
    layer = BottleneckFusion(4, 2, 3, fusion_layer, bottlenecks=2)
    layer.build(SHAPES)
    w = randomised(layer, seed)
    expected = []
    for row in range(2):
        steps = {name: value[row].reshape(STEPS[name], -1) for name, value in x.items()}
        shown = {name: mask[name][row] for name in x}
        expected.append(fused(w, steps, shown, 4, 2, 3, fusion_layer))
    got = layer(x, mask={name: np.array(value) for name, value in mask.items()})
    np.testing.assert_allclose(got, expected, rtol=1e-3, atol=1e-3)  # Several blocks in float32.


@pytest.mark.slow
@settings(max_examples=8, phases=[Phase.generate])  # To shrink a failure takes minutes.
@given(mask=masks, noise=st.sampled_from([1e3, float("nan"), float("inf")]))
def test_a_hidden_position_changes_nothing(mask, noise):
    layer = BottleneckFusion(4, 2)
    x = draw(7)
    layer.build(SHAPES)
    randomised(layer)
    mask = {name: np.array(value) for name, value in mask.items()}
    changed = {}
    for name, value in x.items():
        shown = mask[name].reshape(*value.shape[:-1], 1)
        changed[name] = np.where(shown, value, np.float32(noise))
    outputs = np.array(layer(x, mask=mask))
    assert np.isfinite(outputs).all()
    np.testing.assert_allclose(layer(changed, mask=mask), outputs, rtol=1e-6)


@pytest.mark.parametrize("absent", SHAPES)
def test_a_modality_hidden_whole_is_left_out(absent):
    layer = BottleneckFusion(4, 2, 2, 0)
    layer.build(SHAPES)
    w = randomised(layer)
    rest = {name: shape for name, shape in SHAPES.items() if name != absent}
    without = BottleneckFusion(4, 2, 2, 0)
    without.build(rest)
    for weight in without.weights:
        weight.assign(w[weight.path.split("/", 1)[1]])
    x = draw(7)
    hidden = layer(x, mask={absent: np.zeros((2, STEPS[absent]), bool)})
    expected = without({name: x[name] for name in rest})
    np.testing.assert_allclose(hidden, expected, rtol=1e-4, atol=1e-5)  # Two blocks in float32.


def reaches(**arguments):
    """Returns how far a change of `a` moves what the layer gives of `b` alone."""
    layer = BottleneckFusion(4, 2, **arguments)
    layer.build({"a": (2, 3, 2), "b": (2, 3, 2)})
    randomised(layer)
    random = np.random.default_rng(7)
    x = {name: random.normal(size=(2, 3, 2)).astype("float32") for name in "ab"}
    for weight in layer.norms[0].trainable_weights:  # The class token of `a` itself counts nothing.
        weight.assign(np.zeros(weight.shape))
    return np.abs(np.array(layer(x)) - np.array(layer({**x, "a": x["a"] + 1}))).max()


def test_modalities_meet_from_the_second_shared_block_on():
    assert reaches() > 1e-5  # Block 0 writes the shared tokens, block 1 reads them.
    assert reaches(layers=2, fusion_layer=1) == 0


def test_masks_that_keras_carries_are_kept():
    inputs = {name: keras.Input((3, 2), name=name) for name in "ab"}
    x = {"a": inputs["a"], "b": keras.layers.Masking(-1.0)(inputs["b"])}
    model = keras.Model(inputs, BottleneckFusion(4, 2, name="fusion")(x))
    values = {name: np.random.default_rng(7).normal(size=(2, 3, 2)).astype("float32") for name in "ab"}
    values["b"][0, 1:] = values["b"][1] = -1.0
    mask = np.array([[True, False, False], [False] * 3])
    expected = model.get_layer("fusion")(values, mask={"b": mask})
    np.testing.assert_allclose(model(values), expected, rtol=1e-5, atol=1e-6)
    assert np.abs(np.array(model.get_layer("fusion")(values)) - np.array(expected)).max() > 1e-3


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"units": 0}, "expects `units` to be an int > 0. Received: units=0"),
        ({"num_heads": 3}, "expects `num_heads` to divide `units`. Received: num_heads=3, units=4"),
        ({"layers": 0}, "expects `layers` to be an int > 0. Received: layers=0"),
        ({"fusion_layer": 2}, r"expects `fusion_layer` .*layers=2. Received: fusion_layer=2. Pass 0"),
        ({"fusion_layer": -1}, "Received: fusion_layer=-1"),
        ({"bottlenecks": 0}, "expects `bottlenecks` to be an int > 0. Received: bottlenecks=0"),
        ({"block_dropout": 1.0}, r"expects `block_dropout` in \[0, 1\). Received: block_dropout=1.0"),
    ],
)
def test_a_value_out_of_range_is_rejected(arguments, words):
    with pytest.raises(ValueError, match=f"`BottleneckFusion` .*{words}|`BottleneckFusion` {words}"):
        BottleneckFusion(**{"units": 4, **arguments})


def test_an_image_is_rejected():
    words = (
        r"`inputs\['image'\]` to be \(B, D\) or \(B, T, D\). Received: inputs\['image'\].shape=\(2, 3, 3, 1\)"
    )
    with pytest.raises(ValueError, match=words):
        BottleneckFusion(4)({"image": np.ones((2, 3, 3, 1)), "text": np.ones((2, 7, 5))})


def test_a_tensor_without_names_is_rejected():
    with pytest.raises(ValueError, match="`BottleneckFusion` expects a dict of at least 1 modalities"):
        BottleneckFusion(4)(np.ones((2, 8)))
