import numpy as np
import pytest
import tensorflow as tf
from scipy.signal import resample_poly

from mm_keras.data import resample as module
from mm_keras.data.resample import needed_samples, resample

RATES = [(44100, 16000), (48000, 16000), (16000, 8000), (8000, 16000), (22050, 16000), (44101, 16000)]


def sine(rate, hertz, samples, phase=0.3):
    return np.sin(2 * np.pi * hertz * np.arange(samples) / rate + phase)


def convert(waveform, source, rate, samples):
    return resample(tf.constant(waveform, tf.float32), tf.constant(source), rate, samples).numpy()


@pytest.mark.parametrize(("source", "rate"), RATES)
def test_a_sine_keeps_amplitude_and_phase(source, rate):
    hertz = 0.4 * min(source, rate)  # 80 % of the lower Nyquist frequency.
    samples = rate // 10
    converted = convert(sine(source, hertz, source // 10), source, rate, samples)
    inside = slice(samples // 5, -samples // 5)  # Away from the silence around it.
    # The pass band of 32 zero crossings ripples by 4e-4 at this frequency.
    np.testing.assert_allclose(converted[inside], sine(rate, hertz, samples)[inside], atol=1e-3)


@pytest.mark.parametrize(("source", "rate"), [pair for pair in RATES if pair[0] > pair[1]])
@pytest.mark.parametrize("share", [1.02, 1.3])
def test_what_would_fold_back_is_60_decibels_down(source, rate, share):
    if share * rate > source:
        share = source / rate * 0.99
    samples = rate // 10
    converted = convert(sine(source, share * rate / 2, source // 10), source, rate, samples)
    inside = converted[samples // 5 : -samples // 5]
    assert 20 * np.log10(np.sqrt(2 * np.mean(inside**2))) < -60


@pytest.mark.parametrize(("source", "rate"), RATES[:5])
def test_scipy_agrees_in_the_pass_band(source, rate):
    random = np.random.default_rng(7)
    waveform = sum(
        sine(source, random.uniform(0.01, 0.3) * min(source, rate), source // 10) for _ in range(5)
    )
    samples = rate // 10
    divisor = np.gcd(source, rate)
    expected = resample_poly(waveform, rate // divisor, source // divisor, window=("kaiser", 8.0))
    inside = slice(samples // 5, -samples // 5)
    converted = convert(waveform, source, rate, samples)
    # SciPy's own filter of 10 zero crossings ripples by 2e-3 here.
    np.testing.assert_allclose(converted[inside], expected[:samples][inside], atol=1e-2)


def test_equal_rates_change_nothing():
    waveform = np.random.default_rng(7).uniform(-1, 1, 50).astype(np.float32)
    np.testing.assert_array_equal(convert(waveform, 8000, 8000, 60), np.pad(waveform, (0, 10)))
    np.testing.assert_array_equal(convert(waveform, 8000, 8000, 20), waveform[:20])


def test_a_constant_stays_and_behind_it_is_silence():
    converted = convert(np.full(2000, 0.5), 16000, 8000, 1500)
    np.testing.assert_allclose(converted[100:900], 0.5, atol=1e-6)
    np.testing.assert_array_equal(converted[1000:], 0)
    assert np.abs(converted[999]) > 0.1


@pytest.mark.parametrize(("source", "rate"), [(44100, 16000), (44101, 16000), (8000, 44100), (16000, 8000)])
def test_many_blocks_give_what_one_gives(source, rate, monkeypatch):
    waveform = np.random.default_rng(7).uniform(-1, 1, 3000)
    samples = 3000 * rate // source
    whole = convert(waveform, source, rate, samples)
    monkeypatch.setattr(module, "BLOCK_ELEMENTS", 9000)
    np.testing.assert_allclose(
        convert(waveform, source, rate, samples), whole, atol=2e-6
    )  # Summed otherwise.


@pytest.mark.parametrize(("source", "rate"), RATES)
def test_samples_behind_the_needed_ones_change_nothing(source, rate):
    random = np.random.default_rng(7)
    needed = int(needed_samples(tf.constant(source), rate, 100))
    waveform = random.uniform(-1, 1, needed + 500)
    other = np.concatenate([waveform[:needed], random.uniform(-1, 1, 700)])
    np.testing.assert_array_equal(convert(waveform, source, rate, 100), convert(other, source, rate, 100))


@pytest.mark.parametrize("source", [1000, 768_000])
def test_extreme_rates_hold_a_tone(source):
    waveform = sine(source, 150, source // 4)
    converted = convert(waveform, source, 16000, 4000)
    np.testing.assert_allclose(converted[1000:-1000], sine(16000, 150, 4000)[1000:-1000], atol=1e-3)


def test_the_rate_is_known_only_at_run_time():
    @tf.function(input_signature=[tf.TensorSpec([None]), tf.TensorSpec([], tf.int32)])
    def traced(waveform, source):
        return resample(waveform, source, 16000, 800)

    for source in (8000, 16000, 44100):
        waveform = sine(source, 440, source // 20).astype(np.float32)
        # Fused multiplications of the graph round otherwise than single ones.
        np.testing.assert_allclose(traced(waveform, source), convert(waveform, source, 16000, 800), atol=1e-6)


@pytest.mark.parametrize("rate", [8000, 16000, 22050, 44100])
@pytest.mark.parametrize("source", module.COMMON)
def test_filters_held_in_the_graph_give_what_those_made_when_needed_give(source, rate, monkeypatch):
    waveform = np.random.default_rng(7).uniform(-1, 1, source // 9)
    for samples in (1, 37, rate // 8):
        common = convert(waveform, source, rate, samples)
        monkeypatch.setattr(module, "COMMON", ())
        # The places of the taps are rounded otherwise.
        np.testing.assert_allclose(convert(waveform, source, rate, samples), common, atol=5e-6)
        monkeypatch.undo()


def test_too_large_filters_are_not_held():
    assert module._common_filters(44100, 12345) is None
    assert module._common_filters(44100, 16000).size < module.MOST_WEIGHTS


def test_an_empty_waveform_is_silence():
    np.testing.assert_array_equal(convert([], 44100, 16000, 5), np.zeros(5))
