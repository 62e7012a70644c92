"""`benchmarks/grocery.py`: what it trains, measures and prints."""

import csv
import importlib
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
CLASSES = {"Kiwi": "Kiwi is green within.", "Lime": "Lime is sour.", "Plum": "Plum is sweet."}


@pytest.fixture
def grocery(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    return importlib.import_module("grocery")


@pytest.fixture
def manifest(tmp_path):
    random = np.random.default_rng(7)
    with open(tmp_path / "manifest.csv", "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["image", "text", "fine", "split"])
        for row in range(24):
            name = list(CLASSES)[row % 3]
            pixels = random.integers(0, 60, (70, 64, 3)) + 120 * np.eye(3)[row % 3]
            Image.fromarray(pixels.astype("uint8")).save(tmp_path / f"{row}.png")
            writer.writerow([f"{row}.png", CLASSES[name], name, ("train", "train", "val", "test")[row // 6]])
    return tmp_path / "manifest.csv"


@pytest.mark.slow
def test_texts_that_are_written_and_looked_up_are_measured_alike(grocery, manifest, tmp_path, monkeypatch):
    parity = {"latency_ms": {"serving_default": 0.5}, "equal_labels": 1.0}
    monkeypatch.setattr(grocery, "export", lambda *given: {"tflite": {"parity": parity}})
    found = {name: grocery.measure(name, manifest, 7, epochs=1) for name in ("look-up", "gru")}
    for scores in found.values():
        assert {*grocery.TITLES, "parameters", "fit_seconds"} <= scores.keys() and scores["epochs"] == 1
    # What is looked up is a whole description, right or wrong.
    exact = found["look-up"]["exact_match"]
    assert exact in [pytest.approx(right / 6) for right in range(7)] and found["look-up"]["rouge_l"] >= exact
    table = grocery.make_table({"models": {name: [scores] for name, scores in found.items()}})
    assert "| look-up | 1 | 1 |" in table and table.count("| 0.50 |") == 2


def test_each_model_has_a_spec(grocery, manifest):
    for name in grocery.OUTPUTS:
        assert (
            json.loads(grocery.grocery_spec(name, manifest, 3, 2).model_dump_json())["training"]["seed"] == 3
        )
