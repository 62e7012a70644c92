"""Photo to description on the Grocery Store data set, beside a classifier whose answer is looked up.

    python benchmarks/grocery.py grocery/manifest.csv --seeds 7 --output grocery.json --readme README.md

The manifest has the columns image, text, fine and split (train, val and test, as published). Each of the 81
fine classes has one description: a model that writes can be measured by a classifier with the same encoder,
of whose class the description is looked up. Milliseconds are those of one photo in TFLite on one core.
"""

import argparse
import json
import os
import tempfile
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")  # Off by default on CPUs without AVX-512.

import pandas as pd  # noqa: E402
from fusion_runs import Figures, add_arguments, existing, make_head, model_of, show  # noqa: E402

from mm_keras.evaluation.answers import collect_answers, written_texts  # noqa: E402
from mm_keras.evaluation.caption_scores import caption_scores  # noqa: E402
from mm_keras.exporting import export  # noqa: E402
from mm_keras.spec_file import make_spec  # noqa: E402
from mm_keras.training import train  # noqa: E402

OUTPUTS = {
    "look-up": {"fine": {"kind": "classification"}},
    "gru": {"text": {"kind": "caption", "length": 160, "decoder": {"units": 128}}},
    "transformer": {
        "text": {"kind": "caption", "length": 160, "decoder": {"kind": "transformer", "units": 128}}
    },
}
TITLES = {"exact_match": "exact match", "bleu_4": "BLEU-4", "rouge_l": "ROUGE-L", "cider": "CIDEr-D"}


def grocery_spec(name, manifest, seed, epochs=None):
    """Returns the spec of a model: the same encoder and budget for each."""
    encoder = {
        "kind": "conv",
        "filters": [32, 64, 64, 128],
        "halving": "stride",
        "units": 256,
        "dropout": 0.3,
    }
    augment = {"flip": "horizontal", "crop": 0.2, "rotation": 15, "brightness": 0.2, "contrast": 0.2}
    return make_spec(
        {
            "name": name,
            "data": {"manifest": str(manifest), "split": "split"},
            "modalities": {
                "image": {"kind": "image", "size": [64, 64], "encoder": encoder, "augment": augment}
            },
            "fusion": {"kind": "concatenate", "units": 256, "modality_dropout": 0.0, "dropout": 0.3},
            "outputs": OUTPUTS[name],
            "training": {
                "epochs": epochs or 40,
                "batch_size": 32,
                "learning_rate": 0.002,
                "patience": 0,
                "strategy": "none",
                "seed": seed,
            },
            "export": {"formats": ["tflite"]},
        }
    )


def measure(name, manifest, seed, epochs=None):
    """Trains a model; returns the scores of its texts on the test photos, its size and its times."""
    spec = grocery_spec(name, manifest, seed, epochs)
    with tempfile.TemporaryDirectory() as folder:
        run, data = train(spec, folder)
        trained = json.loads((run.folder / "training.json").read_text(encoding="utf-8"))
        exported = export(run.model, spec, data, Path(folder) / "out")["tflite"]["parity"]
    output = next(iter(spec.outputs))
    answers = collect_answers(run.model, spec, data.test, [("image",)])[output]
    if output == "fine":
        references = [[text] for text in data.manifest.table["text"].iloc[data.rows["test"]]]
        described = dict(zip(data.manifest.table["fine"], data.manifest.table["text"], strict=True))
        labels = data.preprocessor.labels["fine"]
        texts = [described[labels[place]] for place in answers.guesses[("image",)]]
    else:
        references, texts = written_texts(answers, output, data, "test").of(("image",))
    return {
        "seed": seed,
        "epochs": trained["epochs"],
        **caption_scores(list(references), list(texts)),
        "parameters": trained["parameters"],
        "fit_seconds": trained["fit_seconds"],
        "milliseconds": exported["latency_ms"]["serving_default"],
        "equal_texts": exported["equal_labels"],
    }


def make_table(result):
    """Returns the means over the seeds as Markdown, in the order in which models were measured."""
    lines = make_head(["model", "epochs", "seeds", *TITLES.values(), "parameters", "s in all", "ms a photo"])
    for key, runs in result["models"].items():
        mean = pd.DataFrame(runs).mean(numeric_only=True)
        shares = [f"{100 * mean[score]:.1f} %" for score in ("exact_match", "bleu_4", "rouge_l")]
        cells = [model_of(key), f"{mean['epochs']:.0f}", len(runs), *shares, f"{mean['cider']:.2f}"]
        cells += [f"{mean['parameters']:,.0f}", f"{mean['fit_seconds']:.0f}", f"{mean['milliseconds']:.2f}"]
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("manifest", type=existing)
    add_arguments(parser, list(OUTPUTS))
    chosen = parser.parse_args()
    figures = Figures(chosen.output)
    result = figures.begin({"task": "grocery"})
    figures.measure_all(
        result,
        chosen.models,
        chosen,
        lambda name, seed: measure(name, chosen.manifest, seed, chosen.epochs),
    )
    show(make_table(result), chosen.readme, "grocery")


if __name__ == "__main__":
    main()
