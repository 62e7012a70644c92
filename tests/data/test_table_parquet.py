"""Parquet as tables: types, folders of files, contents of files, and what cannot be read."""

import os

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mm_keras.data import table_parquet
from mm_keras.data.records import read_records
from mm_keras.data.table import ManifestError
from mm_keras.data.table_parquet import read_parquet

PNG = b"\x89PNG\r\n\x1a\n"


def write(path, columns, **settings):
    path.parent.mkdir(parents=True, exist_ok=True)
    table = columns if isinstance(columns, pa.Table) else pa.table(columns)
    pq.write_table(table, path, **settings)
    return path


def error_of(path, **settings):
    with pytest.raises(ManifestError) as caught:
        read_parquet(path, **settings)
    return str(caught.value)


def contents_of(table, column):
    return {row["row"].item(): row[column] for row in read_records(table.records).as_numpy_iterator()}


def test_batches_of_every_type_become_text(tmp_path, monkeypatch):
    monkeypatch.setattr(table_parquet, "MOST_ROWS", 3)
    columns = {
        " text ": [f" t{row}" for row in range(8)],
        "value": [None, float("nan"), 0.1, 4.0, 5.0, 6.0, 7.0, 8.0],
        "tags": [["a", "b"], [], None, ["c"], ["d"], ["e"], ["f"], ["g"]],
    }
    path = write(tmp_path / "m.parquet", columns, row_group_size=5)
    table = read_parquet(path)
    assert table.frame.to_dict("list") == {
        "text": [f"t{row}" for row in range(8)],
        "value": ["", "", "0.1", "4", "5", "6", "7", "8"],
        "tags": ["a|b", "|", "", "c", "d", "e", "f", "g"],
    }
    assert table.lines.tolist() == list(range(1, 9))
    assert table.root == tmp_path
    assert table.records is None
    assert list(read_parquet(path, ["value"]).frame) == ["value"]
    assert read_parquet(path, ["value"], root=tmp_path / "x").root == tmp_path / "x"


def test_a_folder_of_files_is_one_table(tmp_path):
    write(tmp_path / "d" / "split=train" / "b.parquet", {"a": [1, 2]})
    write(tmp_path / "d" / "split=a%2Fb" / "a.parquet", {"a": ["x"], "b": [0.5]})
    write(tmp_path / "d" / "0.parquet", {"a": [0]})
    write(tmp_path / "d" / "_hidden" / "a.parquet", {"a": ["no"]})
    table = read_parquet(tmp_path / "d")
    assert table.frame.to_dict("list") == {
        "a": ["0", "x", "1", "2"],
        "split": ["", "a/b", "train", "train"],
        "b": ["", "0.5", "", ""],
    }
    assert table.root == tmp_path / "d"
    assert read_parquet(tmp_path / "d", ["split"]).frame["split"].tolist() == ["", "a/b", "train", "train"]


def test_bytes_that_are_no_text_empty_their_cell(tmp_path):
    raw = pa.array([b"fine", b"x\xff", None])
    broken = pa.Array.from_buffers(pa.string(), 3, raw.buffers(), null_count=1)
    table = read_parquet(write(tmp_path / "m.parquet", {"a": broken}))
    assert table.frame["a"].tolist() == ["fine", "", ""]
    (finding,) = table.findings
    assert (finding.code, finding.line, finding.row, finding.path) == ("not_text", 2, 1, r"x\xff")


def test_contents_go_to_records_once(tmp_path):
    columns = {
        "image": [{"bytes": PNG, "path": "a.png"}, None, {"bytes": None, "path": "b.png"}],
        "vec": pa.array([[1.5, 2.5], None, [0.0, 1.0]], pa.list_(pa.float32())),
        "label": ["x", "y", "z"],
    }
    path = write(tmp_path / "m.parquet", columns)
    table = read_parquet(path, folder=tmp_path / "cache")
    assert table.frame.to_dict("list") == {
        "image": ["image of row 1", "", ""],
        "vec": ["vec of row 1", "", "vec of row 3"],
        "label": ["x", "y", "z"],
    }
    assert table.records.columns == ("image", "vec")
    assert contents_of(table, "image") == {0: PNG, 1: b"", 2: b""}
    assert contents_of(table, "vec")[0].startswith(b"\x93NUMPY")
    (finding,) = table.findings
    assert (finding.code, finding.row, finding.path) == ("missing_file", 2, "b.png")
    again = read_parquet(path, folder=tmp_path / "cache")
    assert again.frame.equals(table.frame)
    assert again.findings == table.findings
    assert again.records == table.records
    assert len(list((tmp_path / "cache").iterdir())) == 1


def test_a_changed_table_gets_new_records(tmp_path):
    path = write(tmp_path / "m.parquet", {"image": [PNG]})
    old = read_parquet(path, folder=tmp_path / "cache").records
    os.utime(path, ns=(1, 1))
    assert read_parquet(path, folder=tmp_path / "cache").records.paths != old.paths


def test_contents_that_begin_late(tmp_path, monkeypatch):
    monkeypatch.setattr(table_parquet, "MOST_ROWS", 2)
    paths = [{"bytes": None, "path": f"{row}.png"} for row in range(3)]
    path = write(tmp_path / "m.parquet", {"image": [None, *paths, None, {"bytes": PNG, "path": None}]})
    table = read_parquet(path)
    assert table.frame["image"].tolist() == ["", "", "", "", "", "image of row 6"]
    assert [finding.path for finding in table.findings] == ["0.png", "1.png", "2.png"]
    assert contents_of(table, "image") == {**dict.fromkeys(range(5), b""), 5: PNG}


def test_columns_of_paths_alone_stay_paths(tmp_path):
    path = write(tmp_path / "m.parquet", {"image": [{"bytes": None, "path": "a.png"}, None]})
    table = read_parquet(path)
    assert table.frame["image"].tolist() == ["a.png", ""]
    assert table.records is None


def test_columns_that_are_no_text_are_refused_where_they_are_used(tmp_path):
    table = read_parquet(write(tmp_path / "m.parquet", {"box": [{"x": 1}], "a": ["b"]}))
    assert list(table.frame) == ["a"]
    with pytest.raises(ManifestError, match=r"Received: `box` of type struct<x: int64>. Write its parts"):
        table.column("box", "outputs.y.column")


def test_rows_at_once_follow_the_size_of_a_row(tmp_path):
    random = np.random.default_rng(0)
    columns = {"image": [random.bytes(100_000) for _ in range(40)], "a": ["b"] * 40}
    with pq.ParquetFile(write(tmp_path / "m.parquet", columns)) as file:
        assert 100 < table_parquet._rows_at_once(file.metadata, ["image"]) < 200
        assert table_parquet._rows_at_once(file.metadata, ["a"]) == table_parquet.MOST_ROWS


def test_tables_that_cannot_be_read(tmp_path):
    assert "no such file" in error_of(tmp_path / "none.parquet")
    (tmp_path / "text.parquet").write_text("a,b\n")
    assert "a Parquet file. Received: Parquet" in error_of(tmp_path / "text.parquet")
    whole = write(
        tmp_path / "m.parquet", {"a": ["b" * 1000] * 1000}, compression="none", use_dictionary=False
    )
    content = bytearray(whole.read_bytes())
    content[4:400] = b"\xff" * 396
    (tmp_path / "bad.parquet").write_bytes(content)
    assert "Write the file again" in error_of(tmp_path / "bad.parquet")
    assert "rows. Received: none." in error_of(write(tmp_path / "e.parquet", {"a": pa.array([], "string")}))
    twice = pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["a", "a "])
    assert "each column name once. Received: `a` repeated" in error_of(write(tmp_path / "t.parquet", twice))
