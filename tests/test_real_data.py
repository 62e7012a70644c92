"""A quick look at real input, where it lies beside the repository: a few rows of av_digits."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mm_keras.data.infer import infer_spec
from mm_keras.data.pipeline import make_datasets
from mm_keras.evaluation import evaluate
from mm_keras.spec_file import load_spec
from mm_keras.training import train

AV_DIGITS = Path(__file__).parents[2] / "shared" / "data" / "av_digits"
ROWS = {"train": 160, "validation": 20, "val": 20, "test": 20}

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not (AV_DIGITS / "manifest.csv").is_file(), reason="no av_digits beside the repository"
    ),
]


@pytest.fixture(scope="module")
def spec(tmp_path_factory):
    folder = tmp_path_factory.mktemp("av_digits")
    table = pd.read_csv(AV_DIGITS / "manifest.csv", dtype=str, keep_default_na=False)
    table = pd.concat([rows.head(ROWS[split]) for split, rows in table.groupby("split")])
    for path in [*table["image"], *table["audio"]]:
        if path:
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(AV_DIGITS / path, folder / path)
    table.to_csv(folder / "manifest.csv", index=False)
    (folder / "spec.yaml").write_text(infer_spec(folder / "manifest.csv"), encoding="utf-8")
    spec = load_spec(folder / "spec.yaml")
    spec.training.epochs, spec.training.precision, spec.training.seed = 12, "float32", 8
    return spec


def test_real_rows_are_read_as_what_they_are(spec):
    kinds = {name: modality.kind for name, modality in spec.modalities.items()}
    assert {"image": "image", "audio": "audio", "text": "text"}.items() <= kinds.items()
    data = make_datasets(spec)
    assert len(data.rows["train"]) == 160
    inputs, targets, weights = next(iter(data.test))
    there = dict(zip(spec.modality_names, inputs["present"].numpy().T, strict=True))
    image = inputs["image"].numpy()[there["image"] > 0]
    assert image.min() >= 0 and 100 < image.max() <= 255
    audio = inputs["audio"].numpy()[there["audio"] > 0]
    assert 0.05 < np.abs(audio).max() <= 1 and (audio.std(axis=1) > 0).all()
    text = inputs["text"].numpy()[there["text"] > 0]
    assert (text[:, 0] == 2).all()
    assert (text == 1).sum() < 0.2 * (text > 3).sum()  # Few words of test are unknown.
    assert (weights["label"].numpy() > 0).all() and (targets["label"].numpy().sum(axis=1) == 1).all()


def test_a_short_training_beats_chance(spec, tmp_path):
    run, data = train(spec, tmp_path)
    result = evaluate(run.model, spec, data, "train")
    assert len(data.preprocessor.labels["label"]) == 10
    assert result["outputs"]["label"]["accuracy"] > 0.3  # Chance: 0.1. Twelve epochs of 160 rows are few.
