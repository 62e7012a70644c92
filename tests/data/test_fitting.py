"""What is learned from the training rows: nothing of it comes from other rows, or from missing cells."""

import numpy as np
import pytest
import tiny

from mm_keras.data import fitting
from mm_keras.data.examples import open_examples
from mm_keras.data.fitting import Moments, fit_preprocessor, learn_vocabulary
from mm_keras.data.manifest import load_manifest
from mm_keras.data.transforms import RESERVED_TOKENS
from mm_keras.spec_modalities import TextModality

TEXT = TextModality(kind="text", length=8, vocabulary_size=40)


def fit(manifest, **changes):
    spec = tiny.tiny_spec(manifest, modalities=("text", "numbers", "vec"), **changes)
    manifest = load_manifest(spec)
    return fit_preprocessor(spec, manifest, open_examples(spec, manifest, "memory").moments)


@pytest.fixture(scope="module")
def fitted(tiny_manifest):
    return fit(tiny_manifest)


def test_rows_of_validation_and_test_leave_no_trace(tiny_manifest, fitted):
    rows = tiny.read_table(tiny_manifest)
    for row in rows:
        if row["split"] != "train":
            row.update(text="kilimanjaro " * 9, a="1e6", b="-1e6", vec=rows[1]["vec"])
    changed = fit(tiny.write_table(tiny_manifest.parent / "changed.csv", rows))
    assert changed.vocabularies == fitted.vocabularies
    assert changed.statistics == fitted.statistics
    for row in rows:
        row["split"] = "train"
    assert fit(tiny.write_table(tiny_manifest.parent / "all.csv", rows)).statistics != fitted.statistics


def test_vocabulary_holds_the_words_of_train_alone(fitted):
    vocabulary = fitted.vocabularies["text"]
    assert vocabulary[:5] == list(RESERVED_TOKENS)
    assert "home" in vocabulary
    assert "zanzibar" not in vocabulary
    assert len(set(vocabulary)) == len(vocabulary) <= 64


def test_numbers_have_the_moments_of_the_known_cells(tiny_manifest, fitted):
    train = [row for row in tiny.read_table(tiny_manifest) if row["split"] == "train"]
    values = np.array([[float(row[column] or "nan") for column in "ab"] for row in train])
    assert 0 < np.isnan(values[:, 0]).sum() < np.isnan(values[:, 1]).sum()
    statistics = fitted.statistics["numbers"]
    np.testing.assert_allclose(statistics["mean"], np.nanmean(values, axis=0), rtol=1e-6)
    np.testing.assert_allclose(statistics["variance"], np.nanvar(values, axis=0), rtol=1e-6)


def test_features_have_the_moments_of_the_files_that_are_there(tiny_manifest, fitted):
    train = [row["vec"] for row in tiny.read_table(tiny_manifest) if row["split"] == "train"]
    values = np.array([np.load(tiny_manifest.parent / path) for path in train if path])
    assert len(values) < len(train)
    np.testing.assert_allclose(fitted.statistics["vec"]["mean"], values.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(fitted.statistics["vec"]["variance"], values.var(axis=0), rtol=1e-5)


def test_padding_of_short_sequences_does_not_count():
    first, second = np.array([[1.0, 2], [3, 4]]), np.array([[5.0, 0], [7, 8], [9, 9], [1, 1], [100, 100]])
    fitted = Moments(2)
    for array in (np.pad(first, [(0, 2), (0, 0)]), np.zeros((4, 2)), second[:4]):
        fitted.add(array[None])
    moments = fitted.result()
    steps = np.concatenate([first, second[:4]])
    np.testing.assert_allclose(moments["mean"], steps.mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(moments["variance"], steps.var(axis=0), rtol=1e-6)


def test_a_column_that_never_differs_or_is_never_there_can_be_divided_by():
    moments = fitting._moments([[3.0, np.nan], [3.0, np.nan]])
    assert moments == {"mean": [3.0, 0.0], "variance": [1.0, 1.0]}
    assert Moments(2).result() == {"mean": [0.0, 0.0], "variance": [1.0, 1.0]}


def test_vocabulary_has_a_largest_size_and_may_be_empty():
    texts = [f"word{chr(97 + i)} {chr(97 + i) * 3}" for i in range(26)]
    vocabulary = learn_vocabulary(texts, TEXT, 7)
    assert len(vocabulary) == 40
    assert vocabulary[:5] == list(RESERVED_TOKENS)
    assert learn_vocabulary(["", ""], TEXT, 7) == list(RESERVED_TOKENS)


def test_case_is_kept_on_request():
    texts = ["Mixed Case"] * 5
    kept = learn_vocabulary(texts, TEXT.model_copy(update={"lowercase": False}), 7)
    for vocabulary, letters in ((learn_vocabulary(texts, TEXT, 7), {"m", "c"}), (kept, {"M", "C"})):
        assert {token for token in vocabulary if token.lower() in ("m", "c")} == letters


def test_of_too_many_texts_a_seeded_sample_is_read(monkeypatch):
    monkeypatch.setattr(fitting, "MOST_TEXTS", 3)
    texts = [chr(97 + i) * 2 for i in range(20)]
    first, again, other = (learn_vocabulary(texts, TEXT, seed) for seed in (7, 7, 8))
    letters = {token for token in first if len(token) == 1}
    assert len(letters) == 3
    assert first == again != other
