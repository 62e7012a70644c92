"""tf.data data sets as tables: scalars as text, all else as the contents of files."""

import io

import numpy as np
import pytest
import soundfile
import tensorflow as tf

from mm_keras.data.decode_wav import decode_wav
from mm_keras.data.records import read_records
from mm_keras.data.table import ManifestError
from mm_keras.data.table_dataset import encode_wav, read_dataset

SIGNATURE = {
    "image": tf.TensorSpec((None, None, 3), tf.uint8),
    "sound": tf.TensorSpec((None,), tf.float32),
    "vec": tf.TensorSpec((2,), tf.float16),
    "file": tf.TensorSpec((), tf.string),
    "text": tf.TensorSpec((), tf.string),
    "n": tf.TensorSpec((), tf.float32),
    "label": tf.TensorSpec((), tf.int64),
}


def rows():
    random = np.random.default_rng(0)
    for row in range(5):
        yield {
            "image": random.integers(0, 256, (3 + row, 4, 3), "uint8"),
            "sound": random.uniform(-1, 1, 50 + row).astype("float32"),
            "vec": np.array([row, 0.5], "float16"),
            "file": b"\xff\xd8" + bytes([row]) if row else b"",
            "text": f" té{row} ".encode(),
            "n": np.float32("nan" if row == 1 else 0.1),
            "label": row,
        }


def test_elements_become_cells_and_files(tmp_path):
    dataset = tf.data.Dataset.from_generator(rows, output_signature=SIGNATURE)
    table = read_dataset(dataset, root=tmp_path, rates={"sound": 8000})
    numbers = range(1, 6)
    assert table.frame.to_dict("list") == {
        "image": [f"image of row {n}" for n in numbers],
        "sound": [f"sound of row {n}" for n in numbers],
        "vec": [f"vec of row {n}" for n in numbers],
        "file": ["", *(f"file of row {n}" for n in range(2, 6))],
        "text": [f"té{n}" for n in range(5)],
        "n": ["0.1", "", "0.1", "0.1", "0.1"],
        "label": ["0", "1", "2", "3", "4"],
    }
    assert table.root == tmp_path
    found = list(read_records(table.records).as_numpy_iterator())
    for expected, row in zip(rows(), found, strict=True):
        np.testing.assert_array_equal(tf.io.decode_png(row["image"]), expected["image"])
        sound = decode_wav(row["sound"], 8000, len(expected["sound"]))
        np.testing.assert_array_equal(sound, expected["sound"])
        np.testing.assert_array_equal(np.load(io.BytesIO(row["vec"])), expected["vec"])
        assert row["file"] == expected["file"]


def test_columns_are_chosen():
    dataset = tf.data.Dataset.from_generator(rows, output_signature=SIGNATURE)
    table = read_dataset(dataset, ["label", "none"])
    assert list(table.frame) == ["label"]
    assert table.records is None


@pytest.mark.parametrize("channels", [None, 2])
def test_waveforms_are_files_that_others_read(channels):
    shape = (30,) if channels is None else (30, channels)
    waveform = np.random.default_rng(0).uniform(-2, 2, shape).astype("float32")
    content = encode_wav(waveform, 44100)
    read, rate = soundfile.read(io.BytesIO(content), dtype="float32")
    np.testing.assert_array_equal(read, waveform)
    assert rate == 44100
    assert int.from_bytes(content[28:32], "little") == 44100 * 4 * (channels or 1)


@pytest.mark.parametrize(
    ("element", "words"),
    [
        (1, "elements that are dicts of tensors. Received: TensorSpec"),
        (({"a": 1}, 2), "elements that are dicts of tensors"),
        ({"a": {"b": 1}}, "elements that are dicts of tensors"),
        ({"a": np.zeros((2, 2, 3), "float32")}, "Received: float32 of shape (2, 2, 3)."),
        ({"a": ["x", "y"]}, "Received: string of shape (2,)."),
    ],
)
def test_elements_that_are_no_rows(element, words):
    with pytest.raises(ManifestError) as caught:
        read_dataset(tf.data.Dataset.from_tensors(element))
    assert words in str(caught.value)


def test_rates_and_empty_data_sets_are_refused():
    with pytest.raises(ManifestError, match="rows. Received: none"):
        read_dataset(tf.data.Dataset.from_tensors({"a": 1}).take(0))
    with pytest.raises(ValueError, match=r"`rates\['a'\]` to be an int > 0"):
        read_dataset(tf.data.Dataset.from_tensors({"a": 1}), rates={"a": 0})
