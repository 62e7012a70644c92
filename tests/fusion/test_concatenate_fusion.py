import numpy as np
import pytest

from mm_keras.fusion import ConcatenateFusion


def test_sorted_modalities_pass_one_dense_layer_with_relu():
    layer = ConcatenateFusion(2)
    layer.build({"b": (1, 1), "a": (1, 2)})
    kernel = np.array([[1.0, 0.0], [0.0, 1.0], [10.0, -10.0]])  # a, a, b
    layer.set_weights([kernel, np.array([0.5, 0.0])])
    x = {"b": np.array([[3.0]]), "a": np.array([[1.0, 2.0]])}
    np.testing.assert_allclose(layer(x), [[1 + 30 + 0.5, 0.0]], rtol=1e-6)


def test_one_modality_alone_is_fused():
    assert ConcatenateFusion(4)({"a": np.ones((2, 3))}).shape == (2, 4)


def test_units_below_one_are_rejected():
    with pytest.raises(ValueError, match="`ConcatenateFusion` expects `units` .*Received: units=0"):
        ConcatenateFusion(0)


def test_sequence_input_is_rejected():
    with pytest.raises(ValueError, match=r"inputs\['text'\].shape=\(2, 7, 5\).*Pool sequences over time"):
        ConcatenateFusion(4)({"image": np.ones((2, 8)), "text": np.ones((2, 7, 5))})


def test_a_tensor_without_names_is_rejected():
    with pytest.raises(ValueError, match="`ConcatenateFusion` expects a dict of at least 1 modalities"):
        ConcatenateFusion(4)(np.ones((2, 8)))
