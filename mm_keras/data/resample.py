"""A waveform at any rate, resampled to one fixed rate and length."""

import math

import tensorflow as tf

ZERO_CROSSINGS = 32  # Of the sinc on each side; the window ends there.
CUTOFF = 0.914  # Share of the lower Nyquist frequency that lies at -6 dB; the stop band begins at 1.
GROUP = 32  # Output samples that share one window of input.
BLOCK_ELEMENTS = 1 << 21  # Of each tensor of filter weights or windows held at a time: 8 MiB.


def needed_samples(source, rate, samples):
    """Returns how many samples at `source` Hz can touch the first `samples` at `rate` Hz, int64 scalar."""
    source = tf.cast(source, tf.int64)
    return -(-samples * source // rate) + _reach(source, rate) + 1


def resample(waveform, source, rate, samples):
    """Resamples a waveform from `source` to `rate` Hz, then cuts or zero-pads it at its end.

    A windowed sinc with anti-aliasing and zero delay; each phase of the filter sums to 1, so that a constant
    stays what it is. Before and after the waveform stands silence. Equal rates return the same values.
    Only the part that reaches the output is computed, in blocks of bounded memory. Rates whose ratio has
    small terms (44100 -> 16000 is 160/441) share filter weights; others, such as 44101 Hz, are slower.

    Args:
        waveform: float32 tensor `(N,)`.
        source: int scalar tensor > 0. Samples per second (Hz) of `waveform`.
        rate: int > 0. Samples per second (Hz) of the result.
        samples: int > 0. Length `S` of the result.

    Returns: float32 tensor `(S,)`. Overshoot beyond [-1, 1] at steep edges is kept.
    Source: Smith, Digital Audio Resampling Home Page, 2002, with the Blackman window.
    """
    source = tf.cast(source, tf.int64)
    resampled = tf.cond(
        tf.equal(source, rate),
        lambda: waveform[:samples],
        lambda: _convert(waveform[: needed_samples(source, rate, samples)], source, rate, samples),
    )
    padded = tf.pad(resampled, [[0, samples - tf.shape(resampled)[0]]])
    return tf.ensure_shape(padded, (samples,))


def _reach(source, rate):
    """Input samples on each side of an output sample that its filter reads, int64 scalar."""
    return tf.maximum(-(-ZERO_CROSSINGS * source // rate), ZERO_CROSSINGS)


def _convert(waveform, source, rate, samples):
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
