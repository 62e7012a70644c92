import itertools

import keras
import numpy as np
import pytest

from mm_keras.heads import PairCrossentropy


def each(present, x):
    """Returns the loss of each row, float64 `(B,)`."""
    loss = PairCrossentropy(reduction=None)
    present = np.asarray(present, "float32")[:, :, None]
    return np.array(keras.ops.convert_to_numpy(loss(present, np.asarray(x, "float32"))), "float64")


def by_hand(present, x):
    """InfoNCE in both directions, row by row and candidate by candidate."""
    present, x = np.asarray(present), np.asarray(x, "float64")
    total = np.zeros(len(x))
    pairs = list(itertools.combinations(range(x.shape[1]), 2))
    for i, j in pairs:
        rows = [row for row in range(len(x)) if present[row, i] and present[row, j]]
        for row in rows:
            own = np.exp(x[row, i] @ x[row, j])
            forth = sum(np.exp(x[row, i] @ x[other, j]) for other in rows)
            back = sum(np.exp(x[other, i] @ x[row, j]) for other in rows)
            total[row] -= 0.5 * (np.log(own / forth) + np.log(own / back))
    return total / len(pairs)


def test_two_rows_by_hand():
    x = np.array([[[2.0, 0.0], [1.0, 0.0]], [[0.0, 1.0], [1.0, 1.0]]])
    # Products: rows of the first modality, columns of the second: [[2, 2], [0, 1]].
    first = 0.5 * (np.log(2) + np.log(1 + np.exp(-2)))
    second = 0.5 * (np.log(1 + np.exp(-1)) + np.log(1 + np.exp(1)))
    np.testing.assert_allclose(each(np.ones((2, 2)), x), [first, second], rtol=1e-5)


@pytest.mark.parametrize("modalities", [2, 3])
def test_rows_that_lack_one_of_two_are_no_candidates(modalities):
    random = np.random.default_rng(7)
    x = random.normal(size=(6, modalities, 4))
    present = np.ones((6, modalities), int)
    present[0, 0] = present[1, 1] = present[2, 0] = present[2, 1] = 0
    found = each(present, x)
    np.testing.assert_allclose(found, by_hand(present, x), rtol=1e-5, atol=1e-6)
    if modalities == 2:
        assert (found[:3] == 0).all() and (found[3:] > 0).all()
    noise = np.where(present[:, :, None] > 0, x, 100.0)
    np.testing.assert_allclose(each(present, noise), found, rtol=1e-5, atol=1e-6)


def test_large_products_stay_finite():
    x = 10 * np.eye(3)[:, None, :].repeat(2, axis=1)  # A temperature of 0.01.
    np.testing.assert_allclose(each(np.ones((3, 2)), x), 0, atol=1e-5)
    turned = np.stack([x[:, 0], x[[1, 2, 0], 1]], axis=1)
    np.testing.assert_allclose(each(np.ones((3, 2)), turned), 100, rtol=1e-5)


def test_a_row_alone_has_nothing_to_learn():
    assert each([[1, 1], [1, 0]], np.ones((2, 2, 3))).tolist() == [0, 0]


def test_it_is_written_and_read():
    loss = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(PairCrossentropy()))
    assert isinstance(loss, PairCrossentropy) and loss.name == "pair_crossentropy"
