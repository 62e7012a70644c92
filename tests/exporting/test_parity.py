"""Whether an artefact is believed: every output counts, and every row and label."""

from pathlib import Path
from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf
import tiny

from mm_keras.data.pipeline import make_datasets
from mm_keras.exporting import ExportError, parity
from mm_keras.exporting.parity import Reference, choose_rows, deviations_apart
from mm_keras.model import build_model


@pytest.fixture(scope="module")
def reference(tiny_manifest, tmp_path_factory):
    spec = tiny.quick_spec(tiny_manifest)
    data = make_datasets(spec)
    keras.utils.set_random_seed(7)
    return Reference(build_model(spec, data), spec, data, tmp_path_factory.mktemp("rows"))


@pytest.fixture
def compare(reference, monkeypatch):
    """Compares with an artefact that answers as the Keras model does, but for some changed outputs."""

    def call(changes, tolerance=1e-3):
        answers = {key: x.copy() for key, x in reference.expected["tensors"].items()}
        for key, change in changes.items():
            answers[key] = change(answers[key])

        def answer(script, task, folder):
            Path(task["outputs"]).mkdir(exist_ok=True)
            for key, x in answers.items():
                path = Path(task["outputs"]) / f"tensors.float32.{key}"
                path.write_bytes(tf.io.serialize_tensor(x).numpy())
            return {"latency_ms": {"tensors": 1.0}, "operators": ["MatMul"]}

        monkeypatch.setattr(parity, "run_child", answer)
        return reference.compare("saved_model", "somewhere", tolerance)

    return call


def shift(row, column, by):
    def change(x):
        x[row, column] += by
        return x

    return change


def test_equal_answers_are_told_as_equal(compare, reference):
    told = compare({})
    assert told["max_difference"] == 0 and told["equal_labels"] == 1
    assert told["rows"] == len(reference.names) > 8
    assert told["subsets"] == ["numbers", "numbers+vec", "vec"]
    assert told["differences"] == {"tensors/label": 0, "tensors/tags": 0}
    assert told["latency_ms"] == {"tensors": 1.0} and told["operators"] == ["MatMul"]


@pytest.mark.parametrize("key", ["label", "tags"])
def test_one_value_that_is_over_tolerance_is_enough(compare, key):
    assert compare({key: shift(-1, -1, 5e-4)})["max_difference"] == pytest.approx(5e-4, rel=1e-3)
    with pytest.raises(ExportError, match=rf"differences up to 0.001. Received: 0.00\d+ in tensors/{key}"):
        compare({key: shift(-1, -1, 2e-3)})


@pytest.mark.parametrize("key", ["label", "tags"])
def test_an_answer_that_is_no_number_is_never_within_tolerance(compare, key):
    with pytest.raises(ExportError, match=f"Received: nan in tensors/{key}"):
        compare({key: shift(0, 0, np.nan)}, tolerance=1e9)


@pytest.mark.parametrize("place", [("describe", "description"), ("classify", "classes")])
def test_what_clients_read_is_the_same_to_the_letter(reference, monkeypatch, place):
    signature, key = place
    answers = {name: x.copy() for name, x in reference.expected[signature].items()}
    monkeypatch.setattr(
        parity, "run_child", lambda *_: {"latency_ms": {signature: 1.0}, "operators": ["MatMul"]}
    )
    monkeypatch.setattr(parity, "read_tensors", lambda folder, name: answers)
    assert reference.compare("saved_model", "somewhere", 1e-3)["max_difference"] == 0
    answers[key].flat[-1] = b"other"
    with pytest.raises(ExportError, match=f"Received: inf in {signature}/{key}"):
        reference.compare("saved_model", "somewhere", 1e9)


def test_labels_that_differ_are_counted(compare, reference):
    told = compare({"label": lambda x: np.roll(x, 1, axis=1)}, tolerance=1e9)
    assert told["labels"] == {"tensors/label": 0, "tensors/tags": 1}
    assert told["equal_labels"] == 0
    one = compare({"label": shift(0, 0, 9.0), "tags": shift(0, 0, 9.0)}, tolerance=1e9)["labels"]
    rows = len(reference.names)
    label = reference.expected["tensors"]["label"][0].argmax()
    assert one["tensors/label"] == pytest.approx(1 if label == 0 else 1 - 1 / rows)


def test_an_output_that_is_lost_is_named(compare, monkeypatch):
    with pytest.raises(ExportError, match=r"expects output 'label'. Received: \['tags'\]"):
        monkeypatch.setattr(parity, "read_tensors", lambda folder, signature: {"tags": np.zeros(1)})
        compare({})


def test_numbers_of_a_regression_are_compared_in_deviations_of_their_column():
    want = np.array([[100.0, 0.001], [300.0, 0.003]], "float32")
    given = want + np.array([[0.0, 0.0005], [2.0, 0.0]], "float32")
    assert deviations_apart(given, want, [100.0**2, 0.01**2]) == pytest.approx(0.05, rel=1e-3)
    assert deviations_apart(given, want, [10.0**2, 0.01**2]) == pytest.approx(0.2, rel=1e-3)


def test_the_last_bits_of_a_number_far_from_zero_are_no_difference():
    want = np.float32([[2e9], [2e9 + 512]])
    assert deviations_apart(np.nextafter(want, np.float32(0)), want, [1.0]) == 0
    assert deviations_apart(want + np.float32(2048), want, [1.0]) == 2048
    assert np.isnan(deviations_apart(np.float32([[np.nan], [0]]), want, [1.0]))


def test_rows_are_whole_once_and_once_without_modalities(reference):
    present = reference.inputs["present"].numpy()
    names = [[name for name, here in zip(("numbers", "vec"), row, strict=True) if here] for row in present]
    assert all(set(here) <= set(told.split("+")) for here, told in zip(names, reference.names, strict=True))
    assert all(names)
    blank = np.isnan(reference.raw["vec"]).all(axis=1)
    np.testing.assert_array_equal(blank, present[:, 1] == 0)


def test_rows_are_taken_evenly_from_the_first_split_there_is():
    def choose(most, **rows):
        return choose_rows(SimpleNamespace(rows={key: np.array(x) for key, x in rows.items()}), most).tolist()

    assert choose(3, test=[5, 6, 7, 8, 9], train=[1]) == [5, 7, 9]
    assert choose(9, test=[], validation=[3, 4], train=[1]) == [3, 4]
    assert choose(1, test=[], validation=[], train=[1, 2]) == [1]
