"""Which record shards are damaged, told by the checksum of each record."""

import os

import tensorflow as tf

from mm_keras.checks import message
from mm_keras.data.table import ManifestError
from mm_keras.data.transforms import reason_of

AT_ONCE = 64


def damage_error(records):
    """Reads shards to their ends and returns a ManifestError that names those that cannot be read.

    Args:
        records: Records.
    """
    found = []
    for path in records.paths:
        try:
            for _ in tf.data.TFRecordDataset(path, records.compression).batch(AT_ONCE):
                pass
        except tf.errors.OpError as error:
            found.append(f"`{os.path.basename(path)}`: {reason_of(error)}")
    folder = os.path.dirname(records.paths[0])
    received = "; ".join(found) or "an error while they were read, which is gone now"
    fix = "Copy these files again, or write them anew, such as with `mm-keras prepare --force`."
    return ManifestError(message(folder, "shards that are whole", received, fix))
