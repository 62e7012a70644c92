import numpy as np
import pytest

from mm_keras.fusion import MatrixProductFusion


def test_scalars_are_multiplied():
    layer = MatrixProductFusion(1, rank=1)
    layer.build({"a": (1, 1), "b": (1, 1)})
    ones, zeros = np.ones((1, 1)), np.zeros(1)
    layer.set_weights([ones, ones, zeros, zeros, 2 * ones, np.array([[10.0], [100.0]]), np.array([0.5])])
    x = {"a": np.array([[3.0]]), "b": np.array([[5.0]])}
    np.testing.assert_allclose(layer(x), [[2 * 3 * 5 + 10 * 3 + 100 * 5 + 0.5]], rtol=1e-6)


def test_every_pair_of_three_follows_the_formula():
    random = np.random.default_rng(7)
    units, rank, widths = 3, 2, {"c": 3, "a": 2, "b": 4}
    x = {name: random.normal(size=(2, width)) for name, width in widths.items()}
    layer = MatrixProductFusion(units, rank)
    layer.build({name: array.shape for name, array in x.items()})
    weights = [random.normal(size=weight.shape) for weight in layer.weights]
    layer.set_weights(weights)
    names = sorted(widths)
    projections, offsets, (product, kernel, bias) = weights[:3], weights[3:6], weights[6:]
    z = [x[name] @ p + o for name, p, o in zip(names, projections, offsets, strict=True)]
    cubes = product.reshape(3, rank, rank, units)
    expected = np.concatenate([x[name] for name in names], axis=-1) @ kernel + bias
    for cube, (i, j) in zip(cubes, [(0, 1), (0, 2), (1, 2)], strict=True):
        expected = expected + np.einsum("br,rsd,bs->bd", z[i], cube, z[j])
    assert (expected > 0).any() and (expected < 0).any()
    np.testing.assert_allclose(layer(x), np.maximum(expected, 0), rtol=1e-4, atol=1e-5)  # Long sums.


@pytest.mark.parametrize("name", ["units", "rank"])
def test_a_size_below_one_is_rejected(name):
    with pytest.raises(ValueError, match=f"`MatrixProductFusion` expects `{name}` .*Received: {name}=0"):
        MatrixProductFusion(**{"units": 4, name: 0})


def test_one_modality_alone_is_rejected():
    words = r"expects a dict of at least 2 modalities.*Received: inputs of shape .*'image': \(2, 8\)"
    with pytest.raises(ValueError, match=words):
        MatrixProductFusion(4)({"image": np.ones((2, 8))})


def test_sequence_input_is_rejected():
    with pytest.raises(ValueError, match=r"inputs\['text'\].shape=\(2, 7, 5\)"):
        MatrixProductFusion(4)({"image": np.ones((2, 8)), "text": np.ones((2, 7, 5))})
