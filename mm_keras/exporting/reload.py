"""Stand-alone script: loads a written artefact as a server or a phone would, and runs it on given rows.

Imports tensorflow and tensorflow_text (the SavedModel's tokenizer) alone. Reads JSON from standard input:
{"kind": "saved_model" | "tflite", "path", "inputs", "outputs", "result"}; `inputs` is a folder with one
serialized tensor a file, `<signature>.<name>`. Writes the answers of each signature as serialized tensors
to `outputs`, and to `result` the operators and the latency of one example.
"""

import json
import statistics
import sys
import time
from pathlib import Path

import tensorflow as tf
import tensorflow_text  # noqa: F401  registers the operators of a SavedModel's tokenizer
from tensorflow.core.protobuf import saved_model_pb2

try:
    from ai_edge_litert.interpreter import Interpreter
except ImportError:
    Interpreter = tf.lite.Interpreter

FORBIDDEN = ("PyFunc", "EagerPyFunc", "PyFuncStateless", "NumpyFunction")
REPEATS = 30
ROWS_AT_ONCE = 32


def read_inputs(folder, signature):
    """Returns the tensors of a signature: name -> tensor with a row per example."""
    tensors = {}
    for path in sorted(Path(folder).glob(f"{signature}.*")):
        dtype, name = path.name[len(signature) + 1 :].split(".", 1)
        tensors[name] = tf.io.parse_tensor(path.read_bytes(), tf.as_dtype(dtype))
    return tensors


def write_output(folder, signature, name, tensor):
    path = Path(folder) / f"{signature}.{tf.as_dtype(tensor.dtype).name}.{name}"
    path.write_bytes(tf.io.serialize_tensor(tensor).numpy())


def milliseconds(call):
    """Returns the median time of a call."""
    call()
    times = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        call()
        times.append(1000 * (time.perf_counter() - began))
    return statistics.median(times)


def operators_of(path):
    """Returns the operators in every graph and function of a SavedModel."""
    proto = saved_model_pb2.SavedModel.FromString((Path(path) / "saved_model.pb").read_bytes())
    names = set()
    for graph in (meta.graph_def for meta in proto.meta_graphs):
        functions = {function.signature.name for function in graph.library.function}
        nodes = [*graph.node, *(node for function in graph.library.function for node in function.node_def)]
        names |= {node.op for node in nodes} - functions
    return sorted(names)


def run_saved_model(task):
    operators = operators_of(task["path"])
    bad = [name for name in operators if name in FORBIDDEN]
    if bad:
        return {"error": f"operators that TensorFlow Serving lacks: {', '.join(bad)}"}
    loaded = tf.saved_model.load(task["path"])
    latency = {}
    for name, signature in loaded.signatures.items():
        inputs = read_inputs(task["inputs"], "tensors" if name == "tensors" else "raw")
        inputs |= read_inputs(task["inputs"], name)  # What it reads beside the others, or in their place.
        inputs = {key: inputs[key] for key in signature.structured_input_signature[1]}
        rows = len(next(iter(inputs.values())))
        parts = [
            signature(**{key: tensor[i : i + ROWS_AT_ONCE] for key, tensor in inputs.items()})
            for i in range(0, rows, ROWS_AT_ONCE)
        ]
        for key in parts[0]:
            write_output(task["outputs"], name, key, tf.concat([part[key] for part in parts], axis=0))
        one = {key: tensor[:1] for key, tensor in inputs.items()}
        latency[name] = milliseconds(lambda call=signature, one=one: call(**one))
    return {"operators": operators, "latency_ms": latency}


def make_interpreter(path):
    """Returns the interpreter of the successor package where it is installed, else TensorFlow's own."""
    return Interpreter(model_path=path, num_threads=1)


def run_tflite(task):
    interpreter = make_interpreter(task["path"])
    runner = interpreter.get_signature_runner("serving_default")
    operators = sorted({detail["op_name"] for detail in interpreter._get_ops_details()})
    inputs = {key: tensor.numpy() for key, tensor in read_inputs(task["inputs"], "tensors").items()}
    rows = len(next(iter(inputs.values())))
    answers = [runner(**{key: value[i : i + 1] for key, value in inputs.items()}) for i in range(rows)]
    for key in answers[0]:
        write_output(task["outputs"], "tensors", key, tf.concat([answer[key] for answer in answers], axis=0))
    one = {key: value[:1] for key, value in inputs.items()}
    return {"operators": operators, "latency_ms": {"serving_default": milliseconds(lambda: runner(**one))}}


def main():
    task = json.load(sys.stdin)
    Path(task["outputs"]).mkdir(parents=True, exist_ok=True)
    try:
        answer = {"saved_model": run_saved_model, "tflite": run_tflite}[task["kind"]](task)
    except (ValueError, RuntimeError, OSError, tf.errors.OpError) as error:
        answer = {"error": f"{type(error).__name__}: {str(error)[-1500:]}"}
    Path(task["result"]).write_text(json.dumps(answer), encoding="utf-8")


if __name__ == "__main__":
    main()
