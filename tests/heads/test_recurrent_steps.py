import keras
import numpy as np
import pytest

from helpers import randomised
from mm_keras.heads import RecurrentSteps

SHAPES = {"tokens": (2, 3, 5), "fused": (2, 2), "memory": (2, 4, 4), "steps": (2, 4)}
STEPS = np.array([[1, 1, 1, 0], [1, 0, 0, 1]], "float32")
CASES = pytest.mark.parametrize(("cell", "layers"), [("gru", 1), ("gru", 2), ("lstm", 1), ("lstm", 2)])


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def gru(w, x, state):
    """Cho et al. 2014 with the reset gate behind the recurrent product; gates z, r, then the candidate."""
    (h,) = state
    z, r, new = np.split(x @ w["kernel"] + w["bias"][0], 3)
    hidden_z, hidden_r, hidden_new = np.split(h @ w["recurrent_kernel"] + w["bias"][1], 3)
    z, r = sigmoid(z + hidden_z), sigmoid(r + hidden_r)
    return [z * h + (1 - z) * np.tanh(new + r * hidden_new)]


def lstm(w, x, state):
    """Hochreiter and Schmidhuber 1997 with a forget gate; gates i, f, candidate, o."""
    h, c = state
    i, f, new, o = np.split(x @ w["kernel"] + h @ w["recurrent_kernel"] + w["bias"], 4)
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(new)
    return [sigmoid(o) * np.tanh(c), c]


def read(w, tokens, fused, memory, steps, cell, layers):
    """NumPy reading of the docstring for one example; `memory` holds the steps that are not hidden alone."""
    memory = memory[np.flatnonzero(steps)]
    width = memory.shape[1]
    first = np.tanh(fused @ w["first/kernel"] + w["first/bias"]).reshape(layers, -1, width)
    states, written = [list(state) for state in first], []
    for x in tokens:
        for i in range(layers):
            start = f"reader_{i}/{cell}_cell/"
            own = {path.removeprefix(start): value for path, value in w.items() if path.startswith(start)}
            states[i] = (gru if cell == "gru" else lstm)(own, x, states[i])
            x = states[i][0]
        scores = np.exp([x @ (m @ w["key/kernel"]) / np.sqrt(width) for m in memory])
        attended = scores / scores.sum() @ memory
        written.append(np.tanh(np.concatenate([attended, x]) @ w["join/kernel"] + w["join/bias"]))
    return np.array(written)


def inputs():
    random = np.random.default_rng(7)
    drawn = {name: random.normal(size=shape).astype("float32") for name, shape in SHAPES.items()}
    return {**drawn, "steps": STEPS}


def made(cell, layers, **arguments):
    layer = RecurrentSteps(4, cell, layers, **arguments)
    layer.build(SHAPES)
    return layer, randomised(layer)


@CASES
def test_it_follows_the_formulas(cell, layers):
    layer, w = made(cell, layers)
    x = inputs()
    names = ("tokens", "fused", "memory", "steps")
    expected = [read(w, *(x[name][row] for name in names), cell, layers) for row in range(2)]
    np.testing.assert_allclose(layer(x), expected, rtol=1e-4, atol=1e-5)  # Recurrent products in float32.


@CASES
def test_token_by_token_is_the_same_as_the_whole_text(cell, layers):
    layer, _ = made(cell, layers)
    x = {name: keras.ops.convert_to_tensor(array) for name, array in inputs().items()}
    context, state = layer.begin(x)
    for place in range(3):
        step, state = layer.step(context, state, x["tokens"][:, place], place)
        np.testing.assert_allclose(step, layer(x)[:, place], rtol=1e-5, atol=1e-5)


@CASES
def test_later_tokens_have_no_influence_on_earlier_steps(cell, layers):
    layer, _ = made(cell, layers)
    x = inputs()
    changed = {**x, "tokens": x["tokens"] + np.array([0, 0, 1], "float32")[:, None]}
    before, after = np.array(layer(x)), np.array(layer(changed))
    np.testing.assert_allclose(after[:, :2], before[:, :2], rtol=1e-6, atol=1e-6)
    assert np.abs(after[:, 2] - before[:, 2]).min(axis=0).max() > 1e-3


@pytest.mark.parametrize("as_bool", [True, False])
def test_hidden_steps_of_the_memory_have_no_influence(as_bool):
    layer, _ = made("gru", 1)
    x = inputs()
    x["steps"] = STEPS.astype(bool) if as_bool else STEPS
    noise = np.random.default_rng(8).normal(scale=9, size=x["memory"].shape).astype("float32")
    hidden = {**x, "memory": np.where(STEPS[:, :, None], x["memory"], noise)}
    np.testing.assert_array_equal(layer(hidden), layer(x))
    seen = {**x, "memory": np.where(STEPS[:, :, None], noise, x["memory"])}
    assert np.abs(np.array(layer(seen)) - np.array(layer(x))).max() > 1e-2


def test_dropout_works_in_training_alone():
    layer, _ = made("lstm", 1, dropout=0.5)
    quiet = np.array(layer(inputs()))
    np.testing.assert_array_equal(quiet, layer(inputs(), training=False))
    assert np.abs(np.array(layer(inputs(), training=True)) - quiet).max() > 1e-3


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"units": 0}, "`units` to be an int > 0. Received: units=0"),
        ({"cell": "rnn"}, "`cell` in `gru`, `lstm`. Received: cell='rnn'"),
        ({"layers": 0}, "`layers` to be an int > 0. Received: layers=0"),
        ({"dropout": 1.0}, r"`dropout` in \[0, 1\). Received: dropout=1.0"),
    ],
)
def test_a_value_out_of_range_is_rejected(arguments, words):
    with pytest.raises(ValueError, match=f"`RecurrentSteps` expects {words}"):
        RecurrentSteps(**{"units": 4, **arguments})
