"""TensorFlow Serving's own files: which models it serves, how it makes batches, what it tells of itself."""

import math

from google.protobuf import text_format
from tensorflow_serving.config import model_server_config_pb2

BATCH_MS = 200  # The longest a full batch may take, by the time of one row times its rows.
CLIENT_ROWS = 64  # Of a request of `mm_keras.serving.Client`: larger ones than a batch are refused.
WAITING_MS = 1000  # The longest a request may wait in the queue before it is refused instead.
MOST_ROWS, MOST_TIMEOUT = 128, 5000
METRICS = "/monitoring/prometheus/metrics"

MONITORING = f"""\
# Counters and times for Prometheus, on the port of the REST API.
prometheus_config {{
  enable: true
  path: "{METRICS}"
}}
"""

MODELS_HEAD = """\
# The models of this server. It reads this file again every minute.
# A label moves only to a version that is loaded already: add the version here first, move the label once it
# is AVAILABLE.
"""


def models_config(models, base_path="/models"):
    """Returns models.config.

    Args:
        models: list of KitModel or ModelSettings.
        base_path: str or callable, model -> path. Where the server finds the versions; a str is the folder
            with a folder for each model.
    """
    config = model_server_config_pb2.ModelServerConfig()
    for model in models:
        entry = config.model_config_list.config.add(name=model.name, model_platform="tensorflow")
        entry.base_path = base_path(model) if callable(base_path) else f"{base_path}/{model.name}"
        if model.versions:
            entry.model_version_policy.specific.versions.extend(sorted(model.versions))
        elif getattr(model, "latest", 1) == 0:
            entry.model_version_policy.all.SetInParent()
        else:
            entry.model_version_policy.latest.num_versions = getattr(model, "latest", 1)
        for label, version in sorted(model.labels.items()):
            entry.version_labels[label] = version
    return MODELS_HEAD + text_format.MessageToString(config)


def batching_numbers(models, cpus):
    """Returns the sizes of batches for the slowest of the models: max_batch_size, batch_timeout_micros,
    max_enqueued_batches, num_batch_threads and allowed_batch_sizes."""
    row_ms = max(model.latency_ms for model in models)
    rows = 2 ** int(math.log2(max(BATCH_MS / row_ms, 1)))
    least = 2 ** math.ceil(math.log2(max(CLIENT_ROWS, *(model.warm_up_rows for model in models))))
    rows = max(min(rows, MOST_ROWS), least)
    return {
        "max_batch_size": rows,
        "batch_timeout_micros": int(min(100 * math.ceil(row_ms * 2.5), MOST_TIMEOUT)),
        "max_enqueued_batches": max(int(WAITING_MS * cpus / (rows * row_ms)), cpus),
        "num_batch_threads": cpus,
        "allowed_batch_sizes": batch_sizes(rows),
    }


def batch_sizes(most):
    """Returns 1, 2, 3, 4, 6, 8, 12, 16, ... up to `most`, a power of two: a batch is filled up by less than
    a third of the next size."""
    powers = [2**power for power in range(int(math.log2(most)) + 1)]
    return sorted({*powers, *(3 * size // 2 for size in powers[1:-1])})


def batching_parameters(models, cpus):
    """Returns batching_parameters.txt, with the reason of each number."""
    numbers = batching_numbers(models, cpus)
    slowest = max(models, key=lambda model: model.latency_ms)
    sizes = "\n".join(f"allowed_batch_sizes: {size}" for size in numbers["allowed_batch_sizes"])
    return f"""\
# How requests that come at the same time are answered together. Where the numbers come from: one row of
# `{slowest.name}` took {slowest.latency_ms:g} ms when it was exported, and the server has {cpus} processors.
# Measure with load.py on the machine that serves, and change one number at a time.

# Rows of a batch, as many as take up to {BATCH_MS} ms one by one (together they take less), but no fewer than
# a request of mm_keras's client holds, {CLIENT_ROWS}: larger requests are refused.
max_batch_size {{ value: {numbers["max_batch_size"]} }}

# How long (microseconds) the first request waits for others, a quarter of the time of a row. 0 is best where
# requests seldom come together.
batch_timeout_micros {{ value: {numbers["batch_timeout_micros"]} }}

# Batches at the same time: the processors.
num_batch_threads {{ value: {numbers["num_batch_threads"]} }}

# Batches that may wait, about {WAITING_MS} ms of work: more are refused at once (503, UNAVAILABLE), so that
# no client waits for what comes too late.
max_enqueued_batches {{ value: {numbers["max_enqueued_batches"]} }}

# Batches are filled up to these sizes, by less than a third: few shapes, each of which is planned for once.
{sizes}
"""
