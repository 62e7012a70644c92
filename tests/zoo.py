"""A zoo of cells: good ones, odd ones that are valid, and bad ones with the code of their fault."""

import csv
import io
import json
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from PIL import Image
from zoo_files import GOOD, RATE, SECONDS, SHAPE, image_cells, make_sound, sound_cells, vector_cells

from mm_keras.spec_file import make_spec

BASE = 40
LABELS = ("blau", "grün", "red, dark")
COLUMNS = ("image", "audio", "vec", "text", "a", "b", "label", "height", "weight", "split")
# Stands for bytes that are no UTF-8, which the csv module cannot write.
NOT_UTF8 = "BYTES THAT ARE NO UTF-8"


@dataclass
class Kind:
    """One kind of cell or row.

    Args:
        name: str. What it is.
        code: str. Of the finding that it must get; "" = it is valid.
        cells: dict, column -> cell, in place of those of a good row.
        line: int. Line of the manifest.
    """

    name: str
    code: str
    cells: dict
    line: int = 0


@dataclass
class Zoo:
    """Args: `manifest`, its path; `kinds`, list of Kind, the good rows of the base first."""

    manifest: Path
    kinds: list

    @property
    def good(self):
        """Lines of the rows that are valid."""
        return {kind.line for kind in self.kinds if not kind.code}

    @property
    def bad(self):
        """Line -> code of the other ones."""
        return {kind.line: kind.code for kind in self.kinds if kind.code}

    def named(self, line):
        return next(kind.name for kind in self.kinds if kind.line == line)


def zoo_spec(manifest, **data):
    """Returns a spec of the zoo, small enough to train in seconds."""
    mapping = {
        "name": "zoo",
        "data": {
            "manifest": str(manifest),
            "split": "split",
            "weight": "weight",
            "max_bad": 1.0,
            "max_pixels": 4_000_000,
            "max_samples": 4_000_000,
            **data,
        },
        "modalities": {
            "image": {"kind": "image", "size": [8, 8], "encoder": {"filters": [4], "units": 4}},
            "audio": {
                "kind": "audio",
                "rate": RATE,
                "seconds": SECONDS,
                "encoder": {"mel_bins": 8, "filters": [4], "units": 4},
            },
            "vec": {
                "kind": "features",
                "shape": list(SHAPE),
                "encoder": {"kind": "dense", "units": 4, "layers": 1},
            },
            "text": {
                "kind": "text",
                "length": 6,
                "vocabulary_size": 64,
                "encoder": {"embedding": 4, "units": 4},
            },
            "numbers": {"kind": "numbers", "columns": ["a", "b"], "encoder": {"units": 4, "layers": 1}},
        },
        "fusion": {"kind": "gated", "units": 8},
        "outputs": {"label": {"kind": "classification"}, "height": {"kind": "regression"}},
        "training": {"epochs": 1, "batch_size": 16, "strategy": "none", "precision": "float32"},
    }
    return make_spec(json.loads(json.dumps(mapping)))


def build_zoo(folder):
    """Writes the files and the manifest below `folder` / "data"; returns the Zoo."""
    root = Path(folder) / "data"
    for name in ("image", "audio", "vec"):
        (root / name).mkdir(parents=True)
    random = np.random.default_rng(7)
    kinds = [Kind(f"base {row}", GOOD, {"split": _split_of(row)}) for row in range(BASE)]
    for cells in (image_cells(root, random), sound_cells(root, random), vector_cells(root, random)):
        kinds += [Kind(name, code, cells) for name, code, cells in cells]
    kinds += [Kind(*kind) for kind in (*path_cells(root), *table_cells())]
    manifest = root / "manifest.csv"
    # A byte order mark and the line ends of Windows, for the whole table.
    parts = [b"\xef\xbb\xbf", _line(COLUMNS)]
    line = 2
    for row, kind in enumerate(kinds):
        cells = {**_good_row(root, row, random), **{key: str(cell) for key, cell in kind.cells.items()}}
        text = cells.pop("row", None)
        parts.append(text.encode() if text is not None else _line([cells[column] for column in COLUMNS]))
        kind.line = line
        line += parts[-1].count(b"\n")
    manifest.write_bytes(b"".join(parts).replace(NOT_UTF8.encode(), b"caf\xe9 \xff\xfe"))
    return Zoo(manifest, kinds)


def _split_of(row):
    return {3: "validation", 4: "test"}.get(row % 5, "train")


def _line(cells):
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerow(cells)
    return text.getvalue().encode()


def _good_row(root, row, random):
    kind = row % len(LABELS)
    Image.fromarray(random.integers(0, 256, (9, 8, 3), dtype="uint8")).save(root / f"image/{row}.png")
    soundfile.write(root / f"audio/{row}.wav", make_sound(random), RATE)
    np.save(root / f"vec/{row}.npy", random.normal(size=SHAPE).astype("float32"))
    return {
        "image": f"image/{row}.png",
        "audio": f"audio/{row}.wav",
        "vec": f"vec/{row}.npy",
        "text": f"a {LABELS[kind]} one, number {row}",
        "a": f"{kind + random.normal():.3f}",
        "b": str(row),
        "label": LABELS[kind],
        "height": f"{1.5 + 0.01 * row:.2f}",
        "weight": "1",
        "split": "train",
    }


def path_cells(root):
    """Yields (name, code, cells) of cells that name no file, or not one of the data folder."""
    outside = root.parent / "outside.png"
    Image.new("RGB", (9, 9), "red").save(outside)
    Image.new("RGB", (9, 9), "blue").save(root / "image/dots.png")
    (root / "image/folder.png").mkdir()
    (root / "image/out.png").symlink_to(outside)
    (root / "image/in.png").symlink_to(root / "image/dots.png")
    (root / "image/nowhere.png").symlink_to(root / "image/not there.png")
    yield "path with dots", GOOD, {"image": "./image/../image/dots.png"}
    yield "link to a file of the folder", GOOD, {"image": "image/in.png"}
    # A table cannot make links: who does points to the file, as caches of data sets do.
    yield "link to a file elsewhere", GOOD, {"image": "image/out.png"}
    yield "no such file", "missing_file", {"image": "image/not there.png"}
    yield "no such sound", "missing_file", {"audio": "audio/not there.wav"}
    yield "no such folder", "missing_file", {"vec": "vectors/0.npy"}
    yield "folder for a file", "missing_file", {"image": "image/folder.png"}
    yield "link to nothing", "missing_file", {"image": "image/nowhere.png"}
    yield "path of Windows in the folder", "missing_file", {"image": "image\\0.png"}
    yield "absolute path", "outside", {"image": str(outside)}
    yield "path of Windows", "outside", {"image": "C:\\Users\\me\\0.png"}
    yield "path that climbs out", "outside", {"image": "../outside.png"}
    yield "path that climbs out in its middle", "outside", {"audio": "audio/../../outside.wav"}
    yield "home folder", "outside", {"audio": "~/0.wav"}
    yield "address", "address", {"image": "https://example.org/0.png"}
    yield "address of a bucket", "address", {"audio": "s3://bucket/0.wav"}
    yield "image in its address", "address", {"image": "data:image/png;base64,iVBORw0KGgo="}
    if os.geteuid():
        locked = root / "image/locked.png"
        Image.new("RGB", (9, 9), "red").save(locked)
        locked.chmod(0)
        yield "file without permission", "undecodable", {"image": "image/locked.png"}


def table_cells():
    """Yields (name, code, cells) of texts, numbers, targets, splits and rows; "row" is a whole line."""
    yield "emoji", GOOD, {"text": "so 😀👩‍👩‍👧🏳️‍🌈"}
    yield "text from right to left", GOOD, {"text": "\u202bשלום עולם\u202c مرحبا"}
    yield "very long text", GOOD, {"text": "word " * 20_000}
    yield "comma and quotes in a text", GOOD, {"text": 'say "one, two", then go'}
    yield "lines in a text", GOOD, {"text": "one\ntwo\r\nthree"}
    yield "text that looks like a formula", GOOD, {"text": '=HYPERLINK("x")<script>alert(1)</script>'}
    yield "combining marks", GOOD, {"text": "e\u0301\u0327 \u200b zero"}
    yield "text that says NaN", GOOD, {"text": "NaN"}
    yield "some modalities missing", GOOD, {"image": "", "vec": "", "text": ""}
    yield "one number missing", GOOD, {"a": ""}
    yield "small number", GOOD, {"a": "1e-3"}
    yield "number in spaces", GOOD, {"a": " 7 "}
    yield "negative zero", GOOD, {"a": "-0.0"}
    yield "number with a plus", GOOD, {"a": "+.5"}
    yield "split in capitals", GOOD, {"split": "TRAIN"}
    yield "short name of a split", GOOD, {"split": "dev"}
    yield "unknown height", GOOD, {"height": ""}
    yield "unknown label", GOOD, {"label": ""}
    yield "weight of zero", GOOD, {"weight": "0"}
    yield "no weight", GOOD, {"weight": ""}
    yield "bytes that are no UTF-8", "not_text", {"text": NOT_UTF8}
    yield "word for a number", "not_a_number", {"a": "abc"}
    yield "decimal comma", "not_a_number", {"a": "1,5"}
    yield "infinity for a number", "not_a_number", {"b": "inf"}
    yield "NaN for a number", "not_a_number", {"b": "NaN"}
    yield "number beyond float32", "not_a_number", {"b": "1e400"}
    yield "no label at all", "no_label", {"label": "", "height": ""}
    yield "label that train has not", "unseen_label", {"label": "zebra", "split": "validation"}
    yield "word for a height", "bad_target", {"height": "tall"}
    yield "negative weight", "bad_weight", {"weight": "-1"}
    yield "word for a weight", "bad_weight", {"weight": "heavy"}
    yield "unknown split", "unknown_split", {"split": "trian"}
    yield "no split", "unknown_split", {"split": ""}
    nothing = dict.fromkeys(("image", "audio", "vec", "text", "a", "b"), "")
    yield "all modalities missing", "all_missing", nothing
    yield "too few cells", "damaged_row", {"row": "image/0.png,audio/0.wav\r\n"}
    yield "too many cells", "damaged_row", {"row": "one," * 12 + "\r\n"}
    yield "stray quote", "damaged_row", {"row": '"image/0.png"x,,,a,1,2,blau,1.5,1,train\r\n'}
