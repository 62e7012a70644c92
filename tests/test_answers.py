"""The arguments of `predict`, rows of a manifest in batches, and the files that answers are written to."""

import csv
import json
from types import SimpleNamespace

import numpy as np
import pytest

from mm_keras import answer_table, answers
from mm_keras.data.table import ManifestError
from mm_keras.spec_file import make_spec

SPEC = make_spec(
    {
        "name": "tiny",
        "data": {"manifest": "manifest.csv"},
        "modalities": {
            "photo": {"kind": "image"},
            "note": {"kind": "text"},
            "my_person": {"kind": "numbers", "columns": ["age", "height"]},
        },
        "outputs": {"label": {"kind": "classification"}},
    }
)
JUNK = "`decode_image` expects PNG. Received: contents that begin with `junk`. Convert the file."


class FakePredictor:
    """Answers "cat" to notes and "dog" to all else; a photo whose name holds "bad" cannot be read."""

    def __init__(self, labels=("cat", "dog")):
        self.preprocessor = SimpleNamespace(
            modalities=dict(sorted(SPEC.modalities.items())),
            labels={"label": list(labels)},
            outputs=SPEC.outputs,
            rebuilt=lambda key: SPEC.modalities["note"] if key == "again_note" else None,
        )
        self.asked = []

    def predict(self, cells):
        count = len(next(iter(cells.values())))
        self.asked.append(count)
        if any("bad" in photo for photo in cells.get("photo", ())):
            raise RuntimeError(f"Graph execution error:\n\nassertion failed: [{JUNK}]\n\t [[node]]")
        noted = [bool(note) for note in cells.get("note", [""] * count)]
        scores = np.array([[0.75, 0.25] if note else [0.125, 0.875] for note in noted])
        labels = np.array(["cat" if note else "dog" for note in noted], object)
        return {"label": labels, "label_scores": scores}


@pytest.fixture
def manifest(tmp_path):
    for name in ("a", "bad"):
        (tmp_path / f"{name}.png").write_bytes(b"junk")
    rows = ["id,photo,note", "r1,a.png,hello", "r2,a.png,", "", 'r3,,"a, b"']
    (tmp_path / "rows.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return tmp_path / "rows.csv"


def test_options_are_taken_with_and_without_an_equals_sign():
    parsed = answers.parse_arguments(["--note", "- one", "model", "--my-person=-1,2", "--photo=a=b.png"])
    assert parsed == ("model", None, {"note": "- one", "my-person": "-1,2", "photo": "a=b.png"})


def test_a_second_place_is_the_manifest():
    assert answers.parse_arguments(["model", "rows.csv"]) == ("model", "rows.csv", {})


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["model", "--note"], "`--note` expects a value. Received: none"),
        (["model", "--note", "a", "--note", "b"], "`--note` expects one value. Received: two"),
        (["model", "rows.csv", "words"], "Received: `model`, `rows.csv`, `words`"),
        (["--note", "a"], "Received: none. Name the model first."),
        (["model", "rows.csv", "--note", "a"], "Received: both: --note"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(arguments, words):
    with pytest.raises(ValueError, match="expects") as caught:
        answers.parse_arguments(arguments)
    assert words in str(caught.value)


def test_an_example_is_read_by_kind(manifest):
    photo = str(manifest.parent / "a.png")
    options = {"photo": photo, "note": "hello", "my-person": "1.5,"}
    cells = answers.read_example(options, FakePredictor().preprocessor)
    assert cells["photo"] == [photo]
    assert cells["note"] == ["hello"]
    np.testing.assert_array_equal(cells["my_person"], [[1.5, np.nan]])


def test_a_blank_value_is_a_missing_modality():
    assert answers.read_example({"photo": " ", "note": "x"}, FakePredictor().preprocessor) == {"note": ["x"]}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"foto": "a.png"}, "Received: --foto. Did you mean `--photo`?"),
        (
            {},
            "`predict` expects an example or a manifest. Received: neither. Give at least one of `--my",
        ),
        ({"note": ""}, "Received: neither"),
        (
            {"photo": "[b]nowhere.png"},
            "`--photo` expects a file of kind image. Received: [b]nowhere.png, which does not",
        ),
        ({"photo": "."}, "Received: ., which is a folder"),
        (
            {"my_person": "1"},
            "`--my_person` expects 2 numbers (age, height). Received: 1. Write --my_person 1,2",
        ),
        ({"my_person": "1,x"}, "Received: 1,x"),
    ],
)
def test_an_example_that_does_not_fit_is_refused(options, words):
    with pytest.raises(ValueError, match="expects") as caught:
        answers.read_example(options, FakePredictor().preprocessor)
    assert words in str(caught.value)


def test_rows_are_answered_in_batches_with_their_lines(manifest):
    predictor, counted = FakePredictor(), []
    rows = answers.read_rows(predictor, manifest)
    parts = list(answers.predict_rows(predictor, rows, 2, counted.append))
    assert predictor.asked == [2, 1]
    assert counted == [2, 1]
    assert [line for part in parts for line in part.lines] == [2, 3, 5]
    assert [key for part in parts for key in part.ids] == ["r1", "r2", "r3"]
    assert [label for part in parts for label in part.answers["label"]] == ["cat", "dog", "cat"]


def test_a_file_that_cannot_be_read_is_named_with_its_line(manifest):
    text = manifest.read_text(encoding="utf-8").replace("r2,a.png", "r2,bad.png")
    manifest.write_text(text, encoding="utf-8")
    predictor = FakePredictor()
    rows = answers.read_rows(predictor, manifest)
    with pytest.raises(ManifestError) as caught:
        list(answers.predict_rows(predictor, rows))
    assert str(caught.value) == f"line 3: {manifest.parent / 'bad.png'}: {JUNK}"


def test_a_fault_of_the_model_is_not_blamed_on_a_file():
    class Broken(FakePredictor):
        def predict(self, cells):
            raise RuntimeError("out of memory")

    with pytest.raises(RuntimeError, match="^out of memory$"):
        answers.predict_example(Broken(), {"note": ["hello"]})


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (f"assertion failed: [{JUNK}]\n\t [[node x]]", JUNK),
        (f"in user code:\n  File x\n    InvalidArgumentError: {JUNK}\n", JUNK),
        (
            "`predict` expects a file. Received: row 1: a.png: empty. Mend it.",
            "`predict` expects a file. Received: a.png: empty. Mend it.",
        ),
        ("first\nlast", "last"),
    ],
)
def test_the_sentences_of_the_package_are_found(text, reason):
    predictor = FakePredictor()
    predictor.predict = lambda cells: (_ for _ in ()).throw(RuntimeError(text))
    with pytest.raises(ManifestError) as caught:
        answers.predict_example(predictor, {"photo": ["a.png"]})
    expected = reason if "a.png" in reason else f"a.png: {reason}"
    assert str(caught.value) == f"predict: {expected}"


def test_csv_has_line_id_label_score_and_each_class(manifest, tmp_path):
    predictor = FakePredictor()
    parts = answers.predict_rows(predictor, answers.read_rows(predictor, manifest), 2)
    answer_table.write_answers(tmp_path / "new" / "answers.csv", parts, predictor.preprocessor)
    with open(tmp_path / "new" / "answers.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    assert rows == [
        ["line", "id", "label", "label_score", "label:cat", "label:dog"],
        ["2", "r1", "cat", "0.75", "0.75", "0.25"],
        ["3", "r2", "dog", "0.875", "0.125", "0.875"],
        ["5", "r3", "cat", "0.75", "0.75", "0.25"],
    ]


def test_jsonl_of_an_example_has_no_line(tmp_path):
    predictor = FakePredictor(labels=["cät", "dog"])
    part = answers.predict_example(predictor, {"note": ["hello"]})
    answer_table.write_answers(tmp_path / "answers.jsonl", [part], predictor.preprocessor)
    text = (tmp_path / "answers.jsonl").read_text(encoding="utf-8")
    assert json.loads(text) == {"label": "cat", "label_score": 0.75, "label:cät": 0.75, "label:dog": 0.25}
    assert "cät" in text


def test_a_file_is_written_whole_or_not_at_all(tmp_path):
    def parts():
        yield answers.predict_example(FakePredictor(), {"note": ["hello"]})
        raise ManifestError("line 3")

    (tmp_path / "answers.csv").write_text("before", encoding="utf-8")
    with pytest.raises(ManifestError):
        answer_table.write_answers(tmp_path / "answers.csv", parts(), FakePredictor().preprocessor)
    assert [path.name for path in tmp_path.iterdir()] == ["answers.csv"]
    assert (tmp_path / "answers.csv").read_text(encoding="utf-8") == "before"


def test_rebuilt_texts_have_a_column_and_pictures_none():
    predictor = FakePredictor()
    given = {"again_note": np.array(["hi"], object), "again_photo": np.zeros((1, 4, 4, 3))}
    part = answers.Answers(given)
    assert list(answer_table.records(part, predictor.preprocessor)) == [{"again_note": "hi"}]


def test_rebuilt_numbers_have_a_column_each():
    predictor = FakePredictor()
    predictor.preprocessor.rebuilt = lambda key: SPEC.modalities["my_person"]
    part = answers.Answers({"again_my_person": np.array([[1.5, 2.0]])})
    assert list(answer_table.records(part, predictor.preprocessor)) == [
        {"again_my_person:age": 1.5, "again_my_person:height": 2.0}
    ]


def test_numbers_of_a_regression_have_a_column_each_in_the_digits_that_float32_has():
    outputs = {"price": {"kind": "regression"}, "place": {"kind": "regression", "columns": ["north", "east"]}}
    spec = make_spec({**SPEC.model_dump(exclude_none=True), "outputs": outputs})
    preprocessor = SimpleNamespace(modalities={}, labels={}, outputs=spec.outputs, rebuilt=lambda key: None)
    given = {"price": np.float32([[0.1], [1e-9]]), "place": np.float32([[1998.3712, -2], [3, 4]])}
    assert list(answer_table.records(answers.Answers(given), preprocessor)) == [
        {"price": 0.1, "place:north": 1998.3712, "place:east": -2.0},
        {"price": 1e-9, "place:north": 3.0, "place:east": 4.0},
    ]


@pytest.mark.parametrize("name", ["answers.txt", "answers", "answers.CSV.gz"])
def test_another_suffix_is_refused(name, tmp_path):
    with pytest.raises(ValueError, match="`--output` expects a file that ends in `.csv`, `.jsonl`"):
        answers.check_output(tmp_path / name)


def test_the_options_of_a_real_row_are_ready_to_paste(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cells = {
        "my_person": np.array([[1, 2], [1.5, np.nan]], "float32"),
        "note": np.array(["", "it's one"], object),
        "photo": np.array(["", str(tmp_path / "a b.png")], object),
    }
    data = SimpleNamespace(
        manifest=SimpleNamespace(
            cells=cells, present=np.array([[1, 0, 0], [1, 1, 1]], "float32"), records=None
        ),
        rows={"train": np.array([], int), "validation": np.array([], int), "test": np.array([0, 1])},
        preprocessor=FakePredictor().preprocessor,
    )
    assert answers.example_options(data) == """--my_person 1.5, --note 'it'"'"'s one' --photo 'a b.png'"""
    data.manifest.records = object()  # The pictures then stand in shards.
    assert answers.example_options(data) == """--my_person 1.5, --note 'it'"'"'s one'"""
    data.rows["test"] = np.array([0])
    assert answers.example_options(data) == "--my_person 1,2"
