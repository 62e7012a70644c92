"""How well a row's modalities find one another among the rows of a split."""

import itertools

import numpy as np

DEPTHS = (1, 5, 10)
AT_ONCE = 1024  # Queries whose scores are held at once.


def retrieval_scores(vectors, here, names):
    """Returns what is found when each modality of a row is searched by each other one.

    Queries and candidates are the rows that have both modalities; the higher the product of two vectors, the
    earlier comes a candidate, and candidates of equal product share the mean of their places.

    Args:
        vectors: float array `(N, M, D)`, as `Matcher` gives them.
        here: array `(N, M)`, above 0 where the modality is there.
        names: list of M str.

    Returns: dict with `recall@1`, `recall@5` and `recall@10` (share of the queries whose own row is among the
        first k; the mean over all directions that have rows), and `retrieval`: "image>text" -> the same,
        `median_rank` (from 1) and `rows`. The shares are None where no row has two modalities.
    """
    directions = {}
    for i, j in itertools.permutations(range(len(names)), 2):
        both = (here[:, i] > 0) & (here[:, j] > 0)
        ranks = _ranks(vectors[both, i], vectors[both, j])
        directions[f"{names[i]}>{names[j]}"] = {
            **{f"recall@{depth}": _share(ranks, depth) for depth in DEPTHS},
            "median_rank": float(np.median(ranks)) if len(ranks) else None,
            "rows": len(ranks),
        }
    means = {}
    for depth in DEPTHS:
        shares = [scores[f"recall@{depth}"] for scores in directions.values() if scores["rows"]]
        means[f"recall@{depth}"] = float(np.mean(shares)) if shares else None
    return {**means, "retrieval": directions}


def _ranks(queries, candidates):
    """Returns the place of each query's own candidate, from 1."""
    ranks = []
    for start in range(0, len(queries), AT_ONCE):
        scores = queries[start : start + AT_ONCE] @ candidates.T
        own = np.take_along_axis(scores, np.arange(start, start + len(scores))[:, None], axis=1)
        ranks.append((scores > own).sum(axis=1) + ((scores == own).sum(axis=1) + 1) / 2)
    return np.concatenate(ranks) if ranks else np.zeros(0)


def _share(ranks, depth):
    return float(np.mean(ranks <= depth)) if len(ranks) else None
