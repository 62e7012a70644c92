"""Export: what lies where, that it answers on its own, and that a failure leaves nothing behind."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_text  # noqa: F401  registers the tokenizer's operators
import tiny
from tensorflow.core.protobuf import saved_model_pb2

from mm_keras.data.pipeline import make_datasets
from mm_keras.exporting import ExportError, export
from mm_keras.exporting.example_signatures import examples_of
from mm_keras.exporting.export import float32_model
from mm_keras.exporting.parity import Reference
from mm_keras.exporting.savedmodel import write_saved_model
from mm_keras.model import build_model
from mm_keras.prediction import load_predictor

pytestmark = pytest.mark.slow

SCORES = ("label", "label_scores", "tags", "tags_scores")
COPIES = tuple(f"copy_{name}" for name in tiny.NAMES)
GENERATED = {*COPIES, "copy_audio_samples", "copy_audio_rate", "copy_image_bytes"} - {"copy_image"}
SIGNATURES = {
    "serving_default", "tensors", "describe", "embed", "reconstruct", "generate", "classify",
}  # fmt: skip


@pytest.fixture(scope="module")
def quick(tiny_manifest):
    """(spec, Datasets, untrained model) of numbers and features."""
    spec = tiny.quick_spec(tiny_manifest)
    data = make_datasets(spec)
    keras.utils.set_random_seed(7)
    return spec, data, build_model(spec, data)


def changed(spec, **settings):
    """Returns a copy of a spec with other export settings."""
    copied = spec.model_copy(deep=True)
    for key, value in settings.items():
        setattr(copied.export, key, value)
    return copied


def run_python(code, *arguments):
    """Runs code in a fresh process that cannot find mm_keras, and returns what it printed last, as JSON."""
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2"}
    environment.pop("PYTHONPATH", None)
    command = [sys.executable, "-P", "-c", code, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd="/")
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_two_folders_hold_all_that_a_client_needs(exported):
    serving, model = Path(exported["saved_model"]["path"]), Path(exported["tflite"]["path"])
    assert exported["version"] == 1
    root = serving.parents[1]
    assert [path.name for path in sorted(root.iterdir())] == ["mobile", "serving"]
    assert serving == root / "serving/1" and model == root / "mobile/1/model.tflite"
    beside = {"preprocess.json", "vocabulary.txt", "labels_label.txt", "labels_tags.txt", "parity.json"}
    extra = {path.name for path in (serving / "assets.extra").iterdir()}
    assert extra == {*beside, "tf_serving_warmup_requests"}
    assert {path.name for path in model.parent.iterdir()} == {"model.tflite", *beside}
    assert exported["tflite"]["bytes"] == model.stat().st_size
    files = [path for path in serving.rglob("*") if path.is_file()]
    assert exported["saved_model"]["bytes"] == sum(path.stat().st_size for path in files)
    assert serving.stat().st_mode & 0o777 == 0o755  # A server runs as another user.


def test_signatures_carry_the_names_of_the_spec(exported):
    signatures = tf.saved_model.load(exported["saved_model"]["path"]).signatures
    names = {
        key: (set(signature.structured_input_signature[1]), set(signature.structured_outputs))
        for key, signature in signatures.items()
    }
    modalities = set(tiny.NAMES)
    assert names == {
        "serving_default": (modalities, set(SCORES)),
        "tensors": (modalities | {"present"}, {"label", "tags", *COPIES}),
        "embed": (modalities, {"embedding"}),
        "reconstruct": (modalities, set(COPIES)),
        "generate": (modalities, GENERATED),
        "describe": ({"about"}, {"description"}),
        "classify": ({"inputs"}, {"classes", "scores"}),
    }
    for signature in signatures.values():
        tensors = [*signature.structured_input_signature[1].values(), *signature.structured_outputs.values()]
        assert all(x.shape.rank is None or x.shape[0] is None for x in tensors)  # A batch of any size.


def test_parity_json_tells_how_far_each_answer_is_away(exported):
    for kind in ("saved_model", "tflite"):
        path = Path(exported[kind]["path"])
        beside = path / "assets.extra" if kind == "saved_model" else path.parent
        told = json.loads((beside / "parity.json").read_text())
        assert told == exported[kind]["parity"]
        assert 0 < told["max_difference"] == max(told["differences"].values()) <= told["tolerance"] == 1e-4
        assert told["equal_labels"] == min(told["labels"].values()) == 1.0
        assert 8 < told["rows"] <= 16  # Each row whole, and once with modalities taken away.
        assert "+".join(tiny.NAMES) in told["subsets"] and len(told["subsets"]) > 3
        assert all(0 < time < 10_000 for time in told["latency_ms"].values())
    served = exported["saved_model"]["parity"]
    assert set(served["latency_ms"]) == SIGNATURES
    places = {"tensors/copy_audio", "embed/embedding", "serving_default/label_scores", "classify/scores"}
    assert places <= served["differences"].keys()
    assert served["differences"]["describe/description"] == served["differences"]["classify/classes"] == 0
    assert {"tensors/label", "serving_default/label", "serving_default/tags"} <= set(served["labels"])
    assert set(exported["tflite"]["parity"]["differences"]) == {
        f"tensors/{key}" for key in ("label", "tags", *COPIES)
    }


SERVE = """
import json, sys
import tensorflow as tf
import tensorflow_text
from tensorflow.python.framework import op_def_registry
loaded = tf.saved_model.load(sys.argv[1])
raw = {name: tf.io.parse_tensor(open(f"{sys.argv[2]}/{name}", "rb").read(), dtype)
       for name, dtype in json.loads(sys.argv[3]).items()}
answers = loaded.signatures["serving_default"](**raw)
print(json.dumps({
    "label": [x.decode() for x in answers["label"].numpy()],
    "scores": answers["label_scores"].numpy().tolist(),
    "modules": sorted({name.split(".")[0] for name in sys.modules}),
    "unknown": [name for name in json.loads(sys.argv[4]) if op_def_registry.get(name) is None],
}))
"""


@pytest.mark.core
def test_saved_model_answers_where_tensorflow_and_its_text_operators_are_alone(
    exported, trained, tiny_manifest, tmp_path
):
    run, data = trained
    root = tiny_manifest.parent
    raw = {
        "audio": tf.constant([(root / "audio/1.wav").read_bytes(), b""]),
        "image": tf.constant([(root / "image/0.png").read_bytes(), b""]),
        "numbers": tf.constant([[1.0, 2.0], [np.nan, np.nan]]),
        "text": tf.constant(["a red one", ""]),
        "vec": tf.constant(np.stack([np.load(root / "vec/0.npy"), np.full(6, np.nan, "float32")])),
    }
    for name, x in raw.items():
        (tmp_path / name).write_bytes(tf.io.serialize_tensor(x).numpy())
    operators = exported["saved_model"]["parity"]["operators"]
    dtypes = {name: x.dtype.name for name, x in raw.items()}
    path = exported["saved_model"]["path"]
    told = run_python(SERVE, path, tmp_path, json.dumps(dtypes), json.dumps(operators))
    assert not {"mm_keras", "tensorflow_io", "soundfile"} & set(told["modules"])
    assert told["unknown"] == []
    assert {"FastBertNormalize", "DecodeImage", "Conv2D"} <= set(operators)
    assert not [name for name in operators if name.startswith("IO>") or "PyFunc" in name]
    outputs = run.model(data.preprocessor.tensors(raw), training=False)
    np.testing.assert_allclose(told["scores"], outputs["label"], atol=1e-5)
    np.testing.assert_array_equal(outputs["label"][1:], run.model(nothing(data))["label"])
    assert told["label"] == [tiny.LABELS[i] for i in np.argmax(outputs["label"], axis=1)]


def nothing(data):
    spec = data.preprocessor.tensor_spec(1)
    return {name: tf.zeros(x.shape, x.dtype) for name, x in spec.items()}


INTERPRET = """
import json, sys
import numpy as np
try:
    from ai_edge_litert.interpreter import Interpreter, OpResolverType
except ImportError:
    from tensorflow.lite.python.interpreter import Interpreter, OpResolverType
interpreter = Interpreter(sys.argv[1], experimental_op_resolver_type=OpResolverType.BUILTIN)
runner = interpreter.get_signature_runner("serving_default")
details = runner.get_input_details()
inputs = {name: np.ones(part["shape"], part["dtype"]) for name, part in details.items()}
answers = {name: x.ravel().tolist() for name, x in runner(**inputs).items()}
print(json.dumps({
    "inputs": {name: x.shape for name, x in inputs.items()},
    "answers": answers,
    "operators": sorted({part["op_name"] for part in interpreter._get_ops_details()}),
}))
"""


@pytest.mark.core
def test_tflite_file_runs_with_builtin_operators_alone(exported, trained):
    run, data = trained
    told = run_python(INTERPRET, exported["tflite"]["path"])
    assert told["inputs"] == {
        name: spec.shape.as_list() for name, spec in data.preprocessor.tensor_spec(1).items()
    }
    assert not [name for name in told["operators"] if name.startswith("Flex") or name == "CUSTOM"]
    assert "WHILE" in told["operators"]  # The recurrent layers are in the graph.
    ones = {name: tf.ones_like(x) for name, x in nothing(data).items()}
    outputs = run.model(ones, training=False)
    assert set(told["answers"]) == set(outputs)
    for name, x in told["answers"].items():
        np.testing.assert_allclose(x, np.ravel(outputs[name]), rtol=1e-4, atol=1e-4, err_msg=name)


def test_a_row_answers_alike_alone_and_in_a_batch(exported, trained):
    _, data = trained
    signatures = tf.saved_model.load(exported["saved_model"]["path"])
    inputs, _, _ = next(iter(data.test))
    root = data.manifest.root
    image = [(root / f"image/{row}.png").read_bytes() if row != 2 else b"" for row in range(5)]
    audio = [(root / f"audio/{row}.wav").read_bytes() if row != 1 else b"" for row in range(5)]
    raw = {
        "audio": tf.constant(audio),
        "image": tf.constant(image),
        "numbers": tf.constant([[float(row), np.nan] for row in range(5)]),
        "text": tf.constant(["a", "blau one", "", "grün " * 9, "x"]),
        "vec": tf.random.normal((5, 6)),
    }
    others = {
        "tensors": inputs,
        "describe": {"about": raw["text"]},
        "classify": {"inputs": tf.constant(examples_of({name: x.numpy() for name, x in raw.items()}))},
    }
    for name, signature in signatures.signatures.items():
        batch = {key: x[:5] for key, x in others.get(name, raw).items()}
        whole = signature(**batch)
        for row in range(5):
            alone = signature(**{key: x[row : row + 1] for key, x in batch.items()})
            for key, x in alone.items():
                want = whole[key][row : row + 1].numpy()
                if (name, key) == ("generate", "copy_image_bytes"):  # Where a half is rounded is chance.
                    pixels = [tf.io.decode_png(png).numpy().astype(int) for png in (x[0].numpy(), want[0])]
                    assert np.abs(pixels[0] - pixels[1]).max() <= 1
                elif want.dtype == np.int16:  # Of a sound a hundredth is what nobody hears.
                    apart = np.abs(x.numpy().astype(float) - want).max()
                    assert apart <= 0.01 * np.abs(want.astype(float)).max()
                elif want.dtype == object:
                    assert x.numpy().tolist() == want.tolist(), (name, key, row)
                else:
                    np.testing.assert_allclose(x, want, rtol=1e-5, atol=1e-5, err_msg=f"{name} {key} {row}")


def test_versions_count_up_over_both_formats(quick, tmp_path, monkeypatch):
    spec, data, model = quick
    monkeypatch.setattr(Reference, "compare", lambda self, kind, path, tolerance: {})
    served = changed(spec, formats=["saved_model"])
    (tmp_path / "mobile/6").mkdir(parents=True)
    (tmp_path / "serving/notes").mkdir(parents=True)
    assert export(model, served, data, tmp_path)["version"] == 7
    result = export(model, served, data, tmp_path)
    assert result["version"] == 8 and set(result) == {"version", "saved_model"}
    assert Path(result["saved_model"]["path"]) == tmp_path / "serving/8"
    assert load_predictor(tmp_path / "serving").path == tmp_path / "serving/8"


def test_over_tolerance_names_the_output_and_leaves_no_folder(quick, tmp_path, monkeypatch):
    spec, data, model = quick
    strict = changed(spec, formats=["saved_model"], tolerance=1e-4)

    def write_another(model, *arguments):
        other = keras.models.clone_model(model)
        other.set_weights([weight + 0.01 for weight in model.get_weights()])
        write_saved_model(other, *arguments)

    monkeypatch.setattr(sys.modules[export.__module__], "write_saved_model", write_another)
    words = (
        r"`export saved_model` expects differences up to 0.0001\. Received: .* in \w+/\w+\. Raise export\."
    )
    with pytest.raises(ExportError, match=words):
        export(model, strict, data, tmp_path / "saved/tiny")
    assert not (tmp_path / "saved/tiny").exists()


@keras.saving.register_keras_serializable(package="tests")
class InverseError(keras.layers.Layer):
    """A layer with an operator that TFLite lacks."""

    def call(self, inputs):
        return keras.ops.erfinv(keras.ops.clip(inputs, 0.0, 0.9))


def test_an_operator_without_a_builtin_is_named_and_nothing_is_published(quick, tmp_path):
    spec, data, model = quick
    earlier = tmp_path / "mobile/1/model.tflite"
    earlier.parent.mkdir(parents=True)
    earlier.write_bytes(b"kept")
    outputs = {**model.output, "label": InverseError(name="inverse")(model.output["label"])}
    odd = keras.Model(model.input, outputs)
    with pytest.raises(ExportError, match=r"operators without a TFLite builtin: Erfinv\. Use other layers"):
        export(odd, spec, data, tmp_path)  # The SavedModel alone would be good.
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [earlier]
    assert earlier.read_bytes() == b"kept"
    assert [path.name for path in tmp_path.iterdir()] == ["mobile"]


def test_a_mixed_precision_model_is_exported_in_float32(quick, tmp_path):
    spec, data, _ = quick
    mixed = build_model(spec, data, precision="mixed_bfloat16")
    copy = float32_model(mixed)
    assert copy is not mixed and float32_model(copy) is copy
    assert {layer.compute_dtype for layer in copy.layers} == {"float32"}
    for given, want in zip(copy.get_weights(), mixed.get_weights(), strict=True):
        np.testing.assert_array_equal(given, want)
    result = export(mixed, changed(spec, formats=["saved_model"]), data, tmp_path)
    assert result["saved_model"]["parity"]["max_difference"] <= 1e-5
    loaded = tf.saved_model.load(result["saved_model"]["path"])
    assert loaded.signatures["tensors"].structured_outputs["label"].dtype == tf.float32


def test_sequences_that_a_fusion_attends_to_are_exported(tiny_manifest, tmp_path):
    fusion = {"kind": "bottleneck", "units": 8, "num_heads": 2}
    spec = tiny.tiny_spec(tiny_manifest, ("audio", "numbers", "text"), ["label"], fusion=fusion, max_bad=0.1)
    spec.modalities["text"].encoder.pooling = spec.modalities["audio"].encoder.pooling = "none"
    spec.modalities["audio"].encoder.compression = "pcen"
    data = make_datasets(spec)
    result = export(build_model(spec, data), spec, data, tmp_path)
    answers = [
        load_predictor(result[form]["path"]).predict({"text": ["a red one", ""], "numbers": [[1.0, 2.0]] * 2})
        for form in ("saved_model", "tflite")
    ]
    np.testing.assert_allclose(answers[0]["label_scores"], answers[1]["label_scores"], atol=1e-5)


def test_a_spec_of_an_autoencoder_alone_answers_reconstructions(tiny_manifest, tmp_path):
    spec = tiny.tiny_spec(tiny_manifest, modalities=("numbers", "text"), outputs=["copy"])
    data = make_datasets(spec)
    result = export(build_model(spec, data), spec, data, tmp_path)
    signatures = tf.saved_model.load(result["saved_model"]["path"]).signatures
    for name in ("serving_default", "reconstruct"):
        answers = signatures[name](numbers=tf.constant([[1.0, 2.0]]), text=tf.constant([""]))
        assert set(answers) == {"copy_numbers", "copy_text"}
        assert answers["copy_text"].dtype == tf.string and answers["copy_numbers"].shape == (1, 2)
    for path in (result["saved_model"]["path"], result["tflite"]["path"]):
        answers = load_predictor(path).predict({"text": ["a red one"]})
        assert answers["copy_numbers"].shape == (1, 2) and isinstance(answers["copy_text"][0], str)


KILLED = """
import os, signal, sys
sys.path.insert(0, sys.argv[2])
import tiny
from mm_keras.data.pipeline import make_datasets
from mm_keras.exporting import export
from mm_keras.model import build_model
def stop(*arguments):
    os.kill(os.getpid(), signal.SIGKILL)
sys.modules["mm_keras.exporting.export"]._publish = stop
spec = tiny.quick_spec(sys.argv[1], export={"formats": ["saved_model"]})
data = make_datasets(spec)
export(build_model(spec, data), spec, data, sys.argv[3])
"""


def test_a_process_that_is_killed_leaves_a_hidden_folder_alone(tiny_manifest, tmp_path):
    tests = Path(tiny.__file__).parent
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tests.parent), *sys.path])}
    command = [sys.executable, "-c", KILLED, str(tiny_manifest), str(tests), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == -signal.SIGKILL, done.stderr[-2000:]
    (left,) = tmp_path.iterdir()
    assert left.name.startswith(".staging-") and (left / "serving/saved_model.pb").is_file()


def test_the_endpoints_share_one_graph_of_preprocessing(quick, tmp_path, monkeypatch):
    spec, data, model = quick
    built = []
    tensors = type(data.preprocessor).tensors
    monkeypatch.setattr(
        type(data.preprocessor), "tensors", lambda self, raw: built.append(raw) or tensors(self, raw)
    )
    write_saved_model(model, spec, data.preprocessor, tmp_path)
    assert len(built) == 1
    assert len(tf.saved_model.load(str(tmp_path)).signatures) > 2


def test_weights_and_constants_are_stored_once(exported, trained):
    folder = Path(exported["saved_model"]["path"])
    stored = tf.train.load_checkpoint(str(folder / "variables/variables")).get_variable_to_shape_map()
    numbers = sum(np.prod(shape) for name, shape in stored.items() if name.endswith("VARIABLE_VALUE"))
    assert numbers <= trained[0].model.count_params()
    saved = saved_model_pb2.SavedModel.FromString((folder / "saved_model.pb").read_bytes())
    constants = [
        node.attr["value"].tensor.tensor_content
        for function in saved.meta_graphs[0].graph_def.library.function
        if function.signature.name.startswith("__inference")
        for node in function.node_def
        if node.op == "Const" and len(node.attr["value"].tensor.tensor_content) > 10_000
    ]
    assert constants
    assert len(constants) == len(set(constants))
