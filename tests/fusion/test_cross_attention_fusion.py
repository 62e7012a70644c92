import keras
import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from attention_numpy import SHAPES, STEPS, block, draw, masks, norm, positions
from helpers import randomised
from mm_keras.fusion import CrossAttentionFusion


def fused(w, x, visible, units, heads, layers, self_layers):
    """NumPy reading of the layer for one example: name -> `(T, D_m)` and name -> the places it shows."""
    names, z = sorted(x), {}
    for name in names:
        shown = x[name] * np.array(visible[name])[:, None]
        z[name] = shown @ w[f"{name}_projection"]
        z[name] = z[name] + (positions(len(shown), units) if len(SHAPES[name]) == 3 else 0)
    pooled = []
    for target in names:
        read = []
        for source in [name for name in names if name != target]:
            steps = z[target]
            for i in range(layers):
                name = f"{target}_from_{source}_{i}/"
                steps = block(w, steps, z[source], visible[source], heads, name)
            read.append(steps)
        steps = np.concatenate(read, axis=1)
        for i in range(self_layers):
            steps = block(w, steps, None, visible[target], heads, f"{target}_self_{i}/")
        steps = norm(steps, w[f"{target}_norm/gamma"], w[f"{target}_norm/beta"])
        seen = steps[np.array(visible[target])]
        pooled.append(seen.mean(axis=0) if len(seen) else np.zeros(steps.shape[1]))
    return np.maximum(np.concatenate(pooled) @ w["kernel"] + w["bias"], 0)


@pytest.mark.slow
@settings(max_examples=8, phases=[Phase.generate])  # To shrink a failure takes minutes.
@given(seed=st.integers(0, 1000), mask=masks, layers=st.integers(1, 2), self_layers=st.integers(0, 1))
def test_three_modalities_follow_the_formula_under_any_mask(seed, mask, layers, self_layers):
    x = draw(seed)
    layer = CrossAttentionFusion(4, 2, layers, self_layers)
    layer.build(SHAPES)
    w = randomised(layer, seed)
    expected = []
    for row in range(2):
        steps = {name: value[row].reshape(STEPS[name], -1) for name, value in x.items()}
        shown = {name: mask[name][row] for name in x}
        expected.append(fused(w, steps, shown, 4, 2, layers, self_layers))
    got = layer(x, mask={name: np.array(value) for name, value in mask.items()})
    np.testing.assert_allclose(got, expected, rtol=1e-3, atol=1e-3)  # Several blocks in float32.


@pytest.mark.slow
@settings(max_examples=8, phases=[Phase.generate])  # To shrink a failure takes minutes.
@given(mask=masks, noise=st.sampled_from([1e3, float("nan"), float("inf")]))
def test_a_hidden_position_changes_nothing(mask, noise):
    layer = CrossAttentionFusion(4, 2, self_layers=1)
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


def masked_model(mask_value=-1.0):
    """A model in which Keras itself carries the masks, from `Masking` layers."""
    keras.utils.set_random_seed(7)
    inputs = {name: keras.Input(shape[1:], name=name) for name, shape in SHAPES.items()}
    x = dict(inputs)
    for name in ("audio", "text"):
        x[name] = keras.layers.Masking(mask_value, name=f"{name}_masking")(inputs[name])
    return keras.Model(inputs, CrossAttentionFusion(4, 2, name="fusion")(x))


def test_masks_that_keras_carries_are_kept(tmp_path):
    model = masked_model()
    x = draw(7)
    x["text"][0, 1:] = x["audio"][1] = -1.0
    masks = {"text": (x["text"] != -1).any(axis=-1), "audio": (x["audio"] != -1).any(axis=-1)}
    expected = model.get_layer("fusion")(x, mask=masks)
    assert np.isfinite(expected).all()
    np.testing.assert_allclose(model(x), expected, rtol=1e-5, atol=1e-6)
    assert np.abs(np.array(model.get_layer("fusion")(x)) - np.array(expected)).max() > 1e-3
    model.save(tmp_path / "model.keras")
    np.testing.assert_allclose(keras.saving.load_model(tmp_path / "model.keras")(x), expected, rtol=1e-5)


@pytest.mark.slow
def test_a_modality_hidden_whole_trains_without_nan():
    model = masked_model()
    model.compile(keras.optimizers.SGD(0.1), "mse", jit_compile=False)
    x = {**draw(7), "text": np.full(SHAPES["text"], -1.0), "audio": np.full(SHAPES["audio"], -1.0)}
    for _ in range(2):
        model.train_on_batch(x, np.ones((2, 4)))
    assert all(np.isfinite(weight).all() for weight in model.get_weights())


@pytest.mark.slow
def test_sequences_of_any_length_are_read():
    inputs = {name: keras.Input((None, 3), name=name) for name in "ab"}
    model = keras.Model(inputs, CrossAttentionFusion(4, 2)(inputs))
    for lengths in ((1, 5), (4, 2)):
        x = {name: np.ones((2, n, 3), "float32") for name, n in zip("ab", lengths, strict=True)}
        assert model.predict(x, verbose=0).shape == (2, 4)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"units": 0}, "expects `units` to be an int > 0. Received: units=0"),
        ({"num_heads": 3}, "expects `num_heads` to divide `units`. Received: num_heads=3, units=4"),
        ({"layers": 0}, "expects `layers` to be an int > 0. Received: layers=0"),
        ({"self_layers": -1}, "expects `self_layers` to be an int >= 0. Received: self_layers=-1"),
        ({"block_dropout": 1.0}, r"expects `block_dropout` in \[0, 1\). Received: block_dropout=1.0"),
    ],
)
def test_a_value_out_of_range_is_rejected(arguments, words):
    with pytest.raises(ValueError, match=f"`CrossAttentionFusion` {words}"):
        CrossAttentionFusion(**{"units": 4, **arguments})


def test_one_modality_alone_is_rejected():
    with pytest.raises(ValueError, match="`CrossAttentionFusion` expects a dict of at least 2 modalities"):
        CrossAttentionFusion(4)({"text": np.ones((2, 3, 8))})


def test_an_image_is_rejected():
    words = (
        r"`inputs\['image'\]` to be \(B, D\) or \(B, T, D\). Received: inputs\['image'\].shape=\(2, 3, 3, 1\)"
    )
    with pytest.raises(ValueError, match=words):
        CrossAttentionFusion(4)({"image": np.ones((2, 3, 3, 1)), "text": np.ones((2, 7, 5))})
