"""The signatures of rows that are tf.Example: what they answer, and by which method."""

from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_text  # noqa: F401  registers the tokenizer's operators
import tiny
from tensorflow.core.protobuf import saved_model_pb2

from mm_keras.data.pipeline import make_datasets
from mm_keras.data.preprocessor import Preprocessor
from mm_keras.exporting.example_signatures import example_endpoints, example_outputs, examples_of
from mm_keras.exporting.savedmodel import write_saved_model
from mm_keras.model import build_model


def methods_of(folder):
    proto = saved_model_pb2.SavedModel.FromString((Path(folder) / "saved_model.pb").read_bytes())
    return {name: each.method_name for name, each in proto.meta_graphs[0].signature_def.items()}


def fitted(outputs):
    spec = tiny.tiny_spec("m.csv", modalities=("numbers", "vec"), outputs=outputs)
    return Preprocessor(spec.modalities, spec.outputs, {}, {"label": ["x", "y"]}, {})


def test_the_first_output_of_one_label_and_of_one_number_are_answered():
    kinds = {
        "tags": {"kind": "classification", "multi_label": True},
        "label": {"kind": "classification"},
        "place": {"kind": "regression", "columns": ["north", "east"]},
        "price": {"kind": "regression", "columns": ["price"]},
    }
    assert example_outputs(fitted(kinds)) == {"classify": "label", "regress": "price"}
    assert example_outputs(fitted({"place": kinds["place"], "tags": kinds["tags"]})) == {}


def test_a_row_without_a_feature_lacks_the_modality():
    preprocessor = fitted({"label": {"kind": "classification"}})
    raw = {
        "numbers": np.array([[1, np.nan], [np.nan, np.nan]], "float32"),
        "vec": np.array([[np.nan] * 6, [0, 1, 2, 3, 4, 5]], "float32"),
    }
    seen = []

    def run(inputs):
        seen.append(inputs)
        return {"label": tf.constant([[0.25, 0.75], [1.0, 0.0]])}

    function, inputs = example_endpoints(preprocessor, lambda rows: rows, run)["classify"]
    assert inputs["inputs"].dtype == tf.string
    answer = function({"inputs": tf.constant(examples_of(raw))})
    assert answer["classes"].numpy().tolist() == [[b"x", b"y"]] * 2
    for name, values in raw.items():
        np.testing.assert_array_equal(seen[0][name], values)


@pytest.mark.slow
def test_classify_answers_as_serving_default_by_its_own_method(exported, trained):
    folder = exported["saved_model"]["path"]
    loaded = tf.saved_model.load(folder)
    raw = {
        "audio": np.array([b"", b""], object),
        "image": np.array([(trained[1].manifest.root / "image/0.png").read_bytes(), b""], object),
        "numbers": np.array([[1, 2], [np.nan, np.nan]], "float32"),
        "text": np.array(["a grün one".encode(), b"red"], object),
        "vec": np.array([[np.nan] * 6, [0, 1, 2, 3, 4, 5]], "float32"),
    }
    given = loaded.signatures["classify"](inputs=tf.constant(examples_of(raw)))
    want = loaded.signatures["serving_default"](**{name: tf.constant(x) for name, x in raw.items()})
    np.testing.assert_allclose(given["scores"], want["label_scores"], rtol=1e-6)
    best = tf.gather(given["classes"], tf.argmax(given["scores"], axis=1), axis=1, batch_dims=1)
    assert best.numpy().tolist() == want["label"].numpy().tolist()
    methods = methods_of(folder)
    assert methods.pop("classify") == "tensorflow/serving/classify"
    assert methods.pop("__saved_model_init_op") == ""
    assert set(methods.values()) == {"tensorflow/serving/predict"}


@pytest.mark.slow
def test_regress_answers_the_number(tiny_manifest, tmp_path):
    outputs = {"a": {"kind": "regression"}}
    spec = tiny.tiny_spec(tiny_manifest, modalities=("text", "vec"), outputs=outputs)
    spec.data.max_bad = 0.2  # Rows without the number.
    data = make_datasets(spec)
    keras.utils.set_random_seed(7)
    write_saved_model(build_model(spec, data), spec, data.preprocessor, tmp_path / "saved")
    loaded = tf.saved_model.load(str(tmp_path / "saved"))
    raw = {
        "text": np.array([b"a red one", b"", b"blau"], object),
        "vec": np.random.default_rng(7).normal(size=(3, 6)).astype("float32"),
    }
    given = loaded.signatures["regress"](inputs=tf.constant(examples_of(raw)))["outputs"]
    want = loaded.signatures["serving_default"](**{name: tf.constant(x) for name, x in raw.items()})["a"]
    assert given.shape == (3, 1) and np.ptp(given) > 0
    np.testing.assert_allclose(given, want, rtol=1e-6)
    assert methods_of(tmp_path / "saved")["regress"] == "tensorflow/serving/regress"
