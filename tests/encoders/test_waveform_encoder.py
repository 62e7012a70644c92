import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mm_keras.encoders import WaveformEncoder
from mm_keras.sequence_pooling import TO_ONE


def sound(length, seed=7):
    return np.random.default_rng(seed).normal(0.1, 0.3, (1, length)).astype("float32")


@settings(max_examples=25)
@given(
    length=st.integers(1, 90),
    behind=st.integers(0, 70),
    kernel_size=st.integers(1, 9),
    stride=st.integers(1, 5),
    pooling=st.sampled_from(TO_ONE),
)
def test_the_same_sound_with_more_padding_gives_the_same(length, behind, kernel_size, stride, pooling):
    layer = WaveformEncoder(kernel_size, stride, [3, 2], 4, pooling=pooling)
    alone = np.array(layer(sound(length)))
    assert np.abs(alone).max() < 100
    padded = layer(np.pad(sound(length), ((0, 0), (0, behind))))
    np.testing.assert_allclose(padded, alone, rtol=1e-4, atol=1e-5)  # Sums of other lengths.


def test_it_is_the_formula_of_its_docstring():
    kernel_size, stride, filters = 5, 2, [3, 2]
    x = np.concatenate([sound(45), sound(45, seed=8)])
    layer = WaveformEncoder(kernel_size, stride, filters, 4)
    layer.build(x.shape)
    for i, weight in enumerate(layer.trainable_weights):
        weight.assign(np.random.default_rng(i).normal(0.3, 0.5, weight.shape))
    steps = (x - x.mean(axis=1, keepdims=True)) / np.sqrt(x.var(axis=1, keepdims=True) + 1e-6)
    steps = steps[:, :, None]
    for conv, norm in zip(layer.convs, layer.norms, strict=True):
        kernel, bias = (np.array(weight) for weight in conv.weights)
        size = len(kernel)
        padded = np.pad(steps, ((0, 0), ((size - 1) // 2, size // 2), (0, 0)))
        starts = range(0, steps.shape[1], stride)
        steps = (
            np.stack([np.einsum("btc,tcd->bd", padded[:, i : i + size], kernel) for i in starts], 1) + bias
        )
        gamma, beta = (np.array(weight) for weight in norm.weights)
        centred = steps - steps.mean(axis=-1, keepdims=True)
        steps = centred / np.sqrt(steps.var(axis=-1, keepdims=True) + 1e-3) * gamma + beta
        steps = np.maximum(steps, 0)
        steps = np.stack([steps[:, i : i + 4].max(axis=1) for i in range(0, steps.shape[1], 4)], 1)
        stride = 1
    assert steps.shape == (2, 2, 2)
    kernel, bias = (np.array(weight) for weight in layer.dense.weights)
    steps = np.maximum(steps @ kernel + bias, 0)
    expected = np.concatenate([steps.mean(axis=1), steps.max(axis=1)], axis=-1)
    assert np.abs(expected).min(axis=0).max() > 0
    np.testing.assert_allclose(layer(x), expected, rtol=1e-4, atol=1e-5)


def test_the_level_of_a_recording_does_not_matter_and_silence_stays_finite():
    layer = WaveformEncoder(5, 2, [3, 2], 4)
    loud = np.array(layer(sound(60)))
    np.testing.assert_allclose(layer(0.1 * sound(60)), loud, rtol=1e-2, atol=1e-2)  # But for `SILENCE`.
    assert np.isfinite(np.array(layer(np.zeros((2, 60), "float32")))).all()


@pytest.mark.slow
def test_a_length_that_is_not_known_gives_the_same(tmp_path):
    inputs = keras.Input((None,))
    model = keras.Model(inputs, WaveformEncoder(5, 2, [3, 2], 4, name="encoder")(inputs))
    model.save(tmp_path / "any.keras")
    reloaded = keras.saving.load_model(tmp_path / "any.keras")
    for length in (3, 61):
        found = reloaded.predict(sound(length), verbose=0)
        expected = model.get_layer("encoder")(sound(length))
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def test_mixed_precision_reads_samples_in_float32():
    x = 0.5 + 0.001 * sound(60)  # bfloat16 has 8 bits: of these samples it would keep a few levels alone.
    layer = WaveformEncoder(5, 2, [3, 2], 4)
    exact = np.array(layer(x))
    mixed = WaveformEncoder(5, 2, [3, 2], 4, dtype="mixed_bfloat16")
    mixed.build(x.shape)
    mixed.set_weights(layer.get_weights())
    found = mixed(x)
    assert keras.backend.standardize_dtype(found.dtype) == "bfloat16"
    np.testing.assert_allclose(keras.ops.cast(found, "float32"), exact, atol=0.05)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"kernel_size": 0}, "`kernel_size` to be an int > 0. Received: kernel_size=0"),
        ({"stride": 2.0}, "`stride` to be an int > 0. Received: stride=2.0"),
        ({"filters": 32}, "`filters` to be a list of ints > 0. Received: filters=32"),
        ({"units": 0}, "`units` to be an int > 0. Received: units=0"),
        ({"pooling": "men"}, "`pooling` in .*Received: pooling='men'. Did you mean `mean`?"),
        ({"dropout": 1}, r"`dropout` in \[0, 1\). Received: dropout=1"),
    ],
)
def test_a_value_out_of_range_is_rejected(arguments, words):
    with pytest.raises(ValueError, match=f"`WaveformEncoder` expects {words}"):
        WaveformEncoder(**arguments)


def test_a_spectrogram_is_rejected():
    with pytest.raises(ValueError, match=r"`inputs` of rank 2.*shape=\(2, 9, 5\).*waveforms \(B, S\)"):
        WaveformEncoder()(np.ones((2, 9, 5)))
