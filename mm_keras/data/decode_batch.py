"""Contents of many files -> examples: plain files at once, the others one by one.

Telling of one file what it is, and carrying it through a graph of its own, takes longer than to decode it if
it is small: of many at once it costs next to nothing.
"""

import struct

import tensorflow as tf

from mm_keras.data import transforms
from mm_keras.data.decode_image import HEAD, is_plain_png
from mm_keras.data.decode_wav import HEADER, plain_sizes, scale_16

GREY_PALETTE = b"".join(bytes((value, value, value, 0)) for value in range(256))


def is_plain(contents, modality, max_pixels, max_samples):
    """Tells which contents `decode_batch` decodes all at once.

    Those are 16-bit mono WAV at the modality's rate with nothing behind the samples, and BMP as `encode_bmp`
    writes it at the modality's size.

    Args: as of `decode_batch`.

    Returns: bool tensor `(B,)`. "", which is no file, is plain too.
    """
    contents = tf.convert_to_tensor(contents, tf.string)
    lengths = tf.strings.length(contents)
    if modality.kind == "audio":
        plain, sizes = plain_sizes(contents, modality.rate, max_samples)
        plain = plain & tf.equal(sizes % 2, 0) & tf.equal(sizes + HEADER, lengths)
    elif modality.kind == "image" and modality.size[0] * modality.size[1] <= max_pixels:
        header, size = _describe_bmp(*modality.example_shape)
        starts = tf.strings.substr(contents, tf.zeros_like(lengths), tf.minimum(lengths, len(header)))
        plain = tf.equal(starts, header) & tf.equal(lengths, len(header) + size)
    else:
        plain = tf.zeros_like(lengths, tf.bool)
    return plain | tf.equal(lengths, 0)


def is_small(contents, modality, max_pixels):
    """Tells which contents `decode_few` decodes all together: PNG of the modality's size, and "".

    Args: as of `decode_batch`.

    Returns: bool tensor `(B,)`.
    """
    contents = tf.convert_to_tensor(contents, tf.string)
    empty = tf.equal(contents, "")
    if modality.kind != "image" or modality.size[0] * modality.size[1] > max_pixels:
        return empty
    head = tf.io.decode_raw(contents, tf.uint8, fixed_length=HEAD)
    return empty | is_plain_png(contents, head, *modality.example_shape)


def decode_batch(contents, modality, max_pixels, max_samples):
    """Decodes files' contents as `transforms.decode_cell` does each.

    Args:
        contents: string tensor `(B,)`; "" gives zeros.
        modality: Modality of the spec whose cells are images or sounds.
        max_pixels, max_samples: int > 0. Most of each file; more are refused.

    Returns: tensor `(B, ...)`, uint8 of images, float32 of sounds.
    Raises: tf.errors.InvalidArgumentError, at run time, as `decode_image` and `decode_audio`.
    """
    read = _read_bmp if modality.kind == "image" else _read_wav
    examples = read(contents, modality)
    odd = ~is_plain(contents, modality, max_pixels, max_samples)
    return _replace(examples, odd, contents, _decoder(modality, max_pixels, max_samples))


def decode_served(contents, modality, max_pixels, max_samples):
    """Decodes what a server is sent as `transforms.decode_cell` does each: plain sounds all at once, PNG of
    the modality's size without asking each what it is.

    Args, Returns, Raises: as of `decode_batch`.
    """
    decode = _decoder(modality, max_pixels, max_samples, served=True)
    if modality.kind == "audio":
        examples = _read_wav(contents, modality)
        return _replace(examples, ~is_plain(contents, modality, max_pixels, max_samples), contents, decode)
    shape, small = modality.example_shape, is_small(contents, modality, max_pixels)
    examples = tf.zeros((tf.size(contents), *shape), tf.uint8)
    examples = _replace(
        examples,
        small & (contents != ""),
        contents,
        lambda cell: tf.ensure_shape(tf.io.decode_png(cell, shape[-1]), shape),
    )
    return _replace(examples, ~small, contents, decode)


def _replace(examples, chosen, contents, decode):
    """Returns the examples `(B, ...)` with those that are chosen, bool `(B,)`, decoded one by one."""
    rows = tf.where(chosen)

    def replace():
        signature = tf.TensorSpec(examples.shape[1:], examples.dtype)
        decoded = tf.map_fn(decode, tf.gather_nd(contents, rows), fn_output_signature=signature)
        return tf.tensor_scatter_nd_update(examples, rows, decoded)

    return tf.cond(tf.equal(tf.size(rows), 0), lambda: tf.identity(examples), replace)


def decode_few(contents, modality, max_pixels, max_samples):
    """Decodes files' contents as `transforms.decode_cell` does each; PNG of the modality's size all together.

    Args:
        contents: string tensor `(N,)`, N known and small: the graph grows with it. "" gives zeros.
        modality, max_pixels, max_samples: as of `decode_batch`; of features, too.

    Returns: tensor `(N, ...)`.
    Raises: tf.errors.InvalidArgumentError, at run time, as `transforms.decode_cell`.
    """
    decode = tf.function(_decoder(modality, max_pixels, max_samples), autograph=False)  # Traced once.

    def decode_any():
        return tf.stack([decode(cell) for cell in tf.unstack(contents)])

    if modality.kind != "image":
        return decode_any()
    shape = modality.example_shape

    def decode_png():
        with tf.init_scope():
            black = tf.io.encode_png(tf.zeros(shape, tf.uint8)).numpy()
        there = tf.unstack(tf.where(tf.equal(contents, ""), black, contents))
        return tf.stack([tf.ensure_shape(tf.io.decode_png(cell, shape[-1]), shape) for cell in there])

    small = is_small(contents, modality, max_pixels)
    return tf.cond(tf.reduce_all(small), decode_png, decode_any)


def _decoder(modality, max_pixels, max_samples, served=False):
    return lambda cell: transforms.decode_cell(cell, modality, max_pixels, served, max_samples)


def encode_bmp(pixels):
    """Writes an image as BMP, rows from the top, not packed: a batch of them is decoded at once.

    Args:
        pixels: uint8 tensor `(H, W, C)` of known shape, C = 1 or 3.

    Returns: string tensor, scalar.
    """
    height, width, channels = pixels.shape
    header, size = _describe_bmp(height, width, channels)
    rows = tf.reshape(pixels[..., ::-1], (height, width * channels))  # Blue first.
    rows = tf.pad(rows, [[0, 0], [0, size // height - width * channels]])
    # The last field of a serialised tensor is its content.
    serialized = tf.io.serialize_tensor(rows)
    content = tf.strings.substr(serialized, tf.strings.length(serialized) - size, size)
    return tf.strings.join([header, content])


def _describe_bmp(height, width, channels):
    """Returns what stands before the pixels, and the bytes of the pixels."""
    palette = GREY_PALETTE if channels == 1 else b""
    row = -(-width * channels // 4) * 4  # A multiple of 4 bytes.
    start, size = 54 + len(palette), height * row
    header = struct.pack("<2sIHHI", b"BM", start + size, 0, 0, start)
    header += struct.pack("<IiiHHII", 40, width, -height, 1, 8 * channels, 0, size)
    header += struct.pack("<iiII", 0, 0, len(palette) // 4, 0)
    return header + palette, size


def _read_bmp(contents, modality):
    height, width, channels = modality.example_shape
    header, size = _describe_bmp(height, width, channels)
    stored = tf.io.decode_raw(contents, tf.uint8, fixed_length=len(header) + size)[:, len(header) :]
    rows = tf.reshape(stored, (-1, height, size // height))[:, :, : width * channels]
    pixels = tf.reshape(rows, (-1, height, width, channels))
    # A slice in steps of -1 would take 9 times as long.
    return pixels if channels == 1 else tf.reverse(pixels, [-1])


def _read_wav(contents, modality):
    stored = tf.io.decode_raw(contents, tf.int16, fixed_length=HEADER + 2 * modality.samples)
    return scale_16(stored[:, HEADER // 2 :])
