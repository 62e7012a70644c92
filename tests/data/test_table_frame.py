"""pandas frames and Hugging Face data sets as tables."""

import datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from mm_keras.data import table_frame
from mm_keras.data.records import read_records
from mm_keras.data.table import ManifestError
from mm_keras.data.table_frame import is_hub_dataset, read_frame, read_hub_dataset

PNG = b"\x89PNG\r\n\x1a\n"


def contents_of(table, column):
    return {row["row"].item(): row[column] for row in read_records(table.records).as_numpy_iterator()}


@pytest.mark.parametrize(
    ("cells", "texts"),
    [
        ([1, 2, 3], ["1", "2", "3"]),
        ([1.0, None, 0.1], ["1", "", "0.1"]),
        (pd.array([1, None, 3], "Int64"), ["1", "", "3"]),
        ([True, False, True], ["true", "false", "true"]),
        (pd.Categorical(["b", None, "a"]), ["b", "", "a"]),
        ([" a ", np.nan, None], ["a", "", ""]),
        (pd.Series(["a", 1, 2.0], dtype=object), ["a", "1", "2"]),
        (pd.Series([pd.NaT, True, pd.NA], dtype=object), ["", "true", ""]),
        (pd.Series([Path("x/a.png"), None, "é"], dtype=object), ["x/a.png", "", "é"]),
        ([["x", "y"], [], None], ["x|y", "|", ""]),
        (pd.to_datetime(["2024-02-29", None, "2024-03-01"]).astype("datetime64[s]"), None),
    ],
)
def test_cells_become_text(cells, texts):
    texts = texts or ["2024-02-29 00:00:00", "", "2024-03-01 00:00:00"]
    frame = pd.DataFrame({"a": pd.Series(cells).to_numpy() if isinstance(cells, list) else cells})
    table = read_frame(frame.set_index(pd.Index([7, 7, 9])))
    assert table.frame["a"].tolist() == texts
    assert table.lines.tolist() == [1, 2, 3]
    assert table.root == Path.cwd()


def test_bytes_and_arrays_go_to_records(monkeypatch, tmp_path):
    monkeypatch.setattr(table_frame, "CHUNK", 2)
    frame = pd.DataFrame(
        {
            "image": [None, None, PNG, b"", None, None],
            "vec": pd.Series(
                [np.zeros(2, "float32"), None, np.ones(2, "float32"), *[None] * 3], dtype=object
            ),
            "seq": pd.Series([np.zeros((2, 3))] * 3 + [None] * 3, dtype=object),
            3: list("abcdef"),
        }
    )
    table = read_frame(frame, root=tmp_path)
    assert table.root == tmp_path
    assert table.frame.to_dict("list") == {
        "image": ["", "", "image of row 3", "", "", ""],
        "vec": ["vec of row 1", "", "vec of row 3", "", "", ""],
        "seq": [*(f"seq of row {row}" for row in range(1, 4)), "", "", ""],
        "3": list("abcdef"),
    }
    assert contents_of(table, "image") == {**dict.fromkeys(range(6), b""), 2: PNG}
    assert table.records.columns == ("image", "seq", "vec")
    assert list(read_frame(frame, ["3"]).frame) == ["3"]


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        ({"a": []}, "rows. Received: none."),
        ({"a": [PNG, "text"]}, "Received: 'text' in row 2. Write bytes, arrays or nothing"),
        ({"a": ["x", datetime.timedelta(1)]}, "Received: timedelta in row 2 of the column `a`."),
        ({"a": [object()]}, "Received: object in row 1 of the column `a`."),
    ],
)
def test_frames_that_are_no_tables(frame, words, monkeypatch):
    monkeypatch.setattr(table_frame, "CHUNK", 1 if "text" in words else 8)
    with pytest.raises(ManifestError) as caught:
        read_frame(pd.DataFrame(frame, dtype=object))
    assert words in str(caught.value)


def test_columns_named_twice_are_refused():
    with pytest.raises(ManifestError, match="`a` repeated"):
        read_frame(pd.DataFrame([[1, 2]], columns=["a", " a"]))


def test_a_lone_surrogate_is_no_text():
    table = read_frame(pd.DataFrame({"a": pd.Series(["fine", "x\ud800"], dtype=object)}))
    assert table.frame["a"].tolist() == ["fine", ""]
    assert [(finding.code, finding.row) for finding in table.findings] == [("not_text", 1)]


def hub_class(name, **members):
    return type(name, (), {"__module__": "datasets.arrow_dataset", **members})


class_label = hub_class("ClassLabel", names=["cat", "dog"])
sequence = hub_class("List", feature=class_label())


def fake(columns, features=None, fingerprint=None):
    """A stand-in for `datasets.Dataset` with the few members that are read."""
    table = pa.table(columns)

    def iterate(self, size):
        return (table.slice(start, size) for start in range(0, len(table), size))

    members = {"features": features, "with_format": lambda self, kind: self, "iter": iterate}
    return hub_class("Dataset", _fingerprint=fingerprint, **members)()


def test_class_labels_become_names():
    columns = {"y": [0, 1, -1, None], "many": [[0, 1], [], None, [1, -1]], "n": [1, 2, 3, 4]}
    table = read_hub_dataset(fake(columns, {"y": class_label(), "many": sequence(), "n": None}))
    assert table.frame.to_dict("list") == {
        "y": ["cat", "dog", "", ""],
        "many": ["cat|dog", "|", "", "dog"],
        "n": ["1", "2", "3", "4"],
    }


def test_a_dict_of_splits_is_one_table(monkeypatch):
    monkeypatch.setattr(table_frame, "HEAVY_CHUNK", 2)
    parts = {"train": fake({"a": ["x", "y", "z"]}), "test": fake({"a": ["w"]})}
    table = read_hub_dataset(parts)
    assert table.frame.to_dict("list") == {"a": ["x", "y", "z", "w"], "split": ["train"] * 3 + ["test"]}
    assert list(read_hub_dataset(parts, ["split"]).frame) == ["split"]
    kept = read_hub_dataset({"all": fake({"a": ["x"], "split": ["val"]})})
    assert kept.frame["split"].tolist() == ["val"]


def test_images_are_records_found_again_by_fingerprint(tmp_path):
    columns = {"image": [{"bytes": PNG, "path": None}, {"bytes": None, "path": None}], "y": ["a", "b"]}
    first = read_hub_dataset(fake(columns, fingerprint="f"), folder=tmp_path)
    assert first.frame["image"].tolist() == ["image of row 1", ""]
    assert contents_of(first, "image") == {0: PNG, 1: b""}
    again = read_hub_dataset(fake(columns, fingerprint="f"), folder=tmp_path)
    assert again.records == first.records
    assert again.frame.equals(first.frame)
    other = read_hub_dataset(fake(columns, fingerprint="g"), folder=tmp_path)
    assert other.records.paths != first.records.paths


def test_paths_are_relative_to_the_folder_that_holds_them(tmp_path):
    paths = [str(tmp_path / "cat" / "1.png"), str(tmp_path / "dog" / "2.png")]
    dataset = fake({"image": [{"bytes": None, "path": path} for path in paths], "y": ["a", "b"]})
    table = read_hub_dataset(dataset)
    assert table.frame["image"].tolist() == ["cat/1.png", "dog/2.png"]
    assert table.root == tmp_path
    table = read_hub_dataset(dataset, root=tmp_path / "cat")
    assert table.frame["image"].tolist() == ["1.png", paths[1]]


def test_only_its_own_classes_are_of_the_hub():
    assert is_hub_dataset(fake({"a": [1]}))
    assert not is_hub_dataset(pd.DataFrame())


def test_real_data_sets_of_the_hub(tmp_path):
    datasets = pytest.importorskip("datasets")
    features = datasets.Features(
        {
            "image": datasets.Image(),
            "y": datasets.ClassLabel(names=["cat", "dog"]),
            "many": datasets.Sequence(datasets.ClassLabel(names=["cat", "dog"])),
            "seq": datasets.Array2D((2, 3), "float32"),
        }
    )
    columns = {
        "image": [{"bytes": PNG + bytes([row]), "path": None} for row in range(4)],
        "y": [0, 1, -1, 1],
        "many": [[0, 1], [], [1], [0]],
        "seq": [[[1, 2, 3], [4, 5, 6]]] * 4,
    }
    whole = datasets.Dataset.from_dict(columns, features=features)
    chosen = whole.select([3, 0, 2])
    assert is_hub_dataset(chosen)
    table = read_hub_dataset(datasets.DatasetDict(train=chosen, test=whole.select([1])), folder=tmp_path)
    assert table.frame.to_dict("list") == {
        "image": [f"image of row {row}" for row in range(1, 5)],
        "y": ["dog", "cat", "", "dog"],
        "many": ["cat", "cat|dog", "dog", "|"],
        "seq": [f"seq of row {row}" for row in range(1, 5)],
        "split": ["train", "train", "train", "test"],
    }
    assert [content[-1] for content in contents_of(table, "image").values()] == [3, 0, 2, 1]
    stream = read_hub_dataset(whole.to_iterable_dataset())
    assert stream.frame["y"].tolist() == ["cat", "dog", "", "dog"]
