import numpy as np

from mm_keras.fusion import ShownSteps

PRESENT = np.array([[1, 0], [1, 1], [0, 1]], "float32")


def test_an_absent_sequence_shows_its_first_step_alone():
    mask = np.array([[1, 1, 0], [1, 1, 0], [1, 0, 0]], bool)
    np.testing.assert_array_equal(ShownSteps(1)(mask, PRESENT), [[1, 0, 0], [1, 1, 0], [1, 0, 0]])
    np.testing.assert_array_equal(ShownSteps(0)(mask, PRESENT), [[1, 1, 0], [1, 1, 0], [1, 0, 0]])


def test_a_sequence_without_a_mask_shows_all():
    shown = ShownSteps(1)(np.zeros((3, 2, 4), "float32"), PRESENT)
    np.testing.assert_array_equal(shown, [[1, 0], [1, 1], [1, 1]])
