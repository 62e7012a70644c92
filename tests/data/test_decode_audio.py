import io

import numpy as np
import pytest
import soundfile
import tensorflow as tf

from mm_keras.data.audio_container import audio_as_wav
from mm_keras.data.decode_audio import decode_audio
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


FLAC, OGG = write("FLAC", "PCM_16"), write("OGG", "VORBIS")


@pytest.mark.parametrize(("container", "subtype"), FORMATS)
def test_every_container_reads_as_soundfile_reads_it(container, subtype):
    contents = write(container, subtype)
    expected = decode_wav(audio_as_wav(contents), 16000, 4000)
    assert np.abs(expected).max() > 0.3
    # MP3 decoders may differ by a rounding of 16 bits.
    np.testing.assert_allclose(decode_audio(contents, 16000, 4000), expected, atol=1e-4)


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("subtype", ["PCM_S8", "PCM_16", "PCM_24"])
@pytest.mark.parametrize("samples", [800, 12000, 15000])
def test_flac_is_read_alike_whole_and_in_part(subtype, channels, samples, monkeypatch):
    contents = write("FLAC", subtype, channels=channels)  # 12000 samples
    quick = decode_audio(contents, 48000, samples)
    monkeypatch.setattr("mm_keras.data.decode_audio.WORTH", 0)
    np.testing.assert_array_equal(decode_audio(contents, 48000, samples), quick)
    whole = soundfile.read(io.BytesIO(contents), dtype="float32", always_2d=True)[0].mean(axis=1)
    np.testing.assert_allclose(quick[:12000], np.pad(whole, (0, 3000))[: min(samples, 12000)], atol=1e-7)
    np.testing.assert_array_equal(quick[12000:], 0)


def test_flac_is_read_without_miniaudio(monkeypatch):
    quick = decode_audio(FLAC, 48000, 12000)
    monkeypatch.setattr("mm_keras.data.decode_audio.miniaudio", None)
    np.testing.assert_array_equal(decode_audio(FLAC, 48000, 12000), quick)


def test_only_flac_that_is_needed_in_large_part_is_read_whole(monkeypatch):
    read = []
    monkeypatch.setattr(
        "mm_keras.data.decode_audio.miniaudio.flac_read_f32", lambda contents: read.append(contents)
    )
    decode_audio(write("FLAC", "PCM_16"), 48000, 100)
    assert not read
    with pytest.raises(AttributeError):  # Of None, which stands for what was decoded.
        decode_audio(write("FLAC", "PCM_16"), 48000, 4000)
    assert len(read) == 1


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


@pytest.mark.slow
def test_eager_and_map_agree_on_mixed_containers():
    files = [write(*names, channels=1) for names in FORMATS]
    eager = np.stack([decode_audio(contents, 16000, 3000) for contents in files])
    mapped = tf.data.Dataset.from_tensor_slices(files).map(
        lambda contents: decode_audio(contents, 16000, 3000)
    )
    assert mapped.element_spec.shape == (3000,)
    # Fused multiplications of the graph round otherwise than single ones.
    np.testing.assert_allclose(np.stack(list(mapped)), eager, atol=1e-6)


@pytest.mark.parametrize(
    "contents", [b"", b"junkjunkjunk", FLAC[:100] + b"0" * 999 + FLAC[1099:], OGG[:40] + OGG[60:]]
)
def test_what_no_reader_knows_is_refused(contents):
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


@pytest.mark.parametrize("samples", [500, 20000])
@pytest.mark.parametrize(("container", "subtype"), [name for name in FORMATS if name[0] != "MP3"])
def test_truncated_files_are_refused_as_such(container, subtype, samples):
    contents = write(container, subtype)
    assert np.abs(decode_audio(contents, 16000, samples)).max() > 0.3
    for length in (40, 80, *(int(len(contents) * share) for share in (0.2, 0.6, 0.9)), len(contents) - 1):
        with pytest.raises(tf.errors.InvalidArgumentError, match="The file is truncated"):
            decode_audio(contents[:length], 16000, samples)


def test_a_truncated_mp3_is_read_or_refused():
    contents = write("MP3", "MPEG_LAYER_III")
    expected = decode_audio(contents, 16000, 800)
    for length in (30, 300):
        with pytest.raises(tf.errors.InvalidArgumentError, match="a WAV, FLAC, Ogg or MP3 file"):
            decode_audio(contents[:length], 16000, 800)
    decoded = decode_audio(contents[: len(contents) * 2 // 3], 16000, 800)
    np.testing.assert_allclose(decoded, expected, atol=1e-4)


def test_an_rf64_file_is_read_and_refused_if_truncated():
    contents = write("RF64", "PCM_16")
    np.testing.assert_allclose(
        decode_audio(contents, 16000, 4000), decode_audio(write("WAV", "PCM_16"), 16000, 4000)
    )
    with pytest.raises(tf.errors.InvalidArgumentError, match="The file is truncated"):
        decode_audio(contents[:-1], 16000, 4000)


def test_a_flac_file_that_does_not_tell_its_length_is_read_to_its_end():
    header = bytearray(FLAC)
    header[21] &= 0xF0
    header[22:26] = bytes(4)
    expected = decode_audio(FLAC, 48000, 14000)
    assert np.any(expected[11900:12000]) and not np.any(expected[12000:])
    np.testing.assert_array_equal(decode_audio(bytes(header), 48000, 14000), expected)


def test_a_long_file_costs_what_its_beginning_costs(monkeypatch):
    read = []
    whole = soundfile.SoundFile.read
    monkeypatch.setattr(
        soundfile.SoundFile,
        "read",
        lambda file, frames, **options: read.append(frames) or whole(file, frames, **options),
    )
    decode_audio(write("FLAC", "PCM_16"), 48000, 100)
    assert read == [133]  # 32 zero crossings of the filter behind the last sample.


@pytest.mark.parametrize(("container", "subtype"), FORMATS)
def test_more_samples_than_allowed_are_refused_before_decoding(container, subtype, monkeypatch):
    contents = write(container, subtype)  # 12000 of 2 channels.
    assert decode_audio(contents, 16000, 100, 30000).shape == (100,)
    monkeypatch.setattr(soundfile.SoundFile, "read", None)
    with pytest.raises(tf.errors.InvalidArgumentError, match="a sound of at most 23000 samples.* too large"):
        decode_audio(contents, 16000, 100, 23000)


def test_a_refusal_in_a_graph_has_no_call_stack():
    graph = tf.function(lambda contents: decode_audio(contents, 16000, 100))
    with pytest.raises(tf.errors.InvalidArgumentError) as error:
        graph(tf.constant(b"junkjunk"))
    assert "`decode_audio` expects a WAV, FLAC, Ogg or MP3 file. Received: contents that begin" in str(
        error.value
    )
    assert "Traceback" not in str(error.value)


def test_a_rate_out_of_range_is_refused():
    with pytest.raises(tf.errors.InvalidArgumentError, match="a rate of 1000 to 768000 Hz. Received: 500 Hz"):
        decode_audio(write("FLAC", "PCM_16", 500), 8000, 100)


@pytest.mark.parametrize(("rate", "samples", "most"), [(0, 10, 9), (8000, 0, 9), (8000, 10, 0)])
def test_arguments_are_checked(rate, samples, most):
    with pytest.raises(ValueError, match="`decode_audio` expects"):
        decode_audio(FLAC, rate, samples, most)
