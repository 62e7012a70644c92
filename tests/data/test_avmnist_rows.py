from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mm_keras.data import avmnist_rows
from mm_keras.data.avmnist import Settings
from mm_keras.data.avmnist_rows import SPLITS, noise_from, plan_rows
from mm_keras.data.avmnist_sources import Sound

SETTINGS = Settings(40, 12, 20)


def make_mnist(train=100, test=50):
    counts = {"train": train, "t10k": test}
    return {
        part: (np.zeros((count, 28, 28), np.uint8), np.arange(count) % 10) for part, count in counts.items()
    }


def make_recordings(speakers=3, takes=3):
    return [
        Sound(f"{digit}_s{speaker}_{take}.wav", digit, f"s{speaker}", np.ones(500 + take, np.float32))
        for digit in range(10)
        for speaker in range(speakers)
        for take in range(takes)
    ]


def make_clips(groups=10, takes=2):
    return [
        Sound(f"{group}{take}.wav", group % 2, f"g{group}", np.ones(9000, np.float32))
        for group in range(groups)
        for take in range(takes)
    ]


def plan(settings=SETTINGS, mnist=None, recordings=None, clips=None):
    return plan_rows(settings, mnist or make_mnist(), recordings or make_recordings(), clips or make_clips())


def splits_of(rows, name):
    """Returns value -> the splits that it stands in."""
    found = {}
    for row in rows:
        found.setdefault(getattr(row, name), set()).add(row.split)
    return found


@given(
    st.integers(4, 60),
    st.integers(1, 20),
    st.integers(1, 30),
    st.integers(3, 5),
    st.integers(1, 4),
    st.integers(3, 9),
    st.booleans(),
    st.integers(0, 1000),
)
def test_whatever_the_sizes_splits_are_apart_and_labels_right(
    train, validation, test, speakers, takes, groups, held_out, seed
):
    settings = Settings(train, validation, test, held_out_speakers=held_out, seed=seed)
    recordings, clips, mnist = make_recordings(speakers, takes), make_clips(groups), make_mnist()
    rows = plan(settings, mnist, recordings, clips)
    assert Counter(row.split for row in rows) == {"train": train, "validation": validation, "test": test}
    assert len({(row.mnist_part, row.mnist_index) for row in rows}) == len(rows)
    digits = {recording.name: recording.kind for recording in recordings}
    for row in rows:
        assert row.label == mnist[row.mnist_part][1][row.mnist_index] == digits[row.recording]
        assert -10 <= row.snr_db <= 5
        assert (row.split == "test") == (row.mnist_part == "t10k")
    groups = {clip.name: clip.group for clip in clips}
    origins = splits_of([replace(row, noise=groups[row.noise]) for row in rows], "noise")
    for found in (splits_of(rows, "recording"), origins, *([splits_of(rows, "speaker")] if held_out else [])):
        assert all(len(splits) == 1 for splits in found.values())


def test_the_same_seed_gives_the_same_rows_and_ids_count_within_a_split():
    rows = plan()
    assert rows == plan()
    assert rows != plan(replace(SETTINGS, seed=8))
    assert [row.id for row in rows[39:42]] == ["train_00039", "validation_00000", "validation_00001"]


def test_recordings_of_a_digit_come_equally_often():
    counts = Counter(row.recording for row in plan(Settings(90, 5, 40)) if row.split == "train")
    by_digit = {digit: [n for name, n in counts.items() if name[0] == str(digit)] for digit in range(10)}
    assert all(max(found) - min(found) <= 1 for found in by_digit.values())
    assert len(counts) == 60  # Of nine of a digit two are test and one is validation.


def test_a_recording_may_begin_wherever_it_fits():
    recordings = [replace(sound, samples=np.ones(7998, np.float32)) for sound in make_recordings()]
    starts = {row.recording_start for row in plan(recordings=recordings)}
    assert starts == {0, 1, 2}


def test_speakers_and_classes_of_noise_are_in_every_split():
    rows = plan(Settings(60, 30, 50), make_mnist(), make_recordings(3, 10), make_clips(20, 1))
    for split in SPLITS:
        ours = [row for row in rows if row.split == split]
        assert {row.speaker for row in ours} == {"s0", "s1", "s2"}
        assert {int(row.noise.split(".")[0][:-1]) % 2 for row in ours} == {0, 1}


def test_a_silent_place_of_a_noise_gives_way_to_its_loudest_second():
    samples = np.zeros(80000, np.float32)
    samples[40000:48000] = 0.5
    for seed in range(20):
        start = avmnist_rows._draw_noise_start(samples, np.random.default_rng(seed))
        assert noise_from(samples, start).any()
    starts = {avmnist_rows._draw_noise_start(samples, np.random.default_rng(seed)) for seed in range(20)}
    assert 40000 in starts


def test_a_short_noise_begins_anew():
    np.testing.assert_array_equal(noise_from(np.arange(3), 2)[:5], [2, 0, 1, 2, 0])


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"settings": Settings(90, 11, 5)}, r"at most 100 rows of train and validation.*Received: 101\."),
        ({"settings": Settings(40, 12, 51)}, r"at most 50 rows of test.*Received: 51\."),
        ({"recordings": make_recordings(2, 1)}, r"at least 3 recordings of digit 0.*Received: 2\."),
        ({"clips": make_clips(2, 5)}, r"at least 3 noises of different origin.*Received: 2\."),
        (
            {"settings": replace(SETTINGS, held_out_speakers=True), "recordings": make_recordings(2, 9)},
            r"at least 3 speakers.*Received: 2\.",
        ),
    ],
)
def test_too_few_of_anything_is_refused(arguments, text):
    with pytest.raises(ValueError, match=text):
        plan(**arguments)


def test_a_speaker_who_lacks_a_digit_cannot_be_held_out():
    recordings = [sound for sound in make_recordings() if sound.kind != 4 or sound.group == "s1"]
    with pytest.raises(ValueError, match=r"Received: none of 4 by s\d, held out for \w+\."):
        plan(replace(SETTINGS, held_out_speakers=True), recordings=recordings)
