"""The report of an evaluation on disk."""

import json

import numpy as np
import pytest
from PIL import Image

from mm_keras.evaluation import evaluate, write_report
from mm_keras.evaluation.report import draw_confusion, draw_points


@pytest.mark.slow
def test_the_report_holds_the_result_and_a_picture_of_each_single_label(trained, tmp_path):
    run, data = trained
    result = evaluate(run.model, run.spec, data, "validation")
    paths = write_report(result, tmp_path)
    assert [path.name for path in paths] == ["evaluation.json", "confusion_label.png"]
    assert json.loads(paths[0].read_text(encoding="utf-8")) == result
    assert "grün" in paths[0].read_text(encoding="utf-8")
    assert is_drawn(paths[1])


def is_drawn(path):
    with Image.open(path) as picture:
        pixels = np.asarray(picture.convert("L"))
    return min(pixels.shape) > 300 and pixels.std() > 10


def test_pictures_show_the_matrix(tmp_path):
    right, wrong = tmp_path / "right.png", tmp_path / "wrong.png"
    draw_confusion([[5, 0], [0, 5]], ["a", "b"], "x", right)
    draw_confusion([[0, 5], [5, 0]], ["a", "b"], "x", wrong)
    pictures = [np.asarray(Image.open(path).convert("RGB"), float) for path in (right, wrong)]
    assert pictures[0].shape == pictures[1].shape
    assert np.abs(pictures[0] - pictures[1]).max() > 100


@pytest.mark.parametrize("count", [1, 40])
def test_many_long_labels_of_any_script_fit(tmp_path, count):
    labels = [f"$label_{i} grün" for i in range(count)]
    draw_confusion(np.eye(count, dtype=int) * 3, labels, "many", tmp_path / "many.png")
    assert is_drawn(tmp_path / "many.png")


@pytest.mark.parametrize("columns", [["price"], ["a", "$b", "$c$", "grün"]])
def test_points_are_drawn_for_each_column(tmp_path, columns):
    draw_points({column: [[0.0, 1.0], [5.0, 4.0]] for column in columns}, "x: test", tmp_path / "x.png")
    assert is_drawn(tmp_path / "x.png")


def test_the_picture_of_a_regression_shows_where_the_points_are(tmp_path):
    pictures = []
    for name, guess in (("good", 4.0), ("bad", 1.0)):
        draw_points({"a": [[0.0, 0.0], [4.0, guess], [5.0, 5.0]]}, "x", tmp_path / f"{name}.png")
        pictures.append(np.asarray(Image.open(tmp_path / f"{name}.png").convert("RGB"), float))
    assert np.abs(pictures[0] - pictures[1]).max() > 50


def test_a_regression_has_its_picture_beside_the_report(tmp_path):
    output = {"loss": 0.1, "mae": 1.0, "points": {"a": [[0.0, 1.0]]}}
    result = {"split": "test", "outputs": {"price": output}}
    paths = write_report(result, tmp_path)
    assert [path.name for path in paths] == ["evaluation.json", "regression_price.png"]
    assert is_drawn(paths[1])
