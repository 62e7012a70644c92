"""`benchmarks/synchrony.py`: what is measured."""

import importlib
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from mm_keras.data.keypad import write_keypad

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture
def benchmark(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    return importlib.import_module("synchrony")


def test_a_sound_is_found_if_the_best_one_is_of_the_same_key(benchmark):
    labels, cells = np.array(["9", "1", "1", "2"]), np.array(["x", "a", "b", "c"], object)
    manifest = SimpleNamespace(table=pd.DataFrame({"label": labels}), cells={"image": cells, "audio": cells})
    data = SimpleNamespace(rows={"test": np.array([1, 2, 3])}, manifest=manifest)
    vectors = {"image": np.eye(3)[[1, 0, 0]], "audio": np.eye(3)}  # The images of a, b, c find b, a, a.
    asked = SimpleNamespace(
        predict=lambda cells: {
            f"match_{name}": vectors[name] for name in cells if cells[name] == ["a", "b", "c"]
        }
    )
    assert benchmark.find_sounds(asked, data) == pytest.approx(2 / 3)


def test_how_far_off_an_offset_is_does_not_depend_on_the_true_one(benchmark, tmp_path, monkeypatch):
    keypad = write_keypad(tmp_path / "keypad", rows=200, empty=0.0, sounds=True).parent
    seen = []

    def wrong_by_a_tenth(predictor, frames, sound):
        seen.append(pd.read_json(frames.parent / "dial.json", typ="series")["offset"])
        return {"offset": seen[-1] + 0.1}

    monkeypatch.setattr(benchmark, "synchronise", wrong_by_a_tenth)
    away = benchmark.find_offsets(None, keypad, tmp_path, seed=3, dials=4)
    np.testing.assert_allclose(away, 0.1)
    assert len(set(seen)) == 4 and max(map(abs, seen)) <= 1


def test_the_spec_and_the_table(benchmark, tmp_path):
    assert benchmark.task_spec(tmp_path / "manifest.csv", 3, 2).training.seed == 3
    run = {"seed": 7, "near": 0.96, "median_off": 0.0421, "sound_found": 0.991}
    run |= {"epochs": 2, "parameters": 5000, "fit_seconds": 1.0}
    assert "| match | 2 | 1 | 96 % | 0.042 s | 99.1 % | 5,000 | 1 |" in benchmark.make_table(
        {"models": {"match": [run]}}
    )
