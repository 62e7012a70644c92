"""The report of an evaluation: a JSON file, and a picture of each classification and regression."""

import json
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.figure import Figure

MOST_NUMBERED = 30
MOST_SQUARES = 3


def write_report(result, folder):
    """Writes what `evaluate` returned: `evaluation.json`, a `confusion_<output>.png` for single labels, and a
    `regression_<output>.png` of true and predicted numbers.

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
        if "points" in output:
            paths.append(folder / f"regression_{name}.png")
            draw_points(output["points"], f"{name}: {result['split']}", paths[-1])
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
    _save(figure, path)


def draw_points(points, title, path):
    """Draws predicted against true numbers, a square for each column, with the line on which both are equal.

    Args:
        points: dict, column -> list of [true, predicted].
    """
    wide = min(len(points), MOST_SQUARES)
    high = -(-len(points) // wide)
    figure = Figure((4.5 * wide, 4.5 * high), layout="constrained")
    squares = figure.subplots(high, wide, squeeze=False).ravel()
    for axes, (column, pairs) in zip(squares, points.items(), strict=False):
        true, guess = np.asarray(pairs).T
        ends = [min(true.min(), guess.min()), max(true.max(), guess.max())]
        axes.plot(ends, ends, color="grey", linewidth=1)
        axes.scatter(true, guess, s=12, alpha=0.6, color="tab:blue", linewidths=0)
        axes.set(xlabel="true", ylabel="predicted", aspect="equal")
        axes.set_title(column.replace("$", r"\$"))
    for axes in squares[len(points) :]:
        axes.axis("off")
    figure.suptitle(title)
    _save(figure, path)


def _save(figure, path):
    with matplotlib.rc_context({"svg.hashsalt": "mm_keras"}):
        figure.savefig(path, dpi=110)
