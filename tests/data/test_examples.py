"""Decoded examples: each file decoded once, wherever they are kept."""

import shutil
from pathlib import Path

import numpy as np
import tiny

from mm_keras.data.examples import open_examples
from mm_keras.data.manifest import load_manifest


def test_rows_that_share_their_files_share_an_example(tiny_manifest, tmp_path):
    folder = Path(shutil.copytree(tiny_manifest.parent, tmp_path / "tiny"))
    rows = tiny.read_table(folder / "manifest.csv")
    for number, row in enumerate(rows):
        row.update(vec=f"vec/{number % 3 * 8}.npy" if number % 5 else "")
    manifest = tiny.write_table(folder / "manifest.csv", rows)
    spec = tiny.quick_spec(manifest, modalities=("numbers", "vec"), max_bad=0.5)
    told = []
    examples = open_examples(spec, load_manifest(spec), "memory", lambda *counts: told.append(counts))
    assert told[-1] == (4, 4)  # Three files, and none.
    assert examples.arrays["vec"].shape == (4, 6)
    for batch in examples.batches("train", 7, seed=7):
        for row, vector in zip(batch["row/index"].numpy(), batch["vec"].numpy(), strict=True):
            wanted = np.load(folder / f"vec/{row % 3 * 8}.npy") if row % 5 else np.zeros(6)
            np.testing.assert_allclose(vector, wanted, rtol=1e-6)


def test_rows_without_files_need_no_decoding(tiny_manifest):
    spec = tiny.quick_spec(tiny_manifest, modalities=("numbers", "text"))
    examples = open_examples(spec, load_manifest(spec), "file", lambda *counts: 1 / 0)
    assert examples.place == "memory" and not examples.arrays


def test_moments_are_the_same_wherever_examples_are_kept(tiny_manifest):
    spec = tiny.quick_spec(tiny_manifest, modalities=("vec",), max_bad=0.5)
    first, *others = (
        open_examples(spec, load_manifest(spec), place).moments for place in ("memory", "file", "none")
    )
    for moments in others:
        for key in ("mean", "variance"):
            np.testing.assert_allclose(moments["vec"][key], first["vec"][key], rtol=1e-6)
