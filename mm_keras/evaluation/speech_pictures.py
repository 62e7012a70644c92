"""Sounds that a model makes beside the true ones: files to hear, and their spectrograms."""

import numpy as np
import soundfile
from matplotlib.figure import Figure

from mm_keras.answering_model import answering_model, speech_decoders
from mm_keras.balance import plain_model
from mm_keras.evaluation.example_rows import choose_rows, inputs_of
from mm_keras.log_mel import LogMel

DECIBELS = 10 / np.log(10)


def draw_sounds(model, spec, data, split, folder):
    """Makes a few sounds of a split heard and seen.

    Writes into `speech_<output>/` the sound of each row, `<line>.wav`, and the true one, `<line>_true.wav`,
    and draws their log-mel spectrograms into `speech_<output>.png`, beside the image if there is one.

    Args:
        model: keras.Model of `build_model` or `balance_model`.
        spec: Spec.
        data: Datasets.
        split: str.
        folder: path.

    Returns: list of the paths written: none without a speech output.
    """
    model, paths = plain_model(model), []
    names, images = list(speech_decoders(model)), list(spec.of_kind("image"))
    answer = answering_model(model)
    for name in names:
        rows = choose_rows(data, split, has=name)
        if not len(rows):
            continue
        inputs, decoded = inputs_of(data, rows)
        outputs = answer(inputs, training=False)
        true = decoded[name].numpy()
        given = [
            x[:n] for x, n in zip(outputs[name].numpy(), outputs[f"{name}_samples"].numpy(), strict=True)
        ]
        lines, part = data.manifest.lines[rows], spec.outputs[name]
        paths.append(folder / f"speech_{name}.png")
        pixels = inputs[images[0]].numpy().astype("uint8") if images else None
        _draw(part, pixels, lines, true, given, paths[-1])
        paths += _write(folder / f"speech_{name}", part.rate, lines, true, given)
    return paths


def _write(folder, rate, lines, true, given):
    folder.mkdir(exist_ok=True)
    for old in folder.glob("*.wav"):  # Of an earlier evaluation, perhaps of another split.
        old.unlink()
    paths = []
    for line, meant, made in zip(lines, true, given, strict=True):
        for path, sound in ((f"{line}.wav", made), (f"{line}_true.wav", np.trim_zeros(meant, "b"))):
            soundfile.write(folder / path, sound, rate, subtype="PCM_16")
            paths.append(folder / path)
    return paths


def _draw(part, pixels, lines, true, given, path):
    log_mel = LogMel(part.rate, part.mel_bins, part.window, part.hop)
    samples = true.shape[1]
    made = np.stack([np.pad(sound, (0, samples - len(sound))) for sound in given])
    meant, made = (DECIBELS * np.asarray(log_mel(x)) for x in (true, made))
    ends = [
        max(np.flatnonzero(x).max(initial=0), len(y)) / part.rate for x, y in zip(true, given, strict=True)
    ]
    shown = 2 + (pixels is not None)
    figure = Figure((3.2 * shown, 2.2 * len(lines)), layout="constrained")
    widths = [1] * (shown - 2) + [2, 2]
    squares = figure.subplots(len(lines), shown, squeeze=False, width_ratios=widths)
    for row, axes in enumerate(squares):
        if pixels is not None:
            axes[0].imshow(pixels[row].squeeze(), cmap="gray", vmin=0, vmax=255)
            axes[0].axis("off")
        loudest = max(meant[row].max(), made[row].max())
        for place, title, picture in ((-2, "generated", made[row]), (-1, "true", meant[row])):
            axes[place].imshow(
                picture.T,
                origin="lower",
                aspect="auto",
                vmin=loudest - 60,
                vmax=loudest,
                extent=(0, (len(picture) - 1) * part.hop, 0, part.mel_bins),
            )
            axes[place].set(title=f"line {lines[row]}, {title}", xlim=(0, max(ends[row], part.hop)))
            axes[place].set(xlabel="seconds", ylabel="mel bin")
    figure.savefig(path, dpi=110)
