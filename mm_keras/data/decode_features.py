"""NumPy `.npy` bytes -> feature vector or sequence, in plain TensorFlow operations."""

import io
import math

import numpy as np
import tensorflow as tf

from mm_keras.checks import check_positive_ints, listing
from mm_keras.data.decode_wav import check_finite
from mm_keras.data.graph_check import WHOLE, beginning, bytes_at, little_endian, outlined, require

# Spelling in the file -> type that the bytes are read as, type that they mean.
DTYPES = {
    "<f2": (tf.float16, tf.float16),
    "<f4": (tf.float32, tf.float32),
    "<f8": (tf.float64, tf.float64),
    "|b1": (tf.uint8, tf.uint8),
    "|i1": (tf.int8, tf.int8),
    "|u1": (tf.uint8, tf.uint8),
    "<i2": (tf.int16, tf.int16),
    "<u2": (tf.uint16, tf.uint16),
    "<i4": (tf.int32, tf.int32),
    "<u4": (tf.int32, tf.uint32),
    "<i8": (tf.int64, tf.int64),
    "<u8": (tf.int64, tf.uint64),
}
HEADER = r"(?s)\{.*'descr': *'([^']*)'.*'fortran_order': *(True|False).*'shape': *\(([0-9, ]*)\).*\}\s*"
LONGEST_HEADER = 10_000  # NumPy's own limit.


def decode_features(contents, shape):
    """Decodes a `.npy` file to a vector or a sequence of vectors.

    Reads versions 1 to 3 of the format, little-endian floats, integers and booleans, in C or Fortran order.
    A vector must have the shape of the spec. A sequence may have any length: it is cut or zero-padded at its
    end.

    Args:
        contents: string tensor, scalar. The bytes of the file, as `numpy.save` writes them.
        shape: [D] or [T, D], ints > 0. Shape of the result.

    Returns: float32 tensor `(D,)` or `(T, D)`.
    Raises: tf.errors.InvalidArgumentError, at run time, if it is no `.npy` file, of another type or shape,
        holds fewer or more bytes than its shape, or NaN or infinity. ValueError, if `shape` is not
        as above.
    """
    shape = check_positive_ints("decode_features", "shape", shape)
    contents = tf.convert_to_tensor(contents, tf.string)
    plain = _plain_header(shape)
    size = len(plain) + 4 * math.prod(shape)
    is_plain = tf.equal(beginning(contents, len(plain)), plain) & tf.equal(tf.strings.length(contents), size)

    def decode_plain():
        numbers = tf.io.decode_raw(tf.strings.substr(contents, len(plain), size), tf.float32)
        return check_finite("decode_features", tf.reshape(numbers, shape))

    decoded = tf.cond(
        is_plain, decode_plain, lambda: outlined(lambda contents: _decode_any(contents, shape), contents)
    )
    return tf.ensure_shape(decoded, shape)


def _plain_header(shape):
    """Returns what `numpy.save` writes before a C-ordered float32 array of exactly this shape.

    Such files are read several times as fast.
    """
    file = io.BytesIO()
    header = {"descr": "<f4", "fortran_order": False, "shape": tuple(shape)}
    np.lib.format.write_array_header_1_0(file, header)
    return file.getvalue()


def _decode_any(contents, shape):
    dtype, is_fortran, found, start = _read_header(contents)
    dtypes = tf.equal(dtype, tf.constant(list(DTYPES)))
    known = require(
        "decode_features",
        (
            tf.reduce_any(dtypes),
            f"numbers of type {listing(DTYPES)}",
            "descr={}",
            (dtype,),
            "Save the array with `array.astype(numpy.float32)`.",
        ),
        _check_shape(found, shape),
    )
    with tf.control_dependencies([known]):
        kind = tf.argmax(tf.cast(dtypes, tf.int32), output_type=tf.int32)
    sizes = tf.constant([meaning.size for _, meaning in DTYPES.values()], tf.int64)
    # In float64 the size of a hostile shape cannot wrap around.
    size = tf.reduce_prod(tf.cast(found, tf.float64)) * tf.cast(sizes[kind], tf.float64)
    rest = tf.strings.length(contents) - start
    bytes_found = tf.cast(rest, tf.float64)
    expected = "{} bytes of numbers, as its shape says"
    whole = require(
        "decode_features",
        (size <= bytes_found, expected, "{} bytes", (size, rest), WHOLE),
        (
            size >= bytes_found,
            expected,
            "{} bytes",
            (size, rest),
            "The file is damaged: write or send it again, whole.",
        ),
    )
    with tf.control_dependencies([whole]):
        part = tf.strings.substr(contents, start, rest)
    numbers = tf.switch_case(kind, [lambda types=types: _read(part, *types) for types in DTYPES.values()])
    return _fit(_order(numbers, found, is_fortran, len(shape)), shape)


def _read_header(contents):
    """Returns dtype string, whether Fortran order, shape int64 `(rank,)`, and where the numbers begin."""
    head = bytes_at(contents, 0, 12)
    is_first = tf.equal(head[6], 1)
    size = tf.where(is_first, little_endian(head[8:10]), little_endian(head[8:12]))
    start = tf.cast(tf.where(is_first, 10, 12), tf.int64)
    length = tf.cast(tf.strings.length(contents), tf.int64)
    fits = (size <= LONGEST_HEADER) & (start + size <= length)
    header = tf.strings.substr(contents, tf.minimum(start, length), tf.where(fits, size, 0))
    magic = beginning(contents, 6)
    checked = require(
        "decode_features",
        (
            ~tf.equal(magic, b"\x93NUMPY") | (size > LONGEST_HEADER) | (start + size <= length),
            "a .npy file of {} bytes of header",
            "{} bytes",
            (start + size, length),
            WHOLE,
        ),
        (
            tf.equal(magic, b"\x93NUMPY") & (head[6] <= 3) & tf.strings.regex_full_match(header, HEADER),
            "a .npy file of one array of numbers",
            "contents that begin with {}",
            (beginning(contents, 128),),
            "Write it with `numpy.save`.",
        ),
    )
    with tf.control_dependencies([checked]):
        fields = tf.strings.split(tf.strings.regex_replace(header, HEADER, r"\1|\2|\3"), "|")
    # Of "|i1" the bar, too, is a separator: the last two fields are sure.
    dtype = tf.strings.reduce_join(fields[:-2], separator="|")
    places = tf.strings.split(tf.strings.regex_replace(fields[-1], "[, ]+", " "))
    found = tf.strings.to_number(places, tf.int64)
    return dtype, tf.equal(fields[-2], "True"), found, tf.cast(start + size, tf.int32)


def _check_shape(found, shape):
    if len(shape) == 1:
        expected = f"an array of shape {shape}"
        fits = tf.equal(tf.size(found), 1) & tf.reduce_all(tf.equal(found[:1], shape))
    else:
        expected = f"an array of shape [any length, {shape[1]}]"
        fits = tf.equal(tf.size(found), 2) & tf.reduce_all(tf.equal(found[1:2], shape[1]))
    fix = "Write the array in this shape, or change `shape` in the spec."
    return fits, expected, "shape {}", (found,), fix


def _read(part, stored, meaning):
    numbers = tf.io.decode_raw(part, stored)
    return tf.cast(numbers if stored == meaning else tf.bitcast(numbers, meaning), tf.float32)


def _order(numbers, found, is_fortran, rank):
    def transpose():
        return tf.transpose(tf.reshape(numbers, found[::-1]))

    ordered = tf.cond(is_fortran, transpose, lambda: tf.reshape(numbers, found))
    return tf.ensure_shape(ordered, (None,) * rank)


def _fit(numbers, shape):
    numbers = check_finite("decode_features", numbers[: shape[0]])
    missing = shape[0] - tf.shape(numbers)[0]
    return tf.ensure_shape(tf.pad(numbers, [[0, missing]] + [[0, 0]] * (len(shape) - 1)), shape)
