"""What a decoder attends to."""

import numpy as np
import pytest

from mm_keras.heads import Memory

SHAPES = {"fused": (2, 3), "image": (2, 2), "text": (2, 3, 2), "text.steps": (2, 3)}


def inputs():
    random = np.random.default_rng(7)
    given = {name: random.normal(size=shape).astype("float32") for name, shape in SHAPES.items()}
    return {**given, "text.steps": np.array([[1, 1, 0], [1, 0, 0]], "float32")}


def test_all_steps_are_joined_in_sorted_order():
    layer = Memory(4)
    given = inputs()
    memory = layer(given)
    assert memory["memory"].shape == (2, 5, 4)
    weights, bias = layer.projections["image"].get_weights()
    np.testing.assert_allclose(memory["memory"][:, 1], given["image"] @ weights + bias, rtol=1e-5)
    np.testing.assert_array_equal(np.array(memory["steps"], "float32")[:, :2], 1)
    np.testing.assert_array_equal(np.array(memory["steps"], "float32")[:, 2:], given["text.steps"])
    np.testing.assert_array_equal(memory["fused"], given["fused"])


def test_attention_is_parted_by_modality():
    layer = Memory(4)
    given = inputs()
    layer(given)
    attention = np.arange(2 * 1 * 5).reshape(2, 1, 5)
    parts = layer.part(attention, given)
    assert {name: part.shape for name, part in parts.items()} == {
        "fused": (2, 1, 1),
        "image": (2, 1, 1),
        "text": (2, 1, 3),
    }
    np.testing.assert_array_equal(parts["text"], attention[:, :, 2:])


@pytest.mark.parametrize("missing", ["fused", "image"])
def test_inputs_without_an_embedding_or_a_modality_are_rejected(missing):
    shapes = {name: SHAPES[name] for name in ("fused", "image") if name != missing}
    with pytest.raises(ValueError, match='`Memory` expects "fused" and at least one modality'):
        Memory(4).build(shapes)
