"""Offsets between timed images and a sound, and cells that belong to an example."""

import io
import json
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from typer.testing import CliRunner

from mm_keras import answers
from mm_keras.cli import app
from mm_keras.data.keypad import write_keypad
from mm_keras.data.keypad_dial import write_dial
from mm_keras.data.preprocessor import Preprocessor
from mm_keras.exporting import export
from mm_keras.prediction import PredictionError, load_predictor
from mm_keras.spec_file import make_spec
from mm_keras.synchrony import read_frames, retrieve, synchronise
from mm_keras.synchrony_report import write_sync
from mm_keras.training import train

RATE, HERTZ, WIDTH = 8000, np.array([500, 900, 1400, 2200]), 0.2
CRNN = {"filters": [16], "units": 32}
ORDER = [0, 2, 1, 3, 0, 1, 2, 0, 3, 1, 3, 2]  # Which grey and which tone there is, a fifth of a second each.


class Ear:
    """Stands for a model: the vector of an image is its grey, that of a sound how much of each tone it
    has."""

    def __init__(self, outputs=("image", "audio")):
        modalities = {
            "image": SimpleNamespace(kind="image"),
            "audio": SimpleNamespace(kind="audio", seconds=WIDTH),
            "note": SimpleNamespace(kind="text"),
        }
        part = SimpleNamespace(kind="contrastive", modalities=sorted(outputs))
        parts = {"match": part} if outputs else {}
        fitted = SimpleNamespace(modalities=modalities, outputs=parts)
        fitted.of_kind = lambda *kinds: Preprocessor.of_kind(fitted, *kinds)
        self.preprocessor, self.path = fitted, "runs/ear"

    def predict(self, cells):
        ((name, column),) = cells.items()
        vectors = np.stack([getattr(self, f"_{name}")(cell) for cell in column])
        return {f"match_{name}": vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)}

    def _image(self, path):
        return np.eye(4)[np.asarray(Image.open(path)).mean().round().astype(int) // 60]

    def _audio(self, contents):
        sound, rate = soundfile.read(io.BytesIO(contents) if isinstance(contents, bytes) else contents)
        if sound.ndim > 1:
            sound = sound.mean(axis=1)
        waves = np.exp(-2j * np.pi * HERTZ[:, None] * np.arange(len(sound)) / rate)
        return np.abs(waves @ sound) + 1e-3


def write_film(folder, offset, rate=RATE, fps=25, numbered=False, channels=1, subtype="PCM_16"):
    """Writes frames from second 1 on, and tones that are late by `offset`."""
    (folder / "frames").mkdir(parents=True)
    lasts = 0.2 * len(ORDER)
    for index, second in enumerate(np.arange(0, lasts - 1e-9, 1 / fps)):
        grey = ORDER[int(second / 0.2 + 1e-6)] * 60
        name = f"f{index}" if numbered else f"{1 + second:.3f}"
        Image.fromarray(np.full((4, 4), grey, "uint8")).save(folder / f"frames/{name}.png")
    sound = np.zeros((round((lasts + 3) * rate), channels))
    for index, tone in enumerate(ORDER):
        time = np.arange(round(0.2 * rate)) / rate
        start = round((1 + offset + 0.2 * index) * rate)
        sound[start : start + len(time)] = 0.3 * np.sin(2 * np.pi * HERTZ[tone] * time)[:, None]
    soundfile.write(folder / "sound.wav", sound, rate, subtype=subtype)
    return folder


@settings(max_examples=6, deadline=None)
@given(st.integers(-40, 40), st.sampled_from([(8000, 1, "FLOAT"), (11025, 2, "PCM_16")]))
def test_any_offset_is_found_at_any_rate(tmp_path_factory, offset, form):
    rate, channels, subtype = form
    film = write_film(tmp_path_factory.mktemp("film"), offset / 50, rate, channels=channels, subtype=subtype)
    result = synchronise(Ear(), film / "frames", film / "sound.wav", most=1.0)
    assert abs(result["offset"] - offset / 50) <= 0.03
    assert result["frames"] == 60 and result["confidence"] > 0.2


def test_the_anchor_says_where_in_its_sound_an_image_stands(tmp_path):
    film = write_film(tmp_path, 0.3)
    found = {
        anchor: synchronise(Ear(), film / "frames", film / "sound.wav", most=1.0, anchor=anchor)["offset"]
        for anchor in ("start", "middle", "end")
    }
    assert found["start"] == pytest.approx(found["middle"] - WIDTH / 2, abs=0.021)
    assert found["end"] == pytest.approx(found["middle"] + WIDTH / 2, abs=0.021)


def test_frames_may_come_in_the_order_of_their_numbers(tmp_path):
    film = write_film(tmp_path, 0.2, numbered=True)
    result = synchronise(Ear(), film / "frames", film / "sound.wav", fps=25)
    assert result["offset"] == pytest.approx(1.2, abs=0.03)  # They begin at 0 then, the sound's at 1.
    times, paths = read_frames(film / "frames", 25)
    assert [path.stem for path in paths[:12]] == [f"f{i}" for i in range(12)] and times[1] == 0.04


def test_the_curve_holds_each_offset_at_which_enough_frames_have_a_sound(tmp_path):
    film = write_film(tmp_path, 0.0)
    result = synchronise(Ear(), film / "frames", film / "sound.wav", most=4.0, hop=0.1)
    offsets, scores = np.array(result["curve"]).T
    np.testing.assert_allclose(np.diff(offsets), 0.1)
    # 2.4 s of frames from second 1 on; the sound has 5.4 s: up to half of them may hang over an end.
    assert offsets[0] == pytest.approx(-2.0, abs=0.15) and offsets[-1] == pytest.approx(3.1, abs=0.15)
    assert result["score"] == scores.max() and abs(scores).max() <= 1 + 1e-6
    progress = []
    synchronise(Ear(), film / "frames", film / "sound.wav", hop=0.1, progress=progress.append)
    assert sum(progress) == result["frames"] + result["windows"]


def test_what_was_found_is_written(tmp_path):
    film = write_film(tmp_path / "film", 0.0)
    result = synchronise(Ear(), film / "frames", film / "sound.wav", most=0.5)
    paths = write_sync(result, tmp_path / "new" / "sync")
    assert json.loads(paths[0].read_text(encoding="utf-8")) == result
    assert Image.open(paths[1]).size[0] > 500


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"most": 0.0}, "most"),
        ({"hop": float("nan")}, "hop"),
        ({"hop": 3.0}, "hop"),
        ({"fps": -1}, "fps"),
        ({"anchor": "centre"}, "anchor"),
        ({"frames": "nowhere"}, "no folder"),
        ({"frames": "empty"}, "none"),
        ({"frames": "named"}, "12.40.png"),
        ({"sound": "frames/1.000.png"}, "a file of sound"),
        ({"sound": "short.wav"}, "half of the frames"),
        ({"sound": "none.wav"}, "which is empty"),
    ],
)
def test_wrong_input_is_named(settings, words, tmp_path):
    film = write_film(tmp_path, 0.0)
    (film / "empty").mkdir()
    (film / "named").mkdir()
    Image.new("L", (4, 4)).save(film / "named/first.png")
    soundfile.write(film / "short.wav", np.zeros(800), RATE)
    soundfile.write(film / "none.wav", np.zeros(0), RATE)
    paths = {
        key: film / settings.pop(key, default)
        for key, default in (("frames", "frames"), ("sound", "sound.wav"))
    }
    with pytest.raises(ValueError, match="expects") as error:
        synchronise(Ear(), **paths, **{"most": 0.5, **settings})
    assert words in str(error.value)


def test_a_model_that_draws_no_image_and_sound_together_is_refused(tmp_path):
    film = write_film(tmp_path, 0.0)
    for outputs in ((), ("image", "note")):
        with pytest.raises(PredictionError, match="contrastive"):
            synchronise(Ear(outputs), film / "frames", film / "sound.wav")


@pytest.fixture(scope="module")
def keypad(tmp_path_factory):
    return write_keypad(tmp_path_factory.mktemp("keypad") / "keypad", rows=600, empty=0.0, sounds=True)


@pytest.fixture(scope="module")
def matching(keypad, tmp_path_factory):
    spec = make_spec(
        {
            "name": "match",
            "data": {"manifest": str(keypad), "split": "split"},
            "modalities": {
                "image": {"kind": "image", "size": [16, 16], "channels": 1, "encoder": {"filters": [16]}},
                "audio": {"kind": "audio", "rate": 8000, "seconds": 0.5, "encoder": CRNN},
            },
            "outputs": {"match": {"kind": "contrastive", "units": 32, "modalities": ["audio", "image"]},
                        "label": {"kind": "classification"}},
            "training": {"epochs": 12, "batch_size": 48, "learning_rate": 0.004, "strategy": "none"},
            "export": {"rows": 8, "formats": ["tflite"]},
        }
    )  # fmt: skip
    return train(spec, tmp_path_factory.mktemp("runs"))


@pytest.mark.slow
def test_a_trained_model_hears_by_how_much_a_dialled_number_is_late(matching, keypad, tmp_path):
    dial = write_dial(keypad.parent, tmp_path / "dial", "28051947", offset=-0.4)
    result = CliRunner().invoke(
        app,
        ["sync", str(matching[0].folder), str(dial / "frames"), str(dial / "sound.wav"), "--most", "1",
         "--folder", str(tmp_path / "sync")],
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert "early" in result.output and "sync.png" in result.output
    assert json.loads((tmp_path / "sync/sync.json").read_text(encoding="utf-8"))["offset"] == pytest.approx(
        -0.4, abs=0.12
    )


@pytest.mark.slow
def test_the_best_sound_for_an_image_is_of_its_key_in_the_run_and_on_the_phone(matching, keypad, tmp_path):
    run, data = matching
    saved = export(run.model, run.spec, data, tmp_path / "saved")
    labels = data.manifest.table["label"].to_numpy(str)
    found, some = {}, keypad.with_name("some.csv")
    some.write_text("".join(keypad.read_text(encoding="utf-8").splitlines(True)[:101]), encoding="utf-8")
    for path in (run.folder, saved["tflite"]["path"]):
        predictor = load_predictor(path)
        rows = answers.read_rows(predictor, some)
        cells = {"image": [str(data.manifest.cells["image"][data.rows["test"][0]])]}
        found[str(path)] = retrieve(predictor, cells, rows, "audio", top=5)
    first, other = found.values()
    assert [row["score"] for row in first] == sorted([row["score"] for row in first], reverse=True)
    np.testing.assert_allclose([row["score"] for row in other], [row["score"] for row in first], atol=1e-4)
    wanted = labels[data.rows["test"][0]]
    assert sum(labels[row["line"] - 2] == wanted for row in first) >= 4
    assert first[0]["cell"] == str(data.manifest.cells["audio"][first[0]["line"] - 2])
    assert first[0]["id"] == data.manifest.table["id"][first[0]["line"] - 2]


@pytest.mark.slow
def test_the_command_finds_cells_and_names_what_is_wrong(matching, keypad, tmp_path):
    def ask(*arguments):
        return CliRunner().invoke(app, ["retrieve", str(matching[0].folder), str(keypad), *arguments])

    image = ["--image", str(keypad.parent / "images/k0003.png")]
    result = ask(*image, "--to", "audio", "--top", "3", "--output", str(tmp_path / "found.csv"))
    assert result.exit_code == 0, result.output
    lines = (tmp_path / "found.csv").read_text(encoding="utf-8").splitlines()
    assert lines[0] == "line,id,cell,score" and len(lines) == 4 and lines[1].split(",")[2] in result.output
    for arguments, words in (
        ([*image, "--to", "sound"], "--to"),
        ([*image, "--to", "image"], "not given"),
        (["--to", "audio"], "an example to look for"),
        ([*image, "--to", "audio", "--output", "found.txt"], "--output"),
    ):
        result = ask(*arguments)
        assert result.exit_code == 2 and words in " ".join(result.stderr.split()), (arguments, result.stderr)
