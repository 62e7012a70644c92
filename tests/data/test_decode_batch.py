"""A batch decoded at once gives what its files give one by one."""

import io
import struct

import numpy as np
import pytest
import soundfile
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from mm_keras.data import decode_batch as module
from mm_keras.data.decode_batch import decode_batch, decode_few, encode_bmp, is_plain, is_small
from mm_keras.data.transforms import decode_cell
from mm_keras.spec_modalities import AudioModality, ImageModality

LIMITS = {"max_pixels": 10_000, "max_samples": 10_000}
SOUND = AudioModality(kind="audio", rate=8000, seconds=0.03)
PHOTO = ImageModality(kind="image", size=(5, 3))


def wav(samples=240, rate=8000, subtype="PCM_16", channels=1, seed=0):
    file = io.BytesIO()
    sound = np.random.default_rng(seed).uniform(-1, 1, (samples, channels))
    soundfile.write(file, sound, rate, subtype, format="WAV")
    return file.getvalue()


def image(kind="PNG", size=(3, 5), mode="RGB", seed=0):
    file = io.BytesIO()
    shape = (*size[::-1], 3) if mode == "RGB" else size[::-1]
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, shape, np.uint8)).save(file, kind)
    return file.getvalue()


def bmp(shape=(5, 3, 3), seed=0):
    return encode_bmp(tf.constant(np.random.default_rng(seed).integers(0, 256, shape, np.uint8))).numpy()


def assert_same(contents, modality):
    """Compares the batch, eager and in a data set, with its files one by one."""
    batch = tf.constant(contents, tf.string)
    singly = np.stack([decode_cell(cell, modality, **LIMITS) for cell in batch])
    np.testing.assert_array_equal(decode_batch(batch, modality, **LIMITS), singly)
    np.testing.assert_array_equal(decode_few(batch, modality, **LIMITS), singly)
    mapped = tf.data.Dataset.from_tensors(batch).map(lambda x: decode_batch(x, modality, **LIMITS))
    np.testing.assert_array_equal(next(iter(mapped)), singly)
    assert singly.dtype == (np.uint8 if modality.kind == "image" else np.float32)


SOUNDS = {
    "as long as wanted": wav(),
    "short": wav(7),
    "long": wav(300),
    "odd size": wav(10)[:40] + struct.pack("<I", 21) + wav(11)[44:65],
    "a chunk behind": wav(50) + b"LIST\x04\x00\x00\x00abcd",
    "stereo": wav(100, channels=2),
    "24 bits": wav(100, subtype="PCM_24"),
    "another rate": wav(100, rate=16000),
    "missing": b"",
}
PLAIN_SOUNDS = {"as long as wanted", "short", "long", "missing"}
IMAGES = {
    "BMP as we write it": bmp(),
    "another one": bmp(seed=1),
    "PNG": image(),
    "JPEG": image("JPEG"),
    "BMP from the bottom": image("BMP"),
    "BMP of another size": bmp((4, 4, 3)),
    "grey BMP": bmp((5, 3, 1)),
    "missing": b"",
}
PLAIN_IMAGES = {"BMP as we write it", "another one", "missing"}


@pytest.mark.parametrize(
    ("files", "plain", "modality"), [(SOUNDS, PLAIN_SOUNDS, SOUND), (IMAGES, PLAIN_IMAGES, PHOTO)]
)
def test_any_mixture_equals_its_files_one_by_one(files, plain, modality):
    assert_same(list(files.values()), modality)
    assert_same([files[name] for name in sorted(plain)], modality)
    found = is_plain(tf.constant(list(files.values())), modality, **LIMITS)
    assert {name for name, here in zip(files, found, strict=True) if here} == plain


@settings(max_examples=8, deadline=None)
@given(st.lists(st.integers(1, 400), min_size=1, max_size=4), st.integers(0, 99))
def test_plain_sounds_of_any_length_are_cut_or_filled(lengths, seed):
    assert_same([wav(length, seed=seed + place) for place, length in enumerate(lengths)], SOUND)


@settings(max_examples=8, deadline=None)
@given(st.integers(1, 9), st.integers(1, 9), st.sampled_from([1, 3]), st.integers(0, 99))
def test_a_bmp_of_any_size_holds_the_pixels(height, width, channels, seed):
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, channels), np.uint8)
    contents = encode_bmp(tf.constant(pixels)).numpy()
    modality = ImageModality(kind="image", size=(height, width), channels=channels)
    assert is_plain(tf.constant([contents]), modality, **LIMITS).numpy().all()
    np.testing.assert_array_equal(decode_batch(tf.constant([contents]), modality, **LIMITS)[0], pixels)
    with Image.open(io.BytesIO(contents)) as opened:
        found = np.asarray(opened.convert("L" if channels == 1 else "RGB")).reshape(pixels.shape)
    np.testing.assert_array_equal(found, pixels)
    np.testing.assert_array_equal(decode_cell(tf.constant(contents), modality, **LIMITS), pixels)


def test_png_of_the_size_of_the_model_are_small():
    grey = ImageModality(kind="image", size=(5, 3), channels=1)
    files = {**IMAGES, "grey PNG": image(mode="L"), "large PNG": image(size=(6, 10)), "cut PNG": image()[:-1]}
    contents = tf.constant(list(files.values()))

    def names(modality, max_pixels=15):
        found = is_small(contents, modality, max_pixels)
        return {name for name, here in zip(files, found, strict=True) if here}

    assert names(PHOTO) == {"PNG", "grey PNG", "missing"}
    assert names(grey) == {"grey PNG", "missing"}  # Of colours, grey is made by a rule of our own.
    assert names(PHOTO, max_pixels=14) == names(SOUND) == {"missing"}
    for chosen, modality in (("PNG", PHOTO), ("grey PNG", PHOTO), ("grey PNG", grey)):
        assert_same([files[chosen], b""], modality)


def test_plain_files_pass_no_other_decoder(monkeypatch):
    def refuse(*arguments, **settings):
        raise AssertionError("called")

    monkeypatch.setattr(module.transforms, "decode_cell", refuse)
    plain = tf.constant([SOUNDS["short"], b""])
    assert decode_batch(plain, SOUND, **LIMITS).shape == (2, 240)
    assert decode_few(tf.constant([image(), b""]), PHOTO, **LIMITS).shape == (2, 5, 3, 3)
    with pytest.raises(AssertionError, match="called"):
        decode_batch(tf.constant([SOUNDS["stereo"]]), SOUND, **LIMITS)


@pytest.mark.parametrize(
    ("contents", "modality", "limits", "reason"),
    [
        (wav()[:-1], SOUND, LIMITS, "480 bytes"),
        (wav(), SOUND, {**LIMITS, "max_samples": 239}, "239"),
        (bmp(), PHOTO, {**LIMITS, "max_pixels": 14}, "an image of 1 to 14 pixels"),
        (bmp()[:-1], PHOTO, LIMITS, "truncated"),
        (b"words", PHOTO, LIMITS, "PNG, JPEG, GIF or BMP"),
    ],
)
def test_what_is_refused_alone_is_refused_in_a_batch(contents, modality, limits, reason):
    good = SOUNDS["short"] if modality is SOUND else IMAGES["BMP as we write it"]
    for decode in (decode_batch, decode_few):
        with pytest.raises(tf.errors.InvalidArgumentError, match=reason):
            decode(tf.constant([good, contents]), modality, **limits)
