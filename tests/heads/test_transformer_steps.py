import keras
import numpy as np
import pytest

from attention_numpy import block, norm, positions
from helpers import randomised
from mm_keras.heads import TransformerSteps

SHAPES = {"tokens": (2, 3, 4), "memory": (2, 4, 4), "steps": (2, 4)}
STEPS = np.array([[1, 1, 1, 0], [1, 0, 0, 1]], "float32")


def inputs():
    random = np.random.default_rng(7)
    drawn = {name: random.normal(size=shape).astype("float32") for name, shape in SHAPES.items()}
    return {**drawn, "steps": STEPS}


def made(layers=2, **arguments):
    layer = TransformerSteps(4, 2, layers, **arguments)
    layer.build(SHAPES)
    return layer, randomised(layer)


def read(w, tokens, memory, steps, layers):
    """NumPy reading for one example: each step attends to a context that ends with itself."""
    x = tokens + positions(*tokens.shape)
    for i in range(layers):
        read = [block(w, x[t : t + 1], x[: t + 1], None, 2, f"own_{i}/") for t in range(len(x))]
        x = block(w, np.concatenate(read), memory, steps, 2, f"other_{i}/")
    return norm(x, w["norm/gamma"], w["norm/beta"])


@pytest.mark.parametrize("layers", [1, 2])
def test_each_layer_reads_the_tokens_so_far_and_then_the_memory(layers):
    layer, w = made(layers)
    x = inputs()
    names = ("tokens", "memory", "steps")
    expected = [read(w, *(x[name][row] for name in names), layers) for row in range(2)]
    np.testing.assert_allclose(layer(x), expected, rtol=1e-4, atol=1e-4)  # Transformer blocks in float32.


def test_later_tokens_have_no_influence_on_earlier_steps():
    layer, _ = made()
    x = inputs()
    before = np.array(layer(x))
    for place in range(3):
        noise = np.random.default_rng(8).normal(size=x["tokens"].shape).astype("float32")
        tokens = np.where(np.arange(3)[:, None] >= place, noise, x["tokens"])
        after = np.array(layer({**x, "tokens": tokens}))
        np.testing.assert_allclose(after[:, :place], before[:, :place], rtol=1e-6, atol=1e-6)
        assert (np.abs(after[:, place:] - before[:, place:]).max(axis=-1) > 1e-3).all()


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("length", [3, 5])
def test_token_by_token_is_the_same_as_the_whole_text(layers, length):
    layer, _ = made(layers)
    x = {name: keras.ops.convert_to_tensor(array) for name, array in inputs().items()}
    context, state = layer.begin(x, length)
    for place in range(3):
        step, state = layer.step(context, state, x["tokens"][:, place], place)
        np.testing.assert_allclose(step, layer(x)[:, place], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("as_bool", [True, False])
def test_hidden_steps_of_the_memory_have_no_influence(as_bool):
    layer, _ = made()
    x = inputs()
    x["steps"] = STEPS.astype(bool) if as_bool else STEPS
    noise = np.random.default_rng(8).normal(scale=9, size=x["memory"].shape).astype("float32")
    hidden = {**x, "memory": np.where(STEPS[:, :, None], x["memory"], noise)}
    np.testing.assert_array_equal(layer(hidden), layer(x))
    seen = {**x, "memory": np.where(STEPS[:, :, None], noise, x["memory"])}
    assert np.abs(np.array(layer(seen)) - np.array(layer(x))).max() > 1e-2


def test_dropout_works_in_training_alone():
    layer, _ = made(dropout=0.5)
    quiet = np.array(layer(inputs()))
    np.testing.assert_array_equal(quiet, layer(inputs(), training=False))
    assert np.abs(np.array(layer(inputs(), training=True)) - quiet).max() > 1e-3


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"units": 0}, "`units` to be an int > 0. Received: units=0"),
        ({"num_heads": 3}, "`num_heads` to divide `units`. Received: num_heads=3, units=4"),
        ({"layers": 0}, "`layers` to be an int > 0. Received: layers=0"),
        ({"dropout": 1.0}, r"`dropout` in \[0, 1\). Received: dropout=1.0"),
    ],
)
def test_a_value_out_of_range_is_rejected(arguments, words):
    with pytest.raises(ValueError, match=f"`TransformerSteps` expects {words}"):
        TransformerSteps(**{"units": 4, **arguments})
