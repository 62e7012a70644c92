"""The report of an evaluation: a JSON file, and the confusion matrix of each classification as a picture."""

import json
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.figure import Figure

MOST_NUMBERED = 30


def write_report(result, folder):
    """Writes what `evaluate` returned: `evaluation.json`, and a `confusion_<output>.png` for single labels.

    Returns: list of the paths written.
    """
    folder = Path(folder)
    path = folder / "evaluation.json"
    path.write_text(json.dumps(result, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    paths = [path]
    for name, output in result["outputs"].items():
        if np.ndim(output.get("confusion")) == 2:
            paths.append(folder / f"confusion_{name}.png")
            draw_confusion(output["confusion"], output["labels"], f"{name}: {result['split']}", paths[-1])
    return paths


def draw_confusion(matrix, labels, title, path):
    """Draws a confusion matrix, rows true and columns predicted, coloured by the share of the true class."""
    matrix = np.asarray(matrix)
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    side = min(max(4.0, 0.45 * len(labels) + 2), 20.0)
    figure = Figure((side + 1, side), layout="constrained")
    axes = figure.add_subplot()
    picture = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    figure.colorbar(picture, ax=axes, label="share of the true class", shrink=0.8)
    ticks = range(len(labels))
    axes.set_xticks(ticks, labels, rotation=90 if max(map(len, labels)) > 3 else 0)
    axes.set_yticks(ticks, labels)
    axes.set(xlabel="predicted", ylabel="true", title=title)
    if len(labels) <= MOST_NUMBERED:
        for i, j in np.ndindex(*matrix.shape):
            if matrix[i, j]:
                colour = "white" if shares[i, j] > 0.5 else "black"
                axes.text(j, i, str(matrix[i, j]), ha="center", va="center", color=colour, fontsize=9)
    with matplotlib.rc_context({"svg.hashsalt": "mm_keras"}):
        figure.savefig(path, dpi=110)
