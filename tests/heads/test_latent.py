import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mm_keras.heads import Divergence, Latent

pytestmark = pytest.mark.core
NAMES = ("audio", "image", "note")
MEANS = {"audio": [1.0, -2.0], "image": [0.5, 3.0], "note": [-1.0, 0.0]}
VARIANCES = {"audio": [0.5, 2.0], "image": [1.0, 0.25], "note": [4.0, 1.0]}


def telling(**arguments):
    """A layer whose experts say the means and variances above, whatever they read."""
    layer = Latent(2, **{"seed": 3, **arguments})
    shapes = dict.fromkeys(NAMES, (None, 3))
    layer.build({**shapes, "present": (None, 3)})
    for name in NAMES:
        said = MEANS[name] + list(np.log(VARIANCES[name]) if layer.variational else [])
        layer.dense[name].set_weights([np.zeros((3, len(said))), np.array(said)])
    return layer


def ask(layer, present, training=False):
    present = np.array(present, "float32")
    inputs = {name: np.ones((len(present), 3), "float32") for name in NAMES}
    given_code = layer({**inputs, "present": present}, training=training)
    return tuple(keras.ops.convert_to_numpy(given_code[key]) for key in ("code", "divergence"))


def divergence_of(mean, variance):
    mean, variance = np.asarray(mean), np.asarray(variance)
    return 0.5 * float(np.sum(mean**2 + variance - 1 - np.log(variance)))


@pytest.mark.parametrize("present", [(1, 0, 0), (0, 1, 1), (1, 1, 1), (0, 0, 0)])
def test_a_product_multiplies_the_normal_distributions_of_those_that_are_there_and_the_prior(present):
    here = [name for name, there in zip(NAMES, present, strict=True) if there]
    points = np.linspace(-30, 30, 60_001)  # The product of the densities, by numbers.
    logs = np.stack([-0.5 * points**2] * 2)
    for name in here:
        for unit in range(2):
            logs[unit] -= 0.5 * (points - MEANS[name][unit]) ** 2 / VARIANCES[name][unit]
    weights = np.exp(logs - logs.max(axis=1, keepdims=True))
    weights /= weights.sum(axis=1, keepdims=True)
    mean = weights @ points
    variance = (weights * (points - mean[:, None]) ** 2).sum(axis=1)
    code, divergence = ask(telling(experts="product"), [present])
    np.testing.assert_allclose(code[0], mean, rtol=1e-4, atol=1e-5)
    assert divergence[0, 0] == pytest.approx(divergence_of(mean, variance), rel=1e-4, abs=1e-5)


def test_a_mixture_gives_the_mean_of_those_that_are_there_and_their_mean_divergence():
    code, divergence = ask(telling(experts="mixture"), [(1, 0, 0), (1, 1, 0)])
    np.testing.assert_allclose(code, [[1.0, -2.0], [0.75, 0.5]], rtol=1e-6)
    alone = [divergence_of(MEANS[name], VARIANCES[name]) for name in ("audio", "image")]
    np.testing.assert_allclose(divergence[:, 0], [alone[0], np.mean(alone)], rtol=1e-5)


def test_a_mixture_draws_one_expert_of_each_row_in_training():
    layer = telling(experts="mixture", variational=False)
    code, divergence = ask(layer, [(1, 0, 1)] * 400, training=True)
    found, counts = np.unique(code, axis=0, return_counts=True)
    np.testing.assert_allclose(found, sorted([MEANS["audio"], MEANS["note"]]), rtol=1e-6)
    assert (abs(counts / 400 - 0.5) < 0.1).all() and not divergence.any()


def test_training_draws_from_the_distribution():
    code, _ = ask(telling(experts="product"), [(0, 1, 0)] * 4000, training=True)
    mean, variance = (
        np.array([0.25, 2.4]),
        np.array([0.5, 0.2]),
    )  # 1 / (1 + 1 / variance), times what it says.
    np.testing.assert_allclose(code.mean(axis=0), mean, atol=0.06)
    np.testing.assert_allclose(code.var(axis=0), variance, rtol=0.1)


@given(st.lists(st.booleans(), min_size=3, max_size=3), st.integers(0, 2**16))
def test_what_is_absent_changes_nothing(present, seed):
    layer = telling(experts="product")
    for name in NAMES:
        kernel = np.random.default_rng(5).normal(size=(3, 4))
        layer.dense[name].set_weights([kernel, np.zeros(4)])
    random = np.random.default_rng(seed)
    here = np.array([present], "float32")
    one, other = ({name: random.normal(size=(1, 3)).astype("float32") for name in NAMES} for _ in range(2))
    mixed = {name: one[name] if there else other[name] for name, there in zip(NAMES, present, strict=True)}
    codes = [np.array(layer({**x, "present": here})["code"]) for x in (one, mixed)]
    np.testing.assert_array_equal(*codes)
    if not any(present):
        np.testing.assert_array_equal(codes[0], 0)  # The prior's mean.


def test_a_product_of_means_alone_is_refused():
    with pytest.raises(ValueError, match="`experts`"):
        Latent(2, "product", variational=False)


def test_a_presence_of_another_width_is_refused():
    layer = Latent(2)
    with pytest.raises(ValueError, match="present"):
        layer({"a": np.ones((1, 2)), "b": np.ones((1, 2)), "present": np.ones((1, 3))})


def test_the_loss_passes_the_divergence_on():
    loss = Divergence(reduction=None)
    np.testing.assert_allclose(np.array(loss(np.zeros((2, 1)), np.array([[1.5], [0.25]]))), [1.5, 0.25])
