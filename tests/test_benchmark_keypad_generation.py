"""`benchmarks/keypad_generation.py`: what counts as right."""

import importlib
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from mm_keras.data.keypad_sounds import play_keys, play_melodies

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture
def benchmark(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    return importlib.import_module("keypad_generation")


def outputs(name, sounds):
    """Returns what a model gives of these sounds, which go on behind their ends."""
    counts = [len(sound) for sound in sounds]
    padded = np.full((len(sounds), 10_000), 0.5, "float32")
    for row, sound in enumerate(sounds):
        padded[row, : len(sound)] = sound / 32767
    return {name: tf.constant(padded), f"{name}_samples": tf.constant(counts)}


def test_a_sound_is_right_if_the_key_is_read_in_it(benchmark):
    made = outputs("key_tones", play_keys([3, 5, 0, 9]))
    assert benchmark.right_keys(made, np.array([3, 5, 0, 8])) == 0.75


def test_notes_that_lack_or_are_too_many_are_wrong(benchmark):
    made = outputs("melody", play_melodies([0, 1, 2]))  # CEG, GEC, CDEC
    assert benchmark.right_notes(made, np.array([0, 1, 2])) == 1.0
    assert benchmark.right_notes(made, np.array([2, 1, 0])) == pytest.approx((1 + 3 + 1) / (4 + 3 + 4))


def test_every_task_has_a_spec_and_a_line_in_the_table(benchmark, tmp_path):
    for name in benchmark.TASKS:
        assert benchmark.task_spec(name, tmp_path / "manifest.csv", 3, 2).training.seed == 3
    run = {"seed": 7, "right": 0.98, "epochs": 2, "parameters": 5000, "fit_seconds": 1.0}
    assert "| tones | 2 | 1 | 98.0 % |  | 5,000 | 1 |" in benchmark.make_table({"models": {"tones": [run]}})
    assert "| imagine | 2 | 1 | 98.0 % | 99.0 % |" in benchmark.make_table(
        {"models": {"imagine": [{**run, "as_read": 0.99}]}}
    )
