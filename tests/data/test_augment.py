import numpy as np
import pytest
import soundfile
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from mm_keras.data.augment import make_augmentation
from mm_keras.spec_modalities import Modality

FULL = {
    "image": {
        "flip": "both",
        "rotation": 10,
        "crop": 0.2,
        "brightness": 0.2,
        "contrast": 0.2,
        "saturation": 0.2,
        "hue": 0.1,
        "rand_augment": {"layers": 1},
    },
    "audio": {"gain_db": 20, "shift": 0.01, "noise": {"folder": "noise"}, "time_mask": 2},
    "text": {"token_dropout": 0.3, "typos": 0.2},
}
SIZES = {"image": {"size": [6, 5]}, "audio": {"rate": 1000, "seconds": 0.05}, "text": {}, "numbers": {}}
NAMES = tuple(sorted(SIZES))


def modalities(augment=FULL):
    parts = {name: {"kind": name, **settings} for name, settings in SIZES.items()}
    for name, settings_of in augment.items():
        parts[name]["augment"] = settings_of
    return TypeAdapter(dict[str, Modality]).validate_python(parts)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("root")
    (place / "noise").mkdir()
    soundfile.write(place / "noise" / "a.wav", np.random.default_rng(3).uniform(-0.5, 0.5, 70), 1000)
    return place


@pytest.fixture(scope="module")
def augment(folder):
    return make_augmentation(modalities(), folder)


def rows(batch=5, present=None, seed=7):
    random = np.random.default_rng(seed)
    return {
        "image": tf.constant(random.integers(0, 256, (batch, 6, 5, 3)), tf.uint8),
        "audio": tf.constant(random.uniform(-1, 1, (batch, 50)), tf.float32),
        "text": tf.constant([f"word {i} of a greater text" for i in range(batch)], tf.string),
        "numbers": tf.constant(random.normal(size=(batch, 1)), tf.float32),
        "present": tf.ones((batch, 4)) if present is None else tf.constant(present, tf.float32),
        "row/index": tf.range(batch, dtype=tf.int64),
    }


def seed_of(number, dtype=tf.int64):
    return tf.constant([number, 9], dtype)


def assert_equal_rows(one, other, names=(*NAMES, "present", "row/index")):
    for name in names:
        np.testing.assert_array_equal(one[name], other[name], err_msg=name)


def test_what_is_asked_changes_and_the_rest_does_not(augment):
    old = rows()
    new = augment(old, seed_of(1))
    assert new.keys() == old.keys()
    assert_equal_rows(new, old, ("numbers", "present", "row/index"))
    for name in ("image", "audio", "text"):
        assert (new[name].numpy() != old[name].numpy()).any()
    assert_equal_rows(old, rows())
    assert_equal_rows(augment(rows(), seed_of(1)), new)


@pytest.mark.parametrize("name", FULL)
def test_one_modality_changes_alone(name, folder):
    old = rows()
    new = make_augmentation(modalities({name: FULL[name]}), folder)(old, seed_of(1))
    assert_equal_rows(new, old, set(NAMES) - {name})
    assert (new[name].numpy() != old[name].numpy()).any()


@pytest.mark.parametrize(
    "settings_of", [{}, {"image": {}, "audio": {}, "text": {}}, {"audio": {"time_mask": 2}}]
)
def test_nothing_asked_of_the_data_gives_no_function(settings_of, tmp_path):
    assert make_augmentation(modalities(settings_of), tmp_path) is None


@settings(max_examples=8)
@given(
    st.lists(st.lists(st.sampled_from([0.0, 1.0]), min_size=4, max_size=4), min_size=1, max_size=5), st.data()
)
def test_absent_rows_shapes_dtypes_and_ranges_are_kept(augment, present, data):
    number = data.draw(st.integers(0, 2**31 - 1))
    old = rows(len(present), present)
    new = augment(old, seed_of(number, data.draw(st.sampled_from([tf.int32, tf.int64]))))
    for i, name in enumerate(NAMES):
        assert (new[name].shape, new[name].dtype) == (old[name].shape, old[name].dtype)
        absent = old["present"].numpy()[:, i] == 0
        np.testing.assert_array_equal(new[name].numpy()[absent], old[name].numpy()[absent])
    assert np.isfinite(new["audio"]).all()
    assert np.abs(new["audio"]).max() <= 10 * (1 + 10)  # 20 dB of gain, and noise as loud.


@pytest.mark.slow
def test_the_draws_follow_the_seed_and_not_the_order_of_a_parallel_map(augment):
    seeds = tf.stack([tf.range(12, dtype=tf.int64), tf.range(12, dtype=tf.int64)], axis=1)
    dataset = tf.data.Dataset.from_tensor_slices(seeds).map(lambda seed: augment(rows(), seed), 4)
    first, second = list(dataset), list(dataset)
    for one, other in zip(first, second, strict=True):
        assert_equal_rows(one, other)
    assert len({batch["image"].numpy().tobytes() for batch in first}) == 12
    for seed, batch in zip(seeds[:4], first, strict=False):
        eager = augment(rows(), seed)
        assert_equal_rows(batch, eager, ("text", "present"))
        np.testing.assert_allclose(batch["audio"], eager["audio"], atol=1e-5)
        # A graph fuses a product and a sum, which rounds once: a pixel may round to its neighbour, and
        # one on the edge of a threshold may fall to its other side.
        apart = np.abs(batch["image"].numpy().astype(int) - eager["image"].numpy())
        assert (apart > 1).mean() < 0.01


def test_batches_of_unknown_size_keep_their_static_shapes(folder):
    image = {"flip": "both", "crop": 0.2, "hue": 0.1, "noise": 0.1, "mask": {"patch": 2}}
    augment = make_augmentation(modalities({**FULL, "image": image}), folder)
    dataset = tf.data.Dataset.from_tensor_slices(rows(7)).batch(4).map(lambda x: augment(x, seed_of(1)))
    spec = dataset.element_spec
    assert spec["image"].shape.as_list() == [None, 6, 5, 3]
    assert spec["audio"].shape.as_list() == [None, 50]
    assert spec["text"].shape.as_list() == [None]
    assert sum(len(batch["text"]) for batch in dataset) == 7


def test_two_modalities_of_a_kind_have_their_own_draws():
    part = {"kind": "image", "size": [6, 5], "augment": {"brightness": 0.5}}
    parts = TypeAdapter(dict[str, Modality]).validate_python({"left": part, "right": part})
    same = {name: rows()["image"] for name in parts}
    new = make_augmentation(parts, ".")({**same, "present": tf.ones((5, 2))}, seed_of(1))
    assert (new["left"].numpy() != new["right"].numpy()).any()


def test_a_bad_folder_of_noise_is_refused_when_the_function_is_made(tmp_path):
    with pytest.raises(ValueError, match=f"{tmp_path / 'noise'}, which is not there"):
        make_augmentation(modalities(), tmp_path)
