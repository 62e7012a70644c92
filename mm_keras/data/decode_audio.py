"""Bytes of any common audio container -> waveform, for training."""

import functools
import io
import warnings

import numpy as np
import soundfile
import tensorflow as tf

from mm_keras.checks import check_positive_int, message
from mm_keras.data.decode_wav import check_finite, check_source_rate, decode_wav
from mm_keras.data.graph_check import beginning, bytes_at, require
from mm_keras.data.resample import resample

SOUNDFILE, FLAC_8, FLAC_16, FLAC_24, VORBIS, MP3 = range(6)
MP3_RATES = (44100, 48000, 32000)  # Of MPEG 1; halved in MPEG 2, quartered in 2.5 (ISO 13818-3, 2.4.2.3).


def decode_audio(contents, rate, samples):
    """Decodes WAV, FLAC, Ogg or MP3 to one channel at a fixed rate and length.

    The container is told by its first bytes. WAV is read by `decode_wav`, the others by tensorflow-io where
    its compiled operators load, else, as what tensorflow-io does not know (Ogg Opus), by soundfile. For
    training only: a graph that holds it is not served by stock TensorFlow Serving.

    Args:
        contents: string tensor, scalar. The bytes of the file.
        rate: int > 0. Samples per second (Hz) of the result.
        samples: int > 0. Length `S` of the result: the end is cut or zero-padded.

    Returns: float32 tensor `(S,)`. Lossy formats may slightly exceed [-1, 1].
    Raises: tf.errors.InvalidArgumentError, at run time, if the contents cannot be read; see `decode_wav`.
        ValueError, if `rate` or `samples` is no int > 0.
    """
    check_positive_int("decode_audio", "rate", rate)
    check_positive_int("decode_audio", "samples", samples)
    contents = tf.convert_to_tensor(contents, tf.string)
    is_wav = tf.equal(beginning(contents, 4), b"RIFF")

    def decode_other():
        waveform, source = _read_other(contents)
        checked = require("decode_audio", check_source_rate(source))
        with tf.control_dependencies([checked]):
            waveform = check_finite("decode_audio", waveform)
        return resample(waveform, source, rate, samples)

    return tf.cond(is_wav, lambda: decode_wav(contents, rate, samples), decode_other)


def audio_as_wav(contents):
    """Turns the bytes of a FLAC, Ogg or MP3 file into those of a WAV file, which a served model reads.

    Args:
        contents: bytes. The whole file.

    Returns: bytes. A WAV file of 32-bit floats, at the same rate with the same channels; a WAV file as it is.
    Raises: ValueError, if soundfile cannot read the contents.
    """
    if contents[:4] == b"RIFF":
        return contents
    waveform, rate = _read_by_soundfile("audio_as_wav", contents)
    file = io.BytesIO()
    soundfile.write(file, waveform, rate, format="WAV", subtype="FLOAT")
    return file.getvalue()


def _read_by_soundfile(owner, contents):
    """Returns the samples as float32 `(N, channels)`, and their rate."""
    try:
        return soundfile.read(io.BytesIO(contents), dtype="float32", always_2d=True)
    except soundfile.LibsndfileError as error:
        received = f"contents that begin with {contents[:12]!r} ({error.error_string.strip()})"
        fix = "Write the file again as WAV or FLAC."
        raise ValueError(message(owner, "a WAV, FLAC, Ogg or MP3 file", received, fix)) from error


@functools.cache
def _tensorflow_io():
    """Returns tensorflow_io.audio if its compiled operators load in this TensorFlow, else None."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # It warns at length where it does not fit.
        try:
            import tensorflow_io

            tensorflow_io.python.ops.core_ops.io_audio_decode_flac  # noqa: B018  Loads the library.
        except (ImportError, NotImplementedError, AttributeError):
            return None
    return tensorflow_io.audio


def _read_other(contents):
    """Returns the channels' mean, float32 `(N,)`, and its rate, int64 scalar."""

    def mean_by_soundfile(contents):
        # In eager mode it comes as an array without axes, in a graph as bytes.
        waveform, rate = _read_by_soundfile("decode_audio", np.asarray(contents, object).item())
        return waveform.mean(axis=1, dtype=np.float32), np.int64(rate)

    def by_soundfile():
        waveform, rate = tf.numpy_function(mean_by_soundfile, [contents], (tf.float32, tf.int64))
        return tf.ensure_shape(waveform, (None,)), tf.ensure_shape(rate, ())

    tfio = _tensorflow_io()
    if tfio is None:
        return by_soundfile()
    reader, rate = _choose_reader(contents)

    def mean(numbers, zero=0.0, scale=1.0):
        return (tf.reduce_mean(tf.cast(numbers, tf.float32), axis=1) - zero) / scale, rate

    readers = {
        SOUNDFILE: by_soundfile,
        FLAC_8: lambda: mean(tfio.decode_flac(contents, dtype=tf.uint8), 128.0, 128.0),
        FLAC_16: lambda: mean(tfio.decode_flac(contents, dtype=tf.int16), 0.0, 32768.0),
        FLAC_24: lambda: mean(tfio.decode_flac(contents, dtype=tf.int32), 0.0, 2147483648.0),
        VORBIS: lambda: mean(tfio.decode_vorbis(contents)),
        MP3: lambda: mean(tfio.decode_mp3(contents)),
    }
    return tf.switch_case(reader, readers)


def _choose_reader(contents):
    """Returns which reader fits the header, and the rate, which tensorflow-io does not tell; int64 scalar."""
    head = bytes_at(contents, 0, 48)
    magic = beginning(contents, 4)
    flac_bits = (head[20] % 2) * 16 + head[21] // 16 + 1
    flac = tf.where(tf.equal(flac_bits, [8, 16, 24]), [FLAC_8, FLAC_16, FLAC_24], SOUNDFILE)
    flac_rate = head[18] * 4096 + head[19] * 16 + head[20] // 16
    vorbis = tf.where(tf.reduce_all(tf.equal(head[28:35], list(b"\x01vorbis"))), VORBIS, SOUNDFILE)
    vorbis_rate = head[40] + 256 * (head[41] + 256 * head[42])
    mp3, mp3_rate = _read_mp3_header(contents, head)
    is_flac, is_ogg = tf.equal(magic, b"fLaC"), tf.equal(magic, b"OggS")
    reader = tf.where(is_flac, tf.reduce_max(flac), tf.where(is_ogg, vorbis, mp3))
    rate = tf.where(is_flac, flac_rate, tf.where(is_ogg, vorbis_rate, mp3_rate))
    return reader, tf.cast(rate, tf.int64)


def _read_mp3_header(contents, head):
    tag = 10 + ((head[6] * 128 + head[7]) * 128 + head[8]) * 128 + head[9] + 10 * (head[5] // 16 % 2)
    start = tf.where(tf.reduce_all(tf.equal(head[:3], list(b"ID3"))), tag, 0)
    frame = bytes_at(contents, start, 4)
    version, layer, place = frame[1] // 8 % 4, frame[1] // 2 % 4, frame[2] // 4 % 4
    synchronised = tf.equal(frame[0], 255) & (frame[1] >= 224)
    valid = synchronised & tf.not_equal(version, 1) & tf.equal(layer, 1) & (place < 3)
    rate = tf.gather(MP3_RATES, tf.minimum(place, 2)) // tf.gather([4, 1, 2, 1], version)
    return tf.where(valid, MP3, SOUNDFILE), rate
