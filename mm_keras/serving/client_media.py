"""An image, a sound or features of a user -> what a served model reads; without TensorFlow."""

import io
from numbers import Integral
from pathlib import Path

import numpy as np
import soundfile
from PIL import Image

from mm_keras.data.audio_container import audio_as_wav

MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}


class FileFault(ValueError):
    """A value cannot be sent.

    Args:
        received: str.
        expected, fix: str or None. None: that of a file that cannot be read.
    """

    def __init__(self, received, expected=None, fix=None):
        super().__init__(received)
        self.expected = expected
        self.fix = fix


def read_file(value):
    """Returns the bytes of a path, or the bytes that are given.

    Raises: FileFault, which names the path.
    """
    if isinstance(value, bytes):
        return value
    path = Path(value)
    try:
        contents = path.read_bytes()
    except FileNotFoundError as error:
        raise FileFault(f"{path}, which does not exist", fix="Check the path.") from error
    except IsADirectoryError as error:
        raise FileFault(f"{path}, which is a folder", fix="Name a file in it.") from error
    except OSError as error:
        raise FileFault(f"{path}: {error.strerror}") from error
    if not contents:
        raise FileFault(f"{path}: the file is empty")
    return contents


def read_image(value):
    """Returns the bytes of an image file.

    Args:
        value: path, bytes of a file, PIL.Image, or array `(H, W)` or `(H, W, C)` of 1 to 4 channels, numbers
            0..255 (floats are rounded) or bool; it is sent as PNG.

    Raises: FileFault.
    """
    if isinstance(value, (str, Path, bytes)):
        return read_file(value)
    image = value if isinstance(value, Image.Image) else Image.fromarray(*_pixels(np.asarray(value)))
    file = io.BytesIO()
    image.save(file, "PNG", compress_level=1)
    return file.getvalue()


def _pixels(pixels):
    """Returns the pixels as uint8 `(H, W[, C])`, and the mode that Pillow calls that."""
    channels = pixels.shape[2] if pixels.ndim == 3 else 1
    if pixels.ndim not in (2, 3) or channels not in MODES or not pixels.size:
        expected = "an image `(H, W)` or `(H, W, C)` of 1 to 4 channels"
        raise FileFault(
            f"an array of shape {pixels.shape}", expected, "Pass one image, without a batch axis."
        )
    if channels == 1:
        pixels = pixels.reshape(pixels.shape[:2])
    if pixels.dtype == bool:
        pixels = pixels * np.uint8(255)
    elif pixels.dtype != np.uint8:
        pixels = _as_bytes(pixels)
    return np.ascontiguousarray(pixels), MODES[channels]


def _as_bytes(pixels):
    if pixels.dtype.kind not in "fiu":
        raise FileFault(f"an array of {pixels.dtype}", "pixels 0..255", "Pass uint8.")
    rounded = np.rint(pixels)
    least, most = float(pixels.min()), float(pixels.max())
    if not (np.isfinite(rounded).all() and 0 <= rounded.min() and rounded.max() <= 255):
        raise FileFault(f"numbers from {least:g} to {most:g}", "pixels 0..255", "Scale them to 0..255.")
    if pixels.dtype.kind == "f" and 0 < most <= 1:
        fix = "Multiply by 255 if 1 is white; else pass uint8."
        raise FileFault(f"floats from {least:g} to {most:g}", "pixels 0..255", fix)
    return rounded.astype(np.uint8)


def read_sound(value, rate):
    """Returns the bytes of a WAV file.

    Args:
        value: path or bytes of a WAV, FLAC, Ogg or MP3 file; array of samples `(S,)` or `(S, channels)`,
            float -1..1 (cut beyond) or int16; or such an array and its rate, in either order. An array is
            sent as 16-bit WAV.
        rate: int or None. Samples per second (Hz) of an array that comes without.

    Raises: FileFault.
    """
    if isinstance(value, (str, Path, bytes)):
        try:
            return audio_as_wav(read_file(value))
        except FileFault:
            raise
        except ValueError as error:
            named = f"{len(value):,} bytes" if isinstance(value, bytes) else value
            raise FileFault(f"{named}: {error}") from error
    samples, rate = _with_rate(value, rate)
    file = io.BytesIO()
    soundfile.write(file, _as_int16(samples), rate, format="WAV", subtype="PCM_16")
    return file.getvalue()


def _with_rate(value, rate):
    if isinstance(value, (tuple, list)) and len(value) == 2:
        first, second = value
        if isinstance(first, Integral) and np.ndim(second):
            value, rate = second, int(first)
        elif isinstance(second, Integral) and np.ndim(first):
            value, rate = first, int(second)
    if rate is None or rate < 1:
        fix = "Pass (samples, rate), such as (samples, 8000)."
        raise FileFault(f"rate={rate}", "samples with their rate (Hz)", fix)
    return np.asarray(value), rate


def _as_int16(samples):
    if samples.ndim not in (1, 2) or not samples.size or samples.dtype.kind not in "fi":
        expected = "samples `(S,)` or `(S, channels)`, float or int16"
        fix = "Pass one sound, without a batch axis."
        raise FileFault(f"an array of {samples.dtype} of shape {samples.shape}", expected, fix)
    if samples.ndim == 2 and samples.shape[1] > samples.shape[0]:
        raise FileFault(f"shape {samples.shape}", "samples `(S, channels)`", "Transpose the array.")
    if samples.dtype == np.int16:
        return samples
    if samples.dtype.kind == "i":
        fix = "Pass int16, or floats -1..1."
        raise FileFault(f"an array of {samples.dtype}", "samples as float or int16", fix)
    if not np.isfinite(samples).all():
        raise FileFault("NaN or infinity", "finite samples", "Replace them.")
    # As a 16-bit file is read: n / 32768.
    return np.clip(np.rint(samples * 32768.0), -32768, 32767).astype(np.int16)


def read_features(value, shape):
    """Returns features, float32 of the model's shape: a sequence is cut or zero-padded at its end.

    Args:
        value: path or bytes of a `.npy` file, or an array.
        shape: (D,) or (T, D).

    Raises: FileFault.
    """
    named = ""
    if isinstance(value, (str, Path, bytes)):
        named = f"{len(value):,} bytes" if isinstance(value, bytes) else f"{value}"
        try:
            value = np.load(io.BytesIO(read_file(value)), allow_pickle=False)
        except FileFault:
            raise
        except (ValueError, EOFError, OSError) as error:
            raise FileFault(f"{named}: {error}", fix="Write it with `numpy.save`.") from error
        named += ": "
    array = np.asarray(value, np.float32)
    if array.ndim != len(shape) or array.shape[-1] != shape[-1]:
        wanted = f"({', '.join([*['T'] * (len(shape) - 1), str(shape[-1])])})"
        raise FileFault(f"{named}shape {array.shape}", f"features of shape {wanted}", "Pass one example.")
    array = array[: shape[0]]
    if not np.isfinite(array).all():
        raise FileFault(f"{named}NaN or infinity", "finite features", "Replace them.")
    return np.pad(array, [(0, shape[0] - len(array)), *[(0, 0)] * (len(shape) - 1)])
