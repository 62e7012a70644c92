"""Decides what each column of a manifest is: a modality, the target, the split, or left out and why."""

import json
import re
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from mm_keras.data.splits import WORDS

ENDINGS = {
    "image": (".png", ".jpg", ".jpeg", ".gif", ".bmp"),
    "audio": (".wav", ".flac", ".ogg", ".mp3"),
    "features": (".npy",),
}
LABEL_NAMES = ("label", "labels", "class", "target", "y", "category", "tags")
# Words in the name of a column that is more often asked for than given.
NUMBER_NAMES = ("target", "price", "cost", "score", "rating", "amount", "sales", "revenue", "salary")
MOST_CLASSES = 1000
PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_./-]*( [A-Za-z0-9_./-]+)*")
KEYWORDS = ("true", "false", "null", "yes", "no", "on", "off", "y", "n")


@dataclass
class Plan:
    """What becomes of each column."""

    split: str | None = None
    label: str | None = None  # the column of classes, if any
    target: str | None = None  # else the column of numbers to learn, if any
    separator: str | None = None
    media: dict = field(default_factory=dict)  # column -> image, audio or features
    texts: list = field(default_factory=list)
    numbers: list = field(default_factory=list)
    left_out: dict = field(default_factory=dict)  # column -> why
    deciding: list = field(default_factory=list)  # columns whose value decides the answer

    @property
    def answer(self):
        """The column that is learned, None if there is none."""
        return self.label or self.target


def make_plan(frame):
    """Returns the `Plan` of a table of str, looking at the cells alone."""
    plan, rest = Plan(), []
    for column in frame.columns:
        cells = frame[column][frame[column] != ""]
        if cells.empty:
            plan.left_out[column] = "empty"
        elif plan.split is None and _is_split(cells):
            plan.split = column
        elif kind := _media_kind(cells):
            plan.media[column] = kind
        elif cells.nunique() == 1 and len(cells) == len(frame):
            plan.left_out[column] = "the same in each row"
        elif _is_id(column, cells):
            plan.left_out[column] = "differs in each row, like a row's number or name"
        else:
            rest.append(column)
    _find_answer(frame, rest, plan)
    for column in rest:
        if column != plan.answer:
            _place(frame, column, plan)
    if not (plan.media or plan.texts or plan.numbers):
        _take_back(frame, plan)
    return plan


def _is_split(cells):
    words = set(cells.str.lower().unique())
    return "train" in words and len(words) > 1 and words <= set(WORDS)


def _media_kind(cells):
    lowered = sample(cells, 500).str.lower()
    for kind, endings in ENDINGS.items():
        if lowered.str.endswith(endings).mean() > 0.9:
            return kind
    return None


def _is_id(column, cells):
    if cells.nunique() < len(cells) or len(cells) < 3:
        return False
    if not _is_numeric(cells):
        return not cells.str.contains(r"\s").any()
    values = np.sort(pd.to_numeric(cells).to_numpy("float64"))
    named = re.search(r"(?:^|[_ ])(?:id|index|nr|no|key)$|^column_\d+$", column.lower())
    return bool(named) or bool((np.diff(values) == 1).all())


def _is_numeric(cells):
    return bool(np.isfinite(pd.to_numeric(cells, errors="coerce")).all())


def _find_answer(frame, columns, plan):
    """Finds the column of labels by its name, or the numbers under such a name; else the last column with few
    values, words before numbers; else numbers whose name says so."""
    named = [column for word in LABEL_NAMES for column in columns if column.lower() == word]
    numeric = [column for column in columns if _is_numeric(frame[column][frame[column] != ""])]
    asked = [column for column in numeric if set(NUMBER_NAMES) & set(re.split(r"[\W_]+", column.lower()))]
    plan.label = next((column for column in named if _is_label(frame[column], repeats=1.01)), None)
    if plan.label is None:
        plan.target = next((column for column in named if column in numeric), None)
    if plan.answer is None:
        fitting = [column for column in columns if _is_label(frame[column], repeats=3)]
        last = [column for column in fitting if column not in numeric] or fitting
        plan.label = last[-1] if last else None
    if plan.answer is None and asked:
        plan.target = asked[-1]
    if plan.label:
        plan.separator = _find_separator(frame[plan.label])


def _is_label(cells, repeats):
    """Returns whether cells look like classes that come back `repeats` times or more, on average."""
    cells = cells[cells != ""]
    classes = cells.nunique()
    if not 2 <= classes <= min(MOST_CLASSES, len(cells) / repeats):
        return False
    values = pd.to_numeric(cells, errors="coerce")
    if values.notna().all():
        return classes <= 100 and bool((values % 1 == 0).all())
    return bool(sample(cells, 500).str.len().mean() < 40)


def _find_separator(cells):
    for separator in ("|", ";"):
        if sample(cells[cells != ""], 500).str.contains(separator, regex=False).mean() > 0.1:
            return separator
    return None


def _place(frame, column, plan):
    cells = frame[column][frame[column] != ""]
    decides = plan.answer is not None and _decides(frame, column, plan.answer)
    category = not cells.str.contains(r"\s").any() or sample(cells, 500).str.len().mean() < 20
    if decides and category:
        plan.deciding.append(column)
        plan.left_out[column] = f"decides {quote(plan.answer)} in each row: perhaps another label"
    elif _is_numeric(cells):
        plan.numbers.append(column)
    else:
        plan.texts.append(column)
        plan.deciding += [column] if decides else []


def _take_back(frame, plan):
    """Makes inputs of the columns that decide the answer: there are no others."""
    for column in plan.deciding:
        del plan.left_out[column]
        (plan.numbers if _is_numeric(frame[column][frame[column] != ""]) else plan.texts).append(column)


def _decides(frame, column, answer):
    """Returns whether each value, in three rows on average, comes with one answer alone."""
    pairs = frame[[column, answer]][(frame[column] != "") & (frame[answer] != "")]
    distinct = pairs[column].nunique()
    return bool(distinct * 3 <= len(pairs) and len(pairs.drop_duplicates()) == distinct)


def sample(cells, most):
    """Returns at most `most` cells, evenly over the table."""
    return cells.iloc[np.unique(np.linspace(0, len(cells) - 1, most).astype(int))] if len(cells) else cells


def quote(text):
    """Returns a text as YAML: plain where that is safe, else in double quotes."""
    if PLAIN.fullmatch(text) and text.lower() not in KEYWORDS:
        return text
    quoted = json.dumps(text, ensure_ascii=False)
    return "".join(c if c.isprintable() else f"\\U{ord(c):08x}" for c in quoted)
