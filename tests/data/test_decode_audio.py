import io
import subprocess
import sys

import numpy as np
import pytest
import soundfile
import tensorflow as tf

from mm_keras.data import decode_audio as module
from mm_keras.data.decode_audio import audio_as_wav, decode_audio
from mm_keras.data.decode_wav import decode_wav

FORMATS = [
    ("WAV", "PCM_24"),
    ("FLAC", "PCM_S8"),
    ("FLAC", "PCM_16"),
    ("FLAC", "PCM_24"),
    ("OGG", "VORBIS"),
    ("OGG", "OPUS"),
    ("MP3", "MPEG_LAYER_III"),
]


def write(container, subtype, rate=48000, channels=2):
    times = np.arange(rate // 4) / rate
    waveform = np.stack([np.sin(2 * np.pi * 440 * times) / (2 + i) for i in range(channels)], axis=1)
    file = io.BytesIO()
    soundfile.write(file, waveform, rate, format=container, subtype=subtype)
    return file.getvalue()


@pytest.fixture(params=["compiled operators if they load", "soundfile"])
def reader(request, monkeypatch):
    if request.param == "soundfile":
        monkeypatch.setattr(module, "_tensorflow_io", lambda: None)


@pytest.mark.parametrize(("container", "subtype"), FORMATS)
def test_every_container_reads_as_soundfile_reads_it(container, subtype, reader):
    contents = write(container, subtype)
    expected = decode_wav(audio_as_wav(contents), 16000, 4000)
    assert np.abs(expected).max() > 0.3
    # MP3 decoders may differ by a rounding of 16 bits.
    np.testing.assert_allclose(decode_audio(contents, 16000, 4000), expected, atol=1e-4)


@pytest.mark.parametrize("rate", [8000, 11025, 16000, 22050, 32000, 44100, 48000])
@pytest.mark.parametrize(
    ("container", "subtype"), [("FLAC", "PCM_16"), ("OGG", "VORBIS"), ("MP3", "MPEG_LAYER_III")]
)
def test_the_rate_is_read_from_the_header(container, subtype, rate):
    decoded = decode_audio(write(container, subtype, rate, channels=1), 8000, 2000).numpy()[200:1800]
    spectrum = np.abs(np.fft.rfft(decoded * np.hanning(1600)))
    assert np.argmax(spectrum) == 88  # 440 Hz in steps of 5 Hz.


def test_an_mp3_behind_an_id3_tag_is_read():
    contents = write("MP3", "MPEG_LAYER_III")
    tagged = b"ID3\x04\x00\x00\x00\x00\x02\x01" + b"\0" * 257 + contents
    expected = decode_audio(contents, 16000, 4000)
    np.testing.assert_allclose(decode_audio(tagged, 16000, 4000), expected, atol=1e-4)


def test_eager_and_map_agree_on_mixed_containers(reader):
    files = [write(*names, channels=1) for names in FORMATS]
    eager = np.stack([decode_audio(contents, 16000, 3000) for contents in files])
    mapped = tf.data.Dataset.from_tensor_slices(files).map(
        lambda contents: decode_audio(contents, 16000, 3000)
    )
    assert mapped.element_spec.shape == (3000,)
    # Fused multiplications of the graph round otherwise than single ones.
    np.testing.assert_allclose(np.stack(list(mapped)), eager, atol=1e-6)


@pytest.mark.parametrize("contents", [b"", b"junkjunkjunk", b"fLaC" + b"0" * 99, b"OggS" + b"0" * 99])
def test_what_no_reader_knows_is_refused(contents, reader):
    with pytest.raises(
        (tf.errors.InvalidArgumentError, ValueError), match="expects a WAV, FLAC, Ogg or MP3 file"
    ):
        decode_audio(contents, 8000, 10)
    with pytest.raises(ValueError, match="`audio_as_wav` expects a WAV, FLAC, Ogg or MP3 file"):
        audio_as_wav(contents)


def test_a_wav_file_passes_unchanged():
    contents = write("WAV", "PCM_16")
    assert audio_as_wav(contents) is contents


def test_a_wav_file_made_of_another_keeps_rate_and_channels():
    waveform, rate = soundfile.read(io.BytesIO(audio_as_wav(write("FLAC", "PCM_16", 22050, 3))))
    assert (rate, waveform.shape) == (22050, (5512, 3))


@pytest.mark.slow
def test_importing_does_not_import_tensorflow_io():
    code = "import sys, mm_keras.data.decode; sys.exit('tensorflow_io' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
