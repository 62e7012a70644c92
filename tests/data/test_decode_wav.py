import functools
import io
import struct

import numpy as np
import pytest
import soundfile
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mm_keras.data.decode_wav import decode_wav

RANDOM = np.random.default_rng(7)
PCM_16 = np.array([1, -2, 32767, -32768, 5, 0, 100], np.int16)


def write(waveform, rate=8000, subtype="PCM_16", container="WAV"):
    file = io.BytesIO()
    soundfile.write(file, waveform, rate, format=container, subtype=subtype)
    return file.getvalue()


def chunk(name, contents, size=None):
    size = len(contents) if size is None else size
    return name + struct.pack("<I", size) + contents + b"\0" * (len(contents) % 2)


def header(encoding=1, channels=1, rate=8000, bits=16, frame=None):
    frame = channels * bits // 8 if frame is None else frame
    return chunk(b"fmt ", struct.pack("<HHIIHH", encoding, channels, rate, rate * frame % 2**32, frame, bits))


def riff(*chunks, size=None):
    body = b"WAVE" + b"".join(chunks)
    return b"RIFF" + struct.pack("<I", len(body) if size is None else size) + body


DATA = chunk(b"data", PCM_16.tobytes())
EXPECTED = np.pad(PCM_16 / 32768, (0, 3)).astype(np.float32)
CUT_OFF = "`data` chunk of 20 bytes, as the file says. Received: 14 bytes. The file is truncated"


@pytest.mark.parametrize("channels", [1, 2, 5])
@pytest.mark.parametrize("container", ["WAV", "WAVEX"])
@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"])
def test_every_subtype_reads_as_soundfile_reads_it(subtype, container, channels):
    contents = write(RANDOM.uniform(-1, 1, (301, channels)), 8000, subtype, container)
    expected = soundfile.read(io.BytesIO(contents), dtype="float64", always_2d=True)[0].mean(axis=1)
    decoded = decode_wav(contents, 8000, 400)
    np.testing.assert_allclose(decoded[:301], expected, atol=2e-7)  # One rounding to float32.
    np.testing.assert_array_equal(decoded[301:], 0)


@settings(max_examples=30, deadline=None)
@given(arrays(np.int16, st.integers(0, 50)), st.sampled_from([1, 2]), st.integers(1, 60))
def test_any_16_bit_content_is_read_exactly_and_any_length_is_met(numbers, channels, samples):
    numbers = numbers[: len(numbers) // channels * channels]
    contents = riff(header(channels=channels), chunk(b"data", numbers.tobytes()))
    expected = (numbers / 32768).reshape(-1, channels).mean(axis=1)
    decoded = decode_wav(contents, 8000, samples).numpy()
    assert decoded.shape == (samples,)
    expected = np.pad(expected, (0, max(0, samples - len(expected))))[:samples]
    np.testing.assert_array_equal(decoded, expected.astype(np.float32))


@pytest.mark.parametrize(
    "contents",
    [
        riff(header(), DATA),
        riff(chunk(b"LIST", b"INFOabc"), header(), chunk(b"fact", b"1234"), DATA, chunk(b"LIST", b"xyz")),
        riff(header(), chunk(b"data", PCM_16.tobytes(), size=0xFFFFFFFF), size=0xFFFFFFFF),
        riff(header(), chunk(b"data", PCM_16.tobytes(), size=0x7FFFF000)),
        riff(header(), chunk(b"data", PCM_16.tobytes(), size=0), size=0),
        riff(header(), chunk(b"data", PCM_16.tobytes(), size=0), size=36),
        riff(header(), DATA + b"\0"),
    ],
    ids=["plain", "chunks around", "size -1", "size of SoX", "sizes 0", "size 0", "byte behind"],
)
def test_chunks_are_found_and_unwritten_sizes_reach_to_the_end(contents):
    np.testing.assert_array_equal(decode_wav(contents, 8000, 10), EXPECTED)


def test_a_data_chunk_that_is_empty_on_purpose_is_silence():
    contents = riff(header(), chunk(b"data", b""), chunk(b"LIST", b"INFO1234"))
    np.testing.assert_array_equal(decode_wav(contents, 8000, 4), np.zeros(4))
    np.testing.assert_array_equal(decode_wav(contents, 16000, 4), np.zeros(4))


def test_the_plain_layout_and_the_general_reader_agree():
    plain, general = riff(header(), DATA), riff(chunk(b"LIST", b""), header(), DATA)
    for samples in (3, 7, 20):
        np.testing.assert_array_equal(decode_wav(plain, 8000, samples), decode_wav(general, 8000, samples))


def test_bits_that_do_not_fill_their_bytes_are_read_from_the_top():
    contents = riff(header(bits=12, frame=2), DATA)
    np.testing.assert_array_equal(decode_wav(contents, 8000, 10), EXPECTED)


@pytest.mark.slow
def test_eager_map_and_batched_results_agree():
    files = [
        write(RANDOM.uniform(-1, 1, 900), 8000),
        write(RANDOM.uniform(-1, 1, (900, 2)), 22050, "PCM_24"),
        write(RANDOM.uniform(-1, 1, 900), 11025, "FLOAT"),
    ]
    eager = np.stack([decode_wav(contents, 8000, 500) for contents in files])
    mapped = tf.data.Dataset.from_tensor_slices(files).map(lambda contents: decode_wav(contents, 8000, 500))
    assert mapped.element_spec.shape == (500,)
    batched = tf.function(
        lambda batch: tf.map_fn(lambda c: decode_wav(c, 8000, 500), batch, fn_output_signature=tf.float32)
    )(tf.constant(files))
    # Fused multiplications of the graph round otherwise than single ones.
    np.testing.assert_allclose(np.stack(list(mapped)), eager, atol=1e-6)
    np.testing.assert_allclose(batched, eager, atol=1e-6)


def test_a_long_file_costs_what_its_beginning_costs():
    beginning = RANDOM.uniform(-1, 1, 3000).astype(np.float32)
    long = np.concatenate([beginning, np.full(200_000, np.nan, np.float32)])  # Would be refused if read.
    decoded = decode_wav(write(long, 16000, "FLOAT"), 8000, 1000)
    np.testing.assert_array_equal(decoded, decode_wav(write(beginning, 16000, "FLOAT"), 8000, 1000))


@functools.cache
def in_graph():
    signature = [tf.TensorSpec([], tf.string)]
    return tf.function(lambda contents: decode_wav(contents, 8000, 10, 20), input_signature=signature)


def test_as_many_samples_as_allowed_are_read():
    for channels in (1, 2):
        contents = riff(header(channels=channels), chunk(b"data", bytes(2 * 20)))
        np.testing.assert_array_equal(decode_wav(contents, 8000, 10, 20), np.zeros(10))


@pytest.mark.parametrize(
    ("contents", "expected"),
    [
        (b"", "a RIFF/WAVE file. Received: contents that begin with ``"),
        (b"fLaC\xff\xfe and more", "a RIFF/WAVE file. Received: contents that begin with `fLaC"),
        (b"RIFF\0\0\0\0AVI LIST", "a RIFF/WAVE file"),
        (b"RIFF\0\0\0\0WAVEfmt ", "a `data` chunk. Received: a WAV file without one"),
        (riff(header()), "a `data` chunk. Received: a WAV file without one"),
        (
            riff(header(), DATA)[:30],
            "a `data` chunk. Received: a WAV file that ends before. The file is truncated",
        ),
        (
            riff(header(), chunk(b"data", bytes(2 * 21))),
            "a sound of at most 20 samples, all channels together",
        ),
        (riff(header(channels=3), chunk(b"data", bytes(2 * 21))), "Received: 21 samples. It is too large"),
        (riff(DATA, header()), "a `fmt ` chunk before the `data` chunk"),
        (riff(header(channels=0, frame=2), DATA), "at least 1 channel. Received: 0 channels"),
        (riff(header(encoding=7, bits=8), DATA), "Received: encoding 7 of 8 bits"),
        (riff(header(bits=40), DATA), "Received: encoding 1 of 40 bits"),
        (riff(header(encoding=3), DATA), "Received: encoding 3 of 16 bits"),
        (riff(header(frame=3), DATA), "Received: encoding 1 of 16 bits, 3 bytes for 1 channels"),
        (riff(header(frame=0), DATA), "0 bytes for 1 channels"),
        (riff(header(rate=0), DATA), "a rate of 1000 to 768000 Hz. Received: 0 Hz"),
        (riff(header(rate=4_000_000_000), DATA), "Received: 4000000000 Hz"),
        (riff(header(), chunk(b"data", PCM_16.tobytes(), size=20)), CUT_OFF),
        (riff(header(channels=2), chunk(b"data", PCM_16.tobytes(), size=20)), CUT_OFF),
        (write([0.0, np.nan, np.inf], 8000, "FLOAT"), "finite float32 numbers. Received: 2 values of 3"),
        (write([0.0, 1e300], 8000, "DOUBLE"), "finite float32 numbers. Received: 1 values of 2"),
    ],
)
def test_bad_files_are_refused_eagerly_and_in_a_graph(contents, expected):
    for decode in (lambda contents: decode_wav(contents, 8000, 10, 20), in_graph()):
        with pytest.raises(tf.errors.InvalidArgumentError) as error:
            decode(tf.constant(contents))
        assert expected in str(error.value)
        assert "`decode_wav` expects" in str(error.value)


def test_endless_chunks_are_given_up():
    contents = riff(*[chunk(b"JUNK", b"")] * 2000, header(), DATA)
    with pytest.raises(tf.errors.InvalidArgumentError, match="a `data` chunk"):
        decode_wav(contents, 8000, 10)


@pytest.mark.parametrize(
    ("rate", "samples", "most"), [(0, 10, 9), (8000, 0, 9), (8000.0, 10, 9), (8000, 10, 0)]
)
def test_arguments_are_checked(rate, samples, most):
    with pytest.raises(ValueError, match="`decode_wav` expects"):
        decode_wav(riff(header(), DATA), rate, samples, most)
