"""What the benchmarks of fusions share: a training and its figures, kept so that a run goes on; a table."""

import argparse
import itertools
import json
import statistics
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from mm_keras.evaluation import evaluate
from mm_keras.spec_file import make_spec
from mm_keras.training import train

RUNS = ("epochs", "seeds", "test accuracy")
SIZE = "parameters"
TIME = ("s an epoch", "s in all")


def task_spec(name, manifest, modalities, fusion, training):
    """Returns the spec of a fusion on a task: a manifest with the columns label and split.

    Args:
        name: str. A fusion of the package, with its defaults.
        manifest: Path.
        modalities: dict. As in a spec.
        fusion, training: dict. What is not the default.
    """
    return make_spec(
        {
            "name": name,
            "data": {"manifest": str(manifest), "split": "split"},
            "modalities": modalities,
            "outputs": {"label": {"kind": "classification"}},
            "fusion": {"kind": name, **fusion},
            "training": {"patience": 0, "strategy": "none", **training},
        }
    )


def measure(spec):
    """Trains the model of a spec with one output, `label`; returns its accuracies, its size and its time."""
    with tempfile.TemporaryDirectory() as runs:
        run, data = train(spec, runs)
        trained = json.loads((run.folder / "training.json").read_text(encoding="utf-8"))
        found = {split: evaluate(run.model, spec, data, split) for split in ("validation", "test")}
    return {
        "seed": spec.training.seed,
        "validation_accuracy": found["validation"]["outputs"]["label"]["accuracy"],
        "test_accuracy": found["test"]["outputs"]["label"]["accuracy"],
        "test_subsets": {name: part["label"] for name, part in found["test"]["subsets"].items()},
        "parameters": trained["parameters"],
        "epochs": trained["epochs"],
        "epoch_seconds": statistics.median(trained["epoch_seconds"]),
        "fit_seconds": trained["fit_seconds"],
    }


def summarize(runs):
    """Returns the means of a model's runs, and the deviation (of a sample) of its test accuracy."""
    accuracies = [run["test_accuracy"] for run in runs]
    subsets = [run["test_subsets"] for run in runs if "test_subsets" in run]
    return {
        "seeds": len(runs),
        "epochs": runs[0]["epochs"],
        "mean": statistics.mean(accuracies),
        "deviation": statistics.stdev(accuracies) if len(accuracies) > 1 else None,
        "subsets": {key: statistics.mean(found[key] for found in subsets) for key in subsets[0]}
        if subsets
        else {},
        "parameters": runs[0]["parameters"],
        "epoch_seconds": statistics.mean(run["epoch_seconds"] for run in runs),
        "fit_seconds": statistics.mean(run["fit_seconds"] for run in runs),
    }


def means_of(result):
    """Yields (model, number of runs, mean of each of their numbers) of what a benchmark found."""
    for key, runs in result["models"].items():
        numbers = [name for name, value in runs[0].items() if not isinstance(value, dict)]
        yield model_of(key), len(runs), {name: statistics.mean(run[name] for run in runs) for name in numbers}


def model_of(key):
    """Returns the name of the model whose runs stand under a key."""
    return key.split(",")[0]


def best_first(models):
    """Returns the names of summarised models, the highest accuracy first."""
    return sorted(models, key=lambda name: -models[name]["mean"])


def make_head(titles):
    """Returns the two lines with which a table begins."""
    return [_join(titles), "|" + "---|" * len(titles)]


def make_line(title, row, subsets, timed=True):
    """Returns a line of a table; `subsets` are the names of those it shows, None for an empty cell."""
    accuracy = f"{100 * row['mean']:.1f}"
    if row["deviation"] is not None:
        accuracy += f" ± {100 * row['deviation']:.1f}"
    alone = [f"{100 * row['subsets'][key]:.1f} %" if key else "" for key in subsets]
    times = [f"{row['epoch_seconds']:.1f}", f"{row['fit_seconds']:.0f}"] if timed else []
    runs = [str(row["epochs"]), str(row["seeds"]), f"{accuracy} %"]
    return _join([title, *runs, *alone, f"{row['parameters']:,}", *times])


def _join(cells):
    return "| " + " | ".join(cells) + " |"


def make_fusion_table(result, subsets):
    """Returns the fusions of a result as Markdown, the best first.

    Args:
        result: dict. `models`, name -> list of what `measure` returned, and how it came about.
        subsets: dict, title of a column -> names of the modalities that are left, joined by "+".
    """
    models = {name: summarize(runs) for name, runs in result["models"].items() if runs}
    lines = make_head(["fusion", *RUNS, *subsets, SIZE])
    shown = list(subsets.values())
    lines += [make_line(f"`{model_of(key)}`", models[key], shown, timed=False) for key in best_first(models)]
    return "\n".join([*lines, "", f"{describe_rows(result)}."]) + "\n"


def describe_rows(result):
    """Returns how many rows of each split a table was measured on."""
    return ", ".join(f"{count:,} {split}" for split, count in result["rows"].items())


@dataclass(frozen=True)
class Figures:
    """The figures of a benchmark, kept in a JSON file (or None) from which a stopped one goes on."""

    path: Path | None

    def begin(self, header):
        """Returns the result of the same benchmark that was stopped, or a new one with this header."""
        if self.path and self.path.is_file():
            before = json.loads(self.path.read_text(encoding="utf-8"))
            different = [key for key, value in header.items() if before.get(key) != value]
            if different:
                sys.exit(f"{self.path} is of another benchmark ({', '.join(different)}): name another file.")
            return before
        return {**header, "models": {}}

    def save(self, result):
        if self.path:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.path.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")

    def measure_all(self, result, names, chosen, measure, part="models"):
        """Adds the runs that a part of the result lacks: `measure(name, seed)` of each chosen one."""
        for seed, name in itertools.product(chosen.seeds, names):
            # Runs of other epochs than the spec's have a line of their own.
            key = f"{name}, {chosen.epochs} epochs" if chosen.epochs else name
            runs = result.setdefault(part, {}).setdefault(key, [])
            if seed not in [run["seed"] for run in runs]:
                runs.append(measure(name, seed))
                print(f"{key}: {runs[-1]}", flush=True)
                self.save(result)


def existing(path):
    """Returns the Path of a file or folder that an argument names."""
    if not Path(path).exists():
        raise argparse.ArgumentTypeError(f"expects a file or folder that is there. Received: {path}")
    return Path(path)


def positive(text):
    """Returns the whole number above 0 that an argument tells."""
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"expects a whole number above 0. Received: {text}")
    return int(text)


def add_arguments(parser, names):
    """Adds the options that every benchmark of fusions has."""
    parser.add_argument("--models", nargs="+", choices=names, default=names, metavar="NAME")
    parser.add_argument("--seeds", type=int, nargs="+", default=[7, 8, 9])
    parser.add_argument("--epochs", type=positive, help="instead of the spec's")
    parser.add_argument(
        "--output", type=Path, help="JSON file for all figures: what it has is not measured again"
    )
    parser.add_argument("--readme", type=existing, help="file whose table is written anew")


def show(table, readme, name):
    """Prints a table, and puts it into a file (or None) between the marks of this name."""
    print(table)
    if readme:
        write_between_marks(readme, name, table)


def write_between_marks(path, name, text):
    """Puts a text between the lines `<!-- name -->` and `<!-- /name -->` of a file, in place of others."""
    marks = f"<!-- {name} -->", f"<!-- /{name} -->"
    content = path.read_text(encoding="utf-8")
    if any(content.count(mark) != 1 for mark in marks):
        sys.exit(f"{path} needs one line {marks[0]} and one line {marks[1]}.")
    before, rest = content.split(marks[0])
    after = rest.split(marks[1])[1]
    path.write_text(f"{before}{marks[0]}\n{text}{marks[1]}{after}", encoding="utf-8")
