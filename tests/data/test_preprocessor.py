"""The one preprocessing: training and serving agree on every row, and what was fitted survives the disk."""

import json

import numpy as np
import pytest
import tensorflow as tf
import tiny

from mm_keras.data.manifest import load_manifest
from mm_keras.data.pipeline import Datasets
from mm_keras.data.preprocessor import Preprocessor
from mm_keras.data.raw import read_raw
from mm_keras.data.row_source import RowSource
from mm_keras.spec_file import make_spec

VOCABULARY = ["[PAD]", "[UNK]", "[START]", "[END]", "[MASK]", "a", "##b", "#", "ü", "red", "one", "at"]
LABELS = ["a,b", "two\nlines", "ü 数", ' "quoted" ', "\\", "#"]
STATISTICS = {
    "numbers": {"mean": [0.1, 1 / 3], "variance": [1.0, 2.0]},
    "vec": {"mean": [0.0] * 6, "variance": [1.0] * 6},
}


def make_fitted(spec, vocabularies=None, labels=None):
    texts = [name for name, part in spec.modalities.items() if part.kind == "text"]
    vocabularies = vocabularies or dict.fromkeys(texts, VOCABULARY)
    labels = labels or {"label": list(tiny.LABELS), "tags": ["bright", "warm"]}
    return Preprocessor(spec.modalities, spec.outputs, vocabularies, labels, STATISTICS)


@pytest.mark.core
@pytest.mark.slow
def test_training_and_serving_give_equal_tensors_for_every_row(tiny_manifest):
    spec = tiny.tiny_spec(tiny_manifest)
    manifest, fitted = load_manifest(spec), make_fitted(spec)
    every = np.arange(tiny.ROWS)
    data = Datasets(
        None, None, None, fitted, manifest, source=RowSource(manifest, spec.modalities, spec.data)
    )
    trained = fitted.finish(data.decode(every), tf.constant(manifest.present))
    raw = read_raw(fitted, manifest.cells, np.arange(tiny.ROWS))
    served = tf.function(fitted.tensors, input_signature=[fitted.raw_spec()], autograph=False)(raw)
    assert list(trained) == [*tiny.NAMES, "present"]
    assert trained.keys() == served.keys()
    for name, want in trained.items():
        assert served[name].dtype == want.dtype
        # The waveform alone has arithmetic: its resampling is fused differently in the two graphs.
        np.testing.assert_allclose(served[name], want, atol=1e-6 if name == "audio" else 0, err_msg=name)
    there = [[tiny.is_there(row, name) for name in tiny.NAMES] for row in range(tiny.ROWS)]
    np.testing.assert_array_equal(served["present"], there)
    assert np.isnan(served["numbers"]).sum() == 5  # One of the two numbers is missing in these rows.


@pytest.mark.core
def test_the_specs_name_what_is_sent_and_what_the_model_takes():
    fitted = make_fitted(tiny.tiny_spec("m.csv"))
    assert {name: (spec.shape.as_list(), spec.dtype) for name, spec in fitted.raw_spec().items()} == {
        "audio": ([None], tf.string),
        "image": ([None], tf.string),
        "numbers": ([None, 2], tf.float32),
        "text": ([None], tf.string),
        "vec": ([None, 6], tf.float32),
    }
    assert {name: (spec.shape.as_list(), spec.dtype) for name, spec in fitted.tensor_spec(3).items()} == {
        "audio": ([3, 800], tf.float32),
        "image": ([3, 8, 8, 3], tf.float32),
        "numbers": ([3, 2], tf.float32),
        "present": ([3, 5], tf.float32),
        "text": ([3, 6], tf.int32),
        "vec": ([3, 6], tf.float32),
    }


def test_absent_rows_become_zeros_whatever_they_held():
    fitted = make_fitted(tiny.quick_spec("m.csv"))
    decoded = {"numbers": tf.constant([[np.nan, 2.0], [1.0, 2.0]]), "vec": tf.ones((2, 6))}
    inputs = fitted.finish(decoded, tf.constant([[0.0, 1.0], [1.0, 0.0]]))
    np.testing.assert_array_equal(inputs["numbers"], [[0, 0], [1, 2]])
    np.testing.assert_array_equal(inputs["vec"], [[1] * 6, [0] * 6])


def test_what_was_fitted_survives_the_disk(tmp_path):
    fitted = make_fitted(tiny.tiny_spec("m.csv"), labels={"label": LABELS, "tags": ["x|y", "…"]})
    fitted.max_pixels = 123
    fitted.save(tmp_path)
    loaded = Preprocessor.load(tmp_path)
    for name in ("modalities", "outputs", "vocabularies", "labels", "statistics", "max_pixels", "names"):
        assert getattr(loaded, name) == getattr(fitted, name), name
    texts = tf.constant(["a red one", "RED ü ab", ""])
    raw = {"audio": tf.constant([""] * 3), "image": tf.constant([""] * 3), "text": texts}
    raw |= {"numbers": tf.constant([[1.0, np.nan]] * 3), "vec": tf.fill((3, 6), np.nan)}
    for name, want in fitted.tensors(raw).items():
        np.testing.assert_array_equal(loaded.tensors(raw)[name], want, err_msg=name)


def test_preprocess_json_tells_a_client_how_to_prepare_its_inputs(tmp_path):
    make_fitted(tiny.tiny_spec("m.csv")).save(tmp_path)
    told = json.loads((tmp_path / "preprocess.json").read_text(encoding="utf-8"))
    assert told["inputs"]["image"]["shape"] == [1, 8, 8, 3]
    assert told["inputs"]["text"]["dtype"] == "int32"
    assert all(entry["preparation"] for entry in told["inputs"].values())
    assert told["present"] == list(tiny.NAMES)
    assert told["reserved_tokens"] == {"[PAD]": 0, "[UNK]": 1, "[START]": 2, "[END]": 3, "[MASK]": 4}
    assert told["statistics"]["numbers"]["mean"] == [0.1, 1 / 3]
    assert (tmp_path / "vocabulary.txt").read_text(encoding="utf-8").splitlines() == VOCABULARY
    assert (tmp_path / "labels_label.txt").read_text(encoding="utf-8").splitlines() == list(tiny.LABELS)


def test_two_texts_keep_a_vocabulary_each(tmp_path):
    text = {"kind": "text", "length": 4, "vocabulary_size": 32}
    outputs = {"label": {"kind": "classification"}}
    mapping = {"name": "x", "data": {"manifest": "m.csv"}, "outputs": outputs}
    spec = make_spec({**mapping, "modalities": {"title": text, "body": text}})
    vocabularies = {"title": VOCABULARY[:7], "body": VOCABULARY}
    make_fitted(spec, vocabularies, {"label": ["n", "y"]}).save(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {
        "labels.txt",
        "preprocess.json",
        "vocabulary_body.txt",
        "vocabulary_title.txt",
    }
    assert Preprocessor.load(tmp_path).vocabularies == vocabularies


def test_a_folder_that_is_not_whole_is_refused(tmp_path):
    with pytest.raises(ValueError, match="expects a folder with preprocess.json"):
        Preprocessor.load(tmp_path)
    make_fitted(tiny.tiny_spec("m.csv")).save(tmp_path)
    (tmp_path / "vocabulary.txt").rename(tmp_path / "kept.txt")
    with pytest.raises(ValueError, match=r"expects `vocabulary.txt`\. .* Copy the whole folder"):
        Preprocessor.load(tmp_path)
    (tmp_path / "kept.txt").rename(tmp_path / "vocabulary.txt")
    path = tmp_path / "preprocess.json"
    path.write_text(path.read_text(encoding="utf-8").replace('"format": 1', '"format": 9'), encoding="utf-8")
    with pytest.raises(ValueError, match="expects format 1. Received: format=9"):
        Preprocessor.load(tmp_path)


@pytest.mark.core
def test_scores_are_read_as_labels():
    outputs = {**tiny.OUTPUTS, "tags": {**tiny.OUTPUTS["tags"], "separator": " · ", "threshold": 0.6}}
    fitted = make_fitted(tiny.tiny_spec("m.csv", outputs=outputs))
    label = fitted.label_strings("label", tf.constant([[0.2, 0.5, 0.3], [0.1, 0.2, 0.7]]))
    assert [x.decode() for x in label.numpy()] == ["grün", "red, dark"]
    scores = tf.constant([[0.59, 0.6], [0.7, 0.9], [0.1, 0.2], [0.8, 0.0]])
    tags = fitted.label_strings("tags", scores)
    assert [x.decode() for x in tags.numpy()] == ["warm", "bright · warm", "", "bright"]


def test_answers_are_labels_and_scores_else_reconstructions():
    fitted = make_fitted(tiny.tiny_spec("m.csv"))
    logits = tf.one_hot([[2, 9, 10, 3, 9, 0]], len(VOCABULARY))
    outputs = {"label": tf.constant([[0.0, 0.0, 1.0]]), "tags": tf.constant([[1.0, 1.0]])}
    outputs |= {"copy_text": logits, "copy_numbers": tf.constant([[1.0, 2.0]])}
    answers = fitted.answers(outputs)
    assert list(answers) == ["label", "label_scores", "tags", "tags_scores"]
    assert answers["tags"].numpy().tolist() == [b"bright|warm"]
    alone = make_fitted(tiny.tiny_spec("m.csv", outputs=["copy"]))
    alone.labels = {}
    answers = alone.answers({"copy_text": logits, "copy_numbers": outputs["copy_numbers"]})
    assert answers["copy_text"].numpy().tolist() == [b"red one"]
    np.testing.assert_array_equal(answers["copy_numbers"], [[1, 2]])
    assert fitted.reconstructed("copy_text") == "text"
    assert fitted.reconstructed("label") is None
