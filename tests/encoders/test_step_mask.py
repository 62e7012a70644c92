import numpy as np

from mm_keras.encoders import StepMask


def test_zeros_at_the_end_are_hidden_but_never_the_first_step():
    steps = np.zeros((2, 4, 2), "float32")
    steps[0, 2, 1] = -1
    np.testing.assert_array_equal(StepMask()(steps), [[1, 1, 1, 0], [1, 0, 0, 0]])
