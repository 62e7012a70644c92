"""Reads a tf.data.Dataset of rows as a table of text: what is no scalar becomes the contents of files."""

import os
import struct

import numpy as np
import pyarrow as pa
import tensorflow as tf
from tensorflow.core.framework.tensor_pb2 import TensorProto

from mm_keras.checks import check_positive_int, message
from mm_keras.data.content_shards import encode_npy
from mm_keras.data.table import ManifestError
from mm_keras.data.table_arrow import ArrowRows

CHUNK = 256
OWNER = "tf.data.Dataset"
FLOAT = 3  # The encoding in a WAV file.
SCALAR, IMAGE, WAVEFORM, FEATURES = "scalar", "image", "waveform", "features"


def read_dataset(dataset, columns=None, root=None, folder=None, rates=None):
    """Reads a tf.data.Dataset, a row an element, once and in order.

    Args:
        dataset: tf.data.Dataset of dict, column -> tensor: a text or number as a scalar, the bytes of a file
            as a string scalar, an image as uint8 `(H, W, C)`, a waveform as float `(S,)` or `(S, channels)`
            in [-1, 1] if its column is in `rates`, another array of one or two axes as features.
        columns: list of str or None. The columns to keep; None: all.
        root: str or path, or None. Folder that paths are relative to; None: the working folder.
        folder: as in `ContentShards`. Shards of a data set are not used again.
        rates: dict, column of waveforms -> int > 0, samples per second (Hz), or None.

    Returns: Table. Its lines are numbers of rows, from 1.
    Raises: ManifestError, if an element is no such dict or there are no rows.
    """
    spec = dataset.element_spec
    if not isinstance(spec, dict) or not all(isinstance(part, tf.TensorSpec) for part in spec.values()):
        fix = 'Map each row to one dict, such as {"image": image, "label": label}, before any batch().'
        raise ManifestError(message(OWNER, "elements that are dicts of tensors", f"{spec}", fix))
    rates = {
        name: check_positive_int(OWNER, f"rates[{name!r}]", rate) for name, rate in (rates or {}).items()
    }
    rows = ArrowRows(OWNER, columns, root or os.getcwd(), folder)
    rows.declare(spec)
    kept = [name for name in spec if rows.keeps(str(name).strip())]
    roles = {name: _role_of(name, spec[name], rates) for name in kept}

    def flatten(row):
        return {name: FLATTEN[roles[name]](row[name]) for name in kept}

    batches = dataset.map(flatten, tf.data.AUTOTUNE, deterministic=True).batch(CHUNK)
    for batch in batches.prefetch(2).as_numpy_iterator() if kept else ():
        cells = {str(name).strip(): _to_arrow(batch[name], roles[name], rates.get(name)) for name in kept}
        rows.add(cells, len(batch[kept[0]]))
    return rows.to_table()


# Each row becomes scalars, so that rows of any shapes make a batch.
FLATTEN = {
    SCALAR: lambda value: tf.cast(value, tf.float32) if value.dtype == tf.bfloat16 else value,
    IMAGE: tf.io.encode_png,
    WAVEFORM: lambda value: tf.io.serialize_tensor(tf.cast(value, tf.float32)),
    FEATURES: lambda value: tf.io.serialize_tensor(tf.cast(value, tf.float32)),
}


def _role_of(name, spec, rates):
    rank = spec.shape.rank
    number = spec.dtype.is_floating or spec.dtype.is_integer or spec.dtype == tf.bool
    if rank == 0 and (number or spec.dtype == tf.string):
        return SCALAR
    if rank == 3 and spec.dtype == tf.uint8:
        return IMAGE
    if rank in (1, 2) and number:
        return WAVEFORM if name in rates and spec.dtype.is_floating else FEATURES
    expected = f"`{name}` to be a scalar, an image uint8 (H, W, C) or an array of one or two axes"
    fix = "Map it to one of these."
    raise ManifestError(message(OWNER, expected, f"{spec.dtype.name} of shape {spec.shape}", fix))


def _to_arrow(values, role, rate):
    if role == SCALAR:
        return pa.array(values, pa.large_binary() if values.dtype == object else None)
    if role == IMAGE:
        return pa.array(values, pa.large_binary())
    arrays = [_parse(value) for value in values]
    encoded = [encode_npy(a) if role == FEATURES else encode_wav(a, rate) for a in arrays]
    return pa.array(encoded, pa.large_binary())


def _parse(serialized):
    """Returns the float32 array that `tf.io.serialize_tensor` wrote."""
    proto = TensorProto.FromString(serialized)
    shape = [dim.size for dim in proto.tensor_shape.dim]
    return np.frombuffer(proto.tensor_content, "float32").reshape(shape)


def encode_wav(waveform, rate):
    """Returns a WAV file of 32-bit floats: waveform is float32 `(S,)` or `(S, channels)`, rate in Hz."""
    channels = waveform.shape[1] if waveform.ndim == 2 else 1
    data = np.ascontiguousarray(waveform, "<f4").tobytes()
    layout = struct.pack("<IHHIIHH", 16, FLOAT, channels, rate, 4 * channels * rate, 4 * channels, 32)
    body = b"WAVEfmt " + layout + b"data" + struct.pack("<I", len(data)) + data
    return b"RIFF" + struct.pack("<I", len(body)) + body
