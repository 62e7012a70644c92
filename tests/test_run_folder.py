"""The folder of one training: what is in it, and how it is found again."""

import json

import keras
import numpy as np
import pytest
import tiny

from mm_keras.data.preprocessor import Preprocessor
from mm_keras.run_folder import BEST, Run, load_run, make_run_folder
from mm_keras.spec_file import load_spec, save_spec


@pytest.mark.slow
def test_a_loaded_run_answers_as_the_run_that_was_trained(trained):
    run, data = trained
    loaded = load_run(run.folder)
    assert loaded.spec == run.spec == load_spec(run.folder / "spec.yaml")
    assert loaded.preprocessor.labels == data.preprocessor.labels
    assert loaded.preprocessor.vocabularies == data.preprocessor.vocabularies
    assert loaded.preprocessor.statistics == data.preprocessor.statistics
    inputs, _, _ = next(iter(data.test))
    want, given = (model(inputs, training=False) for model in (run.model, loaded.model))
    assert set(given) == set(run.spec.output_names)
    for key, x in given.items():
        np.testing.assert_allclose(x, want[key], atol=1e-6, err_msg=key)
    assert loaded.model is loaded.model


def test_a_lambda_layer_is_not_loaded(tiny_manifest, tmp_path):
    run = make_run_folder(tmp_path, *make_fitted(tiny_manifest))
    x = keras.Input((2,))
    keras.Model(x, keras.layers.Lambda(lambda x: x + 1)(x)).save(run.folder / BEST)
    with pytest.raises(ValueError, match="ambda"):
        assert run.model


def make_fitted(manifest):
    spec = tiny.quick_spec(manifest)
    statistics = {"numbers": {"mean": [0.0, 1.0], "variance": [1.0, 2.0]}}
    statistics["vec"] = {"mean": [0.0] * 6, "variance": [1.0] * 6}
    return spec, Preprocessor(spec.modalities, spec.outputs, {}, {"label": ["a", "b"]}, statistics)


def test_two_runs_of_one_second_have_folders_of_their_own(tiny_manifest, tmp_path, monkeypatch):
    monkeypatch.setattr("time.strftime", lambda _: "20250131-120000")
    runs = [make_run_folder(tmp_path, *make_fitted(tiny_manifest)) for _ in range(3)]
    assert [run.folder.name for run in runs] == [
        "20250131-120000",
        "20250131-120000-1",
        "20250131-120000-2",
    ]
    assert all(run.folder.parent == tmp_path / "tiny" for run in runs)


def test_of_a_name_the_newest_run_with_a_checkpoint_is_taken(tiny_manifest, tmp_path):
    spec, fitted = make_fitted(tiny_manifest)
    for stamp in ("20250131-120000", "20250201-120000", "20250202-120000"):
        (tmp_path / stamp).mkdir()
        save_spec(spec, tmp_path / stamp / "spec.yaml")
        fitted.save(tmp_path / stamp)
        if stamp != "20250202-120000":  # That one was stopped in its first epoch.
            (tmp_path / stamp / BEST).touch()
    assert load_run(tmp_path).folder == tmp_path / "20250201-120000"
    assert load_run(tmp_path / "20250131-120000").folder == tmp_path / "20250131-120000"
    with pytest.raises(ValueError, match=r"run folder with spec.yaml and best.keras. Received: .*20250202"):
        load_run(tmp_path / "20250202-120000")


@pytest.mark.parametrize("place", ["none", "."])
def test_a_path_without_a_run_is_refused(tmp_path, place):
    with pytest.raises(ValueError, match=r"`load_run` expects a run folder .* Give the folder that"):
        load_run(tmp_path / place)


def test_json_keeps_letters_of_any_script(tmp_path):
    Run(tmp_path, None, None).save_json("x.json", {"label": "grün 数"})
    text = (tmp_path / "x.json").read_text(encoding="utf-8")
    assert "grün 数" in text
    assert json.loads(text) == {"label": "grün 数"}
