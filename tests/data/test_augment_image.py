import keras
import numpy as np
import pytest
import tensorflow as tf

from mm_keras.data.augment_image import ImageAugmentation
from mm_keras.spec_modalities import ImageModality

FACTORS = {"brightness": 0.3, "contrast": 0.3, "saturation": 0.3, "hue": 0.1}
SETTINGS = [
    {"flip": "horizontal"},
    {"flip": "vertical"},
    {"rotation": 30},
    {"crop": 0.3},
    *[{key: value} for key, value in FACTORS.items()],
    {"rand_augment": {"layers": 2, "magnitude": 0.5}},
    {"noise": 0.1},
    {"mask": {"share": 0.5, "patch": 2}},
]


def pictures(batch=12, height=8, width=6, channels=3, seed=7):
    """Pictures of colours from 40 to 200, so that a moderate change clips nothing."""
    x = np.random.default_rng(seed).integers(40, 201, (batch, height, width, channels))
    return tf.constant(x, tf.uint8)


def change(images, seed=1, **augment):
    modality = ImageModality(kind="image", channels=images.shape[-1], augment=augment)
    return ImageAugmentation(modality)(images, tf.constant([seed, 5], tf.int32)).numpy()


def same(image):
    """A batch of one picture over and over: what differs in the result was drawn for each example."""
    return tf.repeat(image[:1], 48, axis=0)


@pytest.mark.parametrize("augment", SETTINGS, ids=lambda augment: next(iter(augment)))
def test_each_example_has_its_own_draw_and_the_seed_repeats_it(augment):
    images = same(pictures())
    changed = change(images, **augment)
    assert (changed.shape, changed.dtype) == (images.shape, np.uint8)
    different = len({image.tobytes() for image in changed})
    assert different == 2 if "flip" in augment else different > 15
    np.testing.assert_array_equal(change(images, **augment), changed)
    assert (change(images, seed=2, **augment) != changed).any()


GREY_TOO = [*SETTINGS[:6], {"noise": 0.1}, {"mask": {}}, {"flip": "both", "crop": 0.2}]


@pytest.mark.parametrize("augment", GREY_TOO, ids=str)
def test_grey_images_are_changed_too(augment):
    changed = change(pictures(channels=1), **augment)
    assert changed.shape == (12, 8, 6, 1)
    assert (changed != pictures(channels=1).numpy()).any()


def test_noise_has_the_deviation_that_is_asked_for():
    images = tf.fill([64, 16, 16, 1], tf.constant(128, tf.uint8))
    apart = change(images, noise=0.05).astype(float) - 128
    assert abs(apart.mean()) < 0.5 and abs(apart.std() - 0.05 * 255) < 0.5


def test_a_mask_hides_whole_patches_of_the_share_that_is_asked_for():
    images = tf.fill([200, 10, 7, 3], tf.constant(9, tf.uint8))  # The last patches are cut by the edge.
    hidden = change(images, mask={"share": 0.25, "patch": 4}) == 128
    assert ((change(images, mask={"share": 0.25, "patch": 4}) == 9) | hidden).all()
    patches = hidden[:, ::4, ::4, 0]
    np.testing.assert_array_equal(
        hidden, np.repeat(np.repeat(patches, 4, 1), 4, 2)[:, :10, :7, None].repeat(3, 3)
    )
    assert abs(patches.mean() - 0.25) < 0.03


def test_nothing_asked_changes_nothing():
    np.testing.assert_array_equal(change(pictures()), pictures())


def test_flips_mirror_and_both_gives_all_four():
    image = pictures()[0].numpy()
    mirrors = {axes: np.flip(image, axes).tobytes() for axes in [(), (0,), (1,), (0, 1)]}
    wanted = {"horizontal": [(), (1,)], "vertical": [(), (0,)], "both": [(), (0,), (1,), (0, 1)]}
    for flip, axes in wanted.items():
        got = {image.tobytes() for image in change(same(pictures()), flip=flip)}
        assert got == {mirrors[axis] for axis in axes}


def test_a_crop_shows_a_part_of_the_picture_enlarged():
    ramp = np.broadcast_to(np.arange(0, 200, 10, "uint8")[:, None, None], (20, 20, 3))
    changed = change(same(tf.constant(ramp[None])), crop=0.5).astype(int)
    tops, bottoms = changed[:, 0, 0, 0], changed[:, -1, 0, 0]
    seen = (bottoms - tops) / 190
    assert (seen >= 0.5 - 0.01).all()
    assert seen.min() < 0.6 < 0.9 < seen.max()
    assert (tops >= 0).all()
    assert (bottoms <= 190).all()
    assert (np.diff(changed[:, :, 0, 0], axis=1) >= 0).all()


def test_a_crop_shows_its_own_picture():
    plain = tf.broadcast_to(tf.range(0, 240, 20)[:, None, None, None], (12, 8, 6, 3))
    np.testing.assert_array_equal(change(tf.cast(plain, tf.uint8), crop=0.5), plain)


def test_a_rotation_turns_at_most_by_its_degrees():
    image = np.zeros((1, 41, 41, 1), "uint8")
    image[:, 20, 36] = 255  # 16 pixels to the right of the centre.
    changed = change(tf.repeat(image, 24, axis=0), rotation=20)
    places = np.array([np.unravel_index(x[..., 0].argmax(), (41, 41)) for x in changed]) - 20
    angles = np.degrees(np.arctan2(places[:, 0], places[:, 1]))
    assert np.abs(angles).max() <= 20 + 3  # A pixel at this radius is 3.6 degrees.
    assert angles.min() < -10 < 10 < angles.max()


def test_brightness_adds_up_to_its_share_of_the_range():
    images = same(pictures())
    added = change(images, brightness=0.15).astype(int) - images.numpy()
    by_example = added.reshape(48, -1)
    np.testing.assert_array_equal(by_example.min(axis=1), by_example.max(axis=1))
    assert by_example.min() < -0.08 * 255 < 0.08 * 255 < by_example.max()
    assert np.abs(by_example).max() <= 0.15 * 255 + 0.5


def test_contrast_scales_around_the_mean_both_ways():
    images = same(pictures())
    spread = change(images, contrast=0.2).std(axis=(1, 2, 3)) / images.numpy().std(axis=(1, 2, 3))
    assert 0.79 < spread.min() < 0.9 < 1.1 < spread.max() < 1.21


def test_saturation_scales_both_ways_and_keeps_the_brightest_channel():
    image = tf.constant([[[[200, 120, 120]]]], tf.uint8)  # Saturation 0.4.
    changed = change(same(image), saturation=0.5).astype(int)[:, 0, 0]
    np.testing.assert_array_equal(changed[:, 0], 200)
    saturation = 1 - changed[:, 2] / 200
    assert 0.195 < saturation.min() < 0.3 < 0.47 < saturation.max() < 0.605


def test_saturation_ends_at_the_full_colour_of_the_same_hue():
    image = tf.constant([[[[200, 40, 100]]]], tf.uint8)  # Saturation 0.8; fully saturated: 200, 0, 75.
    changed = change(same(image), saturation=0.9).astype(int)[:, 0, 0]
    assert changed[:, 1].min() == 0
    np.testing.assert_array_equal(changed[changed[:, 1] == 0], [[200, 0, 75]] * (changed[:, 1] == 0).sum())


def test_hue_turns_both_ways_by_its_share_of_the_circle():
    image = tf.constant([[[[200, 100, 100]]]], tf.uint8)  # Red, hue 0.
    changed = tf.cast(change(same(image), hue=0.1)[:, 0, 0], tf.float32)
    hue = (tf.image.rgb_to_hsv(changed / 255).numpy()[:, 0] + 0.5) % 1 - 0.5
    assert -0.105 < hue.min() < -0.06
    assert 0.06 < hue.max() < 0.105


def test_precision_and_image_format_of_keras_do_not_matter():
    wanted = [change(pictures(), **augment) for augment in SETTINGS]
    keras.config.set_dtype_policy("mixed_bfloat16")
    keras.config.set_image_data_format("channels_first")
    try:
        for augment, image in zip(SETTINGS, wanted, strict=True):
            np.testing.assert_array_equal(change(pictures(), **augment), image)
    finally:
        keras.config.set_image_data_format("channels_last")
