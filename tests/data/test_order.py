"""The order of rows: each once an epoch, others each epoch, the same by seed, in bounded memory."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mm_keras.data.order import WINDOW, index_batches, seeds


def epoch(dataset):
    return [batch.tolist() for batch in dataset.as_numpy_iterator()]


def flat(batches):
    return [row for batch in batches for row in batch]


@given(st.integers(1, 70), st.integers(1, 20), st.booleans(), st.booleans())
def test_each_row_comes_once_in_batches_of_the_size(count, batch_size, shuffled, sorted_by_length):
    rows = np.arange(count) * 3 + 1
    lengths = np.arange(3 * count + 1) % 7 if sorted_by_length else None
    batches = epoch(index_batches(rows, batch_size, 7 if shuffled else None, lengths))
    assert sorted(flat(batches)) == rows.tolist()
    assert sorted(map(len, batches)) == sorted(
        [batch_size] * (count // batch_size) + [count % batch_size or batch_size][: count % batch_size > 0]
    )
    if not shuffled:
        assert flat(batches) == rows.tolist()


@pytest.mark.parametrize("lengths", [None, np.arange(200) % 9])
def test_a_seed_gives_a_row_of_orders(lengths):
    first, again, other = (
        [epoch(dataset) for _ in range(3)]
        for seed in (7, 7, 8)
        for dataset in [index_batches(np.arange(200), 16, seed, lengths)]
    )
    assert first == again != other
    assert first[0] != first[1] != first[2] != first[0]


def test_rows_are_spread_over_the_epoch():
    places = np.array(flat(epoch(index_batches(np.arange(4096), 64, 7))))
    assert abs(np.corrcoef(places, np.arange(4096))[0, 1]) < 0.1
    assert np.abs(np.diff(places)).mean() > 1000


def test_lengths_are_alike_within_a_batch_and_not_in_order():
    lengths = np.random.default_rng(7).integers(1, 1000, 16 * WINDOW)
    batches = epoch(index_batches(np.arange(16 * WINDOW), 16, 7, lengths))
    means = [lengths[batch].mean() for batch in batches]
    assert max(np.ptp(lengths[batch]) for batch in batches) < 120
    assert means != sorted(means) and means != sorted(means)[::-1]


def test_seeds_differ_within_and_between_epochs_and_repeat_by_seed():
    dataset = seeds(7).take(5)
    first, second = epoch(dataset), epoch(dataset)
    assert len({tuple(pair) for pair in first + second}) == 10
    assert epoch(seeds(7).take(5)) == first
