"""A spoken digit for an image of a digit: MNIST and the Free Spoken Digit Dataset, judged by a recogniser.

    python benchmarks/spoken_digits.py mnist fsdd --seeds 7 --output spoken.json --readme README.md

`mnist` holds MNIST's four idx files, `fsdd` recordings named {digit}_{speaker}_{take}.wav. Rows pair an image
with a recording of the same digit and the name of its speaker, who is to be imitated; test images and the
test recordings (takes 0 to 4, as published) are in no other split. The recogniser is trained on real
recordings alone, and is asked about 500 sounds that are made of test images, about the same recordings after
their log-mel spectrogram and Griffin-Lim, which is the best that a vocoder of this kind allows, and about the
recordings.
"""

import argparse
import functools
import json
import os
import tempfile
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")  # Off by default on CPUs without AVX-512.

import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402
from fusion_runs import Figures, add_arguments, existing, make_head, means_of, show  # noqa: E402
from PIL import Image  # noqa: E402
from scipy.io import wavfile  # noqa: E402

from mm_keras.data.avmnist_sources import RATE, read_mnist, read_recordings  # noqa: E402
from mm_keras.evaluation.speech_scores import cepstral_distortions, spectral_distances  # noqa: E402
from mm_keras.exporting import export  # noqa: E402
from mm_keras.prediction import load_predictor  # noqa: E402
from mm_keras.spec_file import make_spec  # noqa: E402
from mm_keras.speech_frames import SpeechFrames  # noqa: E402
from mm_keras.training import train  # noqa: E402
from mm_keras.vocoder import Vocoder  # noqa: E402

TEST_TAKES = 5
ROWS = {"train": 4000, "validation": 400, "test": 500}
FRAMES = {"rate": RATE, "mel_bins": 64, "window": 0.032, "hop": 0.008, "reduction": 4}
DECODERS = {
    "parallel": {"decoder": {"units": 192, "dropout": 0.1}},
    "step by step": {"parallel": False, "prenet_dropout": 0.3, "decoder": {"units": 192, "dropout": 0.1}},
}


def write_rows(folder, mnist, recordings, seed):
    """Writes images, recordings and two tables: pairs.csv of images, and recordings.csv to train a
    recogniser."""
    random = np.random.default_rng(seed)
    (folder / "images").mkdir()
    (folder / "sounds").mkdir()
    table = pd.DataFrame(
        {
            "sound": [f"sounds/{Path(recording.name).stem}.wav" for recording in recordings],
            "label": [recording.kind for recording in recordings],
            "speaker": [recording.group for recording in recordings],
        }
    )
    takes = np.array([int(Path(recording.name).stem.split("_")[2]) for recording in recordings])
    table["split"] = np.where(
        takes < TEST_TAKES, "test", np.where(takes < 2 * TEST_TAKES, "validation", "train")
    )
    for path, recording in zip(table["sound"], recordings, strict=True):
        wavfile.write(folder / path, RATE, np.rint(recording.samples * 32767).astype(np.int16))
    table.to_csv(folder / "recordings.csv", index=False)
    rows = []
    for split, count in ROWS.items():
        images, labels = mnist["t10k" if split == "test" else "train"]
        chosen = random.permutation(len(images))
        chosen = chosen[count : 2 * count] if split == "validation" else chosen[:count]
        of_digit = {
            digit: part.reset_index() for digit, part in table[table["split"] == split].groupby("label")
        }
        for number in chosen:
            recording = of_digit[labels[number]].sample(1, random_state=random.integers(2**31)).iloc[0]
            path = f"images/{split}{number}.png"
            Image.fromarray(images[number]).save(folder / path)
            rows.append({"image": path, **recording[["sound", "speaker", "label", "split"]]})
    pd.DataFrame(rows).to_csv(folder / "pairs.csv", index=False)


def speech_spec(name, folder, seed, epochs=None):
    image = {"kind": "image", "size": [28, 28], "channels": 1}
    image["encoder"] = {"kind": "conv", "filters": [16, 32, 64], "units": 128, "dropout": 0.2}
    speaker = {"kind": "text", "length": 4, "vocabulary_size": 64, "encoder": {"embedding": 16, "units": 32}}
    return make_spec(
        {
            "name": name.replace(" ", "_"),
            "data": {"manifest": str(folder / "pairs.csv"), "split": "split"},
            "modalities": {"image": image, "speaker": speaker},
            "fusion": {"kind": "concatenate", "units": 128, "modality_dropout": 0.0, "dropout": 0.1},
            "outputs": {"sound": {"kind": "speech", "seconds": 1.0, **FRAMES, **DECODERS[name]}},
            "training": {
                "epochs": epochs or 25,
                "batch_size": 32,
                "learning_rate": 0.002,
                "patience": 0,
                "strategy": "none",
                "seed": seed,
            },
            "export": {"rows": 32},
        }
    )


def train_recogniser(folder, seed):
    """Returns the Predictor of a recogniser that has heard real recordings alone."""
    audio = {"kind": "audio", "column": "sound", "rate": RATE, "seconds": 1.0}
    spec = make_spec(
        {
            "name": "recogniser",
            "data": {"manifest": str(folder / "recordings.csv"), "split": "split"},
            "modalities": {"audio": audio},
            "outputs": {"label": {"kind": "classification"}},
            "training": {"epochs": 30, "batch_size": 32, "patience": 0, "strategy": "none", "seed": seed},
        }
    )
    run, _ = train(spec, folder / "runs")
    return load_predictor(run.folder)


def measure(name, folder, recogniser, seed, epochs=None):
    """Trains a model that speaks; returns how often it is understood, and how fast it speaks."""
    spec = speech_spec(name, folder, seed, epochs)
    run, data = train(spec, folder / "runs")
    trained = json.loads((run.folder / "training.json").read_text(encoding="utf-8"))
    exported = export(run.model, spec, data, folder / "exported" / f"{name}{seed}")
    test = data.manifest.table.iloc[data.rows["test"]]
    predictor = load_predictor(exported["saved_model"]["path"])
    cells = {"image": list(test["image"]), "speaker": list(test["speaker"])}
    began = time.perf_counter()
    spoken = predictor.generate(cells, root=folder)
    seconds = time.perf_counter() - began
    true = stack([wavfile.read(folder / path)[1] for path in test["sound"]])
    copied = vocoded(true)
    latency = exported["tflite"]["parity"]["latency_ms"]["serving_default"]
    length = float(np.mean(spoken["sound_samples"])) / RATE
    labels, speakers = test["label"].to_numpy(str), test["speaker"].to_numpy(str)
    right = {
        kind: understand(recogniser, sounds, folder) == labels
        for kind, sounds in (("made", spoken["sound"]), ("vocoded", copied), ("real", true))
    }
    log_mel = SpeechFrames(**FRAMES).log_mel
    frames = {
        kind: np.asarray(log_mel(x / 32768))
        for kind, x in (("made", spoken["sound"]), ("vocoded", copied), ("real", true))
    }
    hop = log_mel.stride
    return {
        "seed": seed,
        "epochs": trained["epochs"],
        "understood": float(right["made"].mean()),
        "understood_vocoded": float(right["vocoded"].mean()),
        "understood_real": float(right["real"].mean()),
        "understood_of_speaker": {
            speaker: float(right["made"][speakers == speaker].mean()) for speaker in sorted(set(speakers))
        },
        "mel_cepstral_distortion": float(
            cepstral_distortions(
                frames["real"], lengths_of(true) // hop, frames["made"], spoken["sound_samples"] // hop
            ).mean()
        ),
        "griffin_lim_distance": float(spectral_distances(frames["real"], frames["vocoded"]).mean()),
        "seconds_of_sound": length,
        "real_time_factor": seconds / (length * len(labels)),
        "tflite_real_time_factor": latency / 1000 / length,
        "parameters": trained["parameters"],
        "fit_seconds": trained["fit_seconds"],
    }


def stack(sounds):
    """Returns sounds as int16 `(N, 8000)`, zeros behind their ends."""
    stacked = np.zeros((len(sounds), RATE), np.int16)
    for row, sound in enumerate(sounds):
        stacked[row, : len(sound)] = sound
    return stacked


def lengths_of(sounds):
    return np.array([np.flatnonzero(sound).max(initial=0) + 1 for sound in sounds])


def vocoded(sounds):
    """Returns sounds after their log-mel spectrogram and Griffin-Lim."""
    groups = np.array(SpeechFrames(**FRAMES)(sounds / np.float32(32768)))
    groups[:, :, -1] -= 0.5  # A logit: above 0 it ends.
    heard = Vocoder(RATE, FRAMES)(groups)["sound"]
    return np.rint(np.asarray(heard) * 32767).astype(np.int16)


def understand(recogniser, sounds, folder):
    """Returns the digits that the recogniser hears, str `(N,)`."""
    with tempfile.TemporaryDirectory(dir=folder) as aside:
        paths = [f"{aside}/{number}.wav" for number in range(len(sounds))]
        for path, sound in zip(paths, sounds, strict=True):
            wavfile.write(path, RATE, np.trim_zeros(sound, "b"))
        return recogniser.predict({"audio": paths})["label"].astype(str)


def make_table(result):
    """Returns the means over the seeds as Markdown."""
    titles = ["decoder", "epochs", "seeds", "understood", "after Griffin-Lim alone", "real recordings"]
    titles += [
        "mel-cepstral distortion",
        "Griffin-Lim, log-spectral distance",
        "real-time factor",
        "in TFLite",
    ]
    lines = make_head([*titles, "parameters", "s in all"])
    for name, count, mean in means_of(result):
        shares = [f"{100 * mean[f'understood{of}']:.1f} %" for of in ("", "_vocoded", "_real")]
        cells = [name, f"{mean['epochs']:.0f}", count, *shares]
        cells += [f"{mean[score]:.1f} dB" for score in ("mel_cepstral_distortion", "griffin_lim_distance")]
        cells += [f"{mean[score]:.3f}" for score in ("real_time_factor", "tflite_real_time_factor")]
        cells += [f"{mean['parameters']:,.0f}", f"{mean['fit_seconds']:.0f}"]
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("mnist", type=existing)
    parser.add_argument("fsdd", type=existing)
    add_arguments(parser, list(DECODERS))
    chosen = parser.parse_args()
    figures = Figures(chosen.output)
    result = figures.begin({"task": "spoken digits", "rows": ROWS})
    with tempfile.TemporaryDirectory() as parent:

        @functools.cache  # Made when a figure lacks.
        def prepare(seed):
            folder = Path(parent) / str(seed)
            folder.mkdir()
            write_rows(folder, read_mnist(chosen.mnist), read_recordings(chosen.fsdd), seed)
            return folder, train_recogniser(folder, seed)

        figures.measure_all(
            result,
            chosen.models,
            chosen,
            lambda name, seed: measure(name, *prepare(seed), seed, chosen.epochs),
        )
    show(make_table(result), chosen.readme, "spoken digits")


if __name__ == "__main__":
    main()
