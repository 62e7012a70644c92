"""The files of the zoo: odd and broken images, sounds and vectors."""

import io
import struct
import zlib

import numpy as np
import soundfile
import tensorflow as tf
from PIL import Image

RATE = 8000
SECONDS = 0.1
SHAPE = (6,)
GOOD = ""


def image_cells(root, random):
    """Returns (name, code, cells) of images."""
    colour = Image.fromarray(random.integers(0, 256, (24, 20, 3), dtype="uint8"))
    grey = colour.convert("L")
    second = Image.fromarray(random.integers(0, 256, (24, 20, 3), dtype="uint8"))
    exif = Image.Exif()
    exif[0x0112] = 6  # Orientation: turn by 90 degrees.
    wide = Image.fromarray(random.integers(0, 256, (2, 3000, 3), dtype="uint8"))
    deep = tf.constant(random.integers(0, 65536, (9, 8, 3), dtype="uint16"))
    png, jpeg, gif, bmp = (_encoded(colour, kind) for kind in ("PNG", "JPEG", "GIF", "BMP"))
    contents = [
        ("16-bit PNG", GOOD, "deep.png", tf.io.encode_png(deep).numpy()),
        ("palette PNG", GOOD, "palette.png", _encoded(colour.convert("P"), "PNG")),
        (
            "palette PNG with transparency",
            GOOD,
            "clear.png",
            _encoded(colour.convert("P"), "PNG", transparency=0),
        ),
        ("grey PNG with alpha", GOOD, "la.png", _encoded(grey.convert("LA"), "PNG")),
        ("PNG with alpha", GOOD, "rgba.png", _encoded(colour.convert("RGBA"), "PNG")),
        ("1-bit PNG", GOOD, "bit.png", _encoded(colour.convert("1"), "PNG")),
        ("grey PNG", GOOD, "grey.png", _encoded(grey, "PNG")),
        ("interlaced PNG", GOOD, "adam7.png", _interlaced(np.asarray(colour))),
        ("animated PNG", GOOD, "apng.png", _encoded(colour, "PNG", save_all=True, append_images=[second])),
        ("JPEG", GOOD, "plain.jpg", jpeg),
        ("progressive JPEG", GOOD, "progressive.jpg", _encoded(colour, "JPEG", progressive=True)),
        ("grey JPEG", GOOD, "grey.jpeg", _encoded(grey, "JPEG")),
        ("CMYK JPEG", GOOD, "cmyk.jpg", _encoded(colour.convert("CMYK"), "JPEG")),
        ("rotated JPEG", GOOD, "rotated.jpg", _encoded(colour, "JPEG", exif=exif.tobytes())),
        ("GIF", GOOD, "one.gif", gif),
        ("animated GIF", GOOD, "moving.gif", _encoded(colour, "GIF", save_all=True, append_images=[second])),
        ("BMP", GOOD, "plain.bmp", bmp),
        ("palette BMP", GOOD, "palette.bmp", _encoded(colour.convert("P"), "BMP")),
        ("BMP with alpha", GOOD, "alpha.bmp", _encoded(colour.convert("RGBA"), "BMP")),
        ("image of one pixel", GOOD, "pixel.png", _encoded(colour.crop((0, 0, 1, 1)), "PNG")),
        ("very wide image", GOOD, "wide.png", _encoded(wide, "PNG")),
        ("blank image", GOOD, "blank.png", _encoded(Image.new("RGB", (9, 9), "white"), "PNG")),
        ("JPEG named .png", GOOD, "jpeg.png", jpeg),
        ("PNG named .JPG", GOOD, "PNG.JPG", png),
        ("image without an ending", GOOD, "noending", png),
        ("name beyond ASCII", GOOD, "größe 日本 😀.png", png),
        ("name with quotes and commas", GOOD, 'it\'s "a", b;c.png', png),
        ("name with brackets and percent", GOOD, "[x] 100%{y}#1.png", png),
        ("empty image", "empty", "empty.png", b""),
        ("truncated PNG", "truncated", "cut.png", png[: len(png) // 2]),
        ("PNG of its header alone", "truncated", "header.png", png[:33]),
        ("truncated JPEG", "truncated", "cut.jpg", jpeg[: len(jpeg) * 2 // 3]),
        ("truncated GIF", "truncated", "cut.gif", gif[: len(gif) // 2]),
        ("truncated BMP", "truncated", "cut.bmp", bmp[: len(bmp) // 2]),
        ("PNG with a damaged chunk", "undecodable", "damaged.png", png[:60] + b"\0\1\2\3" + png[64:]),
        ("garbage as image", "undecodable", "garbage.png", b"\x9e" + random.bytes(300)),
        (
            "page saved as image",
            "wrong_type",
            "404.jpg",
            b"<!DOCTYPE html>\n<html><h1>404 Not Found</h1></html>",
        ),
        ("text as image", "wrong_type", "note.png", b"see the other folder for this picture, please"),
        (
            "Git LFS pointer",
            "wrong_type",
            "lfs.png",
            b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n",
        ),
        ("WebP", "wrong_type", "new.webp", _encoded(colour, "WEBP")),
        ("TIFF", "wrong_type", "scan.tif", _encoded(colour, "TIFF")),
        ("HEIC", "wrong_type", "phone.heic", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + random.bytes(200)),
        (
            "SVG",
            "wrong_type",
            "drawing.svg",
            b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>',
        ),
        ("sound as image", "wrong_type", "sound.png", _wav(make_sound(random))),
        ("PNG bomb", "too_large", "bomb.png", _png_of_size(png, 60_000, 60_000)),
        ("GIF bomb", "too_large", "bomb.gif", gif[:6] + struct.pack("<HH", 60_000, 60_000) + gif[10:]),
        ("BMP bomb", "too_large", "bomb.bmp", bmp[:18] + struct.pack("<ii", 60_000, 60_000) + bmp[26:]),
        ("JPEG bomb", "too_large", "bomb.jpg", _jpeg_of_size(jpeg, 60_000, 60_000)),
    ]
    return [_written(root, "image", *item) for item in contents]


def sound_cells(root, random):
    """Returns (name, code, cells) of sounds."""
    mono, stereo = make_sound(random), make_sound(random, channels=2)
    wav, flac, ogg = _wav(mono), _sounded(mono, "FLAC"), _sounded(mono, "OGG")
    flac_bomb = flac[:21] + bytes([flac[21] | 15]) + b"\xff\xff\xff\xff" + flac[26:]
    nan, inf = mono.copy(), mono.copy()
    nan[7], inf[7] = np.nan, np.inf
    odd = wav[:12] + b"odd \x03\0\0\0abc\0" + wav[12:36] + b"LIST\x04\0\0\0INFO" + wav[36:]
    contents = [
        ("8-bit WAV", GOOD, "8.wav", _wav(mono, "PCM_U8")),
        ("24-bit WAV", GOOD, "24.wav", _wav(mono, "PCM_24")),
        ("32-bit WAV", GOOD, "32.wav", _wav(mono, "PCM_32")),
        ("float WAV", GOOD, "float.wav", _wav(mono, "FLOAT")),
        ("WAV of doubles", GOOD, "double.wav", _wav(mono, "DOUBLE")),
        ("extensible WAV", GOOD, "extensible.wav", _sounded(stereo, "WAVEX", subtype="PCM_24")),
        ("loud float WAV", GOOD, "loud.wav", _wav(5 * mono, "FLOAT")),
        ("stereo WAV", GOOD, "stereo.wav", _wav(stereo)),
        ("WAV of six channels", GOOD, "six.wav", _wav(make_sound(random, channels=6))),
        ("WAV with other chunks", GOOD, "odd.wav", odd),
        ("WAV of a stream", GOOD, "stream.wav", wav[:40] + b"\xff\xff\xff\xff" + wav[44:]),
        ("WAV at 44100 Hz", GOOD, "44100.wav", _wav(make_sound(random, rate=44100), rate=44100)),
        ("WAV at 11025 Hz", GOOD, "11025.wav", _wav(make_sound(random, rate=11025), rate=11025)),
        ("very short WAV", GOOD, "short.wav", _wav(mono[:5])),
        ("long WAV", GOOD, "long.wav", _wav(make_sound(random, 2.0))),
        ("FLAC", GOOD, "16.flac", flac),
        ("24-bit FLAC", GOOD, "24.flac", _sounded(mono, "FLAC", subtype="PCM_24")),
        ("Ogg", GOOD, "vorbis.ogg", ogg),
        ("MP3", GOOD, "layer3.mp3", _sounded(make_sound(random, 0.5), "MP3")),
        ("WAV named .mp3", GOOD, "wav.mp3", wav),
        ("FLAC named .wav", GOOD, "flac.wav", flac),
        ("silence", GOOD, "silence.wav", _wav(0 * mono)),
        ("sound with a name beyond ASCII", GOOD, "tèst ✓.wav", wav),
        ("empty sound", "empty", "empty.wav", b""),
        ("truncated WAV", "truncated", "cut.wav", wav[: len(wav) // 2]),
        ("WAV of half a header", "truncated", "header.wav", wav[:30]),
        ("truncated FLAC", "truncated", "cut.flac", flac[: len(flac) // 2]),
        ("truncated Ogg", "truncated", "cut.ogg", ogg[: len(ogg) // 2]),
        ("garbage as sound", "undecodable", "garbage.wav", b"\x9e" + random.bytes(300)),
        ("mu-law WAV", "undecodable", "telephone.wav", _wav(mono, "ULAW")),
        ("text as sound", "wrong_type", "note.wav", b"the recording was lost when the disk broke"),
        ("page saved as sound", "wrong_type", "404.wav", b"<html><body>Sign in to go on</body></html>"),
        ("image as sound", "wrong_type", "image.wav", _encoded(Image.new("RGB", (9, 9), "red"), "PNG")),
        ("M4A", "wrong_type", "phone.m4a", b"\0\0\0\x20ftypM4A \0\0\0\0M4A mp42" + random.bytes(200)),
        ("NaN in a WAV", "not_finite", "nan.wav", _wav(nan, "FLOAT")),
        ("infinity in a WAV", "not_finite", "inf.wav", _wav(inf, "DOUBLE")),
        ("FLAC bomb", "too_large", "bomb.flac", flac_bomb),
        ("sound of many samples", "too_large", "many.wav", _wav(np.zeros((600_000, 8)), "PCM_U8")),
    ]
    return [_written(root, "audio", *item) for item in contents]


def vector_cells(root, random):
    """Returns (name, code, cells) of feature files."""
    good = random.normal(size=SHAPE).astype("float32")
    nan, inf = good.copy(), good.copy()
    nan[2], inf[2] = np.nan, -np.inf
    whole = _saved(good)
    contents = [
        ("vector of doubles", GOOD, "f8.npy", _saved(good.astype("float64"))),
        ("vector of half floats", GOOD, "f2.npy", _saved(good.astype("float16"))),
        ("vector of integers", GOOD, "i4.npy", _saved(np.arange(6, dtype="int32"))),
        ("vector of booleans", GOOD, "b1.npy", _saved(good > 0)),
        ("empty vector file", "empty", "empty.npy", b""),
        ("truncated vector", "truncated", "cut.npy", whole[:-8]),
        ("vector of another length", "wrong_shape", "seven.npy", _saved(np.zeros(7, "float32"))),
        ("table for a vector", "wrong_shape", "table.npy", _saved(np.zeros((2, 6), "float32"))),
        ("pickled objects", "undecodable", "objects.npy", _saved(np.array([{"a": 1}] * 6, object))),
        ("complex numbers", "undecodable", "complex.npy", _saved(good.astype("complex64"))),
        ("NaN in a vector", "not_finite", "nan.npy", _saved(nan)),
        ("infinity in a vector", "not_finite", "inf.npy", _saved(inf)),
        ("archive as vector", "wrong_type", "vectors.npz", _archive(good)),
        ("text as vector", "wrong_type", "numbers.npy", b"0.1 0.2 0.3 0.4 0.5 0.6"),
    ]
    return [_written(root, "vec", *item) for item in contents]


def _written(root, column, name, code, file, contents):
    path = root / column / "odd" / file
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(contents)
    return name, code, {column: path.relative_to(root).as_posix()}


def _encoded(image, kind, **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def _wav(samples, subtype="PCM_16", rate=RATE):
    return _sounded(samples, "WAV", rate, subtype)


def _sounded(samples, kind, rate=RATE, subtype=None):
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format=kind, subtype=subtype)
    return file.getvalue()


def _saved(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def _archive(array):
    file = io.BytesIO()
    np.savez(file, array)
    return file.getvalue()


def _chunk(kind, body):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def _interlaced(pixels):
    """Returns uint8 `(H, W, 3)` as a PNG in the seven passes of Adam7, which Pillow does not write."""
    height, width, _ = pixels.shape
    passes = (
        (0, 0, 8, 8),
        (0, 4, 8, 8),
        (4, 0, 8, 4),
        (0, 2, 4, 4),
        (2, 0, 4, 2),
        (0, 1, 2, 2),
        (1, 0, 2, 1),
    )
    parts = [pixels[top::down, left::right] for top, left, down, right in passes]
    rows = b"".join(b"\0" + row.tobytes() for part in parts if part.size for row in part)
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 1)
    body = _chunk(b"IHDR", header) + _chunk(b"IDAT", zlib.compress(rows)) + _chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def _png_of_size(png, width, height):
    return png[:8] + _chunk(b"IHDR", struct.pack(">II", width, height) + png[24:29]) + png[33:]


def _jpeg_of_size(jpeg, width, height):
    place = jpeg.index(b"\xff\xc0") + 5  # Behind the marker of the frame, its length and the depth.
    return jpeg[:place] + struct.pack(">HH", height, width) + jpeg[place + 4 :]


def make_sound(random, seconds=SECONDS, rate=RATE, channels=1):
    time = np.arange(round(seconds * rate))[:, None] / rate
    return 0.4 * np.sin(2 * np.pi * 440 * time) + random.normal(0, 0.02, (len(time), channels))
