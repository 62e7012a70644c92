import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from mm_keras.data.decode_resize import resize_pixels

GREY = np.array([0.299, 0.587, 0.114], np.float32)
SIDE = st.integers(1, 40)


def expect(pixels, height, width):
    resized = tf.image.resize(pixels, (height, width), "bilinear", antialias=True)
    return tf.clip_by_value(tf.round(resized), 0, 255).numpy()


@settings(max_examples=40, deadline=None)
@given(SIDE, SIDE, SIDE, SIDE, st.integers(0, 9))
def test_any_size_is_what_tensorflow_makes_of_it(height, width, new_height, new_width, seed):
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    resized = resize_pixels(tf.constant(pixels), new_height, new_width, 3)
    np.testing.assert_array_equal(resized, expect(pixels, new_height, new_width))


@pytest.mark.parametrize("shape", [(7, 9), (20, 30)])
def test_grey_is_made_behind_resizing_and_grey_stays(shape):
    pixels = np.random.default_rng(7).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    resized = tf.image.resize(pixels, shape, "bilinear", antialias=True).numpy()
    np.testing.assert_array_equal(
        resize_pixels(tf.constant(pixels), *shape, 1)[..., 0], np.round(resized @ GREY)
    )
    single = pixels[..., :1]
    np.testing.assert_array_equal(resize_pixels(tf.constant(single), *shape, 1), expect(single, *shape))


def test_the_size_is_known_only_at_run_time():
    signature = [tf.TensorSpec([None, None, 3], tf.uint8)]
    traced = tf.function(lambda pixels: resize_pixels(pixels, 8, 8, 3), input_signature=signature)
    for height in (8, 12):
        pixels = np.random.default_rng(height).integers(0, 256, (height, 8, 3), dtype=np.uint8)
        np.testing.assert_array_equal(traced(pixels), expect(pixels, 8, 8))
