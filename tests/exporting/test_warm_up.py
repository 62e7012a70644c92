"""Warm-up requests: which rows they hold, and that the model that they lie beside answers them."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_text  # noqa: F401  registers the tokenizer's operators

from mm_keras.exporting.warm_up import choose_warm_up, read_warm_up, write_warm_up


def rows_of(*texts):
    """Returns raw rows of a text and a number that are missing where they are empty, and what is there."""
    raw = {
        "number": np.array([[np.nan] if text.startswith("-") else [1.0] for text in texts], "float32"),
        "text": np.array([text.strip("-").encode() for text in texts], object),
    }
    return raw, np.array([[not text.startswith("-"), bool(text.strip("-"))] for text in texts], "float32")


def test_the_smallest_row_of_each_set_of_modalities_is_chosen_the_fullest_first():
    raw, present = rows_of("", "-long", "a long one", "-x", "ab", "abc")
    assert choose_warm_up(raw, present).tolist() == [4, 3, 0]


def test_requests_are_of_one_row_and_of_many(tmp_path):
    (tmp_path / "assets.extra").mkdir()
    raw, present = rows_of("ab", "-x", "")
    write_warm_up("keypad", raw, present, tmp_path / "assets.extra")
    requests = read_warm_up(tmp_path)
    assert [(request.model_spec.name, request.model_spec.signature_name) for request in requests] == [
        ("keypad", "serving_default")
    ] * 3
    texts = [tf.make_ndarray(request.inputs["text"]).tolist() for request in requests]
    assert texts[0] == [b"ab"] and len(texts[1]) == 1 and set(texts[2]) == {b"ab", b"x", b""}
    assert len(texts[2]) == 16 and tf.make_ndarray(requests[2].inputs["number"]).shape == (16, 1)


def test_large_rows_make_a_small_batch(tmp_path):
    (tmp_path / "assets.extra").mkdir()
    path = write_warm_up("large", *rows_of("a" * 1_500_000), tmp_path / "assets.extra")
    assert len(tf.make_ndarray(read_warm_up(tmp_path)[2].inputs["text"])) == 2
    assert path.stat().st_size < 6_100_000


def test_a_folder_without_requests_has_none(tmp_path):
    assert read_warm_up(tmp_path) == []


@pytest.mark.slow
def test_the_exported_model_answers_its_own_requests(exported):
    folder = Path(exported["saved_model"]["path"])
    signature = tf.saved_model.load(str(folder)).signatures["serving_default"]
    requests = read_warm_up(folder)
    whole, few, many = (
        {key: tf.make_ndarray(proto) for key, proto in request.inputs.items()} for request in requests
    )
    assert all(request.model_spec.name == "tiny" for request in requests)
    for rows, count in ((whole, 1), (few, 1), (many, 16)):
        answer = signature(**{key: tf.constant(x) for key, x in rows.items()})
        assert answer["label_scores"].shape[0] == count
    assert all(whole["image"]) and all(whole["audio"]) and not np.isnan(whole["vec"]).any()
    assert not all(many["image"]) and np.isnan(many["vec"]).any()
