"""`benchmarks/fusion_runs.py`, `easy_vqa.py` and `digit_sums.py`: what they train, keep and print."""

import importlib
import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import tiny_avmnist
from PIL import Image
from scipy.io import wavfile

from mm_keras.data.manifest import load_manifest
from mm_keras.fusion import FUSIONS

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
ROWS = {"train": 60, "validation": 10, "test": 20}


@pytest.fixture
def load(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    return importlib.import_module


@pytest.fixture
def runs(load):
    return load("fusion_runs")


def test_a_stopped_benchmark_goes_on_with_the_runs_that_lack(runs, tmp_path):
    figures = runs.Figures(tmp_path / "figures.json")
    asked = []

    def chosen(seeds, epochs=None):
        return SimpleNamespace(seeds=seeds, epochs=epochs)

    def measure(name, seed):
        asked.append((name, seed))
        return {"seed": seed}

    figures.measure_all(figures.begin({"task": "sums"}), ["a"], chosen([2]), measure)
    figures.measure_all(figures.begin({"task": "sums"}), ["a", "b"], chosen([1, 2]), measure)
    figures.measure_all(figures.begin({"task": "sums"}), ["b"], chosen([2], 90), measure, part="torch")
    assert asked == [("a", 2), ("a", 1), ("b", 1), ("b", 2), ("b", 2)]
    kept = json.loads(figures.path.read_text())
    assert kept["models"] == {"a": [{"seed": 2}, {"seed": 1}], "b": [{"seed": 1}, {"seed": 2}]}
    assert kept["torch"] == {"b, 90 epochs": [{"seed": 2}]}


def test_figures_of_another_benchmark_are_not_mixed_in(runs, tmp_path):
    figures = runs.Figures(tmp_path / "figures.json")
    figures.save(figures.begin({"task": "sums", "rows": 1}))
    with pytest.raises(SystemExit, match=r"of another benchmark \(rows\): name another file"):
        figures.begin({"task": "sums", "rows": 2})


def test_the_table_has_the_best_fusion_first(load):
    subsets = {"image": 0.25, "text": 0.5}
    run = {
        "epochs": 30,
        "parameters": 1234,
        "epoch_seconds": 1.5,
        "fit_seconds": 30.0,
        "test_subsets": subsets,
    }
    models = {
        "concatenate": [{**run, "test_accuracy": 0.9}],
        "film": [],
        "tensor": [{**run, "test_accuracy": 0.94}, {**run, "test_accuracy": 0.96}],
    }
    result = {"models": models, "rows": {"train": 5000, "test": 10}}
    lines = load("fusion_runs").make_fusion_table(result, {"question missing": "image"}).splitlines()
    titles = ["fusion", "epochs", "seeds", "test accuracy", "question missing", "parameters"]
    assert lines[0] == "| " + " | ".join(titles) + " |"
    assert lines[2] == "| `tensor` | 30 | 2 | 95.0 ± 1.4 % | 25.0 % | 1,234 |"
    assert lines[3] == "| `concatenate` | 30 | 1 | 90.0 % | 25.0 % | 1,234 |"
    assert lines[-1] == "5,000 train, 10 test."


def test_a_table_replaces_what_is_between_the_marks_alone(load, tmp_path):
    write, path = load("fusion_runs").write_between_marks, tmp_path / "README.md"
    path.write_text("before\n<!-- sums -->\nold\n<!-- /sums -->\nafter\n")
    for text in ("new\n", "newer\n"):
        write(path, "sums", text)
        assert path.read_text() == f"before\n<!-- sums -->\n{text}<!-- /sums -->\nafter\n"
    path.write_text("no marks")
    with pytest.raises(SystemExit, match="needs one line <!-- sums -->"):
        write(path, "sums", "new\n")
    assert path.read_text() == "no marks"


@pytest.mark.parametrize(("module", "make"), [("easy_vqa", "vqa_spec"), ("digit_sums", "sum_spec")])
def test_every_fusion_has_the_same_encoders_and_budget(load, module, make):
    make = getattr(load(module), make)
    specs = {name: make(name, Path("manifest.csv"), 3, 2) for name in FUSIONS}
    first = specs["concatenate"]
    for name, spec in specs.items():
        assert (spec.fusion.kind, spec.modalities, spec.training) == (name, first.modalities, first.training)
    assert (first.training.seed, first.training.epochs) == (3, 2)


def test_whole_images_of_train_are_held_out(load, tmp_path):
    lines = [f"images_train/{i}.png,what,{answer},train" for i in range(20) for answer in ("blue", "red")]
    lines += [f"images_test/{i}.png,what,red,test" for i in range(20)]
    (tmp_path / "manifest.csv").write_text("\n".join(["image,text,label,split", *lines]) + "\n")
    for name in {line.split(",")[0] for line in lines}:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.new("L", (2, 2)).save(tmp_path / name)
    (tmp_path / "out").mkdir()
    path = load("easy_vqa").write_manifest(tmp_path / "manifest.csv", tmp_path / "out")
    table = pd.read_csv(path)
    spec = load("easy_vqa").vqa_spec("concatenate", path, 7)
    assert [row for row in load_manifest(spec).findings if row.severity == "error"] == []
    assert table["split"].value_counts().to_dict() == {"train": 36, "test": 20, "validation": 4}
    held_out = table.loc[table["split"] == "validation", "image"]
    assert set(held_out) == {f"images_train/{i}.png" for i in (0, 10)}


def test_a_sum_is_of_the_digits_in_its_files_and_no_split_shares_one(load, tmp_path):
    sources = tiny_avmnist.write_sources(tmp_path / "sources")
    (tmp_path / "out").mkdir()
    path = load("digit_sums").write_rows(tmp_path / "out", sources["mnist"], sources["fsdd"], ROWS)
    table = pd.read_csv(path)
    assert table["split"].value_counts().to_dict() == ROWS
    for row in table.itertuples():
        seen = tiny_avmnist.see(np.asarray(Image.open(tmp_path / "out" / row.image)))
        heard = tiny_avmnist.hear(wavfile.read(tmp_path / "out" / row.audio)[1])
        assert row.label == (seen + heard) % 10
    for column in ("image", "audio"):
        used = [set(part[column]) for _, part in table.groupby("split")]
        assert len(set.union(*used)) == sum(map(len, used))
