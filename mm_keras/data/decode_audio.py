"""Bytes of any common audio container -> waveform, for training."""

import contextlib
import io

import numpy as np
import soundfile
import tensorflow as tf

try:
    import miniaudio
except ImportError:  # Where it has no wheel; soundfile reads the same.
    miniaudio = None

from mm_keras.checks import check_positive_int, message
from mm_keras.data.audio_container import unreadable
from mm_keras.data.decode_wav import FASTEST, MOST_SAMPLES, SLOWEST, decode_plain_or, read_wav
from mm_keras.data.graph_check import WHOLE, beginning, outlined
from mm_keras.data.resample import needed_samples, resample

UNKNOWN = 1 << 62  # Samples that soundfile tells of a file whose header does not.
OGG_HEADER = 27  # Bytes of an Ogg page before its list of sizes (RFC 3533, 6).
FLAC = (b"fLaC\0", b"fLaC\x80")  # Its information first, as everywhere; alone in the second.
STREAM_INFO = 26  # Bytes of a FLAC file up to the number of its samples (RFC 9639, 8.2).
WORTH = 4  # A FLAC file up to so many times as long as needed is read whole, which is quicker.


def decode_audio(contents, rate, samples, max_samples=MOST_SAMPLES):
    """Decodes WAV, FLAC, Ogg or MP3 to one channel at a fixed rate and length.

    The container is told by its first bytes. WAV is read by `decode_wav`, FLAC that is not much longer than
    needed by miniaudio, which takes half of soundfile's time; all others by soundfile, as far as the result
    needs them. For training only: the graph calls Python, so that another process can neither serve nor run
    it.

    Args:
        contents: string tensor, scalar. The bytes of the file.
        rate: int > 0. Samples per second (Hz) of the result.
        samples: int > 0. Length `S` of the result: the end is cut or zero-padded.
        max_samples: int > 0. Most samples, of all channels together, that the file may hold.

    Returns: float32 tensor `(S,)`. Lossy formats may slightly exceed [-1, 1].
    Raises: tf.errors.InvalidArgumentError, at run time, if the contents cannot be read, are truncated (of MP3
        that cannot be told) or too long; see `decode_wav`. ValueError, if an argument is not as above.
    """
    for name, value in (("rate", rate), ("samples", samples), ("max_samples", max_samples)):
        check_positive_int("decode_audio", name, value)
    contents = tf.convert_to_tensor(contents, tf.string)

    def decode_other(contents):
        waveform, source = tf.cond(
            tf.equal(beginning(contents, 4), b"RIFF"),
            lambda: outlined(lambda wav: read_wav(wav, rate, samples, max_samples), contents),
            lambda: _read_in_graph(contents, rate, samples, max_samples),
        )
        return tf.cond(
            tf.equal(source, rate) & tf.equal(tf.size(waveform), samples),
            lambda: waveform,
            lambda: outlined(lambda *sound: resample(*sound, rate, samples), waveform, source),
        )

    return decode_plain_or(decode_other, contents, rate, samples, max_samples)


def _read_in_graph(contents, rate, samples, max_samples):
    """Returns the channels' mean, float32 `(N,)`, and its rate, int64 scalar; at `rate` Hz N is `samples`."""

    def read(contents):
        # In eager mode it comes as an array without axes, in a graph as bytes.
        contents = contents if isinstance(contents, bytes) else np.asarray(contents, object).item()
        try:
            waveform, source = _read_in_python(contents, rate, samples, max_samples)
        except ValueError as error:  # An exception here would come with Python's call stack.
            return np.zeros(samples, np.float32), np.int64(rate), str(error).encode()
        if source == rate and len(waveform) != samples:
            waveform = np.pad(waveform[:samples], (0, max(samples - len(waveform), 0)))
        return waveform, np.int64(source), b""

    waveform, source, fault = tf.numpy_function(read, [contents], (tf.float32, tf.int64, tf.string))
    waveform, source = tf.ensure_shape(waveform, (None,)), tf.ensure_shape(source, ())
    if tf.executing_eagerly():
        if fault != b"":
            raise tf.errors.InvalidArgumentError(None, None, fault.numpy().decode())
    else:
        with tf.control_dependencies([tf.raw_ops.Assert(condition=tf.equal(fault, b""), data=[fault])]):
            waveform = tf.identity(waveform)
    return waveform, source


def _read_in_python(contents, rate, samples, max_samples):
    """Returns the channels' mean as far as it is needed, float32 `(N,)`, and its rate.

    Raises: ValueError, if it cannot be read, or not whole.
    """
    waveform, source = _read_short_flac(contents, rate, samples, max_samples)
    if waveform is None:  # Or something is wrong with it, which soundfile names.
        waveform, source = _read_by_soundfile(contents, rate, samples, max_samples)
    waveform = waveform[:, 0] if waveform.shape[1] == 1 else waveform.mean(axis=1, dtype=np.float32)
    return waveform, source


def _read_short_flac(contents, rate, samples, max_samples):
    """Returns the waveform `(N, channels)` of a whole FLAC file, and its rate; None of any other contents."""
    if miniaudio is None or contents[:5] not in FLAC or len(contents) < STREAM_INFO:
        return None, 0
    information = int.from_bytes(contents[18:26])  # 20 bits, 3, 5 and 36.
    source, channels = information >> 44, (information >> 41 & 7) + 1
    frames = information & (1 << 36) - 1
    if not (SLOWEST <= source <= FASTEST and 0 < frames * channels <= max_samples):
        return None, 0
    if frames > WORTH * needed_samples(source, rate, samples, max):
        return None, 0
    try:
        decoded = miniaudio.flac_read_f32(contents)
    except miniaudio.DecodeError:
        return None, 0
    waveform = np.frombuffer(decoded.samples, np.float32)
    if len(waveform) != frames * channels:
        return None, 0
    return waveform.reshape(frames, channels)[: needed_samples(source, rate, samples, max)], source


def _read_by_soundfile(contents, rate, samples, max_samples):
    """Returns the waveform as far as it is needed, float32 `(N, channels)`, and its rate."""
    if _ends_early(contents):
        raise ValueError(_truncated(contents))
    try:
        with soundfile.SoundFile(io.BytesIO(contents)) as file:
            _check_header(file, max_samples)
            source = file.samplerate
            waveform = _read_beginning(file, needed_samples(source, rate, samples, max))
    except soundfile.LibsndfileError as error:
        text = _truncated(contents) if _lacks_last_sample(contents) else None
        raise ValueError(text or unreadable("decode_audio", contents, error)) from error
    wrong = 0 if np.isfinite(waveform.sum()) else int(np.count_nonzero(~np.isfinite(waveform)))
    if wrong:
        received = f"{wrong} values of {len(waveform)} that are NaN, infinite or too large"
        fix = "Replace them before the file is written."
        raise ValueError(message("decode_audio", "finite float32 numbers", received, fix))
    return waveform, source


def _read_beginning(file, needed):
    if file.frames < UNKNOWN:
        waveform = file.read(min(needed, file.frames), dtype="float32", always_2d=True)
        if file.format == "FLAC" and needed < file.frames:
            file.seek(file.frames - 1)  # What is not read must be there, too.
        return waveform
    waveform = np.zeros((needed, file.channels), np.float32)
    waveform[:1] = file.read(1, dtype="float32", always_2d=True)
    with contextlib.suppress(soundfile.LibsndfileError):  # It does not know the end that it finds.
        file.read(out=waveform[1:])
    return waveform


def _check_header(file, max_samples):
    if not SLOWEST <= file.samplerate <= FASTEST:
        fix = "Write the file again with the rate it was recorded at."
        expected = f"a rate of {SLOWEST} to {FASTEST} Hz"
        raise ValueError(message("decode_audio", expected, f"{file.samplerate} Hz", fix))
    found = file.frames * file.channels
    if max_samples < found and file.frames < UNKNOWN:
        expected = f"a sound of at most {max_samples} samples, all channels together"
        fix = "It is too large: cut it, or raise `data.max_samples` in the spec."
        raise ValueError(message("decode_audio", expected, f"{found} samples", fix))


def _ends_early(contents):
    """Returns whether a FLAC header, the last page of an Ogg file or an RF64 file is cut off."""
    magic, size = contents[:4], len(contents)
    if magic == b"OggS":
        page = contents.rfind(b"OggS")
        counted = contents[page + OGG_HEADER - 1 : page + OGG_HEADER]
        sizes = contents[page + OGG_HEADER :][: counted[0] if counted else 0]
        return not counted or len(sizes) < counted[0] or page + OGG_HEADER + counted[0] + sum(sizes) > size
    if magic == b"RF64":
        return 8 + int.from_bytes(contents[20:28], "little") > size  # EBU Tech 3306, 3.
    position, more = 4, magic == b"fLaC"
    while more and position < size:  # RFC 9639, 8.1.
        more = contents[position] < 128
        position += 4 + int.from_bytes(contents[position + 1 : position + 4])
    return magic == b"fLaC" and position >= size


def _lacks_last_sample(contents):
    """Returns whether a FLAC file that cannot be read ends before the last sample of its header."""
    if contents[:4] != b"fLaC":
        return False
    try:
        with soundfile.SoundFile(io.BytesIO(contents)) as file:
            file.seek(file.frames - 1)
    except soundfile.LibsndfileError:
        return True
    return False


def _truncated(contents):
    received = f"{len(contents)} bytes that end before"
    return message("decode_audio", "a sound as long as its file says", received, WHOLE)
