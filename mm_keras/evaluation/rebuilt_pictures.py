"""Pictures of what an autoencoder rebuilds, and of what it imagines where it is not there."""

import numpy as np
from matplotlib.figure import Figure

from mm_keras.answering_model import rebuilding_model
from mm_keras.balance import plain_model
from mm_keras.evaluation.example_rows import choose_rows, inputs_of
from mm_keras.log_mel import LogMel
from mm_keras.model_heads import log_mel_arguments

DECIBELS = 10 / np.log(10)
SIDE = 1.5  # Inches of a picture.


def draw_rebuilt(model, spec, data, split, folder):
    """Draws images and spectrograms of a split, each as it is, rebuilt from all modalities of its row, and
    made of the others alone, into `rebuilt_<output>.png`.

    Args:
        model: keras.Model of `build_model` or `balance_model`.
        spec: Spec.
        data: Datasets.
        split: str.
        folder: path.

    Returns: list of the paths written: none without an autoencoder of images or sounds.
    """
    model, paths = plain_model(model), []
    for name, part in spec.of_kind("autoencoder").items():
        seen = [m for m in part.modalities if spec.modalities[m].kind in ("image", "audio")]
        rows = next((rows for m in seen if len(rows := choose_rows(data, split, has=m))), ())
        if not len(rows):
            continue
        inputs, _ = inputs_of(data, rows)
        rebuild = rebuilding_model(model, [f"{name}_{modality}" for modality in seen])
        whole = rebuild(inputs, training=False)
        columns = []
        for modality in seen:
            hidden = np.array([float(other != modality) for other in spec.modality_names], "float32")
            others = inputs["present"] * hidden
            made = rebuild({**inputs, "present": others}, training=False)
            key, kind = f"{name}_{modality}", spec.modalities[modality]
            true, show = _true(inputs[modality], kind)
            alone = np.asarray(others).any(axis=1)
            here = np.asarray(inputs["present"])[:, spec.modality_names.index(modality)] > 0
            columns.append((modality, true, here, show))
            columns.append(("rebuilt", whole[key].numpy(), here, show))
            columns.append(("of the others", made[key].numpy(), alone, show))
        paths.append(folder / f"rebuilt_{name}.png")
        _draw(columns, data.manifest.lines[rows], paths[-1])
    return paths


def _true(x, modality):
    """Returns what is drawn of an input, and the function that draws it on axes."""
    if modality.kind == "image":
        return x.numpy(), _show_image
    return np.asarray(LogMel(**log_mel_arguments(modality))(x)), _show_log_mel


def _show_image(axes, pixels):
    pixels = np.clip(np.round(pixels), 0, 255).astype("uint8").squeeze()
    axes.imshow(pixels, cmap="gray", vmin=0, vmax=255)


def _show_log_mel(axes, log_mel):
    decibels = DECIBELS * log_mel.T
    axes.imshow(decibels, origin="lower", aspect="auto", vmin=decibels.max() - 60, vmax=decibels.max())


def _draw(columns, lines, path):
    figure = Figure((SIDE * len(columns) + 0.6, SIDE * len(lines) + 0.4), layout="constrained")
    squares = figure.subplots(len(lines), len(columns), squeeze=False)
    for row, line in enumerate(lines):
        for axes, (title, pictures, drawn, show) in zip(squares[row], columns, strict=True):
            axes.set(xticks=[], yticks=[])
            if row == 0:
                axes.set_title(title.replace("$", r"\$"), fontsize=9)
            if drawn[row]:
                show(axes, pictures[row])
            else:
                axes.axis("off")
        squares[row][0].axis("on")
        squares[row][0].set_ylabel(f"line {line}", fontsize=8)
    figure.savefig(path, dpi=110)
