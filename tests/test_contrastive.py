"""Contrastive outputs, from the manifest to the vectors of all three forms of the model."""

import csv
import io
import json

import keras
import numpy as np
import pytest
from rich.console import Console

from mm_keras import answer_table, answers
from mm_keras.console_evaluation import show_evaluation
from mm_keras.evaluation import evaluate
from mm_keras.exporting import export
from mm_keras.prediction import load_predictor
from mm_keras.spec_file import SpecError, make_spec
from mm_keras.training import train

pytestmark = pytest.mark.slow
ROWS = 300
WORDS = {"north": (0, 1), "south": (0, -1), "east": (1, 0), "west": (-1, 0)}
MODALITIES = {
    "left": {"kind": "numbers", "columns": ["a", "b"], "encoder": {"units": 16, "dropout": 0.0}},
    "right": {"kind": "numbers", "columns": ["c", "d"], "encoder": {"units": 16, "dropout": 0.0}},
    "note": {
        "kind": "text",
        "length": 4,
        "vocabulary_size": 64,
        "encoder": {"embedding": 4, "units": 4, "dropout": 0.0},
    },
}
MATCH = {"kind": "contrastive", "modalities": ["left", "right"], "units": 8}


def split_of(row):
    return {3: "validation", 4: "test"}.get(row % 5, "train")


def is_there(row, name):
    return row % 11 != {"left": 5, "right": 7}[name]


def write_places(folder):
    """Writes a table of places: (c, d) is (a, b) turned by 90 degrees and scaled, the note its direction."""
    random = np.random.default_rng(7)
    with open(folder / "places.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "a", "b", "c", "d", "note", "split"])
        for row in range(ROWS):
            a, b = random.normal(size=2)
            note = max(WORDS, key=lambda word: np.dot(WORDS[word], (a, b)))
            left = [f"{a:.4f}", f"{b:.4f}"] if is_there(row, "left") else ["", ""]
            right = [f"{-10 * b:.4f}", f"{10 * a:.4f}"] if is_there(row, "right") else ["", ""]
            writer.writerow([f"p{row}", *left, *right, note, split_of(row)])
    return folder / "places.csv"


def place_spec(table, outputs=None, **parts):
    return make_spec(
        {
            "name": "places",
            "data": {"manifest": str(table), "split": "split"},
            "modalities": {name: part for name, part in MODALITIES.items() if outputs or name != "note"},
            "fusion": {"kind": "concatenate", "units": 8, "modality_dropout": 0.0, "dropout": 0.0},
            "outputs": outputs or {"match": MATCH},
            "export": {"rows": 8},
            **parts,
            "training": {
                "epochs": 12,
                "batch_size": 32,
                "learning_rate": 0.03,
                "patience": 0,
                "strategy": "none",
                "precision": "float32",
                **parts.get("training", {}),
            },
        }
    )


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    return write_places(tmp_path_factory.mktemp("places"))


@pytest.fixture(scope="module")
def trained(table, tmp_path_factory):
    keras.utils.set_random_seed(7)
    return train(place_spec(table), tmp_path_factory.mktemp("runs"))


@pytest.fixture(scope="module")
def result(trained):
    run, data = trained
    return evaluate(run.model, run.spec, data)


@pytest.fixture(scope="module")
def exported(trained, tmp_path_factory):
    run, data = trained
    return export(run.model, run.spec, data, tmp_path_factory.mktemp("saved_models") / "places")


def test_rows_with_both_are_drawn_together(result):
    match = result["outputs"]["match"]
    both = sum(
        split_of(row) == "test" and is_there(row, "left") and is_there(row, "right") for row in range(ROWS)
    )
    assert match["retrieval"]["left>right"]["rows"] == match["retrieval"]["right>left"]["rows"] == both
    assert match["recall@1"] > 0.5 and match["recall@10"] > 0.95  # Chance: 0.02 and 0.2.
    assert match["retrieval"]["left>right"]["median_rank"] < 2
    assert not any(result["subsets"].values())


def test_a_row_that_lacks_one_has_no_weight_and_is_no_candidate(trained):
    _, data = trained
    seen = 0
    for inputs, targets, weights in data.validation:
        there = inputs["present"].numpy()
        np.testing.assert_array_equal(targets["match"][..., 0], there)
        np.testing.assert_array_equal(weights["match"], there.all(axis=1))
        seen += len(there)
    assert seen == ROWS // 5


@pytest.mark.parametrize("form", ["saved_model", "tflite"])
def test_every_form_gives_vectors_of_norm_one_and_zeros_of_what_is_missing(trained, exported, form):
    cells = {"left": [[0.5, -1.0], [np.nan, np.nan]], "right": [[10.0, 5.0], [10.0, 5.0]]}
    given = load_predictor(exported[form]["path"]).predict(cells)
    wanted = load_predictor(trained[0].folder).predict(cells)
    assert set(given) == {"match_left", "match_right"}
    for key in given:
        np.testing.assert_allclose(given[key], wanted[key], atol=1e-5)
        assert given[key].shape == (2, 8)
    np.testing.assert_allclose(np.linalg.norm(given["match_right"], axis=1), 1, rtol=1e-5)
    np.testing.assert_array_equal(given["match_left"][1], np.zeros(8))
    assert given["match_left"][0] @ given["match_right"][0] > 0.8


def test_a_model_that_fuses_nothing_has_no_embedding(exported):
    parity = exported["saved_model"]["parity"]
    compared = {place.split("/")[0] for place in parity["differences"]}
    assert compared == {"tensors", "serving_default", "describe"}


def test_vectors_stand_in_a_table_of_answers(trained, table, tmp_path):
    run, _ = trained
    predictor = load_predictor(run.folder)
    rows = answers.read_rows(predictor, table)
    answer_table.write_answers(
        tmp_path / "answers.jsonl", answers.predict_rows(predictor, rows), predictor.preprocessor
    )
    first = json.loads((tmp_path / "answers.jsonl").read_text(encoding="utf-8").splitlines()[0])
    assert first["id"] == "p0" and len(first["match_left"]) == 8
    assert sum(value**2 for value in first["match_left"]) == pytest.approx(1, rel=1e-5)


def test_the_evaluation_is_shown(result):
    out = Console(file=io.StringIO(), width=120)
    show_evaluation(out, result)
    text = out.file.getvalue()
    assert "Retrieval of match" in text and "Median rank" in text and "recall@1 " in text


def test_beside_another_output_the_fused_embedding_stays(table, tmp_path):
    outputs = {
        "match": {"kind": "contrastive"},
        "a2": {"kind": "regression", "columns": ["a_copy"]},
    }
    text = table.read_text(encoding="utf-8").splitlines()
    lines = [f"{text[0]},a_copy", *(f"{line},{line.split(',')[1]}" for line in text[1:])]
    (tmp_path / "places.csv").write_text("\n".join(lines), encoding="utf-8")
    spec = place_spec(tmp_path / "places.csv", outputs, training={"epochs": 1})
    run, data = train(spec, tmp_path / "runs")
    result = export(run.model, spec, data, tmp_path / "out")
    parity = result["saved_model"]["parity"]
    assert {"embed/embedding", "serving_default/match_note", "tensors/match"} <= parity["differences"].keys()
    assert len(evaluate(run.model, spec, data)["outputs"]["match"]["retrieval"]) == 6


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        (
            {"outputs": {"match": {**MATCH, "modalities": ["left", "left"]}}},
            "`outputs.match.modalities` expects at least 2 modalities. Received: `left`",
        ),
        (
            {"outputs": {"match": {**MATCH, "modalities": ["left", "rigth"]}}},
            "`outputs.match.modalities` expects names among .*Received: `rigth`. Did you mean `right`",
        ),
        (
            {"training": {"mixup": 0.2}},
            "`training.mixup` expects 0 with the contrastive output `match`.*Received: mixup=0.2",
        ),
        (
            {"outputs": {"match": MATCH, "match_left": {"kind": "regression", "columns": ["a"]}}},
            "`outputs.match` expects no modality or other output named `match_left`",
        ),
        (
            {"modalities": MODALITIES},
            "`modalities.note` expects a modality that an output reads.*Received: `note`, which none names",
        ),
        (
            {"outputs": {"match": {**MATCH, "temperature": 0.001}}},
            "`outputs.match.temperature` expects a number of at least 0.01",
        ),
    ],
)
def test_a_wrong_output_is_refused(parts, words):
    with pytest.raises(SpecError, match=words):
        place_spec("places.csv", **parts)


def test_a_sequence_is_refused():
    note = {**MODALITIES["note"], "encoder": {"pooling": "none"}}
    parts = {
        "modalities": {**MODALITIES, "note": note},
        "fusion": {"kind": "cross_attention", "units": 8},
        "outputs": {"match": {"kind": "contrastive"}},
    }
    words = "`modalities.note.encoder.pooling` expects one vector for the contrastive output `match`"
    with pytest.raises(SpecError, match=words):
        place_spec("places.csv", **parts)
