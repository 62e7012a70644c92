"""`benchmarks/avmnist.py`: what it trains, and its table."""

import csv
import importlib
import json
import sys
from pathlib import Path

import pytest
import tiny_avmnist

from mm_keras.data.avmnist import Settings, write_avmnist
from mm_keras.fusion import FUSIONS

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    folder = tmp_path_factory.mktemp("benchmark")
    sources = tiny_avmnist.write_sources(folder / "sources")
    write_avmnist(folder / "avmnist", **sources, settings=Settings(32, 8, 10, spectrogram=True))
    return folder / "avmnist", sources


@pytest.fixture
def benchmark(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    return importlib.import_module("avmnist")


@pytest.fixture
def specs(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    return importlib.import_module("avmnist_spec")


def run_of(accuracy, subsets=None, **changed):
    figures = {"epochs": 30, "parameters": 1000, "epoch_seconds": 2.0, "fit_seconds": 80.0, **changed}
    return {"seed": 1, "test_accuracy": accuracy, **figures, **({"test_subsets": subsets} if subsets else {})}


def result_of(models, **changed):
    rows = {"train": 6000, "validation": 1000, "test": 2000}
    figures = {"rows": rows, "preset": 4, "cores": 2, "models": models}
    return {**figures, **changed}


def test_every_fusion_and_each_modality_alone_is_trained(specs):
    assert specs.model_names() == ["image", "audio", *FUSIONS]


def test_every_fusion_has_a_spec_with_the_same_encoders_and_training(specs, built):
    folder, _ = built
    found = {name: specs.benchmark_spec(name, folder, 3) for name in FUSIONS}
    first = found["concatenate"]
    for name, spec in found.items():
        assert (spec.fusion.kind, spec.training) == (name, first.training)
        assert spec.modalities == first.modalities
    alone = specs.benchmark_spec("audio", folder, 3)
    assert alone.modalities == {"audio": first.modalities["audio"]}
    assert specs.benchmark_spec("image", folder, 3, Path("noise")).modalities["image"].augment is None


def test_only_noises_of_train_are_copied(specs, built, tmp_path):
    folder, sources = built
    aside = specs.copy_train_noise(folder, sources["noise"], tmp_path / "noise")
    with open(folder / "provenance.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    used = {split: {r["noise"] for r in rows if r["id"].startswith(split)} for split in ("train", "v", "t")}
    copied = {path.name for path in aside.iterdir()}
    assert copied == used["train"]
    others = {row["noise"] for row in rows if not row["id"].startswith("train")}
    assert others and not copied & others


def test_the_table_has_means_deviations_and_the_best_fusion_first(benchmark):
    subsets = {"audio": 0.8, "image": 0.6, "audio+image": 0.9}
    models = {
        "audio": [run_of(0.8), run_of(0.82)],
        "gated": [run_of(0.90, subsets), run_of(0.92, subsets)],
        "concatenate, 90 epochs": [
            run_of(0.95, subsets, epochs=90),
            run_of(0.95, {**subsets, "audio": 0.7}),
        ],
        "film": [],  # Stopped before its first run ended.
    }
    theirs = {"late": [run_of(0.9, parameters=260922), run_of(0.9)]}
    table = benchmark.make_table(result_of(models, torch=theirs))
    lines = table.splitlines()
    assert lines[2] == "| audio alone | 30 | 2 | 81.0 ± 1.4 % |  |  | 1,000 | 2.0 | 80 |"
    assert lines[3] == "| `concatenate` | 90 | 2 | 95.0 ± 0.0 % | 60.0 % | 75.0 % | 1,000 | 2.0 | 80 |"
    assert lines[4] == "| `gated` | 30 | 2 | 91.0 ± 1.4 % | 60.0 % | 80.0 % | 1,000 | 2.0 | 80 |"
    assert lines[5].startswith("| MultiBench: late fusion | 30 | 2 | 90.0 ± 0.0 % |  |  | 260,922 |")
    assert "6,000 train, 1,000 validation, 2,000 test; preset 4; 2 cores." in lines[-1]


def test_one_seed_has_no_deviation(benchmark):
    assert "| audio alone | 30 | 1 | 80.0 % |" in benchmark.make_table(result_of({"audio": [run_of(0.8)]}))


def test_what_is_not_there_is_named_before_anything_is_trained(
    benchmark, built, tmp_path, monkeypatch, capsys
):
    folder = str(built[0])
    half = tmp_path / "python"
    half.write_text("#!/bin/sh\necho \"ModuleNotFoundError: No module named 'torch'\" >&2\nexit 1\n")
    half.chmod(0o755)
    for arguments, words in (
        ([str(tmp_path / "none")], "argument folder: expects a file or folder that is there. Received: "),
        ([folder, "--noise", str(tmp_path / "none")], "argument --noise: expects a file or folder"),
        ([folder, "--torch-python", str(tmp_path / "none")], "(No such file or directory). "),
        ([folder, "--torch-python", str(half)], "(ModuleNotFoundError: No module named 'torch'). "),
    ):
        monkeypatch.setattr(sys, "argv", ["avmnist.py", *arguments])
        with pytest.raises(SystemExit) as stopped:
            benchmark.main()
        assert stopped.value.code == 2
        assert words in " ".join(capsys.readouterr().err.split())


@pytest.mark.slow
def test_a_small_benchmark_writes_its_figures_and_its_table(benchmark, built, tmp_path, monkeypatch):
    folder, sources = built
    readme, output = tmp_path / "README.md", tmp_path / "figures.json"
    readme.write_text("<!-- avmnist -->\n<!-- /avmnist -->\n")
    arguments = ["--models", "concatenate", "--noise", str(sources["noise"]), "--seeds", "1", "--epochs", "1"]
    arguments += ["--output", str(output), "--readme", str(readme)]
    monkeypatch.setattr(sys, "argv", ["avmnist.py", str(folder), *arguments])
    benchmark.main()
    figures = json.loads(output.read_text())
    assert (figures["rows"], figures["noise"]) == ({"train": 32, "validation": 8, "test": 10}, True)
    (found,) = figures["models"]["concatenate, 1 epochs"]
    assert (found["seed"], found["epochs"]) == (1, 1)
    assert found["test_subsets"].keys() == {"audio", "image", "audio+image"}
    assert found["test_subsets"]["audio+image"] == found["test_accuracy"]
    assert readme.read_text().count("\n| ") == 2  # The titles and the fusion.
