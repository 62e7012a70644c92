"""What `synchronise` found, as files."""

import json
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure


def write_sync(result, folder):
    """Writes what `synchronise` returned, as `sync.json`, and its curve as `sync.png`; returns the paths."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / "sync.json", folder / "sync.png"]
    paths[0].write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    offsets, scores = np.array(result["curve"]).T
    figure = Figure((7, 3.2), layout="constrained")
    axes = figure.add_subplot()
    axes.plot(offsets, scores, color="tab:blue")
    axes.axvline(result["offset"], color="tab:red", linewidth=1, label=f"{result['offset']:+.3f} s")
    axes.axhline(np.median(scores), color="grey", linewidth=1, linestyle="--", label="median")
    axes.set(xlabel="seconds by which the sound is late", ylabel="mean cosine")
    axes.legend()
    figure.savefig(paths[1], dpi=110)
    return paths
