import itertools

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers import randomised
from mm_keras.fusion import CompactBilinearFusion
from mm_keras.fusion.compact_bilinear_fusion import circular_convolution, signed_sqrt, unit_length


def sketch_of_the_product(z, places, signs, size):
    """Adds each entry of the outer product of `z` to its place: no sketch of one vector, no transform."""
    sketch = np.zeros(size)
    for entry in itertools.product(*[range(len(vector)) for vector in z]):
        place = sum(int(h[i]) for h, i in zip(places, entry, strict=True)) % size
        value = np.prod([s[i] * vector[i] for s, vector, i in zip(signs, z, entry, strict=True)])
        sketch[place] += value
    return sketch


@settings(max_examples=20)
@given(
    seed=st.integers(0, 1000),
    size=st.sampled_from([2, 8, 32]),
    widths=st.lists(st.integers(1, 4), min_size=2, max_size=4),
    signed_sqrt=st.booleans(),
    l2=st.booleans(),
)
def test_it_sketches_the_outer_product(seed, size, widths, signed_sqrt, l2):
    random = np.random.default_rng(seed)
    x = {f"m{i}": random.normal(size=(2, width)) for i, width in enumerate(widths)}
    layer = CompactBilinearFusion(3, size, signed_sqrt, l2, seed)
    layer.build({name: array.shape for name, array in x.items()})
    w = randomised(layer, seed)
    places, signs = ([w[f"{name}_{kind}"] for name in sorted(x)] for kind in ("places", "signs"))
    expected = []
    for row in range(2):
        z = [[*x[name][row], 1.0] for name in sorted(x)]
        sketch = sketch_of_the_product(z, places, signs, size)
        if signed_sqrt:
            sketch = np.sign(sketch) * np.sqrt(np.abs(sketch))
        if l2:
            sketch = sketch / (np.linalg.norm(sketch) or 1)
        expected.append(sketch @ w["kernel"] + w["bias"])
    # Near 0, rounding and the smooth root are up to 5e-4 from the root, in each of the places.
    tolerance = 5e-3 if signed_sqrt else 1e-4
    np.testing.assert_allclose(layer(x), expected, rtol=tolerance, atol=tolerance)


@settings(max_examples=20)
@given(seed=st.integers(0, 1000), power=st.integers(1, 8), count=st.integers(1, 4))
def test_the_convolution_is_the_sum_over_all_shifts(seed, power, count):
    size = 2**power
    sketches = np.random.default_rng(seed).normal(size=(count, 2, size)) / size**0.5
    expected = sketches[0]
    for sketch in sketches[1:]:
        expected = sum(expected[:, [i]] * np.roll(sketch, i, axis=1) for i in range(size))
    got = circular_convolution([keras.ops.convert_to_tensor(x, "float32") for x in sketches])
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-5)


def test_the_root_keeps_the_sign_and_is_smooth_at_zero():
    x = np.array([-4.0, -0.25, 0.0, 1.0, 9.0], "float32")
    np.testing.assert_allclose(signed_sqrt(x), [-2, -0.5, 0, 1, 3], rtol=1e-5)
    tiny = np.array([1e-9], "float32")
    np.testing.assert_allclose(signed_sqrt(tiny), 1e-6, rtol=1e-2)  # A slope of 1e3, not of 1.6e4.


def test_unit_length_leaves_zeros():
    x = np.array([[3.0, -4.0], [0.0, 0.0]], "float32")
    np.testing.assert_allclose(unit_length(x), [[0.6, -0.8], [0, 0]], rtol=1e-6)


def test_places_and_signs_follow_the_seed_and_are_not_trained():
    def constants(seed):
        layer = CompactBilinearFusion(2, 64, seed=seed)
        layer.build({"a": (1, 40), "b": (1, 30)})
        assert [weight.path.split("/")[-1] for weight in layer.trainable_weights] == ["kernel", "bias"]
        return [keras.ops.convert_to_numpy(weight) for weight in layer.non_trainable_weights]

    first, same, other = constants(1), constants(1), constants(2)
    assert len(first) == 4
    for a, b in zip(first, same, strict=True):
        np.testing.assert_array_equal(a, b)
    assert any((a != b).any() for a, b in zip(first, other, strict=True))
    places, signs, *_ = first
    assert places.min() >= 0 and places.max() < 64 and set(signs) == {-1.0, 1.0}
    assert any((a != b).any() for a, b in zip(constants(None), constants(None), strict=True))


def test_an_absent_modality_of_zeros_gives_finite_gradients():
    x = {"a": np.zeros((2, 3), "float32"), "b": np.ones((2, 3), "float32")}
    inputs = {name: keras.Input((3,), name=name) for name in x}
    model = keras.Model(inputs, CompactBilinearFusion(2, 16, seed=1)(inputs))
    model.compile(keras.optimizers.SGD(0.1), "mse", jit_compile=False)
    model.train_on_batch(x, np.ones((2, 2)))
    assert all(np.isfinite(weight).all() for weight in model.get_weights())


@pytest.mark.parametrize("sketch", [0, 1, 24, 1000, "16"])
def test_a_sketch_of_another_size_is_rejected(sketch):
    with pytest.raises(ValueError, match=rf"`CompactBilinearFusion` expects `sketch` .*sketch={sketch!r}"):
        CompactBilinearFusion(4, sketch)


def test_units_below_one_are_rejected():
    with pytest.raises(ValueError, match="`CompactBilinearFusion` expects `units` .*Received: units=0"):
        CompactBilinearFusion(0)


def test_one_modality_alone_is_rejected():
    with pytest.raises(ValueError, match="`CompactBilinearFusion` expects a dict of at least 2 modalities"):
        CompactBilinearFusion(4)({"image": np.ones((2, 8))})


def test_sequence_input_is_rejected():
    with pytest.raises(ValueError, match=r"inputs\['text'\].shape=\(2, 7, 5\)"):
        CompactBilinearFusion(4)({"image": np.ones((2, 8)), "text": np.ones((2, 7, 5))})
