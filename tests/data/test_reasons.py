import io

import numpy as np
import pytest
import soundfile
import tensorflow as tf
from PIL import Image

from mm_keras.data.decode import decode_audio, decode_features, decode_image, decode_wav
from mm_keras.data.reasons import ENDINGS, READ, SIGNATURES, code_of, describe_type, ending_differs
from mm_keras.data.transforms import reason_of

IMAGE = Image.fromarray(np.random.default_rng(7).integers(0, 256, (20, 30, 3), dtype=np.uint8))
HEADS = {
    b"<!DOCTYPE html><html>": "HTML page",
    b"\n  <html lang='en'>": "HTML page",
    b"<?xml version='1.0'?>\n<svg width='9'>": "SVG image",
    b"<?xml version='1.0'?><list>": "XML document",
    b'{"error": "not found"}': "JSON document",
    b"PK\3\4\x14\0": "ZIP archive",
    b"%PDF-1.7": "PDF document",
    b"\0\0\0\x18ftypheic\0\0\0\0": "HEIC image",
    b"\0\0\0\x1cftypavif\0\0\0\0": "AVIF image",
    b"\0\0\0\x18ftypM4A \0\0\0\0": "M4A sound",
    b"\0\0\0\x18ftypisom\0\0\0\0": "MP4 video",
    b"\x1aE\xdf\xa3\x9fB": "Matroska or WebM video",
    b"RIFF\x10\0\0\0AVI LIST": "AVI video",
    b"ID3\4\0\0": "MP3 sound",
    b"\xff\xfb\x90\x64": "MP3 sound",
    b"\xff\xf1\x50\x80": "AAC sound",
    b"FORM\0\0\0\x20AIFF": "AIFF sound",
    b"\x1f\x8b\x08\0": "gzip archive",
    b"\0\0\1\0\1\0": "ICO image",
    b"version https://git-lfs.github.com/spec/v1\n": "Git LFS pointer, not the file it stands for",
    b"path,label\na.png,cat\n": "text",
    "Wie sch\u00f6n".encode()[:-1]: "text",
    "\u00e4".encode() * 9 + b"\xc3": "text",
    b"\0\1\2\3\4\5": None,
    b"": None,
}


def write(container, image=IMAGE, **options):
    file = io.BytesIO()
    image.save(file, container, **options)
    return file.getvalue()


def sound(container="WAV", subtype="PCM_16", values=None):
    file = io.BytesIO()
    waveform = np.sin(np.arange(3000) / 7) if values is None else values
    soundfile.write(file, waveform, 8000, format=container, subtype=subtype)
    return file.getvalue()


def save(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


@pytest.mark.parametrize(("head", "expected"), HEADS.items())
def test_first_bytes_tell_the_type(head, expected):
    assert describe_type(head) == expected


@pytest.mark.parametrize("container", ["PNG", "JPEG", "GIF", "BMP", "WebP", "TIFF"])
def test_images_are_known_as_pillow_writes_them(container):
    assert describe_type(write(container)[:64]) == f"{container} image"


@pytest.mark.parametrize(
    ("container", "name"), [("WAV", "WAV"), ("RF64", "WAV"), ("FLAC", "FLAC"), ("OGG", "Ogg")]
)
def test_sounds_are_known_as_soundfile_writes_them(container, name):
    subtype = "VORBIS" if container == "OGG" else "PCM_16"
    assert describe_type(sound(container, subtype)[:64]) == f"{name} sound"


def refuse(kind, contents):
    decode = {
        "image": lambda: decode_image(contents, 8, 8, 3, 900),
        "audio": lambda: decode_audio(contents, 8000, 100, 5000),
        "served audio": lambda: decode_wav(contents, 8000, 100, 5000),
        "features": lambda: decode_features(contents, [3]),
    }[kind]
    with pytest.raises(tf.errors.InvalidArgumentError) as error:
        decode()
    return reason_of(error.value)


PNG, NAN = write("PNG"), np.array([0.0, np.nan, 0.0])
FAILURES = [
    ("image", write("WebP"), "wrong_type"),
    ("image", write("TIFF"), "wrong_type"),
    ("image", b"<html>404</html>", "wrong_type"),
    ("image", b"PK\3\4" + bytes(60), "wrong_type"),
    ("image", sound(), "wrong_type"),
    ("image", bytes(60), "undecodable"),
    ("image", PNG[:60] + bytes(len(PNG) - 72) + PNG[-12:], "undecodable"),
    ("image", PNG[:-30], "truncated"),
    ("image", write("JPEG")[:-30], "truncated"),
    ("image", write("GIF")[:-30], "truncated"),
    ("image", write("BMP")[:-30], "truncated"),
    ("image", write("PNG", IMAGE.resize((40, 40))), "too_large"),
    ("audio", PNG, "wrong_type"),
    ("audio", b"not a sound at all", "wrong_type"),
    ("audio", sound("FLAC")[:-30], "truncated"),
    ("audio", sound()[:-30], "truncated"),
    ("audio", sound(subtype="FLOAT", values=NAN), "not_finite"),
    ("audio", sound(values=np.zeros(6000)), "too_large"),
    ("audio", sound("FLAC", values=np.zeros(6000)), "too_large"),
    ("audio", sound(subtype="ULAW"), "undecodable"),
    ("audio", b"RIFF\x10\0\0\0AVI LIST" + bytes(40), "wrong_type"),
    ("served audio", sound("FLAC"), "undecodable"),
    ("features", PNG, "wrong_type"),
    ("features", save(NAN)[:-1], "truncated"),
    ("features", save(NAN)[:50], "truncated"),
    ("features", save(NAN), "not_finite"),
    ("features", save(np.zeros(4)), "wrong_shape"),
    ("features", save(np.array(["a", "b", "c"])), "undecodable"),
]


@pytest.mark.parametrize(("kind", "contents", "code"), FAILURES)
def test_refusals_of_the_decoders_have_the_right_code(kind, contents, code):
    assert code_of(refuse(kind, contents), contents[:64], "a.bin") == code


def test_an_empty_file_is_empty():
    reason = "`read_file` expects a file that holds something. Received: an empty file. Write it again."
    assert code_of(reason, b"", "a.png") == "empty"
    assert (
        code_of("`decode_image` expects PNG. Received: contents that begin with ``.", b"", "a.png") == "empty"
    )


def test_the_path_tells_the_kind_where_the_reason_does_not():
    assert code_of("Invalid data", b"<html>", "folder/a.PNG") == "wrong_type"
    assert code_of("Invalid data", PNG[:64], "folder/a.png") == "undecodable"
    assert code_of("Invalid data", b"<html>", "folder/a") == "undecodable"


@pytest.mark.parametrize(
    ("path", "head", "expected"),
    [
        ("a.jpg", PNG, "named .jpg, but a PNG image"),
        ("folder.d/\u00e4.JPEG", PNG, "named .jpeg, but a PNG image"),
        ("a.wav", b"ID3\4", "named .wav, but a MP3 sound"),
        ("a.png", PNG, ""),
        ("a.opus", sound("OGG", "OPUS"), ""),
        ("a", PNG, ""),
        ("a.dat", PNG, ""),
        ("a.png", bytes(9), ""),
    ],
)
def test_a_name_that_ends_unlike_the_bytes_is_named(path, head, expected):
    assert ending_differs(path, head[:64]) == expected


def test_every_type_that_is_read_has_a_signature_and_endings():
    named = {name for _, name in SIGNATURES}
    assert {name for names in READ.values() for name in names} <= named & set(ENDINGS)
