"""Speech outputs, from the manifest to the sounds of all three forms of the model."""

import csv
import io
import json

import keras
import numpy as np
import pytest
import soundfile
from rich.console import Console

from mm_keras import answer_table, answers
from mm_keras.answering_model import answering_model
from mm_keras.console_evaluation import show_evaluation
from mm_keras.data.doctor import diagnose
from mm_keras.data.findings import DataError
from mm_keras.data.pipeline import make_datasets
from mm_keras.data.prepare import prepare
from mm_keras.data.table import ManifestError
from mm_keras.evaluation import draw_sounds, evaluate, write_page, write_report
from mm_keras.exporting import ExportError, export, parity
from mm_keras.generated_files import write_files
from mm_keras.generation import Generator
from mm_keras.model import build_model
from mm_keras.prediction import PredictionError, load_predictor
from mm_keras.spec_file import SpecError, make_spec
from mm_keras.training import build_for_fit, compile_arguments, train

pytestmark = pytest.mark.slow
ROWS, RATE = 300, 4000
HERTZ = {"red": 500, "green": 900, "blue": 1500}
SECONDS = {"left": 0.08, "right": 0.16}
MODALITIES = {
    "place": {"kind": "numbers", "columns": ["a", "b"], "encoder": {"units": 16, "dropout": 0.0}},
    "note": {
        "kind": "text",
        "length": 6,
        "vocabulary_size": 64,
        "encoder": {"embedding": 8, "units": 16, "dropout": 0.0, "pooling": "none"},
    },
}
SPEECH = {
    "kind": "speech",
    "rate": RATE,
    "seconds": 0.2,
    "mel_bins": 32,
    "window": 0.032,
    "hop": 0.008,
    "parallel": True,
    "decoder": {"units": 32, "dropout": 0.0},
    "iterations": 8,
}
SUNG = {**SPEECH, "parallel": False, "prenet_dropout": 0.2}
GUIDED = {
    **SUNG,
    "decoder": {"kind": "transformer", "units": 32, "layers": 1},
    "guided_attention": {"modality": "note", "weight": 0.5, "width": 0.3},
}


def split_of(row):
    return {3: "validation", 4: "test"}.get(row % 5, "train")


def is_there(row, name):
    return row % 11 != {"place": 5, "note": 7, "speech": 9}[name]


def colour_of(row):
    return list(HERTZ)[row * 7 % 3]


def tone(colour, side):
    time = np.arange(round(SECONDS[side] * RATE)) / RATE
    return 0.4 * np.sin(2 * np.pi * HERTZ[colour] * time + 0.3)


def write_tones(folder):
    """Writes a table whose notes tell the pitch of a tone and whose numbers tell its length."""
    random = np.random.default_rng(7)
    (folder / "tones").mkdir()
    with open(folder / "tones.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "a", "b", "note", "speech", "split"])
        for row in range(ROWS):
            a, b = random.normal(size=2)
            side, colour = "left" if a < 0 else "right", colour_of(row)
            path = f"tones/{row}.wav"
            soundfile.write(folder / path, tone(colour, side), RATE, subtype="PCM_16")
            numbers = [f"{a:.4f}", f"{b:.4f}"] if is_there(row, "place") else ["", ""]
            note = f"it is {colour} again" if is_there(row, "note") else ""
            writer.writerow(
                [f"t{row}", *numbers, note, path if is_there(row, "speech") else "", split_of(row)]
            )
    return folder / "tones.csv"


def tone_spec(table, outputs=None, **parts):
    return make_spec(
        {
            "name": "tones",
            "data": {
                "manifest": str(table),
                "split": "split",
                "max_bad": 0.2,
                "cache_folder": str(table) + ".cache",
                **parts.pop("data", {}),
            },
            "modalities": MODALITIES,
            "outputs": outputs or {"speech": SPEECH},
            "export": {"rows": 8},
            **parts,
            "fusion": {"kind": "concatenate", "units": 32, "dropout": 0.0},
            "training": {
                "epochs": 25,
                "batch_size": 32,
                "learning_rate": 0.01,
                "patience": 0,
                "strategy": "none",
                "precision": "float32",
                **parts.get("training", {}),
            },
        }
    )


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    return write_tones(tmp_path_factory.mktemp("tones"))


@pytest.fixture(scope="module")
def speaking(table, tmp_path_factory):
    keras.utils.set_random_seed(7)
    return train(tone_spec(table), tmp_path_factory.mktemp("runs"))


@pytest.fixture(scope="module")
def result(speaking):
    run, data = speaking
    return evaluate(run.model, run.spec, data)


@pytest.fixture(scope="module")
def written_forms(speaking, tmp_path_factory):
    run, data = speaking
    return export(run.model, run.spec, data, tmp_path_factory.mktemp("saved_models") / "tones")


def pitch_of(sound):
    """Returns the strongest frequency (Hz) of PCM, to 1 Hz."""
    return int(np.abs(np.fft.rfft(sound * np.hanning(len(sound)), RATE)).argmax())


CELLS = {
    "place": [[-1.0, 0.0], [2.0, 0.0], [np.nan] * 2],
    "note": ["it is blue again", "", "it is red again"],
}


def test_pitch_and_length_are_learned_from_the_modality_that_tells_them(speaking):
    answer = load_predictor(speaking[0].folder).predict(CELLS)
    assert list(answer) == ["speech", "speech_samples", "speech_rate"]
    assert answer["speech"].dtype == np.int16 and answer["speech"].shape == (3, 800)
    np.testing.assert_array_equal(answer["speech_rate"], [RATE] * 3)
    lengths = answer["speech_samples"]
    assert abs(lengths[0] - 0.08 * RATE) <= 64 and abs(lengths[1] - 0.16 * RATE) <= 64  # A group.
    for row, colour in ((0, "blue"), (2, "red")):
        sound = answer["speech"][row]
        assert abs(pitch_of(sound[: lengths[row]]) - HERTZ[colour]) < 60, colour
        assert not sound[lengths[row] :].any()
    alone = load_predictor(speaking[0].folder).predict({name: cells[:1] for name, cells in CELLS.items()})
    assert np.abs(alone["speech"][0].astype(int) - answer["speech"][0]).max() < 330  # A hundredth.


def test_the_distortion_is_told_of_each_subset(result):
    found = result["outputs"]["speech"]
    subsets = {name: scores["speech"] for name, scores in result["subsets"].items()}
    assert subsets["note+place"] == found["mel_cepstral_distortion"] < subsets["place"] / 2
    assert 0 < found["mel_error"] < 4
    assert not result["warnings"]
    assert all(branch["speech"]["learned"] for branch in result["branches"].values())


def test_targets_are_groups_and_the_given_ones_come_before_them(speaking):
    _, data = speaking
    widths = set()
    for inputs, targets, weights in data.train:
        groups, given = targets["speech"].numpy(), inputs["speech.given"].numpy()
        np.testing.assert_array_equal(given[:, 0], 0)
        np.testing.assert_array_equal(given[:, 1:], groups[:, :-1])
        assert (groups[:, -1, -1] == 1).all()
        np.testing.assert_array_equal(weights["speech"] > 0, groups[:, 0, -1] == 0)
        widths.add(groups.shape[1])
    assert widths == {10}  # 0.16 s of groups of 16 ms, of the 13 that 0.2 s has.
    assert next(iter(data.validation))[1]["speech"].shape[1] == 13


@pytest.mark.parametrize("form", ["saved_model", "tflite"])
def test_every_form_makes_the_same_sound_of_whole_and_of_partial_rows(speaking, written_forms, form):
    given = load_predictor(written_forms[form]["path"]).predict(CELLS)
    wanted = load_predictor(speaking[0].folder).predict(CELLS)
    assert list(given) == list(wanted)
    np.testing.assert_array_equal(given["speech_samples"], wanted["speech_samples"])
    assert parity.sounds_apart(given["speech"], wanted["speech"]) < 1e-4
    generated = load_predictor(written_forms[form]["path"]).generate(CELLS)
    np.testing.assert_array_equal(generated["speech"], given["speech"])


def test_parity_tells_every_signature(written_forms):
    result = written_forms["saved_model"]["parity"]
    assert {"serving_default", "tensors", "describe", "generate", "embed"} == set(result["latency_ms"])
    assert {"generate/speech", "tensors/speech", "tensors/speech_frames"} <= result["differences"].keys()
    assert result["labels"]["generate/speech_samples"] == 1.0
    builtin = written_forms["tflite"]["parity"]["operators"]
    assert "WHILE" in builtin and not any(name.startswith("Flex") for name in builtin)


def test_other_sounds_than_those_of_the_model_are_refused(speaking, tmp_path, monkeypatch):
    run, data = speaking
    read = parity.read_tensors

    def read_others(folder, signature):
        tensors = read(folder, signature)
        return {**tensors, "speech": tensors["speech"][::-1]} if signature == "generate" else tensors

    monkeypatch.setattr(parity, "read_tensors", read_others)
    with pytest.raises(ExportError, match="differences up to 0.0001. Received: .* in generate/speech"):
        spec = run.spec.model_copy(deep=True)
        spec.export.formats = ["saved_model"]
        export(run.model, spec, data, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_reloaded_model_makes_the_same_sound(speaking, tmp_path):
    run, data = speaking
    inputs = {name: x for name, x in next(iter(data.test))[0].items() if "." not in name}
    before = answering_model(run.model)(inputs)
    run.model.save(tmp_path / "model.keras")
    after = answering_model(keras.saving.load_model(tmp_path / "model.keras"))(inputs)
    np.testing.assert_allclose(before["speech_frames"], after["speech_frames"], atol=1e-5)


def test_sounds_are_written_as_files_beside_a_table(speaking, table, tmp_path):
    predictor = load_predictor(speaking[0].folder)
    writer, rows = Generator(predictor), answers.read_rows(predictor, table)
    parts = (
        write_files(part, predictor.preprocessor, tmp_path / "made")
        for part in answers.predict_rows(writer, rows)
    )
    answer_table.write_answers(tmp_path / "a.jsonl", parts, predictor.preprocessor)
    lines = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text(encoding="utf-8").splitlines()]
    assert len(lines) == ROWS and lines[0].keys() == {"line", "id", "speech", "speech_seconds"}
    sound, rate = soundfile.read(lines[0]["speech"], dtype="int16")
    assert lines[0]["speech"].endswith("speech/2.wav") and rate == RATE
    assert len(sound) / rate == pytest.approx(lines[0]["speech_seconds"])
    part = answers.predict_example(writer, {"note": ["it is red again"]})
    write_files(part, predictor.preprocessor, tmp_path / "one")
    sound, _ = soundfile.read(tmp_path / "one" / "speech.wav", dtype="int16")
    assert abs(pitch_of(sound) - HERTZ["red"]) < 60
    plain = next(answer_table.records(answers.predict_example(predictor, CELLS), predictor.preprocessor))
    assert plain.keys() == {"speech_seconds"}


def test_the_report_shows_spectrograms_and_players(speaking, result, tmp_path):
    run, data = speaking
    paths = write_report(result, tmp_path)
    paths += draw_sounds(run.model, run.spec, data, "test", tmp_path)
    page = write_page(result, paths, tmp_path).read_text(encoding="utf-8")
    assert (tmp_path / "speech_speech.png").stat().st_size > 10_000
    sounds = sorted((tmp_path / "speech_speech").iterdir())
    assert len(sounds) == 8 and page.count("<audio controls") == 8 and page.count("<img ") == 1
    assert "mel cepstral distortion" in page and "http" not in page
    true, _ = soundfile.read(next(path for path in sounds if path.stem.endswith("_true")))
    assert len(true) in {round(seconds * RATE) for seconds in SECONDS.values()}


def test_the_evaluation_is_shown(result):
    out = Console(file=io.StringIO(), width=140)
    show_evaluation(out, result)
    text = out.file.getvalue()
    assert "mel-cepstral distortion (dB)" in text and "distortion (dB)" in text and "mel error (dB)" in text


def fitted(spec, data, epochs=6):
    model = build_model(spec, data)
    model.compile(**compile_arguments(spec, data))
    build_for_fit(model, data.train)
    return model, model.fit(data.train, validation_data=data.validation, epochs=epochs, verbose=0).history


def test_written_step_by_step_it_trains_with_plain_keras_and_is_exported(table, tmp_path):
    spec = tone_spec(table, {"speech": SUNG}, training={"epochs": 6})
    data = make_datasets(spec)
    model, history = fitted(spec, data)
    assert history["val_loss"][-1] < 0.7 * history["val_loss"][0]
    spec.export.formats = ["tflite"]
    made = export(model, spec, data, tmp_path / "out")["tflite"]
    assert not any(name.startswith("Flex") for name in made["parity"]["operators"])
    sound = load_predictor(made["path"]).generate({"note": ["it is red"]})
    assert sound["speech_samples"][0] > 0


def test_attention_is_guided_along_a_text_in_training_alone(table):
    spec = tone_spec(table, {"speech": GUIDED}, training={"epochs": 2})
    data = make_datasets(spec)
    model, history = fitted(spec, data, 2)
    assert history["val_loss"][-1] < history["val_loss"][0]
    inputs = next(iter(data.train))[0]
    model(inputs, training=True)
    strayed = float(model.losses[0])
    assert 0 < strayed < 0.5  # The weight: at most all of the attention strays.
    model(inputs, training=False)
    assert not model.losses


def test_a_file_that_cannot_be_decoded_costs_its_row_and_is_named(table, tmp_path):
    text = table.read_text(encoding="utf-8").replace("tones/", f"{table.parent.name}/tones/")
    (tmp_path / table.parent.name).symlink_to(table.parent)
    broken = tmp_path / "broken.wav"
    broken.write_bytes(b"RIFF and no more")
    text = text.replace(f"{table.parent.name}/tones/0.wav", "broken.wav")
    text = text.replace(f"{table.parent.name}/tones/1.wav", "nowhere.wav")
    (tmp_path / "tones.csv").write_text(text, encoding="utf-8")
    data = make_datasets(tone_spec(tmp_path / "tones.csv"))
    found = {finding.line: finding for finding in data.manifest.findings}
    assert found[2].path == "broken.wav" and found[2].column == "speech"
    assert found[3].code == "missing_file" and found[3].modality == "speech"
    assert not {0, 1} & set(data.rows["train"].tolist())
    kept = make_datasets(tone_spec(tmp_path / "tones.csv", data={"on_bad": "missing"}))
    assert {0, 1} <= set(kept.rows["train"].tolist())
    assert kept.manifest.target_weights["speech"][:3].tolist() == [0, 0, 1]
    with pytest.raises(DataError, match="broken.wav|nowhere.wav"):
        make_datasets(tone_spec(tmp_path / "tones.csv", data={"on_bad": "fail"}))
    diagnosis = diagnose(tone_spec(tmp_path / "tones.csv"))
    assert {finding.line for finding in diagnosis.errors} >= {2, 3}
    told = diagnosis.facts["outputs"]["speech"]
    assert told["distributions"]["seconds"]["max"] == pytest.approx(0.16) and told["cut"] == 0


def sums_of(data):
    """Returns a number for each validation sound, ascending."""
    return np.sort(np.concatenate([t["speech"].numpy().sum(axis=(1, 2)) for _, t, _ in data.validation]))


def test_sounds_are_read_from_prepared_shards_and_cached_in_files(speaking, table, tmp_path):
    wanted = sums_of(speaking[1])
    prepare(tone_spec(table), tmp_path / "shards")
    where = {"cache": "file", "cache_folder": str(tmp_path / "cache")}
    ready = make_datasets(tone_spec(tmp_path / "shards", data=where))
    np.testing.assert_allclose(sums_of(ready), wanted, rtol=1e-6)
    with pytest.raises(ManifestError, match="`outputs.speech.rate` expects .*prepared at 4000"):
        make_datasets(tone_spec(tmp_path / "shards", {"speech": {**SPEECH, "rate": 8000}}))


def test_what_cannot_be_drawn_says_so(speaking):
    predictor = load_predictor(speaking[0].folder)
    with pytest.raises(PredictionError, match="a caption output to draw from.*Leave `sample` out"):
        predictor.generate({"note": ["it is red"]}, sample=True)


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ({"training": {"mixup": 0.2}}, "`training.mixup` expects 0 with the speech output `speech`"),
        (
            {"outputs": {"speech": {**SPEECH, "column": "note"}}},
            "`outputs.speech.column` expects a column that no modality reads",
        ),
        (
            {"outputs": {"speech": SPEECH, "speech_rate": {"kind": "classification"}}},
            "`outputs.speech` expects no modality or other output named `speech_rate`",
        ),
        (
            {"outputs": {"speech": {**SPEECH, "window": 0.5}}},
            "`outputs.speech.window` expects at least `hop` and at most `seconds`",
        ),
        (
            {"outputs": {"speech": {**SPEECH, "guided_attention": {"modality": "notes"}}}},
            "`outputs.speech.guided_attention.modality` expects a name among .*Received: `notes`",
        ),
        (
            {"outputs": {"speech": {**SPEECH, "guided_attention": {"modality": "place"}}}},
            "`outputs.speech.guided_attention.modality` expects a sequence",
        ),
    ],
)
def test_a_wrong_output_is_refused(parts, words):
    with pytest.raises(SpecError, match=words):
        tone_spec("tones.csv", **parts)


def test_a_column_without_sounds_is_refused(table, tmp_path):
    lines = table.read_text(encoding="utf-8").splitlines()
    empty = [",".join([*line.split(",")[:4], "", line.split(",")[5]]) for line in lines[1:]]
    (tmp_path / "tones.csv").write_text("\n".join([lines[0], *empty]), encoding="utf-8")
    with pytest.raises(ManifestError, match="`column speech` expects sounds in the train rows"):
        make_datasets(tone_spec(tmp_path / "tones.csv"))
