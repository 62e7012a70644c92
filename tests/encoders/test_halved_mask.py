import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mm_keras.encoders import ConvStages, HalvedMask


@given(steps=st.integers(1, 12), shown=st.integers(1, 12), times=st.integers(1, 3))
def test_a_step_is_shown_if_it_was_made_of_one_that_is(steps, shown, times):
    shown = min(steps, shown)
    mask = np.arange(steps)[None] < shown
    stages = ConvStages([1] * times)
    halved = np.array(HalvedMask(times)(mask))
    assert halved.shape == (1, stages.compute_output_shape((1, steps, 1, 1))[1])
    np.testing.assert_array_equal(halved[0], np.arange(halved.shape[1]) < -(-shown // 2**times))


def test_the_first_step_is_never_hidden():
    np.testing.assert_array_equal(HalvedMask(1)(np.zeros((1, 3), bool)), [[1, 0]])


@pytest.mark.parametrize("times", [0, 1.5, True])
def test_another_number_is_rejected(times):
    with pytest.raises(ValueError, match="`HalvedMask` expects `times` to be an int > 0. Received: times="):
        HalvedMask(times)
