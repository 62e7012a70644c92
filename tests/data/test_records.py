"""Record shards: what is written is read back, in order, whatever the shards."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from mm_keras.data.records import Records, RecordWriter, read_records

COLUMNS = ("audio", "image")


def write(folder, rows=10, **settings):
    with RecordWriter(folder, COLUMNS, **settings) as writer:
        for row in range(rows):
            image = bytes([row]) * 40 if row % 3 else None
            writer.write(row, {"image": image, "audio": b"" if row % 2 else b"sound"})
    return writer.records


def rows_of(dataset):
    return [
        {name: value.item() if name == "row" else value for name, value in row.items()}
        for row in dataset.as_numpy_iterator()
    ]


@pytest.mark.parametrize("compression", ["", "GZIP"])
def test_rows_are_read_back_in_order(tmp_path, compression):
    records = write(tmp_path, compression=compression, shard_bytes=200)
    assert len(records.paths) > 2
    assert sum(records.counts) == 10
    expected = [
        {"row": row, "image": bytes([row]) * 40 if row % 3 else b"", "audio": b"" if row % 2 else b"sound"}
        for row in range(10)
    ]
    assert rows_of(read_records(records)) == expected
    found = rows_of(read_records(records, readers=3))
    assert sorted(found, key=lambda row: row["row"]) == expected
    assert found == rows_of(read_records(records, readers=3))
    assert rows_of(read_records(records, ["image"]))[1] == {"row": 1, "image": b"\x01" * 40}


def test_batches(tmp_path):
    batches = list(read_records(write(tmp_path), batch_size=4).as_numpy_iterator())
    assert [batch["row"].tolist() for batch in batches] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]


def test_an_index_is_found_again_where_the_folder_is_moved(tmp_path):
    records = write(tmp_path / "old", shard_bytes=200)
    records.save(tmp_path / "old")
    (tmp_path / "old").rename(tmp_path / "new")
    loaded = Records.load(tmp_path / "new")
    assert loaded.counts == records.counts
    assert rows_of(read_records(loaded))[9]["image"] == b""
    assert loaded.paths[0] == str(tmp_path / "new" / "shard-00000.tfrecord")


def write_foreign(path, values):
    with tf.io.TFRecordWriter(str(path)) as writer:
        for value in values:
            example = tf.train.Example()
            example.features.feature["image"].bytes_list.value.append(value)
            writer.write(example.SerializeToString() if value != b"bad" else b"\xff\xff\xff")
    return str(path)


def test_rows_without_a_number_are_counted_shard_by_shard(tmp_path):
    paths = (write_foreign(tmp_path / "a", [b"0", b"1"]), write_foreign(tmp_path / "b", [b"2"]))
    records = Records(paths, ("image",), (2, 1), row_key="")
    assert [row["row"] for row in rows_of(read_records(records))] == [0, 1, 2]


def test_records_that_cannot_be_read_are_passed_over_and_counted(tmp_path):
    first = write_foreign(tmp_path / "a", [b"0", b"bad", b"2", b"3"])
    with open(first, "r+b") as file:
        file.truncate(len(tf.io.read_file(first).numpy()) - 3)
    records = Records((first, write_foreign(tmp_path / "b", [b"3"])), ("image",), (3, 1), "", "", False)
    assert rows_of(read_records(records)) == [
        {"row": 0, "image": b"0"},
        {"row": 2, "image": b"2"},
        {"row": 3, "image": b"3"},
    ]


def test_unknown_columns_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"`columns` of the records. Received: `text`. .*`audio`, `image`"):
        read_records(write(tmp_path), ["text"])
    with pytest.raises(ValueError, match="`columns` without `row`"):
        RecordWriter(tmp_path, ["row"])


def test_arrays_of_many_rows_stay_in_order_over_parsed_batches(tmp_path):
    rows = [row["row"] for row in rows_of(read_records(write(tmp_path, 200, shard_bytes=4000)))]
    np.testing.assert_array_equal(rows, np.arange(200))


@pytest.mark.parametrize("intact", [True, False])
def test_rows_are_prepared_many_at_once(tmp_path, intact):
    records = dataclasses.replace(write(tmp_path, 40, shard_bytes=600), intact=intact)
    sizes = []

    def prepare(rows):
        sizes.append(rows["row"].shape)
        chosen = rows["row"] % 2 == 1
        return {"row": tf.boolean_mask(rows["row"], chosen), "image": tf.boolean_mask(rows["image"], chosen)}

    found = rows_of(read_records(records, ["image"], prepare=prepare))
    assert [row["row"] for row in found] == list(range(1, 40, 2))
    assert found[0]["image"] == b"\x01" * 40
    assert [shape.rank for shape in sizes] == [1]
