"""Requests that a server answers before it offers a version, as TensorFlow Serving reads them."""

from pathlib import Path

import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

FILE = "tf_serving_warmup_requests"
MOST_ROWS, MOST_BYTES = 16, 4_000_000
SIGNATURE = "serving_default"


def write_warm_up(name, raw, present, folder):
    """Writes warm-up requests to the signature `serving_default`: a row of all modalities, one of few, and a
    batch of all sorts, so that the first caller waits for no graph that is built for its shapes.

    Args:
        name: str. Of the model.
        raw: dict, modality -> bytes object `(N,)` or float32 `(N, ...)`. Real rows.
        present: float array `(N, M)`. Which modalities, by name, are there.
        folder: path. `assets.extra` of a SavedModel's folder.

    Returns: path of the file, of up to 4 MB unless two rows are larger.
    """
    rows = choose_warm_up(raw, present)
    size = sum(_sizes(raw)[rows]) / len(rows)
    batch = np.resize(rows, int(np.clip(MOST_BYTES // max(size, 1), 2, MOST_ROWS)))
    path = Path(folder) / FILE
    with tf.io.TFRecordWriter(str(path)) as writer:
        for chosen in (rows[:1], rows[-1:], batch):
            request = _request(name, {key: values[chosen] for key, values in raw.items()})
            log = prediction_log_pb2.PredictionLog(predict_log=prediction_log_pb2.PredictLog(request=request))
            writer.write(log.SerializeToString())
    return path


def choose_warm_up(raw, present):
    """Returns the numbers of at most `MOST_ROWS` rows: of each set of modalities the smallest row, the
    fullest first."""
    sizes, smallest = _sizes(raw), {}
    for row in np.argsort(sizes, kind="stable"):
        smallest.setdefault(tuple(present[row] > 0), row)
    fullest = sorted(smallest, key=lambda here: (-sum(here), here))
    return np.array([smallest[here] for here in fullest[:MOST_ROWS]])


def read_warm_up(folder):
    """Returns the PredictRequests of a version's folder, none where it holds no warm-up requests."""
    path = Path(folder) / "assets.extra" / FILE
    if not path.is_file():
        return []
    records = tf.data.TFRecordDataset(str(path)).as_numpy_iterator()
    logs = [prediction_log_pb2.PredictionLog.FromString(record) for record in records]
    return [log.predict_log.request for log in logs if log.HasField("predict_log")]


def _request(name, columns):
    request = predict_pb2.PredictRequest()
    request.model_spec.name, request.model_spec.signature_name = name, SIGNATURE
    for key, values in columns.items():
        request.inputs[key].CopyFrom(tf.make_tensor_proto(values))
    return request


def _sizes(raw):
    """Returns the bytes of each row."""
    return sum(
        np.array([len(x) for x in values])
        if values.dtype == object
        else np.full(len(values), values[:1].nbytes)
        for values in raw.values()
    )
