"""A waveform at any rate, resampled to one fixed rate and length."""

import functools
import math

import numpy as np
import tensorflow as tf

from mm_keras.data.graph_check import outlined

ZERO_CROSSINGS = 32  # Of the sinc on each side; the window ends there.
CUTOFF = 0.914  # Share of the lower Nyquist frequency that lies at -6 dB; the stop band begins at 1.
GROUP = 32  # Output samples that share one window of input.
BLOCK_ELEMENTS = 1 << 21  # Of each tensor of filter weights or windows held at a time: 8 MiB.
COMMON = (8000, 16000, 22050, 24000, 32000, 44100, 48000)  # Hz; their filters are held in the graph.
MOST_WEIGHTS = 1 << 17  # Of one such filter.
MOST_GROUPS = 5


def needed_samples(source, rate, samples, maximum=tf.maximum):
    """Returns how many samples at `source` Hz can touch the first `samples` at `rate` Hz.

    With `maximum=max` for an int `source`, else for an int64 scalar tensor.
    """
    return -(-samples * source // rate) + _reach(source, rate, maximum) + 1


def resample(waveform, source, rate, samples):
    """Resamples a waveform from `source` to `rate` Hz, then cuts or zero-pads it at its end.

    A windowed sinc with anti-aliasing and zero delay; each phase of the filter sums to 1, so that a constant
    stays what it is. Before and after the waveform stands silence. Equal rates return the same values.
    Only the part that reaches the output is computed. The filters of common rates stand in the graph; those
    of others are made when needed, in blocks of bounded memory: at rates whose ratio has small terms (12000
    -> 16000 is 4/3) outputs share filter weights; others, such as 44101 Hz, are the slowest.

    Args:
        waveform: float32 tensor `(N,)`.
        source: int scalar tensor > 0. Samples per second (Hz) of `waveform`.
        rate: int > 0. Samples per second (Hz) of the result.
        samples: int > 0. Length `S` of the result.

    Returns: float32 tensor `(S,)`. Overshoot beyond [-1, 1] at steep edges is kept.
    Source: Smith, Digital Audio Resampling Home Page, 2002, with the Blackman window.
    """
    source = tf.cast(source, tf.int64)
    same = tf.equal(source, rate)
    # An outlined function takes no part of the waveform that the output does not need.
    waveform = waveform[
        : tf.where(same, tf.constant(samples, tf.int64), needed_samples(source, rate, samples))
    ]
    resampled = tf.cond(
        same,
        lambda: waveform,
        lambda: outlined(lambda *inputs: _convert(*inputs, rate, samples), waveform, source),
    )
    padded = tf.pad(resampled, [[0, samples - tf.shape(resampled)[0]]])
    return tf.ensure_shape(padded, (samples,))


def _reach(source, rate, maximum=tf.maximum):
    """Input samples on each side of an output sample that its filter reads."""
    return maximum(-(-ZERO_CROSSINGS * source // rate), ZERO_CROSSINGS)


def _convert(waveform, source, rate, samples):
    common = [known for known in COMMON if known != rate and _common_filters(known, rate) is not None]
    matches = tf.concat([tf.equal(source, tf.constant(common, tf.int64)), [True]], 0)
    branches = [lambda known=known: _convert_common(waveform, known, rate, samples) for known in common]
    branches.append(lambda: outlined(lambda *inputs: _convert_any(*inputs, rate, samples), waveform, source))
    return tf.switch_case(tf.argmax(matches, output_type=tf.int32), branches)


@functools.cache
def _common_filters(source, rate):
    """Returns the weights, float32 `(G, W, N)`: of G groups of N outputs each of W inputs; None if too many.

    All groups together make one period, a whole number of both outputs and inputs.
    """
    divisor = math.gcd(source, rate)
    up, down = rate // divisor, source // divisor
    period = up * -(-GROUP // up)
    size = max(GROUP, -(-period // MOST_GROUPS))
    half = _reach(source, rate, max)
    width = 2 * half + 2 + -(-size * source // rate)
    groups = -(-period // size)
    if groups * width * size > MOST_WEIGHTS:
        return None
    outputs = np.arange(groups)[:, None] * size + np.arange(size)
    first = np.arange(groups) * size * down // up  # (G,)
    centre = outputs * down / up - first[:, None]
    place = (np.arange(width)[None, :, None] - half - centre[:, None, :]) * (
        min(up / down, 1) / ZERO_CROSSINGS
    )
    cosine = np.cos(np.pi * place)
    weights = np.sinc(place * CUTOFF * ZERO_CROSSINGS) * (0.34 + cosine * (0.5 + 0.16 * cosine))
    weights = np.where(np.abs(place) < 1, weights, 0.0)
    return (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)


def _convert_common(waveform, source, rate, samples):
    """Does what `_convert_any` does, for rates known while the graph is built."""
    filters = _common_filters(source, rate)
    groups, width, size = filters.shape
    divisor = math.gcd(source, rate)
    up, down = rate // divisor, source // divisor
    period = up * -(-GROUP // up)
    step = period * down // up  # Input samples that one period of outputs takes.
    total = tf.minimum(-(-tf.size(waveform, tf.int64) * rate // source), samples)
    repeats = tf.cast(-(-total // period), tf.int32)
    rows = -(-width // step)
    missing = (repeats + rows + 1) * step - tf.size(waveform)
    padded = tf.pad(waveform, [[_reach(source, rate, max), tf.maximum(missing, 0)]])
    outputs = []
    for group in range(groups):
        first = group * size * down // up
        parts = [
            tf.reshape(padded[first + row * step :][: repeats * step], (repeats, step)) for row in range(rows)
        ]
        windows = tf.concat(parts, 1) if rows > 1 else parts[0]  # (Q, rows * step)
        outputs.append(tf.matmul(windows[:, :width], filters[group]))
    outputs = tf.concat(outputs, 1)[:, :period] if groups > 1 else outputs[0][:, :period]
    return tf.reshape(outputs, (-1,))[:total]


def _convert_any(waveform, source, rate, samples):
    total = tf.minimum(-(-tf.size(waveform, tf.int64) * rate // source), samples)
    up, down = _ratio(source, rate)
    half = _reach(source, rate)
    width = 2 * half + 2 + -(-GROUP * source // rate)  # Input samples that one group of outputs reads.
    # Outputs that share weights take a window each group; the others a filter each output.
    most = tf.where(up * width <= BLOCK_ELEMENTS, GROUP * BLOCK_ELEMENTS // width, BLOCK_ELEMENTS // width)
    block = tf.maximum(most, GROUP)
    period = tf.minimum(up * -(-GROUP // up), tf.minimum(block, total))
    padded = tf.pad(waveform, [[half, (period + GROUP) * source // rate + width]])

    def convert_block(start, done):
        size = tf.minimum(block, total - start)
        converted = _convert_block(padded, start, size, tf.minimum(period, size), width, half, up, down)
        return start + size, tf.concat([done, converted], 0)

    _, resampled = tf.while_loop(
        lambda start, done: start < total,
        convert_block,
        (tf.zeros((), tf.int64), tf.zeros((0,))),
        shape_invariants=(tf.TensorShape([]), tf.TensorShape([None])),
    )
    return resampled


def _ratio(source, rate):
    """Returns rate / source in lowest terms, as two int64 scalars."""
    divisors = [divisor for divisor in range(1, rate + 1) if rate % divisor == 0]
    divisor = tf.reduce_max(tf.where(tf.equal(source % divisors, 0), tf.constant(divisors, tf.int64), 1))
    return rate // divisor, source // divisor


def _convert_block(padded, start, size, period, width, half, up, down):
    """Returns output samples `start` to `start + size`.

    Output `start + q * period + g * GROUP + b` reads window `(g, q)` with column b of filter g:
    after a period the filters repeat, because it is a whole number of input samples.
    """
    groups, repeats = -(-period // GROUP), -(-size // period)
    offset = (start * down) % up + tf.range(groups) * (GROUP * down)  # (G,), in units of 1 / up input samples
    first = start * down // up + offset // up
    steps = tf.range(repeats) * (period * down // up)
    first, steps, inside = (tf.cast(part, tf.int32) for part in (first, steps, tf.range(width)))
    windows = tf.gather(padded, (first[:, None] + steps)[:, :, None] + inside)  # (G, Q, W)
    weights = _filters(offset % up, up, down, width, half)
    outputs = tf.transpose(tf.matmul(windows, weights), (1, 0, 2))  # (Q, G, GROUP)
    outputs = tf.reshape(outputs, (repeats, groups * GROUP))[:, :period]
    return tf.reshape(outputs, (-1,))[:size]


def _filters(offset, up, down, width, half):
    """Returns the weights of a window's samples for each output of its group, float32 `(G, W, GROUP)`."""
    scale = tf.minimum(tf.cast(up / down, tf.float32), 1.0)
    outputs = offset[:, None] + tf.range(GROUP, dtype=tf.int64) * down
    centre = tf.cast(outputs / up, tf.float32)  # (G, GROUP)
    taps = tf.cast(tf.range(width) - half, tf.float32)
    place = (taps[None, :, None] - centre[:, None, :]) * (scale / ZERO_CROSSINGS)  # (G, W, GROUP)
    angle = place * (math.pi * CUTOFF * ZERO_CROSSINGS)
    sinc = tf.where(tf.abs(angle) < 1e-4, 1.0, tf.math.divide_no_nan(tf.sin(angle), angle))
    cosine = tf.cos(place * math.pi)
    window = 0.34 + cosine * (0.5 + 0.16 * cosine)  # Blackman: 0.42 + 0.5 cos x + 0.08 cos 2x.
    weights = tf.where(tf.abs(place) < 1, sinc * window, 0.0)
    return weights / tf.reduce_sum(weights, axis=1, keepdims=True)
