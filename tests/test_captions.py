"""Caption outputs, from the manifest to the texts of all three forms of the model."""

import csv
import io
import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from rich.console import Console

from mm_keras import answer_table, answers
from mm_keras.answering_model import answering_model, memory_model
from mm_keras.balance import balance_model
from mm_keras.caption_search import CaptionSearch
from mm_keras.console_evaluation import show_evaluation
from mm_keras.data.pipeline import make_datasets
from mm_keras.evaluation import evaluate
from mm_keras.exporting import ExportError, export, parity
from mm_keras.generation import Generator
from mm_keras.model import build_model
from mm_keras.prediction import PredictionError, load_predictor
from mm_keras.spec_file import SpecError, make_spec
from mm_keras.training import build_for_fit, compile_arguments, train

pytestmark = pytest.mark.slow
ROWS = 400
COLOURS = ("red", "green", "blue")
MODALITIES = {
    "place": {"kind": "numbers", "columns": ["a", "b"], "encoder": {"units": 16, "dropout": 0.0}},
    "note": {
        "kind": "text",
        "length": 6,
        "vocabulary_size": 64,
        "encoder": {"embedding": 8, "units": 16, "dropout": 0.0, "pooling": "none"},
    },
}
CAPTION = {
    "kind": "caption",
    "separator": "|",
    "length": 9,
    "vocabulary_size": 64,
    "decoder": {"units": 24, "dropout": 0.0},
    "beams": 3,
}
TRANSFORMER = {**CAPTION, "decoder": {"kind": "transformer", "units": 24, "layers": 1, "dropout": 0.0}}


def split_of(row):
    return {3: "validation", 4: "test"}.get(row % 5, "train")


def is_there(row, name):
    return row % 11 != {"place": 5, "note": 7, "caption": 9}[name]


def colour_of(row):
    return COLOURS[row * 7 % 3]


def write_things(folder):
    """Writes a table of things: the note tells their colour, the numbers their side, the captions both."""
    random = np.random.default_rng(7)
    with open(folder / "things.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "a", "b", "note", "caption", "split"])
        for row in range(ROWS):
            a, b = random.normal(size=2)
            side, colour = "left" if a < 0 else "right", colour_of(row)
            words = (
                [f"A {colour} one, {side}", f"{side}: {colour}"] if row % 4 else [f"A {colour} one, {side}"]
            )
            numbers = [f"{a:.4f}", f"{b:.4f}"] if is_there(row, "place") else ["", ""]
            note = f"it is {colour} again" if is_there(row, "note") else ""
            caption = " | ".join(words) if is_there(row, "caption") else ""
            writer.writerow([f"t{row}", *numbers, note, caption, split_of(row)])
    return folder / "things.csv"


def thing_spec(table, outputs=None, **parts):
    return make_spec(
        {
            "name": "things",
            "data": {"manifest": str(table), "split": "split", "max_bad": 0.2},
            "modalities": MODALITIES,
            "outputs": outputs or {"caption": CAPTION},
            "export": {"rows": 8},
            **parts,
            "fusion": {"kind": "concatenate", "units": 16, "dropout": 0.0, **parts.get("fusion", {})},
            "training": {
                "epochs": 16,
                "batch_size": 32,
                "learning_rate": 0.02,
                "patience": 0,
                "strategy": "none",
                "precision": "float32",
                **parts.get("training", {}),
            },
        }
    )


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    return write_things(tmp_path_factory.mktemp("things"))


@pytest.fixture(scope="module")
def trained(table, tmp_path_factory):
    keras.utils.set_random_seed(7)
    return train(thing_spec(table), tmp_path_factory.mktemp("runs"))


@pytest.fixture(scope="module")
def result(trained):
    run, data = trained
    return evaluate(run.model, run.spec, data)


@pytest.fixture(scope="module")
def exported(trained, tmp_path_factory):
    run, data = trained
    return export(run.model, run.spec, data, tmp_path_factory.mktemp("saved_models") / "things")


def test_texts_are_learned_from_all_modalities_and_told_of_each_subset(result):
    caption = result["outputs"]["caption"]
    assert caption["exact_match"] > 0.7 and caption["rouge_l"] > 0.9 and caption["bleu_4"] > 0.8
    assert 1 < caption["perplexity"] < 3 and 0 < caption["cider"] <= 10
    subsets = {name: scores["caption"] for name, scores in result["subsets"].items()}
    assert subsets["note+place"] == caption["rouge_l"]
    assert max(subsets["note"], subsets["place"]) < subsets["note+place"] - 0.02
    assert not result["warnings"]
    assert {"note", "place"} == result["branches"].keys()


def starts_of(data, batches):
    read = data.preprocessor.caption_strings
    texts = [
        text.decode() for _, targets, _ in batches for text in read("caption", targets["caption"]).numpy()
    ]
    return {text.partition(" ")[0] for text in texts}


def test_one_of_several_captions_is_drawn_in_training_and_the_first_one_elsewhere(trained):
    _, data = trained
    assert starts_of(data, data.train) == {"a", "left:", "right:"}
    assert starts_of(data, data.validation) == {"a"}


def test_training_batches_are_as_long_as_their_longest_text(trained):
    _, data = trained
    for split, widths in (
        ("train", {6}),
        ("validation", {8}),
    ):  # `a red one , left [END]`, and all of `length`.
        found = [targets["caption"].numpy() for _, targets, _ in getattr(data, split)]
        assert {ids.shape[1] for ids in found} == widths, split


def test_the_decoder_is_given_the_tokens_before_those_that_it_learns(trained):
    _, data = trained
    for inputs, targets, weights in data.validation:
        ids, given = targets["caption"].numpy(), inputs["caption.given"].numpy()
        np.testing.assert_array_equal(given[:, 1:], ids[:, :-1])
        np.testing.assert_array_equal(given[:, 0], np.full(len(ids), 2))
        np.testing.assert_array_equal(weights["caption"], np.ones(len(ids)))


@pytest.mark.parametrize("form", ["saved_model", "tflite"])
def test_every_form_writes_the_same_text_of_whole_and_of_partial_rows(trained, exported, form):
    cells = {"place": [[-1.0, 0.0], [2.0, 0.0], [np.nan] * 2], "note": ["it is blue again", "", "it is red"]}
    given = load_predictor(exported[form]["path"]).predict(cells)
    wanted = load_predictor(trained[0].folder).predict(cells)
    assert list(given) == list(wanted) == ["caption", "caption_score"]
    np.testing.assert_array_equal(given["caption"], wanted["caption"])
    np.testing.assert_allclose(given["caption_score"], wanted["caption_score"], atol=1e-5)
    assert "blue" in given["caption"][0] and "left" in given["caption"][0]
    assert "right" in given["caption"][1] and "red" in given["caption"][2]


def test_beams_and_draws_of_the_served_graph_are_those_of_python(trained, exported):
    run, _ = trained
    cells = {"place": [[-1.0, 0.0], [2.0, 0.5]], "note": ["it is blue", ""]}
    served, local = load_predictor(exported["saved_model"]["path"]), load_predictor(run.folder)
    for settings in ({}, {"sample": True, "seed": 5, "temperature": 1.5, "top_p": 0.8}):
        given, wanted = served.generate(cells, **settings), local.generate(cells, **settings)
        assert given["caption"].shape == (2, 3)
        np.testing.assert_array_equal(given["caption"], wanted["caption"])
        np.testing.assert_allclose(given["caption_scores"], wanted["caption_scores"], atol=1e-5)
    beams = local.generate(cells)
    assert (np.diff(beams["caption_scores"], axis=1) <= 0).all() and len(set(beams["caption"][0])) == 3
    draws = [
        local.generate(cells, sample=True, seed=seed, top_p=1.0)["caption"].tolist() for seed in (1, 1, 2)
    ]
    assert draws[0] == draws[1] != draws[2]
    alone = local.generate({"place": [[-1.0, 0.0]], "note": ["it is blue"]}, sample=True, seed=1, top_p=1.0)
    assert alone["caption"].tolist() == draws[0][:1]  # The other row of the batch has no part in it.


def test_parity_tells_every_signature(exported):
    result = exported["saved_model"]["parity"]
    texts = {"serving_default", "tensors", "generate", "sample"}
    assert {place.split("/")[0] for place in result["labels"]} == texts
    assert set(result["labels"].values()) == {1.0}
    assert "generate/caption_scores" in result["differences"] and "embed/embedding" in result["differences"]
    builtin = exported["tflite"]["parity"]["operators"]
    assert "WHILE" in builtin and not any(name.startswith("Flex") for name in builtin)


def test_other_texts_than_those_of_the_model_are_refused(trained, tmp_path, monkeypatch):
    run, data = trained
    spec = run.spec.model_copy(deep=True)
    spec.export.formats = ["saved_model"]
    read = parity.read_tensors

    def read_others(folder, signature):
        tensors = read(folder, signature)
        return {**tensors, "caption": tensors["caption"][::-1]} if signature == "generate" else tensors

    monkeypatch.setattr(parity, "read_tensors", read_others)
    with pytest.raises(ExportError, match="at least 95% equal texts.*`caption`"):
        export(run.model, spec, data, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_reloaded_model_writes_the_same(trained, tmp_path):
    run, data = trained
    inputs = next(iter(data.test))[0]
    asked = {name: x for name, x in inputs.items() if "." not in name}
    before = answering_model(run.model)(asked)
    run.model.save(tmp_path / "model.keras")
    after = answering_model(keras.saving.load_model(tmp_path / "model.keras"))(asked)
    np.testing.assert_array_equal(before["caption"], after["caption"])
    assert set(memory_model(run.model, "caption").output) == {"fused", "note", "note.steps", "place"}
    beams = CaptionSearch(run.model, data.preprocessor).beams(asked)
    assert beams["caption"].shape == (len(inputs["present"]), 3)


def test_texts_stand_in_a_table_of_answers(trained, table, tmp_path):
    predictor = load_predictor(trained[0].folder)
    rows = answers.read_rows(predictor, table)
    answer_table.write_answers(
        tmp_path / "a.jsonl", answers.predict_rows(predictor, rows), predictor.preprocessor
    )
    first = json.loads((tmp_path / "a.jsonl").read_text(encoding="utf-8").splitlines()[0])
    assert first.keys() == {"line", "id", "caption", "caption_score"} and first["caption_score"] < 0
    writer = Generator(predictor)
    answer_table.write_answers(tmp_path / "b.csv", answers.predict_rows(writer, rows), predictor.preprocessor)
    with open(tmp_path / "b.csv", encoding="utf-8", newline="") as file:
        best = next(csv.DictReader(file))
    assert best["caption:1"] == first["caption"] and float(best["caption_score:3"]) < 0


def test_the_evaluation_is_shown(result):
    out = Console(file=io.StringIO(), width=140)
    show_evaluation(out, result)
    text = out.file.getvalue()
    assert "Texts of caption" in text and "ROUGE-L" in text and "BLEU-4" in text and "exact match" in text


def test_beside_a_classification_and_a_balance_it_trains_with_plain_keras(table, tmp_path):
    with open(table, encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    for number, row in enumerate(rows):
        row["colour"] = colour_of(number)
    with open(tmp_path / "things.csv", "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    outputs = {
        "caption": {**TRANSFORMER, "label_smoothing": 0.1, "scheduled_sampling": 0.2},
        "colour": {"kind": "classification"},
    }
    training = {"epochs": 6, "balance": {"kind": "ogm_ge"}}
    parts = {"training": training, "export": {"rows": 8, "formats": ["saved_model"]}}
    spec = thing_spec(tmp_path / "things.csv", outputs, **parts)
    data = make_datasets(spec)
    for _, targets, weights in data.validation:  # A row without caption counts for the other output alone.
        np.testing.assert_array_equal(weights["caption"], targets["caption"].numpy().any(axis=1))
    known = sum(is_there(row, "caption") for row in data.rows["validation"])
    assert sum(float(tf.reduce_sum(weights["caption"])) for *_, weights in data.validation) == known
    model = balance_model(build_model(spec, data), spec, data)
    model.compile(**compile_arguments(spec, data))
    build_for_fit(model, data.train)
    history = model.fit(data.train, validation_data=data.validation, epochs=6, verbose=0).history
    assert history["caption_loss"][-1] < 0.7 * history["caption_loss"][0]
    found = evaluate(model, spec, data, "train")
    assert found["outputs"]["colour"]["accuracy"] > 0.5 and "rouge_l" in found["outputs"]["caption"]
    result = export(model, spec, data, tmp_path / "out")
    texts = load_predictor(result["saved_model"]["path"]).generate({"note": ["it is red"]})
    assert set(texts) == {"caption", "caption_scores"}


def test_what_cannot_write_several_texts_says_so(trained, exported):
    cells = {"note": ["it is red"]}
    with pytest.raises(
        PredictionError, match="a caption output of a run or a SavedModel, or a speech.*tflite"
    ):
        load_predictor(exported["tflite"]["path"]).generate(cells)
    predictor = load_predictor(trained[0].folder)
    for settings in ({"temperature": 0.0}, {"top_p": 0.0}, {"top_p": 1.5}, {"seed": -1}):
        with pytest.raises(PredictionError, match="`generate` expects temperature > 0"):
            predictor.generate(cells, sample=True, **settings)


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        (
            {"training": {"mixup": 0.2}},
            "`training.mixup` expects 0 with the caption output `caption`.*Received: mixup=0.2",
        ),
        (
            {"outputs": {"caption": {**CAPTION, "column": "note"}}},
            "`outputs.caption.column` expects a column that no modality reads",
        ),
        (
            {"outputs": {"caption": CAPTION, "caption_score": {"kind": "classification"}}},
            "`outputs.caption` expects no modality or other output named `caption_score`",
        ),
        (
            {"outputs": {"caption": {**CAPTION, "decoder": {"kind": "transformer", "units": 10}}}},
            "`outputs.caption.decoder.num_heads` expects a divisor of `units`",
        ),
        (
            {"outputs": {"caption": {**CAPTION, "decoder": {"kind": "rnn"}}}},
            "`outputs.caption.decoder.kind` expects",
        ),
        (
            {"outputs": {"caption": {**CAPTION, "length": 2}}},
            "`outputs.caption.length` expects a whole number of at least 3",
        ),
        (
            {"outputs": {"side": {"kind": "classification"}}},
            "`modalities.note.encoder.pooling` expects one vector of each modality",
        ),
    ],
)
def test_a_wrong_output_is_refused(parts, words):
    with pytest.raises(SpecError, match=words):
        thing_spec("things.csv", **parts)


def test_a_column_of_one_text_is_refused(table, tmp_path):
    lines = table.read_text(encoding="utf-8").splitlines()
    same = [
        lines[0],
        *(",".join([*line.split(",")[:4], "same", split_of(i)]) for i, line in enumerate(lines[1:])),
    ]
    (tmp_path / "things.csv").write_text("\n".join(same), encoding="utf-8")
    with pytest.raises(
        ValueError, match="`column caption` expects at least 2 different texts in the train rows"
    ):
        make_datasets(thing_spec(tmp_path / "things.csv"))
