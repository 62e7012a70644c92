"""Every kind of table finds its reader."""

import pathlib
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from mm_keras.data.reading import read_manifest, read_table
from mm_keras.data.table import ManifestError, Table
from mm_keras.data.table_text import open_text

FRAME = pd.DataFrame({"a": ["x", "y"], "n": [1.0, 2.5]})


def write_csv(path):
    FRAME.to_csv(path, index=False)


def write_shards(path):
    with tf.io.TFRecordWriter(str(path), "GZIP" if path.suffix == ".gz" else "") as writer:
        for a, n in FRAME.itertuples(index=False):
            example = tf.train.Example()
            example.features.feature["a"].bytes_list.value.append(a.encode())
            example.features.feature["n"].float_list.value.append(n)
            writer.write(example.SerializeToString())


WRITERS = {
    "m.csv": write_csv,
    "m.CSV": write_csv,
    "m.txt": write_csv,
    "m.csv.gz": write_csv,
    "m.tsv": lambda path: FRAME.to_csv(path, index=False, sep="\t"),
    "m.jsonl": lambda path: FRAME.to_json(path, orient="records", lines=True),
    "m.ndjson": lambda path: FRAME.to_json(path, orient="records", lines=True),
    "m.parquet": FRAME.to_parquet,
    "m.pq": FRAME.to_parquet,
    "m.tfrecord": write_shards,
    "m.tfrecords.gz": write_shards,
    "m.tfrecord-00000-of-00001": write_shards,
}


def check(table, root):
    assert table.frame["a"].tolist() == ["x", "y"]
    assert [float(text) for text in table.frame["n"]] == [1, 2.5]
    assert table.root == root
    assert isinstance(table, Table)


@pytest.mark.parametrize("name", WRITERS)
def test_files_are_read_by_their_ending(tmp_path, name):
    WRITERS[name](tmp_path / name)
    check(read_table(tmp_path / name), tmp_path)
    check(read_table(str(tmp_path / name), root=tmp_path.parent), tmp_path.parent)
    assert read_manifest(tmp_path / name).shape == (2, 2)
    assert list(read_table(tmp_path / name, ["a"]).frame) == ["a"]


@pytest.mark.parametrize("name", ["m.parquet", "m.tfrecord", "m.tfrecord.gz"])
def test_folders_and_patterns_of_files_are_one_table(tmp_path, name):
    writer = FRAME.to_parquet if name.endswith("parquet") else write_shards
    for part in ("1", "0"):
        writer(tmp_path / f"{part}{name}")
    for source in (tmp_path, tmp_path / f"*{name}"):
        table = read_table(source)
        assert table.frame["a"].tolist() == ["x", "y"] * 2
        assert table.root == tmp_path


def test_a_folder_of_files(tmp_path):
    (tmp_path / "cat").mkdir()
    (tmp_path / "cat" / "1.png").touch()
    assert read_table(tmp_path).frame.to_dict("list") == {"image": ["cat/1.png"], "label": ["cat"]}
    pd.DataFrame({"stem": ["1"], "y": ["dog"]}).to_parquet(tmp_path / "labels.parquet")
    assert read_table(tmp_path).frame.to_dict("list") == {"cat": ["cat/1.png"], "y": ["dog"]}


def test_a_path_may_look_like_a_pattern(tmp_path):
    write_csv(tmp_path / "m[1].csv")
    check(read_table(tmp_path / "m[1].csv"), tmp_path)


def test_objects(tmp_path):
    check(read_table(FRAME), pathlib.Path.cwd())
    check(read_table(FRAME, root=tmp_path), tmp_path)
    dataset = tf.data.Dataset.from_tensor_slices({"a": ["x", "y"], "n": [1.0, 2.5]})
    check(read_table(dataset, root=tmp_path), tmp_path)
    table = read_table(FRAME)
    assert read_table(table) is table
    check(read_table(table, root=tmp_path), tmp_path)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("none.csv", "no such file"),
        ("none.xyz", "no such file"),
        ("none.tfrecord", "no such file"),
        ("none.parquet", "no such file"),
        ("*.tfrecord", "no such file. Check the pattern"),
        ("a*.csv", "Received: 1, such as `"),
        ("a.json", "Received: the ending `.json`. Did you mean `.jsonl`? Save it"),
        ("a.xlsx", "the ending `.xlsx`. "),
        ("a", "Received: no ending."),
        ("", "a folder without files"),
    ],
)
def test_paths_that_are_no_tables(tmp_path, name, words):
    for file in ("a.json", "a.xlsx", "a", "a1.csv"):
        (tmp_path / file).touch() if name else None
    with pytest.raises(ManifestError) as caught:
        read_table(tmp_path / name)
    assert words in str(caught.value)


@pytest.mark.parametrize("source", [None, 3, np.zeros(2), [FRAME]])
def test_objects_that_are_no_tables(source):
    with pytest.raises(ManifestError, match="`read_table` expects a path, .*source of type"):
        read_table(source)


def test_a_file_that_may_not_be_read(tmp_path, monkeypatch):
    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("builtins.open", refuse)
    with pytest.raises(ManifestError, match="Received: Permission denied. Check its permissions"):
        open_text(tmp_path / "m.csv", "a CSV file")


def test_reading_tables_of_text_does_not_load_tensorflow():
    code = "import sys, mm_keras.data.reading; sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=120).returncode == 0
