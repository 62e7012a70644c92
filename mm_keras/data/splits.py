"""Parts rows into train, validation and test: by a column, or by seeded, stratified shares."""

import hashlib

import numpy as np
import pandas as pd

from mm_keras.checks import listing, message
from mm_keras.data.findings import find
from mm_keras.data.table import ManifestError

SPLITS = ("train", "validation", "test")
WORDS = {"train": 0, "validation": 1, "val": 1, "valid": 1, "dev": 1, "test": 2}


def split_by_column(table, column, learn=True):
    """Reads the split that a column names for each row; to `learn` there must be train rows.

    Returns: (splits, findings). Split name -> int array of rows; rows with none of `WORDS` are in no split.
    Raises: ManifestError, if no row is train though there is to learn.
    """
    words = pd.Series(table.column(column, "data.split"), copy=False)
    codes, distinct = pd.factorize(words)
    codes = np.array([WORDS.get(word.lower(), -1) for word in distinct], int)[codes]
    reason = f"no split; write one of {listing(WORDS)}"
    found = find(table, codes < 0, "unknown_split", column, reason, words.array)
    splits = {name: np.flatnonzero(codes == code) for code, name in enumerate(SPLITS)}
    if learn and not splits["train"].size:
        fix = "Mark the rows to learn from with train."
        seen = ", ".join(map(repr, list(distinct)[:5]))
        raise ManifestError(message(f"column {column}", "rows with train", f"{seen} alone", fix))
    return splits, found


def split_by_shares(table, shares, columns, strata=None):
    """Splits rows at random, the shares of each class alike.

    A row's place follows from the text of its own cells and the seed: the order of the rows does not matter.
    With `shares.group`, whole groups are placed, each by its name and the seed, until a split has its share
    of the rows; the classes are then as the groups have them.

    Args:
        table: Table.
        shares: Shares. Of validation and test, and the seed.
        columns: list of str. Columns whose text places the row.
        strata: str array `(N,)`, or None. Classes; each keeps at least one row in train.

    Returns: (splits, findings). Split name -> int array, ascending; rows without a group are in no split.
    Raises: ManifestError, if there are fewer rows, or groups, than splits.
    """
    size = len(table.frame)
    asked = [share for share in (shares.test, shares.validation) if share > 0]
    if size <= len(asked):
        fix = "Add rows, or set the shares `validation` and `test` to 0."
        raise ManifestError(message("data.split", f"more than {len(asked)} rows to split", f"{size}", fix))
    if shares.group:
        return _split_groups(table, shares)
    key = _key(shares)
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
    return {name: np.sort(order[code == number]) for number, name in enumerate(SPLITS)}, []


def _key(shares):
    return hashlib.blake2b(str(shares.seed).encode(), digest_size=8).hexdigest()


def _split_groups(table, shares):
    cells = table.column(shares.group, "data.split.group")
    codes, distinct = pd.factorize(cells)
    named = np.asarray(distinct != "")
    reason = "no group; name one, so that its rows can be kept in one split"
    found = find(table, ~named[codes], "no_group", shares.group, reason)
    asked = [share for share in (shares.test, shares.validation) if share > 0]
    if named.sum() <= len(asked):
        fix = "Choose a column with more groups, or set the shares `validation` or `test` to 0."
        expected = f"more than {len(asked)} groups to split"
        raise ManifestError(message("data.split.group", expected, f"{named.sum()} in `{shares.group}`", fix))
    sizes = np.where(named, np.bincount(codes, minlength=len(distinct)), 0)
    names = pd.DataFrame({"group": distinct})
    draw = pd.util.hash_pandas_object(names, index=False, hash_key=_key(shares)).to_numpy()
    order = [index for index in np.argsort(draw) if named[index]]
    split_of = np.where(named, 0, -1)
    for number, share in ((2, shares.test), (1, shares.validation)):
        wanted, taken = share * sizes.sum(), 0
        kept = 1 + (number == 2 and shares.validation > 0)  # For train, and for the split to come.
        while share and len(order) > kept and (not taken or taken + sizes[order[0]] / 2 <= wanted):
            split_of[order[0]] = number
            taken += sizes[order.pop(0)]
    return {name: np.flatnonzero(split_of[codes] == number) for number, name in enumerate(SPLITS)}, found


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
