"""What is generated on the embedded data set, judged by measures that do not trust the model.

    python benchmarks/keypad_generation.py --seeds 7 --output keypad.json

`tones`: the two tones of a key, made of a scan; right is a sound in which Goertzel's filter reads the key.
`melody`, made of a scan: right is a note that the same filter reads where it belongs. `imagine` and the other
`imagine_...`: the image of the row is missing and its sound given; right is an image that a classifier reads
which was trained on real scans alone (`as read`: what it gets on real ones). All on 359 test rows.
"""

import argparse
import json
import os
import tempfile
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")  # Off by default on CPUs without AVX-512.

import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402
from fusion_runs import Figures, add_arguments, make_head, means_of, show  # noqa: E402

from mm_keras.answering_model import answering_model  # noqa: E402
from mm_keras.data.keypad import write_keypad  # noqa: E402
from mm_keras.data.keypad_sounds import MELODIES, read_key, read_melody  # noqa: E402
from mm_keras.spec_file import make_spec  # noqa: E402
from mm_keras.training import train  # noqa: E402

CONV = {"kind": "conv", "filters": [16, 32], "units": 128, "dropout": 0.2}
IMAGE = {"kind": "image", "size": [16, 16], "channels": 1, "encoder": CONV}
SPEECH = {"kind": "speech", "rate": 8000, "reduction": 4, "decoder": {"units": 96, "dropout": 0.0}}
VECTOR = {"kind": "concatenate", "units": 128, "modality_dropout": 0.0, "dropout": 0.1}
AUDIO = {"kind": "audio", "rate": 8000, "seconds": 0.5}
PRODUCT = {"kind": "variational", "units": 32, "beta": 0.001}
LATENTS = {
    "imagine": {"kind": "joint"},
    "imagine_separate": {"kind": "separate", "units": 64},
    "imagine_product": PRODUCT,
    "imagine_mixture": {**PRODUCT, "experts": "mixture"},
}
READER = {"modalities": {"image": IMAGE}, "fusion": VECTOR, "outputs": {"label": {"kind": "classification"}}}


def imagining(latent):
    """Returns the parts of a spec that learns to make an image and a sound of one another."""
    dropout = 0.0 if latent["kind"] == "separate" else 0.5  # Of which each code learns alone anyway.
    return {
        "modalities": {"image": IMAGE, "audio": AUDIO},
        "fusion": {"kind": "concatenate", "units": 128, "modality_dropout": dropout},
        "outputs": {"seen": {"kind": "autoencoder", "latent": latent}},
    }


TASKS = {
    "tones": {
        "modalities": {"image": IMAGE},
        "fusion": VECTOR,
        "outputs": {"key_tones": {**SPEECH, "seconds": 0.4}},
    },
    "melody": {
        "modalities": {"image": IMAGE},
        "fusion": VECTOR,
        "outputs": {"melody": {**SPEECH, "seconds": 1.3}},
    },
    **{name: imagining(latent) for name, latent in LATENTS.items()},
}
EPOCHS = {"tones": 30, "melody": 30, **dict.fromkeys(LATENTS, 40)}
RATES = {"tones": 0.003, "melody": 0.003, **dict.fromkeys(LATENTS, 0.002)}


def task_spec(name, manifest, seed, epochs=None):
    training = {"epochs": epochs or EPOCHS[name], "batch_size": 32, "learning_rate": RATES[name]}
    return _spec(name, manifest, TASKS[name], {**training, "seed": seed})


def _spec(name, manifest, parts, training):
    return make_spec(
        {
            "name": name,
            "data": {"manifest": str(manifest), "split": "split"},
            **parts,
            "training": {**training, "patience": 0, "strategy": "none"},
        }
    )


def answers_of(run, data, hidden=()):
    """Returns (outputs of the model for the test rows, their labels), as if these modalities were missing."""
    rows = data.rows["test"]
    shown = np.array([float(name not in hidden) for name in run.spec.modality_names], "float32")
    inputs = data.preprocessor.finish(data.decode(rows), tf.constant(data.manifest.present[rows] * shown))
    model = answering_model(run.model)
    answer = tf.function(lambda inputs: model(inputs, training=False))
    return answer(inputs), data.manifest.table["label"].to_numpy(int)[rows]


def heard(outputs, name):
    """Returns the sounds of an output, each up to its end."""
    pairs = zip(outputs[name].numpy(), outputs[f"{name}_samples"].numpy(), strict=True)
    return [sound[:count] for sound, count in pairs]


def right_keys(outputs, labels):
    found = np.array([read_key(sound) for sound in heard(outputs, "key_tones")])
    return float(np.mean(found == labels))


def right_notes(outputs, labels):
    """Returns the share of right notes; one that lacks or is too many is wrong."""
    right, total = 0, 0
    for sound, label in zip(heard(outputs, "melody"), labels, strict=True):
        found, wanted = read_melody(sound), MELODIES[label]
        right += sum(a == b for a, b in zip(found, wanted, strict=False))
        total += max(len(found), len(wanted))
    return right / total


def train_reader(manifest, folder):
    """Returns the function that reads images `(N, 16, 16, 1)`: a classifier trained on real scans alone."""
    training = {"epochs": 15, "batch_size": 32, "learning_rate": 0.003, "seed": 1}
    run, _ = train(_spec("reader", manifest, READER, training), folder / "runs")

    def read(images):
        inputs = {"image": images, "present": tf.ones([len(images), 1])}
        return run.model(inputs, training=False)["label"].numpy().argmax(axis=1)

    return read


def right_images(run, data, folder):
    """Returns the shares of images that are read right: made of the sound, and real ones."""
    read = train_reader(run.spec.data.manifest, folder)
    outputs, labels = answers_of(run, data, hidden=("image",))
    real = data.decode(data.rows["test"])["image"]
    return {
        "right": float(np.mean(read(outputs["seen_image"]) == labels)),
        "as_read": float(np.mean(read(tf.cast(real, tf.float32)) == labels)),
    }


def measure(name, manifest, folder, seed, epochs=None):
    run, data = train(task_spec(name, manifest, seed, epochs), folder / "runs")
    trained = json.loads((run.folder / "training.json").read_text(encoding="utf-8"))
    if name in LATENTS:
        found = right_images(run, data, folder)
    else:
        found = {"right": {"tones": right_keys, "melody": right_notes}[name](*answers_of(run, data))}
    return {
        "seed": seed,
        **found,
        **{key: trained[key] for key in ("epochs", "parameters", "fit_seconds")},
    }


def make_table(result):
    """Returns the means over the seeds as Markdown."""
    lines = make_head(["task", "epochs", "seeds", "right", "as read", "parameters", "s in all"])
    for name, count, mean in means_of(result):
        cells = [name, f"{mean['epochs']:.0f}", count, f"{100 * mean['right']:.1f} %"]
        cells.append(f"{100 * mean['as_read']:.1f} %" if "as_read" in mean else "")
        cells += [f"{mean['parameters']:,.0f}", f"{mean['fit_seconds']:.0f}"]
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_arguments(parser, list(TASKS))
    chosen = parser.parse_args()
    figures = Figures(chosen.output)
    result = figures.begin({"task": "keypad generation"})
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        manifest = write_keypad(folder / "keypad", sounds=True, empty=0.0)
        figures.measure_all(
            result,
            chosen.models,
            chosen,
            lambda name, seed: measure(name, manifest, folder, seed, chosen.epochs),
        )
    show(make_table(result), chosen.readme, "keypad generation")


if __name__ == "__main__":
    main()
