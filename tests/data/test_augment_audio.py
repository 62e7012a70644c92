import numpy as np
import pytest
import soundfile
import tensorflow as tf

from mm_keras.data.augment_audio import AudioAugmentation
from mm_keras.spec_modalities import AudioModality

RATE, SAMPLES = 8000, 400


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder `noise` with a clip shorter than a sound and a longer one, at different levels."""
    place = tmp_path_factory.mktemp("root")
    (place / "noise").mkdir()
    random = np.random.default_rng(3)
    soundfile.write(place / "noise" / "kurz.wav", random.uniform(-0.01, 0.01, 150), RATE, subtype="FLOAT")
    soundfile.write(place / "noise" / "lang.wav", random.uniform(-0.9, 0.9, 3000), RATE, subtype="FLOAT")
    return place


def sounds(batch=40, seed=7):
    return np.random.default_rng(seed).uniform(-0.5, 0.5, (batch, SAMPLES)).astype("float32")


def change(x, folder=None, seed=1, **augment):
    encoder = {"window": 0.01}
    modality = AudioModality(
        kind="audio", rate=RATE, seconds=SAMPLES / RATE, encoder=encoder, augment=augment
    )
    return AudioAugmentation(modality, folder)(tf.constant(x), tf.constant([seed, 5], tf.int32)).numpy()


def decibels(ratio):
    return 20 * np.log10(ratio)


def test_gain_is_one_factor_for_each_sound_within_its_decibels():
    ratio = change(sounds(), gain_db=6.0) / sounds()
    np.testing.assert_allclose(ratio, ratio[:, :1] * np.ones(SAMPLES), rtol=1e-5)
    gains = decibels(ratio[:, 0])
    assert -6 <= gains.min() < -4 < 4 < gains.max() <= 6


def test_a_shift_moves_by_whole_samples_and_lets_silence_follow():
    x = sounds()
    moved = change(x, shift=10 / RATE)
    shifts = []
    for old, new in zip(x, moved, strict=True):  # Each is found among all shifts that are allowed.
        padded = np.pad(old, 10)
        (shift,) = [s for s in range(-10, 11) if np.array_equal(new, padded[10 - s : 10 - s + SAMPLES])]
        shifts.append(shift)
    assert min(shifts) < -8 < 8 < max(shifts)
    assert len(set(shifts)) > 12


def test_noise_is_mixed_at_the_drawn_ratio(folder):
    x = sounds()
    noise = change(x, folder, noise={"folder": "noise", "snr": [3, 9], "share": 1.0}) - x
    ratios = decibels(np.sqrt((x**2).mean(axis=1) / (noise**2).mean(axis=1)))
    assert 3 - 1e-3 <= ratios.min() < 4 < 8 < ratios.max() <= 9 + 1e-3


def test_noise_is_a_clip_from_a_random_place_repeated_where_it_is_short(folder):
    x = sounds()
    noise = change(x, folder, noise={"folder": "noise", "share": 1.0}) - x
    clips = [soundfile.read(path)[0] for path in sorted((folder / "noise").iterdir())]
    found = []
    for example in noise:
        scores = []
        for clip in clips:
            rolled = np.lib.stride_tricks.sliding_window_view(
                np.tile(clip, 5)[: len(clip) + SAMPLES], SAMPLES
            )
            scores.append(rolled @ example / np.linalg.norm(rolled, axis=1) / np.linalg.norm(example))
        best = int(np.argmax([score.max() for score in scores]))
        assert scores[best].max() > 0.9999
        found.append((best, int(scores[best].argmax())))
    assert {clip for clip, _ in found} == {0, 1}
    assert len(set(found)) > 30


def test_a_share_of_the_sounds_gets_noise(folder):
    x = sounds(400)
    noise = {"folder": "noise", "share": 0.3}
    noisy = (change(x, folder, noise=noise) != x).any(axis=1).mean()
    assert abs(noisy - 0.3) < 0.08  # 400 draws: 3.5 deviations.


def test_noise_ends_with_the_sound_and_padding_does_not_lower_it(folder):
    x = sounds()
    x[:, 100:] = 0
    noise = change(x, folder, noise={"folder": "noise", "snr": [6, 6], "share": 1.0}) - x
    ratios = decibels(np.sqrt((x[:, :100] ** 2).mean(axis=1) / (noise[:, :100] ** 2).mean(axis=1)))
    np.testing.assert_allclose(ratios, 6, atol=1e-3)
    np.testing.assert_array_equal(noise[:, 100:], 0)


def test_silence_stays_silent(folder):
    augment = {"gain_db": 6, "shift": 0.01, "noise": {"folder": "noise", "share": 1.0}}
    np.testing.assert_array_equal(change(np.zeros((8, SAMPLES), "float32"), folder, **augment), 0)


def test_silent_noise_changes_nothing(tmp_path):
    clip = np.zeros(8000)
    clip[0] = 0.5  # A click, which hardly any place of 400 samples holds.
    soundfile.write(tmp_path / "a.wav", clip, RATE)
    changed = change(sounds(), tmp_path, noise={"folder": ".", "share": 1.0})
    assert np.isfinite(changed).all()
    assert ((changed == sounds()).all(axis=1)).mean() > 0.8


def test_the_seed_repeats_every_draw_and_the_same_sound_twice_differs(folder):
    x = np.repeat(sounds(1), 12, axis=0)
    augment = {"gain_db": 6, "shift": 0.01, "noise": {"folder": "noise"}}
    changed = change(x, folder, **augment)
    np.testing.assert_array_equal(change(x, folder, **augment), changed)
    assert len({sound.tobytes() for sound in changed}) == 12
    assert (change(x, folder, seed=2, **augment) != changed).any()
