"""TFRecord shards of others as tables: cells, contents, and records that cannot be read."""

import gzip
import os

import pytest
import tensorflow as tf

from mm_keras.data import table_records
from mm_keras.data.records import RecordWriter, read_records
from mm_keras.data.table import ManifestError
from mm_keras.data.table_records import read_record_files

PNG = b"\x89PNG\r\n\x1a\n"


def example(**features):
    made = tf.train.Example()
    for name, values in features.items():
        for value in values if isinstance(values, list) else [values]:
            feature = made.features.feature[name]
            if isinstance(value, bytes):
                feature.bytes_list.value.append(value)
            elif isinstance(value, int):
                feature.int64_list.value.append(value)
            else:
                feature.float_list.value.append(value)
    return made.SerializeToString()


def write(path, records, compression=""):
    with tf.io.TFRecordWriter(str(path), compression) as writer:
        for record in records:
            writer.write(record)
    return path


def rows_of(start, stop):
    return [
        example(image=PNG + bytes([row]), text=f" té{row} ".encode(), n=row, x=0.1 * row)
        for row in range(start, stop)
    ]


def contents_of(table):
    return [(row["row"].item(), row["image"]) for row in read_records(table.records).as_numpy_iterator()]


@pytest.mark.parametrize("compression", ["", "GZIP"])
def test_scalars_become_cells_and_files_stay(tmp_path, monkeypatch, compression):
    monkeypatch.setattr(table_records, "CHUNK", 2)
    files = [
        write(tmp_path / "a", rows_of(0, 3), compression),
        write(tmp_path / "b", rows_of(3, 5), compression),
    ]
    table = read_record_files(tmp_path / "*", files=files)
    assert table.frame.to_dict("list") == {
        "image": [f"image of row {row}" for row in range(1, 6)],
        "n": ["0", "1", "2", "3", "4"],
        "text": [f"té{row}" for row in range(5)],
        "x": ["0", "0.1", "0.2", "0.3", "0.4"],
    }
    assert table.lines.tolist() == [1, 2, 3, 4, 5]
    assert table.root == tmp_path
    assert table.records.columns == ("image",)
    assert table.records.compression == compression
    assert table.records.intact
    assert contents_of(table) == [(row, PNG + bytes([row])) for row in range(5)]
    chosen = read_record_files(tmp_path / "*", ["n"], files=files)
    assert list(chosen.frame) == ["n"]
    assert chosen.records.columns == ()
    assert len(read_record_files(tmp_path / "*", ["none"], files=files).lines) == 5


def test_lists_are_joined_and_absent_features_are_missing(tmp_path):
    records = [example(tags=[b"a", b"b"], n=[1, 2]), example(image=PNG), example(tags=b"c", n=3, image=b"")]
    table = read_record_files(write(tmp_path / "a", records))
    assert table.frame.to_dict("list") == {
        "image": ["", "image of row 2", ""],
        "n": ["1|2", "", "3"],
        "tags": ["a|b", "", "c"],
    }


def test_bytes_that_are_no_text_empty_their_cell(tmp_path):
    records = [example(text=b"fine")] * 70 + [example(text=b"x\xff")]
    table = read_record_files(write(tmp_path / "a", records))
    assert table.frame["text"].tolist()[-2:] == ["fine", ""]
    assert [(finding.code, finding.row) for finding in table.findings] == [("not_text", 70)]


def test_damaged_records_and_shards_are_findings_and_the_others_are_read(tmp_path, monkeypatch):
    monkeypatch.setattr(table_records, "CHUNK", 2)
    odd = example(image=PNG, text=b"t", n=0.5, x=1.0)
    files = [
        write(tmp_path / "a", [*rows_of(0, 3), b"\xff\xff", odd, *rows_of(5, 6)]),
        write(tmp_path / "b", rows_of(6, 9)),
        tmp_path / "c",
        write(tmp_path / "d", rows_of(8, 9)),
    ]
    os.truncate(files[1], files[1].stat().st_size - 5)
    files[2].write_bytes(b"no record file at all")
    table = read_record_files(tmp_path / "*", files=files)
    assert table.frame["n"].tolist() == ["0", "1", "2", "", "", "5", "6", "7", "8"]
    found = [(finding.code, finding.row, finding.line, finding.path) for finding in table.findings]
    assert found == [
        ("damaged_row", 3, 4, ""),
        ("damaged_row", 4, 5, ""),
        ("damaged_row", -1, 9, "b"),
        ("damaged_row", -1, 9, "c"),
    ]
    assert "cut off or damaged after 2 records" in table.findings[2].reason
    assert not table.records.intact
    assert table.records.counts == (6, 2, 1)
    read = contents_of(table)
    assert [row for row, _ in read] == [0, 1, 2, 4, 5, 6, 7, 8]
    assert read[-1] == (8, PNG + b"\x08")


def test_own_shards_are_read_too(tmp_path):
    with RecordWriter(tmp_path, ["image"]) as writer:
        writer.write(4, {"image": PNG})
    table = read_record_files(writer.paths[0])
    assert table.frame.to_dict("list") == {"image": ["image of row 1"], "row": ["4"]}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"a,b\n1,2\n3,4\n5,6\n", "TFRecord shards of tf.train.Example. Received: `"),
        (gzip.compress(b"a,b\n" * 100), "Check the paths, or write them again."),
        (b"", "no record with a feature"),
    ],
)
def test_files_that_are_no_shards(tmp_path, content, words):
    (tmp_path / "a.tfrecord").write_bytes(content)
    with pytest.raises(ManifestError) as caught:
        read_record_files(tmp_path / "a.tfrecord")
    assert words in str(caught.value)


def test_shards_of_two_compressions_are_refused(tmp_path):
    files = [write(tmp_path / "a", rows_of(0, 1)), write(tmp_path / "b", rows_of(0, 1), "GZIP")]
    with pytest.raises(ManifestError, match="some with GZIP, some without. Compress all of them or none"):
        read_record_files(tmp_path / "*", files=files)


def test_a_missing_shard_is_refused(tmp_path):
    with pytest.raises(ManifestError, match="none.tfrecord"):
        read_record_files(tmp_path / "none.tfrecord")
