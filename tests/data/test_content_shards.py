"""Shards for contents that stand in a table: whole or not there at all, and found again by their key."""

import os

import pyarrow as pa
import pytest

from mm_keras.data.content_shards import ContentShards
from mm_keras.data.records import read_records

STATES = {"a": [pa.array([None, ""], pa.large_string())]}


def write(folder, key, content=b"x"):
    shards = ContentShards(folder, key)
    shards.write(1, 1, {"a": [content]})
    return shards


def rows_of(records):
    return [(row["row"].item(), row["a"]) for row in read_records(records).as_numpy_iterator()]


def test_rows_before_the_first_contents_are_empty_records(tmp_path):
    records, states = write(tmp_path, "k").finish(STATES)
    assert rows_of(records) == [(0, b""), (1, b"x")]
    assert states["a"].to_pylist() == [None, ""]


def test_what_was_finished_is_found_again_and_nothing_else(tmp_path):
    assert write(tmp_path, ["k", None]).states == {}
    assert ContentShards(tmp_path, ["k", None]).states == {}
    write(tmp_path, ["k", None]).finish(STATES)
    again = ContentShards(tmp_path, ["k", None])
    assert again.states["a"].to_pylist() == [None, ""]
    records, _ = again.finish({})
    assert rows_of(records) == [(0, b""), (1, b"x")]
    assert ContentShards(tmp_path, ["other", None]).states == {}
    assert len(os.listdir(tmp_path)) == 1


def test_the_quicker_of_two_processes_counts(tmp_path):
    slow, quick = write(tmp_path, "k", b"slow"), write(tmp_path / "elsewhere", "k", b"quick")
    quick.finish(STATES)
    os.rename(quick.target, slow.target)
    records, _ = slow.finish(STATES)
    assert rows_of(records) == [(0, b""), (1, b"quick")]
    assert sorted(os.listdir(tmp_path)) == sorted([slow.target.name, "elsewhere"])


def test_a_folder_that_cannot_be_named_so_is_an_error(tmp_path):
    shards = write(tmp_path, "k")
    shards.target.write_text("a file in the way")
    with pytest.raises(OSError, match="directory"):
        shards.finish(STATES)


@pytest.mark.parametrize("folder", [None, "kept"])
def test_without_a_key_nothing_is_kept(tmp_path, folder):
    records, _ = write(folder and tmp_path / folder, None).finish(STATES)
    assert rows_of(records)[1] == (1, b"x")
    assert not records.paths[0].startswith(str(tmp_path))


def test_a_table_without_contents_has_no_shards(tmp_path):
    assert ContentShards(tmp_path, "k").finish({}) == (None, {})
    assert os.listdir(tmp_path) == []
