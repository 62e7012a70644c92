"""Numbers as targets, from the manifest to the answers of all three forms of the model."""

import csv
import json

import keras
import numpy as np
import pytest

from mm_keras import answer_table, answers
from mm_keras.evaluation import evaluate, write_report
from mm_keras.exporting import export
from mm_keras.prediction import load_predictor
from mm_keras.spec_file import make_spec
from mm_keras.training import train

pytestmark = pytest.mark.slow
ROWS = 200
SIZES = {"small": 0.0, "large": 100.0}
UNKNOWN = (7, 8)  # A train row and a validation row.


def split_of(row):
    return {3: "validation", 4: "test"}.get(row % 5, "train")


def write_houses(folder):
    """Writes a table of houses: price = 1000 + 50 area + 100 if large; north and east follow area."""
    random = np.random.default_rng(7)
    with open(folder / "houses.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "area", "note", "price", "north", "east", "split"])
        for row in range(ROWS):
            area, size = random.normal(), ("small", "large")[row % 2]
            price = f"{1000 + 50 * area + SIZES[size]:.3f}"
            places = [f"{area:.3f}", f"{-area / 100:.5f}"]
            if row in UNKNOWN:
                price, places[0] = "", ""
            note = f"a {size} house" if row % 9 else ""
            writer.writerow([f"h{row}", f"{area:.4f}", note, price, *places, split_of(row)])
    return folder / "houses.csv"


def house_spec(table, **parts):
    return make_spec(
        {
            "name": "houses",
            "data": {"manifest": str(table), "split": "split"},
            "modalities": {
                "area": {"kind": "numbers", "encoder": {"units": 8, "layers": 1, "dropout": 0.0}},
                "note": {
                    "kind": "text",
                    "length": 6,
                    "vocabulary_size": 64,
                    "encoder": {"embedding": 4, "units": 4, "dropout": 0.0},
                },
            },
            "fusion": {"kind": "concatenate", "units": 8, "modality_dropout": 0.0, "dropout": 0.0},
            "outputs": {
                "price": {"kind": "regression"},
                "place": {"kind": "regression", "columns": ["north", "east"], "loss": "mse", "weight": 0.5},
            },
            "training": {
                "epochs": 8,
                "batch_size": 4,
                "learning_rate": 0.03,
                "patience": 0,
                "strategy": "none",
                "precision": "float32",
            },
            "export": {"rows": 8},
            **parts,
        }
    )


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    return write_houses(tmp_path_factory.mktemp("houses"))


@pytest.fixture(scope="module")
def trained(table, tmp_path_factory):
    keras.utils.set_random_seed(7)
    return train(house_spec(table), tmp_path_factory.mktemp("runs"))


@pytest.fixture(scope="module")
def result(trained):
    run, data = trained
    return evaluate(run.model, run.spec, data)


@pytest.fixture(scope="module")
def exported(trained, tmp_path_factory):
    run, data = trained
    return export(run.model, run.spec, data, tmp_path_factory.mktemp("saved_models") / "houses")


def columns_of_table(table, *names):
    with open(table, newline="", encoding="utf-8") as file:
        return np.array([[row[name] for name in names] for row in csv.DictReader(file)])


def test_statistics_are_those_of_the_known_train_targets(trained, table):
    _, data = trained
    rows = np.array([row for row in range(ROWS) if split_of(row) == "train" and row not in UNKNOWN])
    for name, columns in (("price", ["price"]), ("place", ["north", "east"])):
        values = columns_of_table(table, *columns)[rows].astype(float)
        statistics = data.preprocessor.statistics[name]
        np.testing.assert_allclose(statistics["mean"], values.mean(axis=0), rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(statistics["variance"], values.var(axis=0), rtol=1e-3)


def test_an_unknown_target_has_no_weight(trained):
    _, data = trained
    unknown = 0
    for _, targets, weights in data.validation:
        assert targets["price"].dtype == "float32" and targets["place"].shape[1:] == (2,)
        assert np.isfinite(targets["price"]).all() and np.isfinite(targets["place"]).all()
        unknown += int(np.sum(weights["price"] == 0))
        np.testing.assert_array_equal(weights["price"], weights["place"])
    assert unknown == 1


def test_the_model_learns_prices_and_places(result):
    assert result["rows"] == ROWS // 5
    price, place = result["outputs"]["price"], result["outputs"]["place"]
    assert price["r2"] > 0.8 and place["r2"] > 0.8
    assert price["mae"] < 30 and price["mae"] <= price["rmse"]
    assert list(place["columns"]) == ["north", "east"]
    assert (
        place["columns"]["east"]["mae"] < place["columns"]["north"]["mae"] / 10
    )  # Its unit is 100 times larger.
    assert len(price["points"]["price"]) == ROWS // 5


def test_each_subset_has_its_r2(result):
    subsets = result["subsets"]
    assert set(subsets) == {"area", "note", "area+note"}
    assert subsets["area+note"]["price"] == result["outputs"]["price"]["r2"]
    assert subsets["note"]["place"] < subsets["area"]["place"]


def test_scores_are_those_of_predict(trained, result):
    run, data = trained
    true, guess = [], []
    for inputs, targets, _ in data.test:
        true.append(targets["price"].numpy())
        guess.append(run.model(inputs, training=False)["price"].numpy())
    errors = np.abs(np.concatenate(true) - np.concatenate(guess))
    assert result["outputs"]["price"]["mae"] == pytest.approx(errors.mean(), rel=1e-4)


def test_the_report_draws_each_regression(result, tmp_path):
    names = [path.name for path in write_report(result, tmp_path)]
    assert names == ["evaluation.json", "regression_price.png", "regression_place.png"]
    assert json.loads((tmp_path / "evaluation.json").read_text(encoding="utf-8")) == result


def test_all_three_forms_answer_the_same_numbers(trained, exported):
    run, data = trained
    cells = {"area": [[-1.0], [0.5], [np.nan]], "note": ["a small house", "", "a large house"]}
    given = {}
    for kind, path in (
        ("keras", run.folder),
        *((kind, exported[kind]["path"]) for kind in run.spec.export.formats),
    ):
        predictor = load_predictor(path)
        assert predictor.kind == kind
        given[kind] = predictor.predict(cells)
        assert list(given[kind]) == ["price", "place"]
        assert {name: x.shape for name, x in given[kind].items()} == {"price": (3, 1), "place": (3, 2)}
    assert abs(given["keras"]["price"][0, 0] - 950) < 40
    for kind in ("saved_model", "tflite"):
        for name in ("price", "place"):
            deviation = np.sqrt(data.preprocessor.statistics[name]["variance"])
            apart = np.abs(given[kind][name] - given["keras"][name]) / deviation
            assert apart.max() < 1e-4, (kind, name)


def test_the_export_was_compared_in_deviations(exported):
    for kind, signatures in (("saved_model", ("serving_default", "tensors")), ("tflite", ("tensors",))):
        parity = exported[kind]["parity"]
        assert {f"{s}/{name}" for s in signatures for name in ("price", "place")} <= set(
            parity["differences"]
        )
        assert parity["max_difference"] < 1e-4 and parity["labels"] == {}


def test_answers_to_a_table_are_numbers_with_titles(trained, table, tmp_path):
    run, _ = trained
    predictor = load_predictor(run.folder)
    rows = answers.read_rows(predictor, table)
    answer_table.write_answers(
        tmp_path / "a.csv", answers.predict_rows(predictor, rows), predictor.preprocessor
    )
    written = columns_of_table(tmp_path / "a.csv", "id", "price", "place:north", "place:east")
    assert len(written) == ROWS and written[5, 0] == "h5"
    known = np.array([row not in UNKNOWN for row in range(ROWS)])
    true = columns_of_table(table, "price")[known, 0].astype(float)
    assert np.corrcoef(true, written[known, 1].astype(float))[0, 1] > 0.95


def test_beside_a_classification_both_are_answered(table, tmp_path):
    outputs = {"size": {"kind": "classification", "column": "east"}, "price": {"kind": "regression"}}
    text = columns_of_table(table, "area", "price", "split")
    rows = [[area, price, "ab"[row % 2], split] for row, (area, price, split) in enumerate(text)]
    with open(tmp_path / "both.csv", "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["area", "price", "east", "split"], *rows])
    modalities = {"area": {"kind": "numbers", "encoder": {"units": 4, "layers": 1}}}
    training = {"epochs": 1, "batch_size": 32, "strategy": "none", "precision": "float32"}
    spec = house_spec(tmp_path / "both.csv", outputs=outputs, modalities=modalities, training=training)
    run, data = train(spec, tmp_path / "runs")
    measured = evaluate(run.model, run.spec, data)
    assert set(measured["subsets"]["area"]) == {"size", "price"}
    given = load_predictor(run.folder).predict({"area": [[1.0]]})
    assert list(given) == ["size", "size_scores", "price"]
    record = next(answer_table.records(answers.Answers(given), run.preprocessor))
    assert list(record) == ["size", "size_score", "size:a", "size:b", "price"]
