import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from mm_keras.mel_power import MelPower
from mm_keras.pcen import Pcen, smooth

pytestmark = pytest.mark.core


def energy(steps, bins=3, seed=7):
    """Returns power `(2, T, F)` of five orders of magnitude, some of it none."""
    random = np.random.default_rng(seed)
    return np.exp(random.uniform(-6, 6, (2, steps, bins))) * (random.uniform(size=(2, steps, bins)) > 0.1)


def smooth_loop(x, smoothing):
    levels = [x[:, 0]]
    for step in range(1, x.shape[1]):
        levels.append((1 - smoothing) * levels[-1] + smoothing * x[:, step])
    return np.stack(levels, axis=1)


def pcen_loop(x, smoothing, alpha=0.98, delta=2.0, r=0.5):
    level = smooth_loop(x, smoothing)
    return (x / (1e-4 + level) ** alpha + delta) ** r - delta**r


@settings(max_examples=25)
@given(steps=st.integers(1, 200), smoothing=st.sampled_from([0.001, 0.025, 0.3, 1 - 1e-12]))
def test_blocks_smooth_as_a_loop_over_time_does(steps, smoothing):
    x = energy(steps)
    found = smooth(keras.ops.convert_to_tensor(x, "float32"), smoothing)
    np.testing.assert_allclose(found, smooth_loop(x, smoothing), rtol=2e-5, atol=1e-6)  # Sums of float32.


def test_a_new_layer_is_the_formula_with_the_values_of_the_paper():
    x = energy(90)
    np.testing.assert_allclose(Pcen()(x), pcen_loop(x, 0.025), rtol=1e-4, atol=1e-5)


def test_each_bin_has_its_own_parameters():
    x = energy(70)
    layer = Pcen(0.1)
    layer.build(x.shape)
    drawn = [np.random.default_rng(i).normal(scale=0.3, size=3) for i in range(3)]
    layer.set_weights(drawn)
    values = {name: begin * np.exp(drawn[i]) for i, (name, begin) in enumerate(layer.beginnings.items())}
    np.testing.assert_allclose(layer(x), pcen_loop(x, 0.1, **values), rtol=1e-4, atol=1e-5)


@settings(max_examples=15)
@given(steps=st.integers(1, 80), behind=st.integers(1, 80))
def test_padding_at_the_end_changes_nothing_before_it(steps, behind):
    x = energy(steps + behind)
    layer = Pcen()
    alone = np.array(layer(x[:, :steps]))
    np.testing.assert_allclose(np.array(layer(x))[:, :steps], alone, rtol=1e-5, atol=1e-5)


def test_the_level_of_a_recording_and_a_steady_noise_fall_out():
    steady = np.ones((1, 50, 1)) * [1.0, 10.0, 1000.0]
    flat = np.array(Pcen()(steady))
    np.testing.assert_allclose(flat, np.sqrt(3) - np.sqrt(2), atol=0.05)  # An alpha of 0.98 leaves a little.
    assert np.array(Pcen()(np.concatenate([steady, 10 * steady], axis=1)))[0, 50].min() > 1


def test_silence_is_zero_and_its_gradients_are_finite():
    sounds = tf.Variable(np.zeros((2, 100), "float32"))
    power, layer = MelPower(1000, 6, 0.032, 0.016), Pcen()
    with tf.GradientTape() as tape:
        levels = layer(power(sounds))
        loss = tf.reduce_sum(levels)
    np.testing.assert_array_equal(levels, np.zeros((2, 7, 6)))
    gradients = tape.gradient(loss, [sounds, *(weight.value for weight in layer.trainable_weights)])
    assert all(np.isfinite(np.array(gradient)).all() for gradient in gradients)


def test_it_passes_the_mask_of_the_frames_on():
    sound = np.zeros((1, 100), "float32")
    sound[:, :50] = 0.5
    power = MelPower(1000, 6, 0.032, 0.016)(sound)
    np.testing.assert_array_equal(Pcen()(power)._keras_mask, power._keras_mask)
    assert np.array(power._keras_mask).tolist() == [[True] * 4 + [False] * 3]


@pytest.mark.slow
def test_a_length_that_is_not_known_gives_the_same(tmp_path):
    inputs = keras.Input((None, 3))
    model = keras.Model(inputs, Pcen()(inputs))
    model.save(tmp_path / "any.keras")
    reloaded = keras.saving.load_model(tmp_path / "any.keras")
    for steps in (5, 64, 130):
        found = reloaded.predict(energy(steps).astype("float32"), verbose=0)
        np.testing.assert_allclose(found, pcen_loop(energy(steps), 0.025), rtol=1e-4, atol=1e-5)


def test_mixed_precision_computes_in_float32():
    x = energy(90).astype("float32")
    found = Pcen(dtype="mixed_bfloat16")(x)
    assert keras.backend.standardize_dtype(found.dtype) == "bfloat16"
    rounded_once = keras.ops.cast(Pcen()(x), "bfloat16")
    np.testing.assert_array_equal(*(keras.ops.cast(x, "float32") for x in (found, rounded_once)))


@pytest.mark.parametrize("smoothing", [0, 1, -0.1, True, "slow"])
def test_a_smoothing_out_of_range_is_rejected(smoothing):
    words = f"`Pcen` expects `smoothing` above 0 and below 1. Received: smoothing={smoothing!r}"
    with pytest.raises(ValueError, match=words):
        Pcen(smoothing)


def test_a_waveform_is_rejected():
    with pytest.raises(ValueError, match=r"`Pcen` expects `inputs` of rank 3.*shape=\(2, 90\)"):
        Pcen()(np.ones((2, 90)))
