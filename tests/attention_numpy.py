"""NumPy readings of the parts of attention, and the sequences and masks that its layers are tested on."""

import numpy as np
from hypothesis import strategies as st

SHAPES = {"audio": (2, 4, 3), "image": (2, 5), "text": (2, 3, 2)}
STEPS = {"audio": 4, "image": 1, "text": 3}


def norm(x, gamma, beta):
    deviation = np.sqrt(x.var(axis=-1, keepdims=True) + 1e-6)
    return gamma * (x - x.mean(axis=-1, keepdims=True)) / deviation + beta


def gelu(x):
    return 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))


def attend(query, key, value, visible, heads):
    """Reads one example step by step and head by head; `visible` are the places that it may read."""
    width = query.shape[1] // heads
    read = np.zeros_like(query)
    for head in range(heads):
        mine = slice(head * width, (head + 1) * width)
        for step in range(len(query)):
            if not len(visible):
                continue
            scores = np.array([query[step, mine] @ key[s, mine] / np.sqrt(width) for s in visible])
            shares = np.exp(scores - scores.max()) / np.exp(scores - scores.max()).sum()
            read[step, mine] = sum(share * value[s, mine] for share, s in zip(shares, visible, strict=True))
    return read


def block(w, x, context=None, visible=None, heads=1, name=""):
    """NumPy reading of a block for one example `(T, D)`; the weights' paths begin with `name`."""
    w = {path.removeprefix(name): value for path, value in w.items() if path.startswith(name)}
    z = norm(x, w.get("norm/gamma", 1), w.get("norm/beta", 0))  # Not there where no step is weighed.
    c = z if context is None else norm(context, w["context_norm/gamma"], w["context_norm/beta"])
    visible = range(len(c)) if visible is None else np.flatnonzero(visible)
    nothing = np.zeros((c.shape[1], z.shape[1]))  # Of a single step, whatever the scores: it is read whole.
    query, key = z @ w.get("query", np.zeros((z.shape[1], z.shape[1]))), c @ w.get("key", nothing)
    read = attend(query, key, c @ w["value"], visible, heads)
    y = x + read @ w["attended"] + w["attended_bias"]
    z = norm(y, w["hidden_norm/gamma"], w["hidden_norm/beta"])
    return y + gelu(z @ w["expand"] + w["expand_bias"]) @ w["reduce"] + w["reduce_bias"]


def positions(length, width):
    angles = np.arange(length)[:, None] / 10000 ** (np.arange(width // 2) / (width // 2))
    return np.concatenate([np.sin(angles), np.cos(angles)], axis=1)


def draw(seed):
    random = np.random.default_rng(seed)
    return {name: random.normal(size=shape).astype("float32") for name, shape in SHAPES.items()}


masks = st.fixed_dictionaries(
    {
        name: st.lists(st.lists(st.booleans(), min_size=count, max_size=count), min_size=2, max_size=2)
        for name, count in STEPS.items()
    }
)
