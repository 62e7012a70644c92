import keras
import numpy as np

from mm_keras.fusion import SequenceMask

STEPS = np.array([[[1, 0], [2, 3], [0, 0]], [[1, 0], [0, 0], [0, 0]]], "float32")


def test_the_mask_that_keras_carries_is_given():
    x = keras.Input((None, 2))
    model = keras.Model(x, SequenceMask()(keras.layers.Masking()(x)))
    np.testing.assert_array_equal(model(STEPS), [[1, 1, 0], [1, 0, 0]])


def test_all_steps_are_shown_without_a_mask():
    np.testing.assert_array_equal(SequenceMask()(STEPS), np.ones((2, 3)))
