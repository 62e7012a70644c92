"""The report of an evaluation on disk."""

import json

import numpy as np
import pytest
from PIL import Image

from mm_keras.evaluation import evaluate, write_report
from mm_keras.evaluation.report import draw_confusion


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
