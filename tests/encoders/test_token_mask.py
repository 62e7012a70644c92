import numpy as np

from mm_keras.encoders import TokenMask


def test_padding_is_hidden_but_never_the_first_token():
    tokens = np.array([[2, 5, 0], [0, 0, 0]], "int32")
    np.testing.assert_array_equal(TokenMask()(tokens), [[1, 1, 0], [1, 0, 0]])
