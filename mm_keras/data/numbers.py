"""Cells of text -> numbers, and which of them are none."""

import numpy as np
import pandas as pd

NO_NUMBER = (
    "no finite number; write numbers such as 3 or -0.25 (a point, no comma), nothing for an unknown one"
)


def wrong_numbers(texts):
    """Reads a column of numbers.

    Args:
        texts: str array `(N,)`, "" = unknown.

    Returns: (values, wrong). float32 `(N,)`, NaN where the cell is empty or wrong; bool `(N,)`, where it is
        neither empty nor a finite number.
    """
    texts = pd.Series(texts, copy=False)
    values = pd.to_numeric(texts, errors="coerce").to_numpy("float64")
    with np.errstate(over="ignore"):
        values = values.astype("float32")
    finite = np.isfinite(values)
    wrong = (texts != "").to_numpy(bool) & ~finite
    return np.where(finite, values, np.float32(np.nan)), wrong
