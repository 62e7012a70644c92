"""Sounds of the keypad, and the filters that read them without a model."""

import csv

import numpy as np
import pytest
import soundfile

from mm_keras.data.keypad import write_keypad
from mm_keras.data.keypad_sounds import (
    COLUMN_HZ,
    MELODIES,
    NOTE_HZ,
    NOTES,
    PLACES,
    RATE,
    ROW_HZ,
    play_keys,
    play_melodies,
    read_key,
    read_melody,
    tone_power,
)


def tones(*hertz, seconds=0.3, level=0.2):
    time = np.arange(round(seconds * RATE)) / RATE
    return sum(level * np.sin(2 * np.pi * f * time) for f in hertz)


def test_every_key_and_melody_is_read_again():
    assert [read_key(sound) for sound in play_keys(range(10))] == list(range(10))
    assert [read_melody(sound) for sound in play_melodies(range(10))] == list(MELODIES)
    assert len(set(MELODIES)) == 10


def test_notes_are_of_equal_temperament():
    assert NOTE_HZ[NOTES.index("A")] == 880
    np.testing.assert_allclose(NOTE_HZ[NOTES.index("C")], 523.25, atol=0.01)
    np.testing.assert_allclose(NOTE_HZ[NOTES.index("E")] / NOTE_HZ[NOTES.index("C")], 2 ** (4 / 12))


@pytest.mark.parametrize(
    ("sound", "why"),
    [
        (np.zeros(2400), "silence"),
        (np.zeros(0), "nothing"),
        (tones(941, 1209), "the star key, which is no digit"),
        (tones(440, 2000), "two other tones"),
        (np.random.default_rng(7).normal(0, 0.2, 2400), "noise"),
    ],
)
def test_what_is_no_key_is_none(sound, why):
    assert read_key(sound) == -1, why


def test_a_key_is_read_in_noise_and_a_little_out_of_tune():
    for digit, (row, column) in enumerate(PLACES):
        hertz = 1.01 * ROW_HZ[row], 0.99 * COLUMN_HZ[column]
        noise = np.random.default_rng(digit).normal(0, 0.05, 2400)
        assert read_key(tones(*hertz) + noise) == digit


def test_other_notes_and_silence_are_told():
    sound = np.concatenate([tones(NOTE_HZ[2], seconds=0.2), np.zeros(1600), tones(NOTE_HZ[0], seconds=0.1)])
    assert read_melody(sound) == "E-C"
    assert read_melody(sound[: 3200 + 300]) == "E-"  # Less than a quarter of a note.


def test_the_power_of_a_tone_is_half_its_amplitudes_square():
    np.testing.assert_allclose(tone_power(tones(800, level=0.5), [800, 1600]), [0.125, 0], atol=0.003)


def test_the_data_set_has_sounds_that_fit_the_labels(tmp_path):
    manifest = write_keypad(tmp_path / "keypad", rows=100, sounds=True)
    with open(manifest, encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0])[-2:] == ["key_tones", "melody"] and "caption" not in rows[0]
    for row in rows:
        sound, rate = soundfile.read(tmp_path / "keypad" / row["key_tones"])
        assert rate == RATE and read_key(sound) == int(row["label"])
        assert (
            read_melody(soundfile.read(tmp_path / "keypad" / row["melody"])[0]) == MELODIES[int(row["label"])]
        )
    assert all(
        read_key(soundfile.read(tmp_path / "keypad" / row["audio"])[0]) >= 0
        for row in rows[:20]
        if row["audio"]
    )


def test_other_arguments_are_another_data_set(tmp_path):
    write_keypad(tmp_path / "keypad", rows=100, sounds=True)
    assert write_keypad(tmp_path / "keypad", rows=100, sounds=True).is_file()
    with pytest.raises(ValueError, match="new, empty, or the keypad data set"):
        write_keypad(tmp_path / "keypad", rows=100)
