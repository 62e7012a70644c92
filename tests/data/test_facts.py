"""The figures of a data set: histograms, and what is counted of each modality and output."""

import json
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mm_keras.data.facts import describe_data, distribution


def test_a_distribution_counts_each_number_once():
    found = distribution([1, 2, 2, 5, np.nan])
    assert (found["count"], found["min"], found["median"], found["mean"], found["max"]) == (4, 1, 2, 2.5, 5)
    assert found["edges"] == [0.5, 1.5, 2.5, 3.5, 4.5, 5.5]
    assert found["counts"] == [1, 2, 0, 0, 1]


def test_equal_numbers_have_one_bin_and_none_have_no_distribution():
    assert distribution([3.0, 3.0])["counts"] == [2]
    assert distribution([np.nan, np.inf]) is None


def test_bins_of_a_long_tail_grow_by_a_factor():
    edges = np.array(distribution([1, 1, 2, 3, 10_000])["edges"])
    np.testing.assert_allclose(edges[1:] / edges[:-1], 10_000 ** (1 / 24), rtol=1e-3)


@given(st.lists(st.floats(allow_nan=True, allow_infinity=True, width=32), min_size=1))
def test_any_numbers_give_json_that_adds_up(numbers):
    found = distribution(np.array(numbers, "float64"))
    json.dumps(found, allow_nan=False)
    finite = int(np.isfinite(numbers).sum())
    assert (found is None) == (finite == 0)
    if found:
        assert sum(found["counts"]) == found["count"] == finite


LABEL = SimpleNamespace(kind="classification", multi_label=False)
SPEC = SimpleNamespace(
    modalities={
        "text": SimpleNamespace(kind="text", column="text", length=4),
        "numbers": SimpleNamespace(kind="numbers", columns=["a"]),
    },
    outputs={"label": LABEL, "size": SimpleNamespace(kind="regression", columns=["size"])},
)


@pytest.fixture
def facts():
    manifest = SimpleNamespace(
        rows_in_all=9,
        splits={"train": np.arange(6), "validation": np.zeros(0, int), "test": np.array([7])},
        cells={
            "text": pd.array(["one two three", "one", "one", "", "x", "y", "bad", "z"], dtype="str"),
            "numbers": np.array([[1], [2], [3], [2], [100], [np.nan], [5], [2]], "float32"),
        },
        present=np.array([[1, 1]] * 3 + [[1, 0]] + [[1, 1]] * 4, "float32"),
        table=pd.DataFrame({"size": ["1", "2", "", "4", "5", "6", "7", "8"]}, dtype="str"),
        labels={"label": ["a", "b"]},
        targets={"label": np.array([0, 0, 0, 0, 1, -1, 1, 1]), "size": np.zeros((8, 1), "float32")},
        target_weights={
            "label": np.array([1, 1, 1, 1, 1, 0, 1, 1]),
            "size": np.array([1, 1, 0, 1, 1, 1, 1, 1]),
        },
    )
    return describe_data(manifest, SPEC, {})


def test_rows_and_splits_are_counted_without_the_bad_one(facts):
    assert (facts["rows"], facts["good_rows"], facts["splits"]) == (9, 7, {"train": 6, "test": 1})


def test_a_missing_modality_is_a_share_of_the_good_rows(facts):
    assert facts["modalities"]["text"]["missing"] == {
        "all": pytest.approx(1 / 7),
        "train": pytest.approx(1 / 6),
        "test": 0,
    }


def test_texts_are_measured_where_they_are_there(facts):
    text = facts["modalities"]["text"]
    assert text["distributions"]["words"]["count"] == 6
    assert (text["distinct"], text["cut"]) == (5, pytest.approx(1 / 6))  # Three words and two marks are five.
    assert text["distributions"]["characters"]["max"] == 13


def test_a_number_far_from_the_others_is_an_outlier(facts):
    assert facts["modalities"]["numbers"]["outliers"] == {"a": 1}


def test_classes_are_counted_in_each_split(facts):
    label = facts["outputs"]["label"]
    assert label["classes"] == {"a": {"train": 4, "test": 0}, "b": {"train": 1, "test": 1}}
    assert (label["rare"], label["imbalance"]) == (["a", "b"], 4.0)
    assert label["unlabelled"] == {"train": 1, "test": 0}


def test_targets_are_measured_where_they_are_numbers(facts):
    assert facts["outputs"]["size"]["distributions"]["size"]["count"] == 6
