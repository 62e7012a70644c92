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
import subprocess
import tempfile
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")  # Off by default on CPUs without AVX-512.

import joblib  # noqa: E402
import tensorflow as tf  # noqa: E402
from avmnist_spec import UNIMODAL, benchmark_spec, copy_train_noise, model_names  # noqa: E402
from fusion_runs import (  # noqa: E402
    RUNS,
    SIZE,
    TIME,
    Figures,
    add_arguments,
    best_first,
    describe_rows,
    existing,
    make_head,
    make_line,
    measure,
    model_of,
    show,
    summarize,
)

SUBSETS = ("image", "audio")
TORCH_MODELS = ("image", "audio", "late", "low_rank_published", "low_rank")
OURS = {"image": "image alone", "audio": "audio alone"}
THEIRS = {
    **OURS,
    "late": "late fusion",
    "low_rank": "low-rank, corrected",
    "low_rank_published": "low-rank, as published",
    "multiplicative": "multiplicative",
}


def built_folder(text):
    """Returns the path of an AV-MNIST-R that an argument names."""
    return existing(Path(text) / "recipe.json").parent


def python_with_torch(path):
    """Returns the path of a Python that `avmnist_torch.py` runs in."""
    try:
        done = subprocess.run([path, "-c", "import numpy, PIL, torch"], stderr=subprocess.PIPE, text=True)
        fault = done.stderr.strip().splitlines()[-1] if done.returncode else None
    except OSError as error:
        fault = error.strerror
    if fault:
        raise argparse.ArgumentTypeError(
            f"expects a Python with torch, numpy and pillow. Received: {path} ({fault}). "
            "Install them: python -m pip install torch==2.13.0 numpy pillow"
        )
    return path


def measure_torch(python, folder, name, seed, epochs):
    """Returns what `avmnist_torch.py` prints of one training."""
    command = [python, str(Path(__file__).with_name("avmnist_torch.py")), str(folder), "--models", name]
    command += ["--seeds", str(seed), "--threads", str(joblib.cpu_count())]
    command += ["--epochs", str(epochs)] if epochs else []
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
    return json.loads(done.stdout)["models"][name][0]


def make_table(result):
    """Returns the results as Markdown: the modalities alone, the fusions best first, then MultiBench's."""
    ours = {name: summarize(runs) for name, runs in result["models"].items() if runs}
    theirs = {name: summarize(runs) for name, runs in result.get("torch", {}).items() if runs}
    alone = [name for name in ours if model_of(name) in UNIMODAL]
    fusions = best_first({name: row for name, row in ours.items() if name not in alone})
    lines = [
        *make_head(["model", *RUNS, "audio missing", "image missing", SIZE, *TIME]),
        *(make_line(OURS[model_of(key)], ours[key], (None, None)) for key in alone),
        *(make_line(f"`{model_of(key)}`", ours[key], SUBSETS) for key in fusions),
        *(
            make_line(f"MultiBench: {THEIRS[model_of(key)]}", theirs[key], (None, None))
            for key in best_first(theirs)
        ),
    ]
    cores = "one core" if result["cores"] == 1 else f"{result['cores']} cores"
    return "\n".join([*lines, "", f"{describe_rows(result)}; preset {result['preset']}; {cores}."]) + "\n"


def read_header(chosen):
    """Returns what a benchmark is: its data, seeds and budget, and what it runs on."""
    recipe = json.loads((chosen.folder / "recipe.json").read_text(encoding="utf-8"))
    digest = json.loads((chosen.folder / "checksums.json").read_text(encoding="utf-8"))["digest"]
    return {
        "data": digest,
        "rows": {split: recipe[split] for split in ("train", "validation", "test")},
        "preset": recipe["preset"],
        "noise": bool(chosen.noise),
        "tensorflow": tf.__version__,
        "machine": platform.machine(),
        "cores": joblib.cpu_count(),
    }


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=built_folder, help="what `mm-keras data avmnist` wrote")
    add_arguments(parser, model_names())
    parser.add_argument("--noise", type=existing, help="the folder of noises that the data were built from")
    parser.add_argument("--torch-python", type=python_with_torch, help="a Python for MultiBench's models")
    parser.add_argument("--torch-models", nargs="+", choices=THEIRS, default=TORCH_MODELS)
    chosen = parser.parse_args()
    chosen.folder = chosen.folder.resolve()
    figures = Figures(chosen.output)
    result = figures.begin(read_header(chosen))
    with tempfile.TemporaryDirectory() as aside:
        noise = copy_train_noise(chosen.folder, chosen.noise, aside) if chosen.noise else None
        figures.measure_all(
            result,
            chosen.models,
            chosen,
            lambda name, seed: measure(benchmark_spec(name, chosen.folder, seed, noise, chosen.epochs)),
        )
    if chosen.torch_python:
        figures.measure_all(
            result,
            chosen.torch_models,
            chosen,
            lambda name, seed: measure_torch(chosen.torch_python, chosen.folder, name, seed, chosen.epochs),
            part="torch",
        )
    show(make_table(result), chosen.readme, "avmnist")


if __name__ == "__main__":
    main()
