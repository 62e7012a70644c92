"""The manifest: reading, splits, labels, cells, and every way in which a table can be wrong."""

import os

import numpy as np
import pandas as pd
import pytest

from mm_keras.data.findings import DataError
from mm_keras.data.manifest import ManifestError, load_manifest, load_rows, read_manifest
from mm_keras.spec_file import make_spec

TEXT = {"text": {"kind": "text"}}
LABEL = {"label": {"kind": "classification"}}


def write(folder, text, name="m.csv"):
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def load(folder, text, modalities=TEXT, outputs=LABEL, split="split", **data):
    data = {"manifest": str(write(folder, text)), "split": split, **data}
    return load_manifest(make_spec({"name": "x", "data": data, "modalities": modalities, "outputs": outputs}))


def table_of(*rows):
    return "text,label,split\n" + "".join(f"{row}\n" for row in rows)


def error_of(call, *arguments, **settings):
    with pytest.raises((ManifestError, DataError)) as caught:
        call(*arguments, **settings)
    return str(caught.value)


GOOD = table_of("a b,10,train", "c,9,train", "d,10,val", "e,9,Test", "f,9,train")


def test_cells_are_stripped_text_and_na_stays(tmp_path):
    frame = read_manifest(
        write(tmp_path, '\ufeff id , x\n 1 ,NA\n\n2, "a, ""b"""\n , 007 \n,,\n'.replace(",,", ","))
    )
    assert list(frame.columns) == ["id", "x"]
    assert frame.to_numpy().tolist() == [["1", "NA"], ["2", 'a, "b"'], ["", "007"]]


def test_tabs_and_columns_without_name(tmp_path):
    frame = read_manifest(write(tmp_path, "\tx\n0\ta,b\n", "m.tsv"))
    assert frame.to_dict("list") == {"column_1": ["0"], "x": ["a,b"]}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "a table. Received: an empty file"),
        ("\n\n", "a table. Received: an empty file"),
        ("a,b\n", "rows below the header. Received: the header alone"),
        ("a,b\n,\n", "rows below the header. Received: the header alone"),
        ("a,b,a\n1,2,3\n", "each column name once. Received: `a` repeated"),
        ("a;b\n1;2\n", "commas between the columns. Received: semicolons"),
        (b"a,b\n1,2\n1,caf\xe9\n", "the byte 0xe9 in line 3, byte 6. Save the file as CSV UTF-8"),
        ("a,b\n1,2\n".encode("utf-16"), "UTF-8 text. Received: UTF-16 text"),
        (b"PK\x00\x01,\n\x00\n", "a CSV file. Received: binary data"),
        ('a,b\n1,2\n1,"open\n2,3\n', "in the row that begins in line 3. Close each quote"),
    ],
)
def test_tables_that_cannot_be_read(tmp_path, text, words):
    assert words in error_of(read_manifest, write(tmp_path, text))


def test_missing_table_and_folder(tmp_path):
    assert "no such file" in error_of(read_manifest, tmp_path / "none.csv")
    assert "a folder" in error_of(read_manifest, tmp_path)


def test_targets_follow_train_and_numbers_sort_by_value(tmp_path):
    manifest = load(tmp_path, GOOD)
    assert manifest.labels == {"label": ["9", "10"]}
    np.testing.assert_array_equal(manifest.targets["label"], [1, 0, 1, 0, 0])
    assert manifest.targets["label"].dtype == np.int32
    np.testing.assert_array_equal(manifest.target_weights["label"], np.ones(5, "float32"))
    assert {name: rows.tolist() for name, rows in manifest.splits.items()} == {
        "train": [0, 1, 4],
        "validation": [2],
        "test": [3],
    }
    assert manifest.cells["text"].tolist() == ["a b", "c", "d", "e", "f"]
    assert manifest.root == tmp_path
    assert manifest.lines.tolist() == [2, 3, 4, 5, 6]


def test_labels_that_are_not_all_numbers_sort_as_text(tmp_path):
    rows = [f"t,{label},train" for label in ("10", "9", "nan")]
    assert load(tmp_path, table_of(*rows)).labels["label"] == ["10", "9", "nan"]


def test_balanced_weights_come_from_train_alone(tmp_path):
    outputs = {"label": {"kind": "classification", "class_weights": "balanced"}, "r": {"kind": "autoencoder"}}
    rows = ["a,x,train", "b,x,train", "c,x,train", "d,y,train", "e,,train", "f,y,test", "g,y,test"]
    weights = load(tmp_path, table_of(*rows), outputs=outputs).target_weights["label"]
    np.testing.assert_allclose(weights, [4 / 6, 4 / 6, 4 / 6, 2, 0, 2, 2], rtol=1e-6)
    assert weights.dtype == np.float32


def test_named_weights_leave_the_others_at_one(tmp_path):
    outputs = {"label": {"kind": "classification", "class_weights": {9: 3}}}
    weights = load(tmp_path, GOOD, outputs=outputs).target_weights["label"]
    np.testing.assert_array_equal(weights, [1, 3, 1, 3, 3])
    outputs["label"]["class_weights"] = {"90": 3}
    message = error_of(load, tmp_path, GOOD, outputs=outputs)
    assert (
        "`outputs.label.class_weights` expects labels among `9`, `10`. Received: `90`. Did you mean `9`"
        in message
    )


def test_multi_label_cells_hold_any_number_of_labels(tmp_path):
    outputs = {"label": {"kind": "classification", "multi_label": True}, "r": {"kind": "autoencoder"}}
    rows = ["a,x | y,train", "b,y,train", "c,|,train", "d,,train", "e,x,test"]
    manifest = load(tmp_path, table_of(*rows), outputs=outputs)
    assert manifest.labels["label"] == ["x", "y"]
    np.testing.assert_array_equal(manifest.targets["label"], [[1, 1], [0, 1], [0, 0], [0, 0], [1, 0]])
    np.testing.assert_array_equal(manifest.target_weights["label"], [1, 1, 1, 0, 1])
    assert manifest.targets["label"].dtype == np.float32


def test_rows_without_label_learn_only_with_an_autoencoder(tmp_path):
    text = table_of("a,x,train", "b,y,train", "c,,train", "d, ,test")
    message = error_of(load, tmp_path, text)
    assert "at most 1% bad rows (`data.max_bad`). Received: 2 rows of 4 (50%)." in message
    assert "line 4, label: no label (`label`); fill it in" in message and "line 5, label: no label" in message
    manifest = load(tmp_path, text, outputs={**LABEL, "r": {"kind": "autoencoder"}})
    np.testing.assert_array_equal(manifest.targets["label"], [0, 1, -1, -1])
    np.testing.assert_array_equal(manifest.target_weights["label"], [1, 1, 0, 0])


def test_one_label_of_two_is_enough(tmp_path):
    outputs = {name: {"kind": "classification"} for name in ("a", "b")}
    text = "text,a,b,split\nt,1,x,train\nt,2,,train\nt,,y,train\n"
    weights = load(tmp_path, text, outputs=outputs).target_weights
    np.testing.assert_array_equal([weights["a"], weights["b"]], [[1, 1, 0], [1, 0, 1]])


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (["a,x,train", "b,y,trian", "c,y,"], "line 3, split: trian: no split; write one of `train`"),
        (["a,x,test", "b,y,val"], "`column split` expects rows with train. Received: 'test', 'val' alone."),
        (["a,x,train", "b,x,train"], "at least 2 classes in the train rows. Received: only `x`."),
        (["a,x,train", "b,y,train", "c,z,test", "d,z,val"], "line 4, label: z: no train row has `z`; move"),
        (["a,x,train", "b,y,train", " ,y,train"], "line 4: no modality is there: text are empty"),
    ],
)
def test_rows_that_cannot_be_learned(tmp_path, rows, words):
    assert words in error_of(load, tmp_path, table_of(*rows))


def test_bad_rows_are_in_no_split_and_each_is_found(tmp_path):
    rows = ["a,x,train", "b,y,train", "c,z,test", ",x,test", "d,x,tset", "e,x,test", "f,,train", "only,two"]
    manifest = load(tmp_path, table_of(*rows), max_bad=1.0)
    assert {name: rows.tolist() for name, rows in manifest.splits.items()} == {
        "train": [0, 1],
        "validation": [],
        "test": [5],
    }
    codes = {(finding.line, finding.code) for finding in manifest.findings}
    assert codes == {
        (4, "unseen_label"),
        (5, "all_missing"),
        (6, "unknown_split"),
        (8, "no_label"),
        (9, "damaged_row"),
    }
    assert manifest.rows_in_all == 8


def test_a_bad_cell_costs_its_row_or_its_modality(tmp_path):
    modalities = {**TEXT, "n": {"kind": "numbers"}}
    text = "text,n,label,split\na,1,x,train\nb,2,y,train\nc,many,y,train\n,few,y,train\n"
    dropped = load(tmp_path, text, modalities, on_bad="quarantine", max_bad="50%")
    assert dropped.splits["train"].tolist() == [0, 1]
    kept = load(tmp_path, text, modalities, on_bad="missing", max_bad="50%")
    assert kept.splits["train"].tolist() == [0, 1, 2]  # The last row has nothing left.
    np.testing.assert_array_equal(kept.present[2], [0, 1])
    message = error_of(load, tmp_path, text, modalities, on_bad="fail", max_bad="50%")
    assert "without bad rows (`data.on_bad: fail`). Received: 2 rows of 4." in message


def test_sample_weights_multiply_those_of_the_classes(tmp_path):
    text = "text,label,w,split\na,x,2,train\nb,y,0.5,train\nc,y,,train\nd,y,-1,train\n"
    outputs = {"label": {"kind": "classification", "class_weights": {"y": 3.0}}}
    manifest = load(tmp_path, text, outputs=outputs, weight="w", max_bad=0.25)
    np.testing.assert_array_equal(manifest.target_weights["label"][:3], [2, 1.5, 3])
    assert manifest.splits["train"].tolist() == [0, 1, 2]
    assert [(f.line, f.code) for f in manifest.findings] == [(5, "bad_weight")]


def test_the_rows_of_a_group_stay_together(tmp_path):
    rows = [f"t{n},{'xy'[n % 2]},g{n % 13}" for n in range(130)] + ["u,x,"]
    split = {"validation": 0.1, "test": 0.2, "group": "group"}
    text = "text,label,group\n" + "".join(f"{row}\n" for row in rows)
    manifest = load(tmp_path, text, split=split, max_bad=0.5)
    groups = {name: {n % 13 for n in rows} for name, rows in manifest.splits.items()}
    assert sum(map(len, groups.values())) == 13 and all(groups.values())
    assert [len(rows) for rows in manifest.splits.values()] == [90, 10, 30]
    assert [(f.line, f.code) for f in manifest.findings] == [(132, "no_group")]
    shuffled = "text,label,group\n" + "".join(f"{row}\n" for row in rows[::-1])
    again = load(tmp_path, shuffled, split=split, max_bad=0.5)
    assert {(130 - n) % 13 for n in again.splits["test"]} == groups["test"]
    assert "more than 2 groups to split. Received: 2" in error_of(
        load, tmp_path, "text,label,group\na,x,1\nb,y,2\nc,y,2\n", split=split
    )


@pytest.mark.parametrize(
    ("settings", "owner"),
    [
        ({"modalities": {"text": {"kind": "text", "column": "txet"}}}, "modalities.text.column"),
        ({"modalities": {"n": {"kind": "numbers", "columns": ["text", "txet"]}}}, "modalities.n.columns"),
        ({"outputs": {"y": {"kind": "classification", "column": "txet"}}}, "outputs.y.column"),
        ({"split": "txet"}, "data.split"),
    ],
)
def test_columns_that_are_not_there(tmp_path, settings, owner):
    text = GOOD.replace("a b", "1").replace("\nc", "\n2").replace("\nd", "\n3")
    message = error_of(load, tmp_path, text.replace("\ne", "\n4").replace("\nf", "\n5"), **settings)
    assert f"`{owner}` expects a column of m.csv. Received: `txet`. Did you mean `text`?" in message
    assert "The columns are `text`, `label`, `split`." in message


def test_numbers_may_be_missing_one_by_one(tmp_path):
    modalities = {**TEXT, "n": {"kind": "numbers", "columns": ["h", "w"]}}
    text = "text,h,w,label,split\na,1.5,,x,train\nb,,,y,train\nc,-2e1,0,y,train\n"
    manifest = load(tmp_path, text, modalities)
    np.testing.assert_array_equal(
        manifest.cells["n"], np.array([[1.5, np.nan], [np.nan, np.nan], [-20, 0]], "float32")
    )
    assert manifest.cells["n"].dtype == np.float32
    np.testing.assert_array_equal(manifest.present, [[1, 1], [0, 1], [1, 1]])


@pytest.mark.parametrize("cell", ["abc", '"1,5"', "NA", "nan", "inf", "1e39", "true", "False", "1 000"])
def test_cells_that_are_no_numbers(tmp_path, cell):
    text = f"n,label,split\n1,x,train\n{cell},y,train\n"
    message = error_of(load, tmp_path, text, {"n": {"kind": "numbers"}})
    assert f"line 3, n: {cell.strip(chr(34))}: no finite number" in message


def image_table(*paths):
    return "image,text,label,split\n" + "".join(f"{path},t,{n % 2},train\n" for n, path in enumerate(paths))


BOTH = {**TEXT, "image": {"kind": "image"}}


def test_paths_are_absolute_and_may_be_missing(tmp_path):
    (tmp_path / "i").mkdir()
    for name in ("i/a.png", "b c.png"):
        (tmp_path / name).touch()
    manifest = load(tmp_path, image_table("i/a.png", "b c.png", "", "i/../b c.png"), BOTH)
    root = str(tmp_path)
    expected = [f"{root}/i/a.png", f"{root}/b c.png", "", f"{root}/i/../b c.png"]
    assert manifest.cells["image"].tolist() == expected
    assert all(os.path.isfile(path) for path in expected if path)
    np.testing.assert_array_equal(manifest.present, [[1, 1], [1, 1], [0, 1], [1, 1]])


@pytest.mark.parametrize(
    "path",
    [
        "/etc/passwd",
        "../b.png",
        "i/../../b.png",
        "https://x.org/a.png",
        "C:\\a.png",
        "\\\\host\\a.png",
        "~/a.png",
    ],
)
def test_paths_outside_the_folder_are_refused(tmp_path, path):
    (tmp_path / "a.png").touch()
    message = error_of(load, tmp_path, image_table("a.png", path), BOTH)
    reason = "an address; copy" if "//x.org" in path else "outside the data folder; copy"
    assert f"line 3, image: {path}: {reason}" in message


def test_missing_files_are_counted_and_listed(tmp_path):
    (tmp_path / "folder.png").mkdir()
    paths = ["folder.png", "none/a.png", *[f"{n}.png" for n in range(10)]]
    message = error_of(load, tmp_path, image_table(*paths), BOTH)
    assert "Received: 12 rows of 12 (100%)" in message
    assert "line 2, image: folder.png: no such file; paths are relative to" in message
    assert "line 13, image: 9.png: no such file" in message
    assert "write `/` between folders" in error_of(load, tmp_path, image_table("i\\a.png", "i\\b.png"), BOTH)


def test_odd_ways_to_write_a_path_find_the_file(tmp_path):
    (tmp_path / "ä b").mkdir()
    (tmp_path / "ä b" / "ü,(1)'.png").touch()
    paths = ["ä b/ü,(1)'.png", "./ä b/ü,(1)'.png", "ä b//ü,(1)'.png", "ä b/../ä b/./ü,(1)'.png"]
    manifest = load(tmp_path, image_table(*[f'"{path}"' for path in paths]), BOTH)
    assert all(os.path.isfile(path) for path in manifest.cells["image"]) and not manifest.findings


def shares_of(tmp_path, rows, **shares):
    text = "text,label\n" + "".join(f"{row}\n" for row in rows)
    return load(tmp_path, text, split=shares)


def test_shares_are_stratified_and_cover_each_row_once(tmp_path):
    rows = [f"t{n},{'abcd'[n % 4]}" for n in range(80)]
    manifest = shares_of(tmp_path, rows, validation=0.1, test=0.2)
    splits = manifest.splits
    assert {name: len(found) for name, found in splits.items()} == {"train": 56, "validation": 8, "test": 16}
    np.testing.assert_array_equal(np.sort(np.concatenate(list(splits.values()))), np.arange(80))
    for name, count in (("train", 14), ("validation", 2), ("test", 4)):
        np.testing.assert_array_equal(np.bincount(manifest.targets["label"][splits[name]]), [count] * 4)


def test_shares_follow_seed_and_text_but_not_the_order_of_rows(tmp_path):
    rows = [f"t{n},{'abc'[n % 3]}" for n in range(60)]
    first = shares_of(tmp_path, rows, seed=1)
    again = shares_of(tmp_path, rows[::-1], seed=1)
    other = shares_of(tmp_path, rows, seed=2)
    texts = [set(found.cells["text"][found.splits["test"]]) for found in (first, again, other)]
    assert texts[0] == texts[1] != texts[2]
    assert len(texts[0]) == len(texts[2]) == 12


def test_rare_classes_keep_a_row_in_train(tmp_path):
    rows = ["a,rare", "b,rare2", "c,rare2"] + [f"t{n},many" for n in range(17)]
    for seed in range(5):
        manifest = shares_of(tmp_path, rows, validation=0.3, test=0.4, seed=seed)
        assert set(manifest.targets["label"][manifest.splits["train"]]) == {0, 1, 2}
        assert [len(rows) for rows in manifest.splits.values()] == [6, 6, 8]


def test_classes_of_one_row_stay_in_train(tmp_path):
    rows = [f"t{n},class{n}" for n in range(6)] + [f"m{n},many" for n in range(4)]
    manifest = shares_of(tmp_path, rows, validation=0.1, test=0.4)
    assert len(set(manifest.targets["label"][manifest.splits["train"]])) == 7


def test_small_shares_still_hold_a_row(tmp_path):
    splits = shares_of(tmp_path, ["a,x", "b,y", "c,y", "d,x"], validation=0.01, test=0.01).splits
    assert [len(rows) for rows in splits.values()] == [2, 1, 1]
    splits = shares_of(tmp_path, ["a,x", "b,y", "c,y", "d,x"], validation=0, test=0).splits
    assert [len(rows) for rows in splits.values()] == [4, 0, 0]


def test_too_few_rows_to_split(tmp_path):
    assert "more than 2 rows to split. Received: 2." in error_of(shares_of, tmp_path, ["a,x", "b,y"])


def test_shares_without_labels(tmp_path):
    text = "text\n" + "".join(f"t{n}\n" for n in range(10))
    manifest = load(tmp_path, text, outputs={"r": {"kind": "autoencoder"}}, split={"test": 0.2})
    assert [len(rows) for rows in manifest.splits.values()] == [7, 1, 2]
    assert manifest.labels == manifest.targets == manifest.target_weights == {}


def modalities_of(**parts):
    mapping = {"name": "x", "data": {"manifest": "m"}, "modalities": parts, "outputs": LABEL}
    return make_spec(mapping).modalities


def test_rows_to_predict_may_lack_columns(tmp_path):
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "a.png").touch()
    parts = modalities_of(
        image={"kind": "image"}, n={"kind": "numbers", "columns": ["h", "w"]}, text={"kind": "text"}
    )
    path = write(tmp_path, "image,h,other\na.png,1,o\n,2,o\n")
    rows = load_rows(path, parts, root=tmp_path / "files")
    np.testing.assert_array_equal(rows.present, [[1, 1, 0], [0, 1, 0]])
    assert rows.cells["image"].tolist() == [str(tmp_path / "files" / "a.png"), ""]
    assert rows.cells["text"].tolist() == ["", ""]
    np.testing.assert_array_equal(rows.cells["n"], [[1, np.nan], [2, np.nan]])


def test_rows_to_predict_need_a_modality(tmp_path):
    message = error_of(load_rows, write(tmp_path, "a,b\n1,2\n"), modalities_of(text={"kind": "text"}))
    assert "expects a column of m.csv. Received: `text`. The columns are `a`, `b`." in message
    message = error_of(load_rows, write(tmp_path, "a,text\n1,\n"), modalities_of(text={"kind": "text"}))
    assert "Received: 1 that cannot be used." in message and "line 2: no modality is there" in message


def test_a_table_to_evaluate_needs_no_train_rows_and_keeps_the_given_classes(tmp_path):
    data = {"manifest": str(write(tmp_path, "text,label\na,9\nb,\nc,10\n")), "split": "split"}
    outputs = {**LABEL, "again": {"kind": "autoencoder"}}
    spec = make_spec({"name": "x", "data": data, "modalities": TEXT, "outputs": outputs})
    manifest = load_manifest(spec, {"label": ["8", "9", "10"]}, unsplit=True)
    assert manifest.splits["test"].tolist() == [0, 1, 2]
    assert manifest.targets["label"].tolist() == [1, -1, 2]
    assert manifest.target_weights["label"].tolist() == [1, 0, 1]
    assert "line 4, label: 10: no train row has `10`" in error_of(
        load_manifest, spec, {"label": ["8", "9"]}, unsplit=True
    )


def test_rows_to_predict_are_no_contents_of_shards(tmp_path):
    frame = pd.DataFrame({"image": [b"\xff\xd8 no text", b"\xff\xd8 either"], "text": ["a", "b"]})
    frame.to_parquet(tmp_path / "m.parquet")
    parts = modalities_of(image={"kind": "image"}, text={"kind": "text"})
    message = error_of(load_rows, tmp_path / "m.parquet", parts)
    assert "a table whose cells are paths. Received: contents in record shards for `image`." in message
    assert len(load_rows(tmp_path / "m.parquet", modalities_of(text={"kind": "text"})).lines) == 2
