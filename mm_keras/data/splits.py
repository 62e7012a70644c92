"""Parts rows into train, validation and test: by a column, or by seeded, stratified shares."""

import hashlib

import numpy as np
import pandas as pd

from mm_keras.checks import listing, message
from mm_keras.data.table import ManifestError

SPLITS = ("train", "validation", "test")
WORDS = {"train": 0, "validation": 1, "val": 1, "valid": 1, "dev": 1, "test": 2}


def split_by_column(table, column, learn=True):
    """Returns the rows of each split that a column names, name -> int array; to `learn` there must be train.

    Raises: ManifestError, if a cell is none of `WORDS`, or no row is train though there is to learn.
    """
    words = pd.Series(table.column(column, "data.split"), dtype=object).str.lower()
    codes = words.map(WORDS)
    unknown = codes.isna().to_numpy()
    if unknown.any():
        values = table.frame[column][unknown].drop_duplicates()
        received = f"{', '.join(map(repr, values[:5]))} in {table.name_lines(unknown)}"
        fix = "Write one of these words in each row, or give shares: `split: {validation: 0.1, test: 0.2}`."
        raise ManifestError(message(f"column {column}", f"{listing(WORDS)}", received, fix))
    splits = {name: np.flatnonzero(codes == code) for code, name in enumerate(SPLITS)}
    if learn and not splits["train"].size:
        fix = "Mark the rows to learn from with train."
        raise ManifestError(message(f"column {column}", "rows with train", "no such row", fix))
    return splits


def split_by_shares(table, shares, columns, strata=None):
    """Splits rows at random, the shares of each class alike.

    A row's place follows from the text of its own cells and the seed: the order of the rows does not matter.

    Args:
        table: Table.
        shares: Shares. Of validation and test, and the seed.
        columns: list of str. Columns whose text places the row.
        strata: str array `(N,)`, or None. Classes; each keeps at least one row in train.

    Returns: dict, split name -> int array, ascending.
    Raises: ManifestError, if there are fewer rows than splits.
    """
    size = len(table.frame)
    asked = [share for share in (shares.test, shares.validation) if share > 0]
    if size <= len(asked):
        fix = "Add rows, or set the shares `validation` and `test` to 0."
        raise ManifestError(message("data.split", f"more than {len(asked)} rows to split", f"{size}", fix))
    key = hashlib.blake2b(str(shares.seed).encode(), digest_size=8).hexdigest()
    draw = pd.util.hash_pandas_object(table.frame[columns], index=False, hash_key=key).to_numpy()
    strata = np.zeros(size, int) if strata is None else pd.factorize(strata, sort=True)[0]
    order = np.lexsort((draw, strata))
    sizes = np.bincount(strata)
    chance = np.random.default_rng(shares.seed)
    test = _allot(sizes, shares.test, sizes - 1, chance)
    validation = _allot(sizes, shares.validation, sizes - 1 - test, chance)
    first = np.cumsum(sizes) - sizes
    rank = np.arange(size) - first[strata[order]]
    code = np.select([rank < test[strata[order]], rank < (test + validation)[strata[order]]], [2, 1], 0)
    return {name: np.sort(order[code == number]) for number, name in enumerate(SPLITS)}


def _allot(sizes, share, room, chance):
    """Returns how many rows of each class a split takes: its share, largest remainders first."""
    exact = sizes * share
    counts = np.minimum(np.floor(exact).astype(int), room)
    wanted = max(round(sizes.sum() * share), 1) if share else 0
    ties = chance.random(len(sizes))
    for index in np.lexsort((ties, counts - exact)):
        if counts.sum() >= wanted:
            break
        counts[index] += counts[index] < room[index]
    return counts
