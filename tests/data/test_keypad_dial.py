import json

import numpy as np
import pytest
from PIL import Image
from scipy.io import wavfile

from mm_keras.data.keypad import write_keypad
from mm_keras.data.keypad_dial import write_dial
from mm_keras.data.keypad_sounds import RATE, read_key


@pytest.fixture(scope="module")
def keypad(tmp_path_factory):
    return write_keypad(tmp_path_factory.mktemp("keypad") / "keypad", rows=200, empty=0.0, sounds=True).parent


@pytest.mark.parametrize("offset", [-1.0, 0.0, 0.35])
def test_each_key_is_heard_when_it_was_pressed_and_later_by_the_offset(keypad, tmp_path, offset):
    dial = write_dial(keypad, tmp_path / "dial", "90210", offset)
    told = json.loads((dial / "dial.json").read_text(encoding="utf-8"))
    assert told["offset"] == offset and [key for key, *_ in told["keys"]] == list("90210")
    rate, sound = wavfile.read(dial / "sound.wav")
    assert rate == RATE
    for key, begin, end in told["keys"]:
        start = round((begin + offset) * RATE)
        part = sound[start : start + round((end - begin) * RATE)].astype(float)
        loud = np.abs(part) > 0.3 * np.abs(part).max()  # The tones of a slot, without its silence.
        assert read_key(part[loud.argmax() : len(part) - loud[::-1].argmax()]) == int(key)


def test_frames_are_named_by_the_seconds_at_which_a_key_is_shown(keypad, tmp_path):
    dial = write_dial(keypad, tmp_path / "dial", "12", fps=10)
    told = json.loads((dial / "dial.json").read_text(encoding="utf-8"))["keys"]
    times = sorted(float(path.stem) for path in (dial / "frames").iterdir())
    assert all(any(begin <= time < end for _, begin, end in told) for time in times) and len(times) == 10
    shown = {Image.open(path).tobytes() for path in (dial / "frames").iterdir()}
    assert len(shown) == 2


def test_a_seed_gives_the_same_bytes(keypad, tmp_path):
    one, other = (write_dial(keypad, tmp_path / name, "123", 0.1, seed=3) for name in ("one", "other"))
    assert (one / "sound.wav").read_bytes() == (other / "sound.wav").read_bytes()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [({"keys": "1a"}, "keys"), ({"keys": ""}, "keys"), ({"offset": 1.5}, "offset"), ({"fps": 0}, "fps")],
)
def test_wrong_arguments_are_refused(keypad, tmp_path, arguments, words):
    with pytest.raises(ValueError, match=words):
        write_dial(keypad, tmp_path / "dial", **arguments)
    assert not (tmp_path / "dial").exists()


def test_a_folder_that_is_not_the_keypads_or_not_empty_is_refused(keypad, tmp_path):
    with pytest.raises(ValueError, match="data keypad"):
        write_dial(tmp_path, tmp_path / "dial")
    (tmp_path / "full").mkdir()
    (tmp_path / "full/file").touch()
    with pytest.raises(ValueError, match="new or empty"):
        write_dial(keypad, tmp_path / "full")
