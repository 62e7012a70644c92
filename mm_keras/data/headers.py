"""What the first bytes of files tell of their contents, for many files at once."""

import numpy as np

HEAD = 64  # Bytes that are looked at.


def stack_heads(heads):
    """Returns the first bytes of files, a sequence of bytes, as int64 `(B, HEAD)`, zeros behind the end."""
    joined = b"".join(bytes(head[:HEAD]).ljust(HEAD, b"\0") for head in heads)
    return np.frombuffer(joined, np.uint8).reshape(-1, HEAD).astype(np.int64)


def image_sizes(heads):
    """Returns width and height of PNG, GIF and BMP files, int64 `(B, 2)`; 0 of other ones.

    Args:
        heads: int64 `(B, HEAD)`, of `stack_heads`.
    """
    png = np.stack([_big(heads, 16, 4), _big(heads, 20, 4)], axis=1)
    gif = np.stack([_little(heads, 6, 2), _little(heads, 8, 2)], axis=1)
    bmp_height = _little(heads, 22, 4)
    bmp_height = np.where(bmp_height >= 1 << 31, (1 << 32) - bmp_height, bmp_height)
    bmp = np.stack([_little(heads, 18, 4), bmp_height], axis=1)
    sizes = np.zeros((len(heads), 2), np.int64)
    for magic, found in ((b"\x89PNG", png), (b"GIF8", gif), (b"BM", bmp)):
        sizes = np.where(_begins(heads, 0, magic)[:, None], found, sizes)
    return sizes


def sound_seconds(heads, sizes):
    """Returns the seconds of WAV files, from their size, and of FLAC files, float64 `(B,)`, else NaN.

    Args:
        heads: int64 `(B, HEAD)`, of `stack_heads`.
        sizes: int array `(B,)`. Bytes of each file.
    """
    is_wav = _begins(heads, 0, b"RIFF") & _begins(heads, 12, b"fmt ")
    is_flac = _begins(heads, 0, b"fLaC") & (heads[:, 4] % 128 == 0)
    samples = (heads[:, 21] % 16) * (1 << 32) + _big(heads, 22, 4)  # STREAMINFO, RFC 9639, section 8.2.
    rate = _big(heads, 18, 3) // 16
    begin = 28 + _little(heads, 16, 4)  # Behind `fmt ` and the head of `data`.
    with np.errstate(divide="ignore", invalid="ignore"):
        of_wav = np.maximum(np.asarray(sizes) - begin, 0) / _little(heads, 28, 4)
        of_flac = samples / rate
    seconds = np.where(is_wav, of_wav, np.where(is_flac & (samples > 0), of_flac, np.nan))
    return np.where(np.isfinite(seconds), seconds, np.nan)


def _begins(heads, place, magic):
    return (heads[:, place : place + len(magic)] == list(magic)).all(axis=1)


def _little(heads, place, count):
    return heads[:, place : place + count] @ (1 << 8 * np.arange(count))


def _big(heads, place, count):
    return heads[:, place : place + count] @ (1 << 8 * np.arange(count)[::-1])
