"""How well offsets between timed images and a sound are found, and sounds of images.

    python benchmarks/synchrony.py --seeds 7 --output synchrony.json

A contrastive model of the keypad's scans and sounds is asked for the offsets of dialled numbers of 10 keys,
whose scans and sounds are test rows, each with an offset of its own within 1 s to both sides: the share that
is found within 0.1 s, and the median of how far it is off. For each test scan the best of the 359 test sounds
is looked for: the share that is of the same key (a tenth by chance).
"""

import argparse
import json
import os
import tempfile
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")  # Off by default on CPUs without AVX-512.

import numpy as np  # noqa: E402
from fusion_runs import Figures, add_arguments, make_head, means_of, show  # noqa: E402

from mm_keras.data.keypad import write_keypad  # noqa: E402
from mm_keras.data.keypad_dial import write_dial  # noqa: E402
from mm_keras.prediction import load_predictor  # noqa: E402
from mm_keras.spec_file import make_spec  # noqa: E402
from mm_keras.synchrony import synchronise  # noqa: E402
from mm_keras.training import train  # noqa: E402

DIALS, NEAR = 50, 0.1
CONV = {"kind": "conv", "filters": [16, 32], "units": 128, "dropout": 0.2}
PARTS = {
    "modalities": {
        "image": {"kind": "image", "size": [16, 16], "channels": 1, "encoder": CONV},
        "audio": {"kind": "audio", "rate": 8000, "seconds": 0.5},
    },
    "outputs": {"match": {"kind": "contrastive", "units": 64}},
}


def task_spec(manifest, seed, epochs=None):
    training = {"epochs": epochs or 15, "batch_size": 64, "learning_rate": 0.002, "seed": seed}
    return make_spec(
        {
            "name": "match",
            "data": {"manifest": str(manifest), "split": "split"},
            **PARTS,
            "training": {**training, "patience": 0, "strategy": "none"},
        }
    )


def find_offsets(predictor, keypad, folder, seed, dials=DIALS):
    """Returns how far each offset that is found is away from the true one (seconds)."""
    random, away = np.random.default_rng(seed), []
    for number in range(dials):
        keys, offset = "".join(map(str, random.integers(10, size=10))), round(float(random.uniform(-1, 1)), 3)
        dial = write_dial(keypad, folder / f"dial{number}", keys, offset, seed=number)
        away.append(synchronise(predictor, dial / "frames", dial / "sound.wav")["offset"] - offset)
    return np.array(away)


def find_sounds(predictor, data):
    """Returns the share of test scans whose best test sound is of the same key."""
    rows = data.rows["test"]
    cells = {name: list(data.manifest.cells[name][rows]) for name in ("image", "audio")}
    seen = predictor.predict({"image": cells["image"]})["match_image"]
    heard = predictor.predict({"audio": cells["audio"]})["match_audio"]
    labels = data.manifest.table["label"].to_numpy(str)[rows]
    return float(np.mean(labels[(seen @ heard.T).argmax(axis=1)] == labels))


def measure(manifest, folder, seed, epochs=None):
    run, data = train(task_spec(manifest, seed, epochs), folder / "runs")
    trained = json.loads((run.folder / "training.json").read_text(encoding="utf-8"))
    predictor = load_predictor(run.folder)
    with tempfile.TemporaryDirectory(dir=folder) as dials:
        away = find_offsets(predictor, manifest.parent, Path(dials), seed)
    return {
        "seed": seed,
        "near": float(np.mean(np.abs(away) <= NEAR)),
        "median_off": float(np.median(np.abs(away))),
        "sound_found": find_sounds(predictor, data),
        **{key: trained[key] for key in ("epochs", "parameters", "fit_seconds")},
    }


def make_table(result):
    """Returns the means over the seeds as Markdown."""
    titles = ["model", "epochs", "seeds", f"within {NEAR:g} s", "median off", "sound of the same key"]
    lines = make_head([*titles, "parameters", "s in all"])
    for name, count, mean in means_of(result):
        cells = [name, f"{mean['epochs']:.0f}", count, f"{100 * mean['near']:.0f} %"]
        cells += [f"{mean['median_off']:.3f} s", f"{100 * mean['sound_found']:.1f} %"]
        cells += [f"{mean['parameters']:,.0f}", f"{mean['fit_seconds']:.0f}"]
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_arguments(parser, ["match"])
    chosen = parser.parse_args()
    figures = Figures(chosen.output)
    result = figures.begin({"task": "synchrony", "dials": DIALS})
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        manifest = write_keypad(folder / "keypad", sounds=True, empty=0.0)
        figures.measure_all(
            result, chosen.models, chosen, lambda name, seed: measure(manifest, folder, seed, chosen.epochs)
        )
    show(make_table(result), chosen.readme, "synchrony")


if __name__ == "__main__":
    main()
