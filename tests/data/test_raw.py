"""Cells to the raw batch that a server is sent."""

import io

import numpy as np
import pytest
import soundfile
import tensorflow as tf
import tiny

from mm_keras.data.preprocessor import Preprocessor
from mm_keras.data.raw import read_raw


@pytest.fixture
def fitted():
    spec = tiny.tiny_spec("m.csv")
    return Preprocessor(spec.modalities, spec.outputs, {"text": ["[UNK]", "a"]}, {}, {})


def test_rows_are_picked_and_match_the_signature(fitted, tiny_manifest):
    root = tiny_manifest.parent
    cells = {
        "image": [str(root / "image/0.png"), "", str(root / "image/2.png")],
        "text": ["grün", "", "x"],
        "numbers": [[1, 2], [np.nan, 3], [np.nan, np.nan]],
        "vec": [str(root / "vec/0.npy"), "", ""],
        "audio": ["", "", str(root / "audio/2.wav")],
    }
    raw = read_raw(fitted, cells, np.array([2, 0]))
    assert raw["image"].tolist() == [(root / f"image/{row}.png").read_bytes() for row in (2, 0)]
    assert raw["audio"].tolist() == [(root / "audio/2.wav").read_bytes(), b""]
    assert raw["text"].tolist() == [b"x", "grün".encode()]
    np.testing.assert_array_equal(raw["numbers"], [[np.nan, np.nan], [1, 2]])
    np.testing.assert_array_equal(raw["vec"], [[np.nan] * 6, np.load(root / "vec/0.npy")])
    for name, spec in fitted.raw_spec().items():
        assert spec.is_compatible_with(tf.convert_to_tensor(raw[name])), name


def test_a_modality_that_is_not_asked_is_missing_in_each_row(fitted):
    raw = read_raw(fitted, {"text": ["a", "b"]}, np.arange(2))
    assert raw["image"].tolist() == raw["audio"].tolist() == [b"", b""]
    assert np.isnan(raw["numbers"]).all() and raw["numbers"].shape == (2, 2)
    assert np.isnan(raw["vec"]).all() and raw["vec"].shape == (2, 6)
    inputs = fitted.tensors({name: tf.convert_to_tensor(x) for name, x in raw.items()})
    np.testing.assert_array_equal(inputs["present"], [[0, 0, 0, 1, 0]] * 2)


def test_a_sound_in_another_container_is_sent_as_wav(fitted, tmp_path):
    sound = np.sin(np.arange(800) / 5) / 2
    soundfile.write(tmp_path / "x.flac", sound, 8000, subtype="PCM_16")
    sent = read_raw(fitted, {"audio": [str(tmp_path / "x.flac")]}, np.arange(1))["audio"][0]
    assert sent[:4] == b"RIFF"
    read, rate = soundfile.read(io.BytesIO(sent))
    assert rate == 8000
    np.testing.assert_allclose(read, sound, atol=1 / 32768)


@pytest.mark.parametrize(
    ("name", "contents", "reason"),
    [
        ("image", None, "No such file or directory"),
        ("audio", b"", "The file is empty."),
        ("audio", b"no sound at all", "a WAV, FLAC, Ogg or MP3 file"),
        ("vec", b"no array", "expects a .npy file of one array of numbers"),
    ],
)
def test_a_file_that_cannot_be_read_is_named_with_its_row(fitted, tmp_path, name, contents, reason):
    path = tmp_path / "file"
    if contents is not None:
        path.write_bytes(contents)
    with pytest.raises(ValueError) as caught:
        read_raw(fitted, {name: ["", "", str(path)]}, np.arange(3))
    text = str(caught.value)
    kind = fitted.modalities[name].kind
    assert text.startswith(f"`predict` expects a readable file of kind {kind} for `{name}`. ")
    assert f"row 3: {path}: " in text
    assert reason in text
    assert text.endswith("the modality is then missing.")
    assert "\n" not in text and "{{" not in text
