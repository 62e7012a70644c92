"""`benchmarks/spoken_digits.py`: which rows it makes, and how it measures."""

import importlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tiny_avmnist

from mm_keras.data.avmnist_sources import read_mnist, read_recordings

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture
def spoken_digits(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    module = importlib.import_module("spoken_digits")
    monkeypatch.setattr(module, "TEST_TAKES", 1)  # Of three: one a split.
    monkeypatch.setattr(module, "ROWS", {"train": 40, "validation": 20, "test": 30})
    return module


def test_images_and_recordings_are_of_one_digit_and_apart_between_splits(spoken_digits, tmp_path):
    sources = tiny_avmnist.write_sources(tmp_path)
    mnist, recordings = read_mnist(sources["mnist"]), read_recordings(sources["fsdd"])
    (tmp_path / "rows").mkdir()
    spoken_digits.write_rows(tmp_path / "rows", mnist, recordings, 7)
    pairs = pd.read_csv(tmp_path / "rows" / "pairs.csv")
    assert pairs["split"].value_counts().to_dict() == {"train": 40, "test": 30, "validation": 20}
    assert pairs["image"].is_unique and set(pairs["speaker"]) == set(tiny_avmnist.SPEAKERS)
    for column in ("sound", "image"):
        assert pairs.groupby(column)["split"].nunique().max() == 1
    takes = pairs["sound"].str.extract(r"(\d)_(\w+)_(\d)\.wav")
    assert (takes[0].astype(int) == pairs["label"]).all() and (takes[1] == pairs["speaker"]).all()
    assert set(takes[2][pairs["split"] == "test"]) == {"0"}
    heard = pd.read_csv(tmp_path / "rows" / "recordings.csv")
    assert len(heard) == len(recordings) and set(heard["split"]) == {"train", "validation", "test"}


def test_a_vocoded_sound_is_the_sound_again(spoken_digits):
    sound = spoken_digits.stack([np.rint(9000 * tiny_avmnist.tone(2, 3000)), np.ones(100)])
    assert sound.shape == (2, 8000) and spoken_digits.lengths_of(sound).tolist() == [3000, 100]
    copied = spoken_digits.vocoded(sound)
    assert copied.dtype == np.int16 and tiny_avmnist.hear(copied[0]) == 2


def test_every_model_has_a_spec_and_a_line_in_the_table(spoken_digits, tmp_path):
    for name in spoken_digits.DECODERS:
        assert spoken_digits.speech_spec(name, tmp_path, 3, 2).training.epochs == 2
    run = {"epochs": 2, "understood_of_speaker": {"ann": 1.0}, "parameters": 5, "fit_seconds": 1.0}
    run |= {f"understood{of}": 0.5 for of in ("", "_vocoded", "_real")}
    run |= {"mel_cepstral_distortion": 3.0, "griffin_lim_distance": 0.5}
    run |= {"real_time_factor": 0.06, "tflite_real_time_factor": 0.2}
    table = spoken_digits.make_table({"models": {"parallel": [run, run]}})
    assert (
        "| parallel | 2 | 2 | 50.0 % | 50.0 % | 50.0 % | 3.0 dB | 0.5 dB | 0.060 | 0.200 | 5 | 1 |" in table
    )
