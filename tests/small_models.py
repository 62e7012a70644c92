"""SavedModels that are a few operators each, and a server of them in a thread."""

import asyncio
import json
import threading
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from mm_keras.serving.model_settings import settings_of_folders
from mm_keras.serving.server import Server, ServerSettings

TEXT, PAIR = tf.TensorSpec([None], tf.string, "text"), tf.TensorSpec([None, 2], tf.float32, "pair")
METHODS = {"classify": "tensorflow/serving/classify", "regress": "tensorflow/serving/regress"}


def write_model(folder, version=1, word="first"):
    """Writes a SavedModel to `<folder>/<version>` and returns its path.

    serving_default gives `said`, the text behind a word of this version, and `sum` of a pair; texts that are
    "bad" are refused. "slow" counts to a number before it answers; "alone" has no batch axis; "files" gives
    bytes; "count" gives a number of all rows; "half" is of bfloat16; classify and regress read tf.Example.
    """
    module = tf.Module()

    @tf.function(input_signature=[TEXT, PAIR])
    def serving_default(text, pair):
        check = tf.debugging.assert_none_equal(
            text, "bad", message="`text` expects a good text. Received: bad. Send another one."
        )
        with tf.control_dependencies([check]):
            return {
                "said": tf.strings.join([f"{word} ", text]),
                "sum": tf.reduce_sum(pair, axis=1),
                "rows": tf.fill([tf.size(text)], tf.size(text)),
            }

    @tf.function(input_signature=[tf.TensorSpec([None], tf.int32, "count")])
    def slow(count):
        done = tf.while_loop(lambda i: i < tf.reduce_max(count), lambda i: (i + 1,), (0,))[0]
        return {"done": tf.fill([tf.size(count)], done)}

    @tf.function(input_signature=[tf.TensorSpec([], tf.float32, "x")])
    def alone(x):
        return {"half": x / 2}

    @tf.function(input_signature=[TEXT])
    def files(text):
        return {"file_bytes": tf.strings.join([text, b"\xff"])}

    @tf.function(input_signature=[TEXT])
    def count(text):
        return {"texts": text, "count": tf.size(text)}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, "x")])
    def half(x):
        return {"half": tf.cast(x / 2, tf.bfloat16)}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "inputs")])
    def classify(inputs):
        words = tf.io.parse_example(inputs, {"text": tf.io.FixedLenFeature([], tf.string, "")})["text"]
        length = tf.cast(tf.strings.length(words), tf.float32)
        classes = tf.tile([["long", "short"]], [tf.size(words), 1])
        return {"classes": classes, "scores": tf.stack([length, -length], axis=1)}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "inputs")])
    def regress(inputs):
        parsed = tf.io.parse_example(inputs, {"x": tf.io.FixedLenFeature([1], tf.float32, [0.0])})
        return {"outputs": 2 * parsed["x"]}

    path = Path(folder) / str(version)
    functions = (serving_default, slow, alone, files, count, half, classify, regress)
    signatures = {function.python_function.__name__: function for function in functions}
    tf.saved_model.save(module, str(path), signatures=signatures)
    _name_methods(path / "saved_model.pb")
    return path


def _name_methods(path):
    saved = saved_model_pb2.SavedModel.FromString(path.read_bytes())
    for name, method in METHODS.items():
        saved.meta_graphs[0].signature_def[name].method_name = method
    path.write_bytes(saved.SerializeToString())


@contextmanager
def serving(*folders, **settings):
    """Gives a Server that runs in a thread; `settings` are those of ServerSettings."""
    models = settings.pop("models", None) or settings_of_folders(folders)
    changed = {"rest_port": 0, "grpc_port": 0, "poll_seconds": 0.05, "grace_seconds": 5.0, **settings}
    started, places, faults = threading.Event(), [], []

    async def run():
        server = Server(ServerSettings(models, **changed))
        places.extend([server, asyncio.get_running_loop()])
        await server.run(started.set)

    def work():
        try:
            asyncio.run(run())
        except Exception as error:
            faults.append(error)
        finally:
            started.set()

    thread = threading.Thread(target=work)
    thread.start()
    started.wait(60)
    if faults:
        thread.join()
        raise faults[0]
    server, loop = places
    try:
        yield server
    finally:
        if thread.is_alive():
            loop.call_soon_threadsafe(server.stop)
        thread.join(60)
        assert not thread.is_alive()
        assert not faults


def ask(server, path, body=None, method=None, headers=None):
    """Returns (status, JSON or text of the answer) of a request by REST."""
    data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
    url = f"http://127.0.0.1:{server.rest_port}{path}"
    request = urllib.request.Request(url, data, headers or {}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            status, text = answer.status, answer.read()
    except urllib.error.HTTPError as error:
        status, text = error.code, error.read()
    try:
        return status, json.loads(text)
    except ValueError:
        return status, text.decode()
