import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from mm_keras.data.sequence_lengths import SequenceLengths, relative_lengths, steps_of, trim
from mm_keras.frame_mask import FrameMask
from mm_keras.log_mel import LogMel
from mm_keras.spec_modalities import AudioModality, FeaturesModality, ImageModality, TextModality

AUDIO = AudioModality(kind="audio", rate=1000, seconds=0.64)
MODALITIES = {
    "clip": AUDIO,
    "note": TextModality(kind="text", length=10),
    "photo": ImageModality(kind="image"),
    "track": FeaturesModality(kind="features", shape=[5, 2], encoder={"kind": "gru"}),
    "flat": FeaturesModality(kind="features", shape=[5, 2]),  # Its encoder reads each step by its place.
    "vec": FeaturesModality(kind="features", shape=[5]),
}


def sounds(*lengths):
    x = np.random.default_rng(7).uniform(0.1, 1, (len(lengths), AUDIO.samples)).astype("float32")
    return np.where(np.arange(AUDIO.samples) < np.array(lengths)[:, None], x, 0)


def test_steps_end_where_only_zeros_follow():
    np.testing.assert_array_equal(steps_of(np.array([[0, 1, 0, 2, 0], [0] * 5, [1] * 5])), [4, 0, 5])
    np.testing.assert_array_equal(steps_of(np.array([[[0, 0], [0, 3], [0, 0]]])), [2])


def test_decoded_sounds_and_sequences_are_measured():
    lengths = SequenceLengths(MODALITIES, 4)
    assert sorted(lengths.steps) == ["clip", "note", "track"]
    lengths = SequenceLengths({name: MODALITIES[name] for name in ("clip", "photo", "vec")}, 4)
    lengths.add({"row/index": np.array([2, 0]), "clip": sounds(30, 7)})
    np.testing.assert_array_equal(lengths.steps["clip"], [7, 0, 30, 0])


def test_the_lengths_of_all_sequences_of_a_row_are_added():
    steps = {"clip": np.array([0, 640, 320]), "track": np.array([5, 0, 0])}
    cells = {"note": np.array(["", "a" * 32, "b" * 10_000], object)}
    found = relative_lengths(3, MODALITIES, cells, steps)
    np.testing.assert_allclose(found, [1.0, 1.1, 1.5], rtol=1e-6)
    np.testing.assert_array_equal(relative_lengths(2, {"photo": MODALITIES["photo"]}, {}, {}), [0, 0])


@settings(max_examples=25)
@given(st.lists(st.integers(0, 640), min_size=1, max_size=3))
def test_a_trimmed_batch_keeps_every_sound_and_the_windows_at_its_end(lengths):
    whole = sounds(*lengths)
    cut = trim(tf.constant(whole), AUDIO).numpy()
    assert cut.shape[1] <= max(lengths) + AUDIO.margin + 20 and cut.shape[1] % 20 == 0
    np.testing.assert_array_equal(whole[:, : cut.shape[1]], cut)
    assert not whole[:, cut.shape[1] :].any()
    layer = LogMel(AUDIO.rate, mel_bins=5)
    kept = np.array(FrameMask(layer.stride)(cut))
    frames = np.array(layer(whole))[:, : kept.shape[1]]
    np.testing.assert_allclose(np.array(layer(cut))[kept], frames[kept], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("steps", "width"), [(0, 1), (3, 3), (5, 5)])
def test_sequences_are_cut_to_their_longest(steps, width):
    x = np.zeros((2, 5, 2), "float32")
    x[1, :steps] = 1
    assert trim(tf.constant(x), MODALITIES["track"]).shape == (2, width, 2)
