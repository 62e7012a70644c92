"""The diagnosis of small tables: what is found, what is counted, and what a table alone is read as."""

import csv
import json
import shutil

import numpy as np
import pytest
import tiny

from mm_keras.data.doctor import diagnose
from mm_keras.data.manifest import ManifestError
from mm_keras.spec_file import save_spec


@pytest.fixture(scope="module")
def good(tiny_manifest):
    """The diagnosis of the tiny data set as it is."""
    return diagnose(tiny.quick_spec(tiny_manifest))


def broken(tiny_manifest, folder, changes):
    """Copies the tiny data set, changes cells (row, column -> cell) and returns the manifest's path."""
    root = folder / "data"
    shutil.copytree(tiny_manifest.parent, root)
    rows = tiny.read_table(root / "manifest.csv")
    for (row, column), cell in changes.items():
        rows[row][column] = cell
    return tiny.write_table(root / "manifest.csv", rows)


def test_a_good_data_set_has_no_errors(good):
    assert good.errors == []
    assert (good.bad_rows, good.too_many) == (0, False)
    assert good.files == sum(tiny.is_there(row, "vec") for row in range(tiny.ROWS))
    assert good.facts["rows"] == good.facts["good_rows"] == tiny.ROWS


def test_the_facts_of_a_good_data_set_are_those_of_its_rows(good):
    there = [tiny.is_there(row, "vec") for row in range(tiny.ROWS)]
    vec = good.facts["modalities"]["vec"]
    assert vec["missing"]["all"] == pytest.approx(1 - np.mean(there))
    assert vec["distributions"]["bytes"]["count"] == sum(there)
    label = good.facts["outputs"]["label"]
    assert sum(sum(counts.values()) for counts in label["classes"].values()) == tiny.ROWS - 2


def test_bad_cells_of_all_sorts_are_found_at_once(tiny_manifest, tmp_path):
    changes = {(1, "vec"): "vec/gone.npy", (3, "split"): "tset", (6, "a"): "two", (9, "vec"): "vec/cut.npy"}
    manifest = broken(tiny_manifest, tmp_path, changes)
    (manifest.parent / "vec/cut.npy").write_bytes((manifest.parent / "vec/9.npy").read_bytes()[:-4])
    found = diagnose(tiny.quick_spec(manifest, on_bad="quarantine", max_bad=0.05))
    codes = {(finding.line, finding.column, finding.code) for finding in found.errors}
    assert codes == {
        (3, "vec", "missing_file"),
        (5, "split", "unknown_split"),
        (8, "a", "not_a_number"),
        (11, "vec", "truncated"),
    }
    assert (found.bad_rows, found.too_many) == (4, True)
    assert found.facts["good_rows"] == tiny.ROWS - 4
    content = json.loads(json.dumps(found.as_json(), allow_nan=False))
    assert content["counts"]["truncated"]["rows"] == 1
    assert {finding["line"] for finding in content["findings"] if finding["severity"] == "error"} == {
        3,
        5,
        8,
        11,
    }


def test_under_missing_a_row_with_a_bad_file_stays_good(tiny_manifest, tmp_path):
    manifest = broken(tiny_manifest, tmp_path, {(1, "vec"): "vec/gone.npy"})
    (manifest.parent / "vec/8.npy").write_bytes(b"no array")
    found = diagnose(tiny.quick_spec(manifest, on_bad="missing", max_bad=0.5))
    assert (found.bad_rows, found.too_many) == (2, False)
    assert found.facts["good_rows"] == tiny.ROWS
    there = sum(tiny.is_there(row, "vec") for row in range(tiny.ROWS)) - 2
    assert found.facts["modalities"]["vec"]["missing"]["all"] == pytest.approx(1 - there / tiny.ROWS)


def test_rows_that_repeat_others_are_warnings(tiny_manifest, tmp_path):
    rows = tiny.read_table(tiny_manifest)
    same = {(row, column): rows[8][column] for row in (10, 14) for column in ("vec", "a", "b")}
    found = diagnose(tiny.quick_spec(broken(tiny_manifest, tmp_path, same)))
    assert found.errors == []
    # Line 12 is train, 10 validation and 16 test; their tags differ.
    assert {(finding.line, finding.code) for finding in found.findings} == {
        (10, "leak"),
        (10, "contradiction"),
        (16, "leak"),
        (16, "contradiction"),
    }


def test_a_spec_file_and_a_table_alone_are_read_too(tmp_path):
    with open(tmp_path / "manifest.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["width", "height", "label"])
        writer.writerows([row, row % 7, "ab"[row % 2]] for row in range(40))
    alone = diagnose(tmp_path / "manifest.csv")
    assert "kind: numbers" in alone.assumed
    assert alone.spec.data.manifest == str(tmp_path / "manifest.csv")
    assert alone.facts["rows"] == 40
    save_spec(alone.spec, tmp_path / "spec.yaml")
    by_spec = diagnose(str(tmp_path / "spec.yaml"))
    assert by_spec.assumed == ""
    assert by_spec.facts == alone.facts


def test_a_table_that_cannot_be_used_at_all_is_refused(tiny_manifest, tmp_path):
    spec = tiny.quick_spec(tiny_manifest, split="no such column")
    with pytest.raises(ManifestError, match="no such column"):
        diagnose(spec)
