"""What may be written about a scan of the keypad data set, measured from its pixels."""

import numpy as np

WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
ROWS = ("top row", "second row", "third row", "bottom row")
COLUMNS = ("left column", "middle column", "right column")
THIN, BOLD = 1.13, 1.33  # Pixels of 8x8 scans: a quarter of them lies below, another above.
LEFT, RIGHT = 0.12, -0.05  # Columns a row, downwards: the tops of these lean to one side.
WIDTH_MARGIN, SLANT_MARGIN = 0.03, 0.02  # Nearer to a limit than this, both words are right.


def stroke_width(scans):
    """Returns the mean width of the strokes of scans, `(N,)` in pixels: twice the ink by its contour.

    A stroke that is long beside its width w has w times its length of ink and twice its length of contour,
    here the sum of all steps between neighbouring pixels.

    Args:
        scans: array `(N, H, W)` in 0..1, 1 is ink.
    """
    padded = np.pad(scans, ((0, 0), (1, 1), (1, 1)))
    contour = sum(np.abs(np.diff(padded, axis=axis)).sum(axis=(1, 2)) for axis in (1, 2))
    return 2 * scans.sum(axis=(1, 2)) / np.maximum(contour, 1e-9)


def slant(scans):
    """Returns how far the ink moves to the right with each row downwards, `(N,)`: mu_11 / mu_02 of the image
    moments, by which handwriting is commonly straightened.

    Args:
        scans: array `(N, H, W)` in 0..1, 1 is ink.
    """
    y, x = np.mgrid[: scans.shape[1], : scans.shape[2]]
    ink = np.maximum(scans.sum(axis=(1, 2)), 1e-9)[:, None, None]
    y = y - (scans * y).sum(axis=(1, 2), keepdims=True) / ink
    x = x - (scans * x).sum(axis=(1, 2), keepdims=True) / ink
    return (scans * x * y).sum(axis=(1, 2)) / np.maximum((scans * y * y).sum(axis=(1, 2)), 1e-9)


def write_captions(scans, labels):
    """Returns the captions of each scan, such as "a thin three, leaning left": its digit, its stroke where
    that is thin or bold, and whether it leans. Near to a limit there are several, with a "|" between them.

    Args:
        scans: array `(N, H, W)` in 0..1, 1 is ink.
        labels: int array `(N,)`.
    """
    cells = []
    for width, lean, label in zip(stroke_width(scans), slant(scans), labels, strict=True):
        strokes = _fitting(width, (THIN, BOLD), ("thin ", "", "bold "), WIDTH_MARGIN)
        leans = _fitting(lean, (RIGHT, LEFT), ("leaning right", "upright", "leaning left"), SLANT_MARGIN)
        cells.append("|".join(f"a {stroke}{WORDS[label]}, {side}" for stroke in strokes for side in leans))
    return cells


def write_summaries(labels, places):
    """Returns a short text about each key, such as "three: top row, right column".

    Args:
        labels: int array `(N,)`.
        places: int array `(10, 2)`, row and column of each key.
    """
    return [f"{WORDS[label]}: {ROWS[places[label, 0]]}, {COLUMNS[places[label, 1]]}" for label in labels]


def _fitting(value, limits, words, margin):
    """Returns the word of the range that a value lies in, first, and that of one that it nearly lies in."""
    place = int(np.searchsorted(limits, value))
    near = [
        place + step for step in (-1, 1) if np.searchsorted(limits, value + step * margin) == place + step
    ]
    return [words[i] for i in (place, *near)]
