"""Rows that repeat others: found by contents, across and within splits, and no others."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from mm_keras.data import duplicates
from mm_keras.data.duplicates import NONE, RowComparison, near_rows
from mm_keras.data.examine import Files

TEXT = SimpleNamespace(kind="text", column="text", length=8)
NUMBERS = SimpleNamespace(kind="numbers", columns=["a"], column=None)
IMAGE = SimpleNamespace(kind="image", column="image")
AUDIO = SimpleNamespace(kind="audio", column="audio")


def make_manifest(cells, splits, labels=None, present=None):
    """Returns a manifest of rows on lines 2, 3, ...; `splits` is a word for each row, "" = in none."""
    count = len(splits)
    rows = {name: np.flatnonzero(np.array(splits) == name) for name in ("train", "validation", "test")}
    labels = np.array(labels if labels is not None else np.zeros(count), "int32")
    return SimpleNamespace(
        cells=cells,
        table=pd.DataFrame(
            {name: [f"{name}{row}" for row in range(count)] for name in ("text", "image", "audio")}
        ),
        lines=np.arange(count) + 2,
        present=np.ones((count, len(cells)), "float32") if present is None else np.array(present, "float32"),
        splits=rows,
        targets={"label": labels},
        target_weights={"label": (labels >= 0).astype("float32")},
    )


def make_files(contents, looks=None, thumbnails=None, blank=None, peak=None):
    """Returns the files of one modality, a file for each row."""
    count = len(contents)
    measures = {"decoded": np.ones(count, bool), "content": np.array(contents, np.int64)}
    if looks is not None:
        measures["look"] = np.array(looks, np.uint64)
        measures["thumbnail"] = np.array(thumbnails, np.uint8)[:, :, None]
        measures["blank"] = np.zeros(count, bool) if blank is None else np.array(blank)
    if peak is not None:
        measures["peak"] = np.array(peak, float)
    return Files(np.array([f"{n}.x" for n in range(count)]), np.arange(count), measures=measures)


def found_in(manifest, modalities, files=None):
    """Returns {(line, code, column): reason}."""
    findings, counts = RowComparison(manifest, modalities, files or {}).run()
    assert sum(counts.values()) == len(findings)
    return {(finding.line, finding.code, finding.column): finding.reason for finding in findings}


def texts(*words):
    return {"text": pd.array(list(words), dtype="str")}


def test_a_second_row_with_the_same_inputs_is_a_duplicate_of_the_first():
    manifest = make_manifest(texts("a b", "c", " A B "), ["train"] * 3)
    assert found_in(manifest, {"text": TEXT}) == {(4, "duplicate", ""): "the same inputs as line 2"}


def test_the_same_inputs_under_another_label_are_a_contradiction_alone():
    manifest = make_manifest(texts("a", "a", "a"), ["train"] * 3, labels=[0, 1, -1])
    found = found_in(manifest, {"text": TEXT})
    assert set(found) == {(3, "contradiction", ""), (4, "duplicate", "")}
    assert "`label` differs from that of line 2" in found[3, "contradiction", ""]


def test_a_test_row_that_train_has_is_a_leak_whatever_the_order_of_the_rows():
    manifest = make_manifest(texts("a", "a", "b", "b"), ["test", "train", "validation", "test"])
    found = found_in(manifest, {"text": TEXT})
    assert found == {
        (2, "leak", ""): "the same inputs as line 3 (train)",
        (5, "leak", ""): "the same inputs as line 4 (validation)",
    }


def test_all_modalities_must_be_the_same_for_a_duplicate():
    numbers = np.array([[1.0], [1.0], [np.nan], [2.0]], "float32")
    manifest = make_manifest({"n": numbers, **texts("a", "a", "a", "a")}, ["train"] * 4)
    found = found_in(manifest, {"n": NUMBERS, "text": TEXT})
    assert set(found) == {(3, "duplicate", "")}


def test_rows_in_no_split_and_rows_without_inputs_are_compared_with_none():
    present = [[1], [1], [0], [0]]
    manifest = make_manifest(texts("a", "a", "", ""), ["train", "", "train", "train"], present=present)
    assert found_in(manifest, {"text": TEXT}) == {}


def test_the_same_sound_in_train_and_test_is_a_leak_and_silence_is_none():
    manifest = make_manifest({"audio": None, **texts(*"abcd")}, ["train", "test", "train", "test"])
    files = {"audio": make_files([5, 5, 6, 6], peak=[0.5, 0.5, 0, 0])}
    found = found_in(manifest, {"audio": AUDIO, "text": TEXT}, files)
    assert found == {(3, "leak", "audio"): "the same contents as line 2 (train)"}


def test_texts_that_come_twice_leak_only_where_texts_hardly_ever_do():
    numbers = np.arange(22, dtype="float32")[:, None]
    splits = ["train"] * 21 + ["test"]
    rare = make_manifest({"n": numbers, **texts(*[f"t{n}" for n in range(21)], "T0")}, splits)
    found = found_in(rare, {"n": NUMBERS, "text": TEXT})
    assert found == {(23, "leak", "text"): "the same text as line 2 (train)"}
    often = make_manifest({"n": numbers, **texts(*[f"t{n % 3}" for n in range(22)])}, splits)
    assert found_in(often, {"n": NUMBERS, "text": TEXT}) == {}


def test_images_that_look_alike_are_named_in_a_split_and_leak_across():
    shades = np.linspace(0, 255, 72).astype("uint8")
    other = np.random.default_rng(7).integers(0, 255, 72)
    looks = [0b1111, 0b0111, 0b1011, 0b1111 << 40]
    manifest = make_manifest({"image": None, **texts(*"abcd")}, ["train", "train", "test", "test"])
    files = {"image": make_files([1, 2, 3, 4], looks, [shades, shades // 2, shades, other])}
    found = found_in(manifest, {"image": IMAGE, "text": TEXT}, files)
    assert found == {
        (3, "near_duplicate", "image"): "looks like the image in line 2",
        (4, "leak", "image"): "looks like the image in line 2 (train)",
    }


def test_of_many_rows_the_first_are_named_and_all_are_counted(monkeypatch):
    monkeypatch.setattr(duplicates, "MOST_NAMED", 3)
    manifest = make_manifest(texts(*["a"] * 10), ["train"] * 10)
    findings, counts = RowComparison(manifest, {"text": TEXT}, {}).run()
    assert [finding.line for finding in findings] == [3, 4, 5]
    assert counts["duplicate"] == 9


def far_apart(random, count):
    """Returns look, thumbnails that vary alike, and seen: each image is in a row of its own in train."""
    thumbnails = np.tile(np.linspace(0, 255, 72)[:, None], (count, 1, 3)).astype("uint8")
    seen = np.full((count, 3), NONE)
    seen[:, 0] = np.arange(count)
    return random.integers(0, 2**63, count).astype(np.uint64), thumbnails, seen


@pytest.mark.parametrize("bits", [0, 1, 4])
def test_hashes_are_found_wherever_their_few_bits_differ(bits):
    random = np.random.default_rng(bits)
    for _ in range(20):
        looks, thumbnails, seen = far_apart(random, 200)
        flips = random.choice(64, bits, replace=False)
        looks[150] = looks[20] ^ np.uint64(sum(1 << int(bit) for bit in flips))
        near = near_rows(looks, thumbnails, np.arange(200), seen)
        assert np.argwhere(near < NONE).tolist() == [[20, 0], [150, 0]]
        assert (near[20, 0], near[150, 0]) == (150, 20)


def test_five_bits_are_too_many_and_other_thumbnails_and_equal_contents_are_no_look_alikes():
    random = np.random.default_rng(7)
    looks, thumbnails, seen = far_apart(random, 6)
    looks[1] = looks[0] ^ np.uint64(0b11111)
    looks[3] = looks[2]
    thumbnails[3] = thumbnails[3][::-1]
    looks[5] = looks[4]
    contents = np.array([0, 1, 2, 3, 4, 4])
    assert (near_rows(looks, thumbnails, contents, seen) == NONE).all()


def test_plain_thumbnails_are_like_none():
    _, _, seen = far_apart(np.random.default_rng(7), 3)
    plain = np.full((3, 72, 1), 9, "uint8")
    assert (near_rows(np.zeros(3, np.uint64), plain, np.arange(3), seen) == NONE).all()
