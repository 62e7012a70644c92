"""Prediction: a run, its SavedModel and its TFLite file give one answer to the same cells."""

import json

import numpy as np
import pytest
import soundfile
import tiny

from mm_keras.prediction import PredictionError, load_predictor

pytestmark = pytest.mark.slow
KINDS = ("keras", "saved_model", "tflite")


@pytest.fixture(scope="module")
def predictors(trained, exported):
    paths = (trained[0].folder, exported["saved_model"]["path"], exported["tflite"]["path"])
    return dict(zip(KINDS, map(load_predictor, paths), strict=True))


@pytest.fixture(scope="module")
def cells(trained):
    return trained[1].manifest.cells


def assert_equal(answers, want):
    assert list(answers) == list(want) == ["label", "label_scores", "tags", "tags_scores"]
    for name, x in want.items():
        if x.dtype == object:
            assert answers[name].tolist() == x.tolist()
        else:
            np.testing.assert_allclose(answers[name], x, atol=1e-4, err_msg=name)  # Export's own tolerance.


def test_the_three_kinds_agree_on_whole_and_on_partial_rows(predictors, cells):
    assert [predictor.kind for predictor in predictors.values()] == list(KINDS)
    for names in (tiny.NAMES, ("image", "vec"), ("audio", "text", "numbers")):
        rows = [row for row in range(20) if any(tiny.is_there(row, name) for name in names)]
        part = {name: cells[name][rows] for name in names}
        keras, *others = (predictor.predict(part, batch_size=8) for predictor in predictors.values())
        assert len(keras["label"]) == len(rows)
        assert keras["label_scores"].shape == (len(rows), 3) and keras["tags_scores"].shape == (len(rows), 2)
        np.testing.assert_allclose(keras["label_scores"].sum(axis=1), 1, atol=1e-5)
        for answers in others:
            assert_equal(answers, keras)


def test_answers_are_those_of_the_model(predictors, trained):
    run, data = trained
    inputs, _, _ = next(iter(data.test))
    scores = run.model(inputs, training=False)["label"].numpy()
    rows = data.rows["test"][: len(scores)]
    part = {name: cells[rows] for name, cells in data.manifest.cells.items()}
    answers = predictors["keras"].predict(part)
    np.testing.assert_allclose(answers["label_scores"], scores, atol=1e-5)
    assert answers["label"].tolist() == [tiny.LABELS[i] for i in scores.argmax(axis=1)]


@pytest.mark.parametrize("kind", KINDS)
def test_the_size_of_a_batch_does_not_change_an_answer(predictors, cells, kind):
    part = {"text": cells["text"][:5], "numbers": cells["numbers"][:5], "vec": cells["vec"][:5]}
    assert_equal(predictors[kind].predict(part, batch_size=2), predictors[kind].predict(part))


@pytest.mark.parametrize("kind", KINDS)
def test_flac_and_wav_of_one_sound_get_one_answer(predictors, tmp_path, kind):
    sound = np.round(np.sin(np.arange(800) / 3) * 16_000).astype("int16")
    for name in ("x.wav", "x.flac"):
        soundfile.write(tmp_path / name, sound, 8000, subtype="PCM_16")
    scores = predictors[kind].predict({"audio": ["x.wav", "x.flac"]}, root=tmp_path)["label_scores"]
    np.testing.assert_allclose(scores[0], scores[1], atol=1e-6)


def test_features_and_numbers_are_read_with_gaps(predictors, tiny_manifest):
    part = {"numbers": [[1, np.nan], [np.nan, np.nan]], "vec": ["", "vec/0.npy"]}
    first, *others = (
        predictor.predict(part, root=tiny_manifest.parent)["label_scores"]
        for predictor in predictors.values()
    )
    assert np.abs(first[0] - first[1]).max() > 0
    for scores in others:
        np.testing.assert_allclose(scores, first, atol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("name", "contents", "reason"),
    [
        ("image", None, "No such file or directory"),
        ("image", b"", "The file is empty."),
        ("image", b"no picture", "expects PNG, JPEG, GIF or BMP"),
        ("audio", b"RIFF\x00\x00", "expects"),
    ],
)
def test_a_file_that_cannot_be_read_is_named_with_its_row(
    predictors, tiny_manifest, tmp_path, kind, name, contents, reason
):
    path = tmp_path / "bad"
    if contents is not None:
        path.write_bytes(contents)
    good = str(tiny_manifest.parent / {"image": "image/0.png", "audio": "audio/1.wav"}[name])
    with pytest.raises(ValueError) as caught:
        predictors[kind].predict({name: [good, good, str(path)]}, batch_size=2)
    text = str(caught.value)
    assert text.startswith(
        f"`predict` expects a readable file of kind {name} for `{name}`. Received: row 3: "
    )
    assert str(path) in text and reason in text
    assert "{{" not in text and "node" not in text and "\n" not in text


def test_what_does_not_fit_the_model_is_refused(predictors):
    predict = predictors["saved_model"].predict
    with pytest.raises(PredictionError, match=r"modalities among `audio`, .*Received: 'sound'"):
        predict({"sound": ["a.wav"]})
    with pytest.raises(
        PredictionError, match=r"columns of one length > 0. Received: \{'text': 1, 'vec': 2\}"
    ):
        predict({"text": ["a"], "vec": ["", ""]})
    for empty in ({}, {"text": []}):
        with pytest.raises(PredictionError, match="columns of one length > 0"):
            predict(empty)
    with pytest.raises(
        PredictionError, match=r"a modality that is there in each row. Received: none in row 2"
    ):
        predict({"text": ["a", " "], "numbers": [[1, 2], [np.nan, np.nan]]})


def test_a_path_without_a_model_is_refused(exported, trained, tmp_path):
    for path, words in ((tmp_path, "holds none of them"), (tmp_path / "x", "does not exist")):
        with pytest.raises(PredictionError, match=f"a run folder, .* or a .tflite file.*{words}"):
            load_predictor(path)
    assert load_predictor(trained[0].folder.parent).kind == "keras"
    alone = tmp_path / "model.tflite"
    alone.write_bytes(b"x")
    with pytest.raises(ValueError, match=f"a folder with preprocess.json. Received: {tmp_path}"):
        load_predictor(alone)


def test_labels_of_answers_are_those_of_the_artefact(exported, predictors):
    told = json.loads((predictors["tflite"].path.parent / "preprocess.json").read_text(encoding="utf-8"))
    assert told["labels"] == predictors["saved_model"].preprocessor.labels
    assert told["labels"]["label"] == list(tiny.LABELS)
