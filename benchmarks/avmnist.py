"""Every fusion on AV-MNIST-R: accuracy, with each subset of modalities, size and time; against MultiBench.

    mm-keras data avmnist --mnist mnist --fsdd fsdd --noise esc10 --spectrogram avmnist
    python benchmarks/avmnist.py avmnist --noise esc10 --seeds 7 --output small.json
    python benchmarks/avmnist.py avmnist --noise esc10 --torch-python PYTHON --readme README.md

Each modality alone and each fusion of the package has the same encoders, the same budget (`avmnist_spec.py`)
and the same seeds, and is judged by its epoch of the lowest loss on validation. `--noise` mixes the noises of
train into its sounds; those of validation and test are never used. The small size has 6,000 / 1,000 / 2,000
rows; the full one is `mm-keras data avmnist --full`. `--models`, `--seeds` and `--epochs` make it shorter.

`--torch-python` trains the published models of MultiBench on the same data in the same run
(`avmnist_torch.py`), at their published epochs. With `--output` a run that was stopped goes on; `--readme`
writes the table between the two lines `<!-- avmnist -->` and `<!-- /avmnist -->` of a file.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import tensorflow as tf  # noqa: E402
from avmnist_spec import UNIMODAL, benchmark_spec, copy_train_noise, model_names  # noqa: E402

from mm_keras.evaluation import evaluate  # noqa: E402
from mm_keras.training import train  # noqa: E402

MARKS = ("<!-- avmnist -->", "<!-- /avmnist -->")
TORCH_MODELS = ("image", "audio", "late", "low_rank_published", "low_rank")
OURS = {"image": "image alone", "audio": "audio alone"}
THEIRS = {
    **OURS,
    "late": "late fusion",
    "low_rank": "low-rank, corrected",
    "low_rank_published": "low-rank, as published",
    "multiplicative": "multiplicative",
}


def measure(name, folder, seed, noise, epochs):
    """Trains a model and returns what it reached on the test rows, its size and its time."""
    spec = benchmark_spec(name, folder, seed, noise, epochs)
    with tempfile.TemporaryDirectory() as runs:
        run, data = train(spec, runs)
        model, trained = run.model, json.loads((run.folder / "training.json").read_text(encoding="utf-8"))
        found = {split: evaluate(model, spec, data, split) for split in ("validation", "test")}
    return {
        "seed": seed,
        "validation_accuracy": found["validation"]["outputs"]["label"]["accuracy"],
        "test_accuracy": found["test"]["outputs"]["label"]["accuracy"],
        "test_subsets": {name: part["label"] for name, part in found["test"]["subsets"].items()},
        "parameters": trained["parameters"],
        "epochs": trained["epochs"],
        "epoch_seconds": statistics.median(trained["epoch_seconds"]),
        "fit_seconds": trained["fit_seconds"],
    }


def measure_torch(python, folder, models, seeds, epochs):
    """Returns what `avmnist_torch.py` prints."""
    command = [python, str(Path(__file__).with_name("avmnist_torch.py")), str(folder), "--models", *models]
    command += ["--seeds", *map(str, seeds), *(["--epochs", str(epochs)] if epochs else [])]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
    return json.loads(done.stdout)


def summarize(runs):
    """Returns the means of a model's runs, and the deviation (of a sample) of its test accuracy."""
    accuracies = [run["test_accuracy"] for run in runs]
    subsets = [run["test_subsets"] for run in runs if "test_subsets" in run]
    return {
        "mean": statistics.mean(accuracies),
        "deviation": statistics.stdev(accuracies) if len(accuracies) > 1 else None,
        "subsets": {key: statistics.mean(found[key] for found in subsets) for key in subsets[0]}
        if subsets
        else {},
        "parameters": runs[0]["parameters"],
        "epoch_seconds": statistics.mean(run["epoch_seconds"] for run in runs),
        "fit_seconds": statistics.mean(run["fit_seconds"] for run in runs),
    }


def make_table(result):
    """Returns the results as Markdown: the modalities alone, the fusions best first, then MultiBench's."""
    ours = {name: summarize(runs) for name, runs in result["models"].items() if runs}
    theirs = {name: summarize(runs) for name, runs in result.get("torch", {}).get("models", {}).items()}
    order = [name for name in UNIMODAL if name in ours]
    order += sorted(ours.keys() - UNIMODAL, key=lambda name: -ours[name]["mean"])
    lines = [
        "| model | test accuracy | audio missing | image missing | parameters | s an epoch | s in all |",
        "|---|---|---|---|---|---|---|",
        *(_line(OURS.get(name, f"`{name}`"), ours[name], name not in UNIMODAL) for name in order),
        *(_line(f"MultiBench: {THEIRS[name]}", row, False) for name, row in theirs.items()),
    ]
    rows = ", ".join(f"{count:,} {split}" for split, count in result["rows"].items())
    seeds = ", ".join(map(str, result["seeds"]))
    tail = f"{rows}; preset {result['preset']}; seeds {seeds}; {result['cores']} cores."
    return "\n".join([*lines, "", tail]) + "\n"


def _line(title, row, is_fusion):
    accuracy = f"{100 * row['mean']:.1f}"
    if row["deviation"] is not None:
        accuracy += f" ± {100 * row['deviation']:.1f}"
    alone = [f"{100 * row['subsets'][key]:.1f} %" if is_fusion else "" for key in ("image", "audio")]
    times = [f"{row['epoch_seconds']:.1f}", f"{row['fit_seconds']:.0f}"]
    return "| " + " | ".join([title, f"{accuracy} %", *alone, f"{row['parameters']:,}", *times]) + " |"


def write_between_marks(path, text):
    """Puts a text between the two marks of a file, in place of what is there."""
    content = path.read_text(encoding="utf-8")
    if content.count(MARKS[0]) != 1 or content.count(MARKS[1]) != 1:
        sys.exit(f"{path} needs one line {MARKS[0]} and one line {MARKS[1]}.")
    before, rest = content.split(MARKS[0])
    after = rest.split(MARKS[1])[1]
    path.write_text(f"{before}{MARKS[0]}\n{text}{MARKS[1]}{after}", encoding="utf-8")


def begin(chosen):
    """Returns the result of the same benchmark that was stopped, or a new one."""
    recipe = json.loads((chosen.folder / "recipe.json").read_text(encoding="utf-8"))
    digest = json.loads((chosen.folder / "checksums.json").read_text(encoding="utf-8"))["digest"]
    result = {
        "data": digest,
        "rows": {split: recipe[split] for split in ("train", "validation", "test")},
        "preset": recipe["preset"],
        "seeds": chosen.seeds,
        "epochs": chosen.epochs,
        "noise": bool(chosen.noise),
        "tensorflow": tf.__version__,
        "cores": os.cpu_count(),
        "machine": platform.machine(),
    }
    if chosen.output and chosen.output.is_file():
        before = json.loads(chosen.output.read_text(encoding="utf-8"))
        different = [key for key, value in result.items() if before.get(key) != value]
        if different:
            sys.exit(f"{chosen.output} is of another benchmark ({', '.join(different)}): name another file.")
        return before
    return {**result, "models": {}}


def save(chosen, result):
    if chosen.output:
        chosen.output.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="what `mm-keras data avmnist` wrote")
    parser.add_argument("--models", nargs="+", choices=model_names(), default=model_names(), metavar="NAME")
    parser.add_argument("--seeds", type=int, nargs="+", default=[7, 8, 9])
    parser.add_argument("--epochs", type=int, help="instead of the spec's, and of the published ones")
    parser.add_argument("--noise", type=Path, help="the folder of noises that the data were built from")
    parser.add_argument("--torch-python", help="a Python with torch and Pillow, for MultiBench's models")
    parser.add_argument("--torch-models", nargs="+", choices=THEIRS, default=TORCH_MODELS)
    parser.add_argument("--output", type=Path, help="JSON file for all figures")
    parser.add_argument("--readme", type=Path, help="file whose table is written anew")
    chosen = parser.parse_args()
    chosen.folder = chosen.folder.resolve()
    result = begin(chosen)
    with tempfile.TemporaryDirectory() as aside:
        noise = copy_train_noise(chosen.folder, chosen.noise, aside) if chosen.noise else None
        for name in chosen.models:
            runs = result["models"].setdefault(name, [])
            for seed in chosen.seeds[len(runs) :]:
                runs.append(measure(name, chosen.folder, seed, noise, chosen.epochs))
                print(f"{name}: {runs[-1]}", flush=True)
                save(chosen, result)
    if chosen.torch_python and "torch" not in result:
        result["torch"] = measure_torch(
            chosen.torch_python, chosen.folder, chosen.torch_models, chosen.seeds, chosen.epochs
        )
        save(chosen, result)
    table = make_table(result)
    print(table)
    if chosen.readme:
        write_between_marks(chosen.readme, table)


if __name__ == "__main__":
    main()
