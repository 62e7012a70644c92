"""Autoencoders that make modalities of one another: trained, asked in all three forms, filling in tables."""

import io
import json

import numpy as np
import pandas as pd
import pytest
import soundfile
from PIL import Image
from rich.console import Console
from tiny import COLOURS, HERTZ, MODALITIES, compiled, quick_spec, tiny_spec, write_tiny
from typer.testing import CliRunner

from mm_keras import answer_table, answers
from mm_keras.answering_model import answering_model
from mm_keras.cli import app
from mm_keras.console_evaluation import show_evaluation
from mm_keras.data.manifest import load_manifest
from mm_keras.data.pipeline import make_datasets
from mm_keras.data.preprocessor import Preprocessor
from mm_keras.data.table import ManifestError
from mm_keras.evaluation import draw_rebuilt, evaluate, write_page, write_report
from mm_keras.exporting import export
from mm_keras.generated_files import write_files
from mm_keras.generation import Generator
from mm_keras.imputation import impute
from mm_keras.prediction import PredictionError, Predictor, load_predictor
from mm_keras.spec_file import SpecError
from mm_keras.spec_modalities import ImageModality
from mm_keras.training import train

pytestmark = pytest.mark.slow
KINDS = ("audio", "image", "numbers", "text")
PRODUCT = {"kind": "variational", "units": 8, "beta": 0.001}
LATENTS = {
    "joint": {"kind": "joint"},
    "separate": {"kind": "separate", "units": 6},
    "product": PRODUCT,
    "mixture": {**PRODUCT, "experts": "mixture"},
    "one": {**PRODUCT, "experts": "joint"},
}


def spec_of(manifest, latent=PRODUCT, **changes):
    outputs = {"copy": {"kind": "autoencoder", "units": 32, "latent": latent}}
    training = {"epochs": 25, "batch_size": 16, "learning_rate": 0.01, "patience": 0}
    fusion = {"kind": "concatenate", "modality_dropout": 0.4, "dropout": 0.0}
    spec = tiny_spec(manifest, modalities=KINDS, outputs=outputs, training=training, fusion=fusion, **changes)
    for name, width in (("image", 8), ("audio", 8), ("text", 8)):
        spec.modalities[name].encoder.units = width
        spec.modalities[name].encoder.dropout = 0.0
    return spec


@pytest.fixture(scope="module")
def colours(tmp_path_factory):
    return write_tiny(tmp_path_factory.mktemp("imagination") / "data", rows=200)


@pytest.fixture(scope="module")
def imagining(colours, tmp_path_factory):
    return train(spec_of(colours), tmp_path_factory.mktemp("runs"))


@pytest.fixture(scope="module")
def exported(imagining, tmp_path_factory):
    run, data = imagining
    return export(run.model, run.spec, data, tmp_path_factory.mktemp("saved") / "tiny")


@pytest.fixture(scope="module")
def judged(imagining):
    run, data = imagining
    return evaluate(run.model, run.spec, data)


def colour_of(png):
    pixels = np.asarray(Image.open(io.BytesIO(png)), float).reshape(-1, 3).mean(axis=0)
    return int(np.argmin(np.abs(np.array(COLOURS) - pixels).sum(axis=1)))


def pitch_of(sound, rate=8000):
    return np.argmax(np.abs(np.fft.rfft(sound.astype(float)))) * rate / len(sound)


def heard(data):
    """Returns the kinds and the cells of the test rows that have a sound, of which nothing else is told."""
    rows = np.array([row for row in data.rows["test"] if data.manifest.present[row, 0]])
    return rows % 3, {"audio": [str(data.manifest.cells["audio"][row]) for row in rows]}


def test_an_image_is_made_of_the_sound_alone(imagining):
    kinds, cells = heard(imagining[1])
    made = load_predictor(imagining[0].folder).generate(cells)
    assert sorted(made) == [
        "copy_audio", "copy_audio_rate", "copy_audio_samples", "copy_image", "copy_numbers", "copy_text",
    ]  # fmt: skip
    right = np.mean([colour_of(png) == kind for png, kind in zip(made["copy_image"], kinds, strict=True)])
    assert right >= 0.9
    words = ["blau", "grun", "red"]  # The vocabulary has no accents.
    assert np.mean([words[k] in text for text, k in zip(made["copy_text"], kinds, strict=True)]) >= 0.9


def test_a_sound_is_made_of_the_image_alone(imagining):
    _, data = imagining
    rows = np.array([row for row in data.rows["test"] if data.manifest.present[row, 1]])
    cells = {"image": [str(data.manifest.cells["image"][row]) for row in rows]}
    made = load_predictor(imagining[0].folder).generate(cells, to=["audio"])
    assert made.keys() == {"copy_audio", "copy_audio_samples", "copy_audio_rate"}
    assert (made["copy_audio_rate"] == 8000).all() and (made["copy_audio_samples"] == 800).all()
    apart = [abs(pitch_of(x) - HERTZ[row % 3]) for x, row in zip(made["copy_audio"], rows, strict=True)]
    assert np.mean(np.array(apart) < 250) >= 0.9  # Mel bins here are 300 Hz wide.


def test_all_forms_of_the_model_make_the_same(imagining, exported):
    _, cells = heard(imagining[1])
    keras_made = load_predictor(imagining[0].folder).generate(cells)
    for kind in ("saved_model", "tflite"):
        made = load_predictor(exported[kind]["path"]).generate(cells)
        assert made.keys() == keras_made.keys()
        for png, other in zip(made["copy_image"], keras_made["copy_image"], strict=True):
            pixels = [np.asarray(Image.open(io.BytesIO(x)), int) for x in (png, other)]
            assert np.abs(pixels[0] - pixels[1]).max() <= 1
        np.testing.assert_array_equal(made["copy_text"], keras_made["copy_text"])
        np.testing.assert_allclose(made["copy_numbers"], keras_made["copy_numbers"], rtol=1e-3, atol=1e-3)
        power = np.square(keras_made["copy_audio"].astype(float)).mean()
        apart = np.square(made["copy_audio"].astype(float) - keras_made["copy_audio"]).mean()
        assert apart < 1e-3 * power


def test_the_export_compares_what_is_generated(exported):
    parity = exported["saved_model"]["parity"]
    assert {"generate/copy_audio", "generate/copy_image_bytes", "reconstruct/copy_latent"} <= parity[
        "differences"
    ].keys()
    assert "generate/copy_text" in parity["labels"] and parity["max_difference"] < 1e-4
    assert "tensors/copy_latent" in exported["tflite"]["parity"]["differences"]


def test_each_subset_of_the_modalities_is_measured(judged):
    assert judged["outputs"].keys() == {*(f"copy_{name}" for name in KINDS), "copy_latent"}
    assert judged["outputs"]["copy_latent"]["loss"] > 0.5  # The code is used.
    table = judged["subsets"]
    assert len(table) == 15 and all(
        set(scores) == {f"copy_{name}" for name in KINDS} for scores in table.values()
    )
    whole = table["audio+image+numbers+text"]
    assert whole["copy_image"] == pytest.approx(judged["outputs"]["copy_image"]["pixel_error"], rel=1e-5)
    # A sound tells the colour: an image of the mean colour alone is about 70 off.
    assert table["audio"]["copy_image"] < 35 and table["audio"]["copy_text"] > 0.7


def test_the_page_shows_what_was_rebuilt_and_imagined(imagining, judged, tmp_path):
    run, data = imagining
    paths = write_report(judged, tmp_path)
    drawn = draw_rebuilt(run.model, run.spec, data, "test", tmp_path)
    assert [path.name for path in drawn] == ["rebuilt_copy.png"] and drawn[0].stat().st_size > 10_000
    page = write_page(judged, paths + drawn, tmp_path).read_text(encoding="utf-8")
    assert page.count("<img ") == 1 and "copy_image" in page
    out = Console(file=io.StringIO(), width=200)
    show_evaluation(out, judged)
    text = out.file.getvalue()
    assert "copy_image pixel error" in text and "copy_latent" in text


@pytest.mark.parametrize("latent", LATENTS)
def test_every_latent_learns_and_answers(latent, colours):
    outputs = {"copy": {"kind": "autoencoder", "units": 16, "latent": LATENTS[latent]}}
    spec = quick_spec(colours, outputs=outputs)
    data = make_datasets(spec)
    model = compiled(spec, data)
    before = model.evaluate(data.validation, verbose=0, return_dict=True)["loss"]
    model.fit(data.train, epochs=3, verbose=0)
    assert model.evaluate(data.validation, verbose=0, return_dict=True)["loss"] < 0.98 * before
    keys, code = {"copy_numbers", "copy_vec"}, set() if latent == "joint" else {"copy_latent"}
    assert model.output.keys() == keys | (set() if latent == "separate" else code)
    inputs = next(iter(data.test))[0]
    answered = [answering_model(model)(inputs, training=False) for _ in range(2)]
    assert answered[0].keys() == keys | code
    for key, x in answered[0].items():  # Nothing is drawn when it answers.
        np.testing.assert_array_equal(x, answered[1][key])
    if code:
        assert answered[0]["copy_latent"].shape == (len(inputs["present"]), 6 if latent == "separate" else 8)
        names = {layer.name for layer in model.layers}
        assert ("fused.embedding" in names) == (latent == "one")


def test_an_autoencoder_that_denoises_learns_what_stands_in_the_files(tmp_path):
    manifest = write_tiny(tmp_path / "data")

    def made(augment, denoise):
        outputs = {"copy": {"kind": "autoencoder"}}
        spec = tiny_spec(manifest, modalities=("image",), outputs=outputs, max_bad="20%")
        spec.modalities["image"].augment, spec.outputs["copy"].denoise = augment, denoise
        return make_datasets(spec)

    image = MODALITIES["image"]
    changes = ImageModality(**image, augment={"noise": 0.3, "mask": {"share": 0.5, "patch": 4}}).augment
    data = made(changes, True)
    inputs, targets, _ = next(iter(data.train))
    assert np.abs(inputs["image"].numpy() - targets["copy_image"].numpy()).mean() > 20
    wanted, _, _ = next(iter(made(None, False).train))
    np.testing.assert_array_equal(targets["copy_image"], wanted["image"])
    inputs, targets, _ = next(iter(data.validation))
    np.testing.assert_array_equal(inputs["image"], targets["copy_image"])
    inputs, targets, _ = next(iter(made(changes, False).train))  # Else what is read is what is learned.
    np.testing.assert_array_equal(inputs["image"], targets["copy_image"])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"denoise": True}, "augment"),
        ({"latent": {"kind": "variational", "experts": "sum"}}, "experts"),
        ({"latent": {"kind": "vae"}}, "kind"),
    ],
)
def test_wrong_latents_are_refused(change, words, colours):
    outputs = {"copy": {"kind": "autoencoder", **change}}
    with pytest.raises(SpecError, match=words):
        tiny_spec(colours, outputs=outputs)


def test_the_name_under_which_a_server_gives_a_file_is_taken(colours):
    with pytest.raises(SpecError, match="no modality or other output named `copy_image_bytes`"):
        tiny_spec(
            colours, outputs={"copy": {"kind": "autoencoder"}, "copy_image_bytes": {"kind": "classification"}}
        )


def test_a_name_that_is_not_written_is_refused(imagining):
    predictor = load_predictor(imagining[0].folder)
    with pytest.raises(PredictionError, match="image") as error:
        predictor.generate({"text": ["blau"]}, to=["imge"])
    assert "Did you mean `image`" in str(error.value)
    with pytest.raises(PredictionError, match="`to` expects"):
        predictor.generate({"text": ["blau"]}, to=[])
    with pytest.raises(PredictionError, match="draw"):
        Generator(predictor, sample=True)


def test_features_and_numbers_are_filled_in_even_where_the_table_lacks_their_column(tmp_path):
    spec = tiny_spec(
        "m.csv", modalities=("numbers", "text", "vec"), outputs={"copy": {"kind": "autoencoder"}}
    )
    vectors = np.arange(18, dtype="float32").reshape(3, 6)
    made = {"copy_vec": vectors, "copy_numbers": np.float32([[0.1, 7], [0.2, 8], [0.3, 9]])}
    made["copy_text"] = np.array([b"one", b"", b"three"], object)
    words = {"text": ["[PAD]", "[UNK]", "[START]", "[END]", "[MASK]", "a"]}
    fitted = Preprocessor(spec.modalities, spec.outputs, words, {}, {})
    predictor = Predictor("tflite", "model.tflite", fitted, None, {"generate": lambda raw: made})
    table = tmp_path / "table.csv"
    table.write_text("a,b,text,other\n1.5,,x,p\n,,y,q\n2,3,,\n", encoding="utf-8")
    result = impute(predictor, table, tmp_path / "full.csv")
    after = pd.read_csv(result["manifest"], dtype=str, keep_default_na=False)
    assert list(after.columns) == ["a", "b", "text", "other", "vec", "imputed"]
    assert after[["a", "b", "text", "other"]].to_numpy().tolist() == [
        ["1.5", "7.0", "x", "p"], ["0.2", "8.0", "y", "q"], ["2", "3", "three", ""],
    ]  # fmt: skip
    assert list(after["imputed"]) == ["numbers|vec", "numbers|vec", "text|vec"]
    assert list(after["vec"]) == [f"full/vec/{line}.npy" for line in (2, 3, 4)]
    np.testing.assert_array_equal(np.load(tmp_path / after["vec"][1]), vectors[1])
    assert result["made"] == {"numbers": 2, "text": 1, "vec": 3}


def test_an_export_of_an_earlier_version_is_named(tmp_path):
    spec = tiny_spec("m.csv", modalities=("numbers",), outputs={"copy": {"kind": "autoencoder"}})
    fitted = Preprocessor(spec.modalities, spec.outputs, {}, {}, {})
    predictor = Predictor(
        "saved_model", "old", fitted, None, {"generate": lambda raw: {"caption": np.ones(1)}}
    )
    with pytest.raises(PredictionError, match="export the run again"):
        predictor.generate({"numbers": [[1.0, 2.0]]}, to=["numbers"])


def test_a_tflite_file_that_has_captions_too_makes_what_is_named():
    outputs = {"copy": {"kind": "autoencoder"}, "caption": {"kind": "caption"}}
    spec = tiny_spec("manifest.csv", modalities=("numbers",), outputs=outputs)
    words = {"caption": ["[PAD]", "[UNK]", "[START]", "[END]", "[MASK]", "a"]}
    fitted = Preprocessor(spec.modalities, spec.outputs, words, {}, {})
    write = {"generate": lambda raw: {"copy_numbers": np.ones((2, 2), "float32")}}
    predictor = Predictor("tflite", "model.tflite", fitted, None, write)
    cells = {"numbers": [[1.0, 2.0], [3.0, np.nan]]}
    with pytest.raises(PredictionError, match=r"names `numbers`: give them as `to`"):
        predictor.generate(cells)
    with pytest.raises(PredictionError, match="`to` expects `numbers`"):
        predictor.generate(cells, to=["caption"])
    np.testing.assert_array_equal(predictor.generate(cells, to=["numbers"])["copy_numbers"], np.ones((2, 2)))


def test_files_are_written_of_one_example_and_of_rows(imagining, colours, tmp_path):
    predictor = load_predictor(imagining[0].folder)
    writer = Generator(predictor, to=["audio", "image", "text"])
    one = write_files(
        answers.predict_example(writer, {"text": ["a grün one at home"]}),
        predictor.preprocessor,
        tmp_path / "one",
    )
    assert sorted(path.name for path in (tmp_path / "one").iterdir()) == [
        "copy_audio.wav", "copy_image.png", "copy_text.txt",
    ]  # fmt: skip
    assert colour_of((tmp_path / "one/copy_image.png").read_bytes()) == 1
    assert (tmp_path / "one/copy_text.txt").read_text(encoding="utf-8") == f"{one.answers['copy_text'][0]}\n"
    sound, rate = soundfile.read(tmp_path / "one/copy_audio.wav")
    assert (len(sound), rate) == (800, 8000)
    rows = answers.read_rows(predictor, colours)
    parts = (
        write_files(part, predictor.preprocessor, tmp_path / "all")
        for part in answers.predict_rows(writer, rows)
    )
    answer_table.write_answers(tmp_path / "a.jsonl", parts, predictor.preprocessor)
    lines = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text(encoding="utf-8").splitlines()]
    assert len(lines) == 200 and lines[0].keys() == {"line", "copy_audio", "copy_image", "copy_text"}
    assert lines[5]["copy_image"].endswith("copy_image/7.png") and Image.open(
        lines[5]["copy_image"]
    ).size == (8, 8)


def test_missing_cells_are_filled_in_as_a_new_manifest(imagining, colours):
    predictor = load_predictor(imagining[0].folder)
    before = pd.read_csv(colours, dtype=str, keep_default_na=False)
    result = impute(predictor, colours, colours.with_name("filled.csv"))
    after = pd.read_csv(result["manifest"], dtype=str, keep_default_na=False)
    assert list(after.columns) == [*before.columns, "imputed"] and len(after) == result["rows"] == 200
    for column in ("label", "tags", "split", "vec"):
        assert (after[column] == before[column]).all()
    counts = {}
    for row in range(200):
        lacks = [name for name in ("audio", "image", "text") if not before[name][row]]
        lacks += ["numbers"] if not before["a"][row] or not before["b"][row] else []
        assert sorted(filter(None, after["imputed"][row].split("|"))) == sorted(lacks)
        counts.update({name: counts.get(name, 0) + 1 for name in lacks})
        for column in ("audio", "image", "text", "a", "b"):
            assert after[column][row] == (before[column][row] or after[column][row]) != ""
    assert result["made"] == counts
    lacking = before.index[before["image"] == ""]
    made = [colour_of((colours.parent / after["image"][row]).read_bytes()) == row % 3 for row in lacking]
    assert np.mean(made) >= 0.9 and after["image"][lacking[0]] == f"filled/image/{lacking[0] + 2}.png"
    # The new table trains as the old one does, with nothing missing.
    spec = tiny_spec(result["manifest"], modalities=KINDS)
    assert load_manifest(spec).present.all()
    with pytest.raises(ValueError, match=r"no filled\.csv yet"):
        impute(predictor, colours, colours.with_name("filled.csv"))
    with pytest.raises(ValueError, match="without a column `imputed`"):
        impute(predictor, result["manifest"], colours.with_name("again.csv"))


def test_nothing_is_left_of_a_table_that_cannot_be_filled_in(imagining, colours, tmp_path):
    predictor = load_predictor(imagining[0].folder)
    for path in (tmp_path / "filled.csv", colours.with_name("filled.jsonl")):
        with pytest.raises(ValueError, match=r"a \.csv file in the manifest's folder"):
            impute(predictor, colours, path)
    frame = pd.read_csv(colours, dtype=str, keep_default_na=False)
    (colours.parent / "image/broken.png").write_bytes(b"no picture")
    frame.loc[150, "image"] = "image/broken.png"
    frame.to_csv(colours.with_name("bad.csv"), index=False)
    before = sorted(path.name for path in colours.parent.iterdir())
    with pytest.raises(ManifestError, match="line 152"):
        impute(predictor, colours.with_name("bad.csv"), colours.with_name("mended.csv"))
    assert sorted(path.name for path in colours.parent.iterdir()) == before


def test_a_model_without_an_autoencoder_fills_in_nothing(colours, tmp_path):
    spec = quick_spec(colours, training={"epochs": 1})
    run, _ = train(spec, tmp_path)
    with pytest.raises(PredictionError, match="an autoencoder output"):
        impute(load_predictor(run.folder), colours, colours.with_name("none.csv"))


def test_the_command_line_writes_and_fills_in(imagining, colours, tmp_path):
    run = imagining[0].folder
    invoke = CliRunner().invoke
    result = invoke(
        app,
        [
            "generate",
            str(run),
            "--text",
            "a blau one",
            "--to",
            "image,numbers",
            "--folder",
            str(tmp_path / "g"),
        ],
    )
    assert result.exit_code == 0 and "copy_image.png" in result.output and "copy_numbers: " in result.output
    assert [path.name for path in (tmp_path / "g").iterdir()] == ["copy_image.png"]
    result = invoke(app, ["generate", str(run), "--text", "a blau one", "--to", "sound"])
    assert result.exit_code == 2 and "`to` expects" in result.stderr
    result = invoke(app, ["impute", str(run), str(colours), str(colours.with_name("shown.csv"))])
    assert result.exit_code == 0 and "shown.csv" in result.output and "image" in result.output
