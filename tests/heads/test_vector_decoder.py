import numpy as np
import pytest

from mm_keras.heads import StandardizedError, VectorDecoder

STATISTICS = {"mean": [10.0, -1.0], "variance": [4.0, 0.25]}


def test_standardised_values_are_given_in_their_own_units():
    layer = VectorDecoder([2, 2], **STATISTICS, units=2)
    layer.build((1, 2))
    values = np.array([[1.0, 0.0, -1.0, 2.0], [0.0, 0.0, 0.0, 0.0]])
    layer.set_weights([np.eye(2), np.zeros(2), values, np.full(4, 0.5)])
    # relu([2, -3]) = [2, 0] -> [2.5, 0.5, -1.5, 4.5], times deviations 2 and 0.5, plus the means.
    expected = [[[10 + 5.0, -1 + 0.25], [10 - 3.0, -1 + 2.25]]]
    np.testing.assert_allclose(layer(np.array([[2.0, -3.0]])), expected, rtol=1e-6)


def test_a_constant_column_is_answered_with_its_mean():
    layer = VectorDecoder([1], [5.0], [0.0])
    np.testing.assert_allclose(layer(np.ones((2, 3))), [[5.0], [5.0]], atol=1e-4)


def test_large_values_keep_float32_under_mixed_precision():
    layer = VectorDecoder([1], [1001.0], [1e-6], units=2, dtype="mixed_bfloat16")
    np.testing.assert_allclose(layer(np.zeros((1, 2))), [[1001.0]], rtol=1e-6)


def test_the_loss_is_in_units_of_variance():
    loss = VectorDecoder([2], **STATISTICS).loss()
    assert isinstance(loss, StandardizedError)
    assert float(loss(np.array([[10.0, -1.0]]), np.array([[12.0, -1.0]]))) == pytest.approx(0.5)
    assert VectorDecoder([2], **STATISTICS).metrics_of_output() == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"shape": 2}, "`shape` to be a list of ints > 0. Received: shape=2"),
        ({"shape": [0, 2]}, r"`shape\[0\]` to be an int > 0. Received: shape\[0\]=0"),
        ({"units": 0}, "`units` to be an int > 0. Received: units=0"),
        ({"shape": [2, 3]}, "3 of each. Received: 2 means and 2 variances. Pass the statistics"),
        ({"mean": [1.0]}, "2 of each. Received: 1 means and 2 variances. Pass the statistics"),
    ],
)
def test_a_value_out_of_range_is_rejected(arguments, words):
    with pytest.raises(ValueError, match=f"`VectorDecoder` expects {words}"):
        VectorDecoder(**{"shape": [2], **STATISTICS, **arguments})
