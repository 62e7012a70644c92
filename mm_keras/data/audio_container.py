"""Bytes of any common audio container -> bytes of a WAV file, without TensorFlow."""

import io

import soundfile

from mm_keras.checks import message

KINDS = "a WAV, FLAC, Ogg or MP3 file"


def audio_as_wav(contents):
    """Turns the bytes of a FLAC, Ogg or MP3 file into those of a WAV file, which a served model reads.

    Args:
        contents: bytes. The whole file.

    Returns: bytes. A WAV file of 32-bit floats, at the same rate with the same channels; a WAV file as it is.
    Raises: ValueError, if soundfile cannot read the contents.
    """
    if contents[:4] == b"RIFF":
        return contents
    try:
        waveform, rate = soundfile.read(io.BytesIO(contents), dtype="float32", always_2d=True)
    except soundfile.LibsndfileError as error:
        raise ValueError(unreadable("audio_as_wav", contents, error)) from error
    file = io.BytesIO()
    soundfile.write(file, waveform, rate, format="WAV", subtype="FLOAT")
    return file.getvalue()


def unreadable(owner, contents, error):
    first = "".join(chr(byte) if 32 <= byte < 127 else "?" for byte in contents[:8])
    received = f"contents that begin with `{first}` ({error.error_string.strip(' .')})"
    return message(owner, KINDS, received, "Write the file again as WAV or FLAC.")
