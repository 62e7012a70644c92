import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import top_k_accuracy_score

from mm_keras.evaluation import retrieval
from mm_keras.evaluation.retrieval import retrieval_scores


def one_hot_rows(order):
    """Returns vectors of two modalities: that of row i is near that of the other's row `order[i]`."""
    x = np.eye(len(order))
    return np.stack([x, x[list(order)]], axis=1)


def test_recall_counts_the_own_row_among_the_first():
    scores = retrieval_scores(one_hot_rows([0, 1, 2]), np.ones((3, 2)), ["image", "text"])
    assert scores["recall@1"] == 1
    assert scores["retrieval"]["image>text"] == {
        **{f"recall@{k}": 1.0 for k in (1, 5, 10)},
        "median_rank": 1.0,
        "rows": 3,
    }
    # Rows 1 and 2 find each other; the own one shares the second place with the rest.
    scores = retrieval_scores(one_hot_rows([0, 2, 1]), np.ones((3, 2)), ["image", "text"])
    assert scores["recall@1"] == pytest.approx(1 / 3)
    assert scores["retrieval"]["text>image"]["median_rank"] == 2.5


def test_vectors_that_are_all_alike_find_nothing():
    scores = retrieval_scores(np.ones((40, 2, 3)), np.ones((40, 2)), ["a", "b"])
    assert scores["recall@10"] == 0 and scores["retrieval"]["a>b"]["median_rank"] == 20.5


def test_rows_that_lack_one_are_neither_queries_nor_candidates():
    here = np.array([[1, 1], [1, 0], [0, 1], [1, 1]])
    vectors = one_hot_rows([0, 3, 3, 1])  # Row 3 is found only if row 1 is no candidate for it.
    scores = retrieval_scores(vectors, here, ["a", "b"])
    assert scores["retrieval"]["a>b"]["rows"] == 2
    assert scores["retrieval"]["a>b"]["recall@1"] == 0.5
    assert retrieval_scores(vectors, np.eye(4)[:, :2], ["a", "b"])["recall@1"] is None


@settings(max_examples=20)
@given(rows=st.integers(11, 30), seed=st.integers(0, 999), at_once=st.integers(1, 9))
def test_recall_is_that_of_scikit_learn(rows, seed, at_once):
    vectors = np.random.default_rng(seed).normal(size=(rows, 3, 4))
    here = np.ones((rows, 3))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(retrieval, "AT_ONCE", at_once)
        scores = retrieval_scores(vectors, here, ["a", "b", "c"])
    for i, j, direction in ((0, 1, "a>b"), (2, 0, "c>a")):
        products = vectors[:, i] @ vectors[:, j].T
        for depth in (1, 5, 10):
            wanted = top_k_accuracy_score(np.arange(rows), products, k=depth)
            assert scores["retrieval"][direction][f"recall@{depth}"] == pytest.approx(wanted)
    means = [scores["retrieval"][key]["recall@5"] for key in scores["retrieval"]]
    assert len(means) == 6 and scores["recall@5"] == pytest.approx(np.mean(means))
