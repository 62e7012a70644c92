"""What first bytes tell: sizes of images and lengths of sounds, against those who read the whole file."""

import io

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from mm_keras.data.headers import HEAD, image_sizes, sound_seconds, stack_heads


def saved_image(kind, width=20, height=31):
    file = io.BytesIO()
    Image.new("RGB", (width, height), "red").save(file, kind)
    return file.getvalue()


def saved_sound(kind, seconds, rate, subtype=None):
    file = io.BytesIO()
    soundfile.write(file, np.full(round(seconds * rate), 0.25), rate, format=kind, subtype=subtype)
    return file.getvalue()


def test_short_files_are_filled_up_with_zeros():
    heads = stack_heads([b"", b"\x01\xff", bytes(range(200))])
    assert heads.shape == (3, HEAD)
    assert heads[1, :3].tolist() == [1, 255, 0]
    assert heads[2].tolist() == list(range(HEAD))


def test_the_size_of_png_gif_and_bmp_is_told_and_of_others_is_not():
    heads = stack_heads([saved_image(kind) for kind in ("PNG", "GIF", "BMP", "JPEG", "WEBP")])
    assert image_sizes(heads).tolist() == [[20, 31]] * 3 + [[0, 0]] * 2


def test_a_bmp_whose_rows_run_from_the_top_has_its_height():
    content = bytearray(saved_image("BMP"))
    content[22:26] = (-31).to_bytes(4, "little", signed=True)
    assert image_sizes(stack_heads([content])).tolist() == [[20, 31]]


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "FLOAT"])
def test_the_seconds_of_a_wav_follow_from_its_size(subtype):
    content = saved_sound("WAV", 0.75, 8000, subtype)
    assert sound_seconds(stack_heads([content]), [len(content)]) == pytest.approx([0.75], abs=0.01)


def test_the_seconds_of_a_flac_are_exact_and_of_an_ogg_unknown():
    contents = [saved_sound("FLAC", 1.25, 44100), saved_sound("OGG", 1.25, 44100)]
    seconds = sound_seconds(stack_heads(contents), [len(content) for content in contents])
    assert seconds[0] == pytest.approx(1.25, abs=1e-5)
    assert np.isnan(seconds[1])


def test_a_flac_of_more_than_32_bits_of_samples_has_all_its_seconds():
    content = bytearray(saved_sound("FLAC", 0.5, 8000))
    content[21] |= 1
    assert sound_seconds(stack_heads([content]), [len(content)]) == pytest.approx([(2**32 + 4000) / 8000])


@given(
    st.lists(st.binary(max_size=80), max_size=5),
    st.sampled_from([b"", b"RIFF\0\0\0\0WAVEfmt ", b"fLaC\0", b"BM"]),
)
def test_no_contents_give_a_negative_or_infinite_figure(tails, begin):
    contents = [begin + tail for tail in tails]
    heads = stack_heads(contents)
    assert (image_sizes(heads) >= 0).all()
    seconds = sound_seconds(heads, np.array([len(content) for content in contents], int))
    assert not np.isinf(seconds).any()
    assert not (seconds < 0).any()
