"""WAV bytes -> waveform, in plain TensorFlow operations."""

import tensorflow as tf

from mm_keras.checks import check_positive_int
from mm_keras.data.graph_check import WHOLE, beginning, outlined, require
from mm_keras.data.resample import needed_samples, resample

PCM, FLOAT, EXTENSIBLE = 1, 3, 0xFFFE
STREAMED = 0x7FFFF000  # Writers that cannot seek leave 0 or a size from here on (SoX: exactly this).
MOST_CHUNKS = 1000  # Before the data; a file of empty chunks must not keep a server busy.
SLOWEST, FASTEST = 1000, 768_000  # Hz.
MOST_SAMPLES = 64 << 20  # Of a file, all channels together.
HEADER = 44  # Bytes before the samples of the plainest file.
FMT = int.from_bytes(b"fmt ", "little")
DATA = int.from_bytes(b"data", "little")
RIFF = int.from_bytes(b"RIFF", "little")
WAVE = int.from_bytes(b"WAVE", "little")


def decode_wav(contents, rate, samples, max_samples=MOST_SAMPLES):
    """Decodes a WAV file to one channel at a fixed rate and length.

    Reads PCM of 8 (unsigned), 16, 24 and 32 bits, floats of 32 and 64 bits, plain or as
    WAVE_FORMAT_EXTENSIBLE, any number of channels (their mean) and any rate from 1000 to 768000 Hz (see
    `resample`). Other chunks may stand before and after the data. A `data` chunk whose size was never
    written, as in a streamed file, reaches to the end of the file. Only what the result needs is read.

    Args:
        contents: string tensor, scalar. The bytes of the file.
        rate: int > 0. Samples per second (Hz) of the result.
        samples: int > 0. Length `S` of the result: the end is cut or zero-padded.
        max_samples: int > 0. Most samples, of all channels together, that the file may hold.

    Returns: float32 tensor `(S,)`. PCM lies in [-1, 1); floats are kept as they are, louder ones too.
    Raises: tf.errors.InvalidArgumentError, at run time, if it is no RIFF/WAVE file, has no `fmt ` or `data`
        chunk, another encoding such as mu-law, no channels, a rate out of range, fewer bytes than it
        says, too many samples, or NaN or infinity. ValueError, if another argument is no int > 0.
    """
    for name, value in (("rate", rate), ("samples", samples), ("max_samples", max_samples)):
        check_positive_int("decode_wav", name, value)
    contents = tf.convert_to_tensor(contents, tf.string)

    def decode_any(contents):
        return resample(*read_wav(contents, rate, samples, max_samples), rate, samples)

    return decode_plain_or(decode_any, contents, rate, samples, max_samples)


def decode_plain_or(decode_other, contents, rate, samples, max_samples):
    """Decodes the plainest WAV file; any other contents are left to `decode_other`."""
    plain, size = plain_sizes(contents, rate, max_samples)
    decoded = tf.cond(
        plain, lambda: _decode_plain(contents, size, samples), lambda: outlined(decode_other, contents)
    )
    return tf.ensure_shape(decoded, (samples,))


def plain_sizes(contents, rate, max_samples):
    """Tells which files are 16-bit mono at `rate` Hz behind 44 bytes of header.

    Most are, and are then read several times as fast: without searching chunks or choosing a format.

    Args:
        contents: string tensor of any shape.
        rate, max_samples: as of `decode_wav`.

    Returns: bool tensor of that shape, and the bytes of each file's samples, int32.
    """
    header = tf.io.decode_raw(contents, tf.int32, fixed_length=HEADER)
    # RIFF, WAVE, fmt, its size, PCM of 1 channel, rate, 2 bytes a frame of 16 bits, data.
    expected = [RIFF, WAVE, FMT, 16, PCM | 1 << 16, rate, 2 | 16 << 16, DATA]
    same = tf.equal(tf.gather(header, [0, 2, 3, 4, 5, 6, 8, 9], axis=-1), expected)
    size = header[..., 10]
    most = min(2 * max_samples, (1 << 31) - 1)
    whole = (size > 0) & (size <= tf.minimum(tf.strings.length(contents) - HEADER, most))
    return tf.reduce_all(same, axis=-1) & whole, size


def _decode_plain(contents, size, samples):
    count = tf.minimum(size // 2, samples)
    waveform = _read_16(tf.strings.substr(contents, HEADER, 2 * count))
    return tf.pad(waveform, [[0, samples - count]])


def read_wav(contents, rate, samples, max_samples):
    """Returns the channels' mean, float32 `(N,)`, as far as it is needed, and its rate, int64 scalar."""
    length = tf.cast(tf.strings.length(contents), tf.int64)
    header = tf.unstack(tf.io.decode_raw(contents, tf.int32, fixed_length=44))
    riff, riff_size, wave = header[:3]
    usual = tf.equal(header[3], FMT) & tf.equal(header[4], 16) & tf.equal(header[9], DATA)
    fmt, data, size = tf.cond(
        usual,
        lambda: (tf.constant(20, tf.int64), tf.constant(44, tf.int64), _unsigned(header[10])),
        lambda: outlined(_find_chunks, contents, length),
    )
    encoding, channels, source, frame, bits = _read_format(contents, fmt)
    rest = length - data
    # A size of 0 is meant where the RIFF chunk, too, says that more follows or that nothing does.
    unwritten = tf.equal(size, 0) & (_unsigned(riff_size) + 8 <= data)
    streamed = unwritten | ((size >= STREAMED) & (size > rest))
    size = tf.where(streamed, rest, size)
    width = frame // tf.maximum(channels, 1)  # Bytes of one number.
    checked = require(
        "decode_wav",
        *_check_chunks(
            contents, tf.equal(riff, RIFF) & tf.equal(wave, WAVE), _unsigned(riff_size), fmt, data
        ),
        *_check_format(encoding, channels, source, frame, bits, width),
        (
            size <= rest,
            "a `data` chunk of {} bytes, as the file says",
            "{} bytes",
            (size, rest),
            WHOLE,
        ),
        check_samples(size // tf.maximum(width, 1), max_samples),
    )
    with tf.control_dependencies([checked]):
        frames = tf.minimum(size // tf.maximum(frame, 1), needed_samples(source, rate, samples))
        part = tf.strings.substr(contents, data, frames * frame)
    branch = tf.where(tf.equal(encoding, PCM), width - 1, 3 + width // 4)
    numbers = tf.switch_case(tf.cast(branch, tf.int32), [lambda read=read: read(part) for read in READERS])
    return _mean(tf.reshape(numbers, tf.stack([frames, channels])), channels), source


def _mean(numbers, channels):
    """Returns the mean of `(N, channels)` over the channels: one and two by quicker ways."""
    ways = (
        lambda: numbers[:, 0],
        lambda: (numbers[:, 0] + numbers[:, -1]) * 0.5,
        lambda: tf.reduce_mean(numbers, axis=1),
    )
    return tf.switch_case(tf.cast(tf.minimum(channels, 3) - 1, tf.int32), ways)


def _unsigned(value):
    return tf.bitwise.bitwise_and(tf.cast(value, tf.int64), 0xFFFFFFFF)


def _find_chunks(contents, length):
    """Returns where the contents of `fmt ` and of `data` begin (0: there is none), and the size of `data`."""

    def step(position, fmt, data, size):
        head = tf.io.decode_raw(tf.strings.substr(contents, position, 8), tf.int32)
        name, found = head[0], _unsigned(head[1])
        inside = position + 8
        fmt = tf.where(tf.equal(name, FMT), inside, fmt)
        is_data = tf.equal(name, DATA)
        following = inside + found + found % 2  # Chunks begin at even places.
        return (
            tf.where(is_data, length, following),
            fmt,
            tf.where(is_data, inside, data),
            tf.where(is_data, found, size),
        )

    zero = tf.zeros((), tf.int64)
    _, fmt, data, size = tf.while_loop(
        lambda position, *_: position + 8 <= length,
        step,
        (zero + 12, zero, zero, zero),
        maximum_iterations=MOST_CHUNKS,
    )
    return fmt, data, size


def _read_format(contents, fmt):
    """Returns encoding, channels, rate, bytes of a frame and bits of a number, int64 scalars."""
    fields = tf.io.decode_raw(tf.strings.substr(contents, fmt, 26), tf.int16, fixed_length=26)
    fields = tf.unstack(tf.bitwise.bitwise_and(tf.cast(fields, tf.int64), 0xFFFF))
    encoding = tf.where(tf.equal(fields[0], EXTENSIBLE), fields[12], fields[0])
    return encoding, fields[1], fields[2] + fields[3] * 65536, fields[6], fields[7]


def _check_chunks(contents, is_wave, size, fmt, data):
    kinds = "Send a WAV file; `audio_as_wav` makes one from FLAC, OGG and MP3."
    first = beginning(contents, 12)
    return (
        (is_wave, "a RIFF/WAVE file", "contents that begin with {}", (first,), kinds),
        (
            (data > 0) | (size + 8 <= tf.cast(tf.strings.length(contents), tf.int64)),
            "a `data` chunk",
            "a WAV file that ends before",
            (),
            WHOLE,
        ),
        (data > 0, "a `data` chunk", "a WAV file without one", (), "Write the file again, whole."),
        (
            fmt > 0,
            "a `fmt ` chunk before the `data` chunk",
            "a WAV file without one",
            (),
            "Write the file again, whole.",
        ),
    )


def _check_format(encoding, channels, source, frame, bits, width):
    pcm = tf.equal(encoding, PCM) & (width <= 4) & (bits > 8 * (width - 1)) & (bits <= 8 * width)
    floats = tf.equal(encoding, FLOAT) & (tf.equal(width, 4) | tf.equal(width, 8)) & tf.equal(bits, 8 * width)
    return (
        (channels > 0, "at least 1 channel", "0 channels", (), "Write the file again with its channels."),
        (
            (pcm | floats) & (width > 0) & tf.equal(width * channels, frame),
            "PCM of 8, 16, 24 or 32 bits (encoding 1) or floats of 32 or 64 bits (encoding 3)",
            "encoding {} of {} bits, {} bytes for {} channels",
            (encoding, bits, frame, channels),
            "Convert the file to 16-bit PCM; encodings 6 and 7 are A-law and mu-law.",
        ),
        check_source_rate(source),
    )


def check_source_rate(source):
    return (
        (source >= SLOWEST) & (source <= FASTEST),
        f"a rate of {SLOWEST} to {FASTEST} Hz",
        "{} Hz",
        (source,),
        "Write the file again with the rate it was recorded at.",
    )


def check_samples(found, max_samples):
    return (
        found <= max_samples,
        f"a sound of at most {max_samples} samples, all channels together",
        "{} samples",
        (found,),
        "It is too large: cut it, or raise `data.max_samples` in the spec.",
    )


def check_finite(owner, numbers):
    """Returns the float32 `numbers` once they are known to be neither NaN nor infinite."""
    finite = tf.math.is_finite(numbers)
    received = "{} values of {} that are NaN, infinite or too large"
    counts = (tf.size(numbers) - tf.math.count_nonzero(finite, dtype=tf.int32), tf.size(numbers))
    fix = "Replace them before the file is written."
    checked = require(owner, (tf.reduce_all(finite), "finite float32 numbers", received, counts, fix))
    with tf.control_dependencies([checked]):
        return tf.identity(numbers)


def _read_8(part):
    return (tf.cast(tf.io.decode_raw(part, tf.uint8), tf.float32) - 128.0) / 128.0


def _read_16(part):
    return scale_16(tf.io.decode_raw(part, tf.int16))


def scale_16(numbers):
    """Returns 16-bit samples, int16, as float32 in [-1, 1)."""
    return tf.cast(numbers, tf.float32) / 32768.0


def _read_24(part):
    low, middle, high = tf.unstack(tf.reshape(tf.io.decode_raw(part, tf.uint8), (-1, 3)), axis=1)
    high = tf.cast(tf.bitcast(high, tf.int8), tf.float32)  # It carries the sign.
    return (high * 65536.0 + tf.cast(middle, tf.float32) * 256.0 + tf.cast(low, tf.float32)) / 8388608.0


def _read_32(part):
    return tf.cast(tf.io.decode_raw(part, tf.int32), tf.float32) / 2147483648.0


def _read_float_32(part):
    return check_finite("decode_wav", tf.io.decode_raw(part, tf.float32))


def _read_float_64(part):
    return check_finite("decode_wav", tf.cast(tf.io.decode_raw(part, tf.float64), tf.float32))


READERS = (_read_8, _read_16, _read_24, _read_32, _read_float_32, _read_float_64)
