"""Folders of files as tables: a folder per class, a folder per modality, splits above them."""

import pytest

from mm_keras.data.reading import read_table
from mm_keras.data.table import ManifestError
from mm_keras.data.table_folder import read_folder


def plant(folder, *paths, **contents):
    for name in paths:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"text of {path.stem}\n" if path.suffix == ".txt" else "", encoding="utf-8")
    return folder


def read(folder, columns=None):
    table = read_folder(folder, read_table, columns)
    assert table.root == folder
    assert table.lines.tolist() == list(range(1, len(table.frame) + 1))
    return table


def error_of(folder):
    with pytest.raises(ManifestError) as caught:
        read(folder)
    return str(caught.value)


def test_a_folder_per_class(tmp_path):
    plant(
        tmp_path, "dog/b.JPG", "cat/a.png", "dog/deep/er.gif", "cat/a.jpg", "README.txt", ".x/a.png", "cat/.b"
    )
    assert read(tmp_path).frame.to_dict("list") == {
        "image": ["cat/a.jpg", "cat/a.png", "dog/b.JPG", "dog/deep/er.gif"],
        "label": ["cat", "cat", "dog", "dog"],
    }
    assert list(read(tmp_path, ["label"]).frame) == ["label"]


def test_folders_of_splits_above_the_classes(tmp_path):
    plant(tmp_path, "train/cat/1.wav", "train/dog/1.wav", "Val/cat/1.wav", "test/cat/2.wav", "1.wav")
    assert read(tmp_path).frame.to_dict("list") == {
        "audio": ["Val/cat/1.wav", "test/cat/2.wav", "train/cat/1.wav", "train/dog/1.wav"],
        "label": ["cat", "cat", "cat", "dog"],
        "split": ["Val", "test", "train", "train"],
    }


def test_files_without_folders_have_no_label(tmp_path):
    assert read(plant(tmp_path, "b.png", "a.png")).frame.to_dict("list") == {"image": ["a.png", "b.png"]}


def test_files_of_several_kinds_in_a_class_are_one_row(tmp_path):
    plant(tmp_path, "cat/1.png", "cat/1.txt", "dog/1.png", "dog/2.txt")
    assert read(tmp_path).frame.to_dict("list") == {
        "image": ["cat/1.png", "dog/1.png", ""],
        "text": ["text of 1", "", "text of 2"],
        "label": ["cat", "dog", "dog"],
    }
    plant(tmp_path, "cat/1.jpg")
    assert "Received: 1 such as `cat/1.jpg` and `cat/1.png`. Rename" in error_of(tmp_path)


def test_a_folder_per_modality(tmp_path):
    plant(tmp_path, "photo/2.png", "photo/1.png", "sound/1.wav", "words/x/3.txt", "words/1.txt")
    assert read(tmp_path).frame.to_dict("list") == {
        "photo": ["photo/1.png", "photo/2.png", ""],
        "sound": ["sound/1.wav", "", ""],
        "words": ["text of 1", "", "text of 3"],
    }
    plant(tmp_path, "photo/1.gif")
    assert "one file of a name and kind in each folder" in error_of(tmp_path)


def test_a_table_of_labels_is_joined(tmp_path):
    plant(tmp_path, "left/1.png", "left/2.png", "right/1.png", "left/a.b.png")
    (tmp_path / "labels.csv").write_text("who,stem,y\nme,2.png,cat\nyou,9,dog\nit,a.b,cow\n1\n")
    table = read(tmp_path)
    assert table.frame.to_dict("list") == {
        "left": ["left/1.png", "left/2.png", "left/a.b.png", ""],
        "right": ["right/1.png", "", "", ""],
        "who": ["", "me", "it", "you"],
        "y": ["", "cat", "cow", "dog"],
    }
    (finding,) = table.findings
    assert (finding.code, finding.row, finding.line) == ("damaged_row", -1, 5)
    assert "labels.csv, line 5" in finding.reason


def test_the_first_column_of_labels_holds_the_names(tmp_path):
    plant(tmp_path, "train/image/1.png", "test/image/1.png")
    (tmp_path / "labels.tsv").write_text("file\ty\n1\tcat\n")
    assert read(tmp_path).frame.to_dict("list") == {
        "image": ["test/image/1.png", "train/image/1.png"],
        "split": ["test", "train"],
        "y": ["cat", "cat"],
    }


def test_findings_of_labels_name_the_rows_of_the_folder(tmp_path):
    plant(tmp_path, *(f"image/{row}.png" for row in range(30)))
    lines = [f"{row},y".encode() for row in reversed(range(30))]
    (tmp_path / "labels.csv").write_bytes(b"stem,y\n" + b"\n".join(lines).replace(b"\n4,y", b"\n4,\xff"))
    (finding,) = read(tmp_path).findings
    row = sorted(map(str, range(30))).index("4")
    assert (finding.code, finding.row, finding.line) == ("not_text", row, row + 1)


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        ("stem,y\n1,a\n1.png,b\n", "each `stem` once. Received: `1` in lines 2 and 3."),
        ("stem,image\n1,a\n", "columns beside the folders. Received: `image` as both"),
    ],
)
def test_labels_that_cannot_be_joined(tmp_path, labels, words):
    plant(tmp_path, "image/1.png")
    (tmp_path / "labels.csv").write_text(labels)
    assert words in error_of(tmp_path)


def test_texts_that_are_no_text_are_findings(tmp_path):
    plant(tmp_path, "a/1.txt", "b/2.txt")
    (tmp_path / "a" / "1.txt").write_bytes(b"x\xff")
    table = read(tmp_path)
    assert table.frame["text"].tolist() == ["", "text of 2"]
    assert [(finding.code, finding.row, finding.path) for finding in table.findings] == [
        ("not_text", 0, "a/1.txt")
    ]


def test_files_of_unknown_endings_are_counted(tmp_path):
    plant(tmp_path, "cat/1.png", "cat/1.webp", "cat/2.webp", "cat/LICENSE")
    with pytest.warns(UserWarning, match="Received: 2 of `.webp`, 1 of `LICENSE`. They are left out"):
        table = read(tmp_path)
    assert table.frame["image"].tolist() == ["cat/1.png"]


def test_folders_without_files_to_read(tmp_path):
    assert "or a table. Received: a folder without files. Name" in error_of(tmp_path)
    plant(tmp_path, "cat/1.webp")
    assert "Received: a folder with 1 of `.webp`." in error_of(tmp_path)
