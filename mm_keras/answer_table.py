"""Answers of a model as rows of a table, and the file that holds them."""

import csv
import json
import os
import tempfile
from pathlib import Path

import numpy as np


def columns_of(preprocessor, answers):
    """Returns the columns of one answer: title -> function of a row number, which gives a text or number.

    Of a classification `label`: the label, `label_score` of it, and `label:CLASS` of each class. Of a
    regression `price`: its number, or `price:COLUMN` where there are several. Of a caption output its text,
    and `caption_score`, its log-probability; of several, `caption:1` and `caption_score:1` and so on. Of a
    speech output `speech_seconds`, and `speech`, the path of its file, once it is written. Of an
    autoencoder: texts, numbers as `reconstruction_numbers:COLUMN`, and the paths of files, once they are
    written; else pictures, sounds and features have no place in a table. Of a contrastive output `match`: the
    vector `match_MODALITY` as a list.
    """
    columns = {}
    for name, labels in preprocessor.labels.items():
        scores = answers.get(f"{name}_scores")
        if scores is None:
            continue
        columns[name] = lambda row, name=name: str(answers[name][row])
        columns[f"{name}_score"] = lambda row, scores=scores: round(float(scores[row].max()), 6)
        for index, label in enumerate(labels):
            columns[f"{name}:{label}"] = lambda row, s=scores, i=index: round(float(s[row, i]), 6)
    for name, part in preprocessor.outputs.items():
        if part.kind == "caption" and name in answers:
            columns |= _text_columns(name, answers)
        elif part.kind == "speech" and name in answers:
            if answers[name].dtype == object:  # The paths of the files.
                columns[name] = lambda row, paths=answers[name]: str(paths[row])
            seconds = answers[f"{name}_samples"] / answers[f"{name}_rate"]
            columns[f"{name}_seconds"] = lambda row, seconds=seconds: round(float(seconds[row]), 4)
        elif part.kind == "regression" and name in answers:
            for index, title in enumerate(part.titles(name)):
                columns[title] = lambda row, v=answers[name], i=index: shortest(v[row, i])
        elif part.kind == "contrastive":
            for key in [title for title in part.titles(name) if title in answers]:
                columns[key] = lambda row, v=answers[key]: [shortest(value) for value in v[row]]
    for key, values in answers.items():
        modality = preprocessor.rebuilt(key)
        if modality is None:
            continue
        if modality.kind == "text" or values.dtype == object:  # The latter are the paths of files.
            columns[key] = lambda row, values=values: str(values[row])
        elif modality.kind == "numbers":
            for index, column in enumerate(modality.columns):
                columns[f"{key}:{column}"] = lambda row, v=values, i=index: round(float(v[row, i]), 6)
    return columns


def _text_columns(name, answers):
    """Returns the columns of a caption output: of one text, or of several."""
    texts = answers[name]
    if texts.ndim == 1:
        score = answers[f"{name}_score"]
        return {name: lambda row: str(texts[row]), f"{name}_score": lambda row: shortest(score[row])}
    columns, scores = {}, answers[f"{name}_scores"]
    for place in range(texts.shape[1]):
        columns[f"{name}:{place + 1}"] = lambda row, i=place: str(texts[row, i])
        columns[f"{name}_score:{place + 1}"] = lambda row, i=place: shortest(scores[row, i])
    return columns


def shortest(value):
    """Returns a float32 as the float of the fewest digits that names it: 0.1, not 0.10000000149011612."""
    return float(np.format_float_scientific(np.float32(value)))


def records(part, preprocessor):
    """Yields a dict for each row of `Answers`: its line and id, where it has them, and its columns."""
    columns = columns_of(preprocessor, part.answers)
    count = len(next(iter(part.answers.values())))
    for row in range(count):
        record = {} if part.lines is None else {"line": int(part.lines[row])}
        if part.ids is not None:
            record["id"] = str(part.ids[row])
        yield {**record, **{title: value(row) for title, value in columns.items()}}


def write_answers(path, parts, preprocessor):
    """Writes every row of an iterable of `Answers`, whole or not at all, as the suffix of `path` says."""
    write_records(path, (record for part in parts for record in records(part, preprocessor)))


def write_records(path, rows):
    """Writes an iterable of dicts, whole or not at all, as the suffix of `path` says."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, draft = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with open(handle, "w", encoding="utf-8", newline="") as file:
            write = _write_csv if path.suffix == ".csv" else _write_jsonl
            write(file, rows)
        os.chmod(draft, 0o644)
        os.replace(draft, path)
    except BaseException:
        os.unlink(draft)
        raise


def _write_csv(file, rows):
    writer = None
    for row in rows:
        if writer is None:
            writer = csv.DictWriter(file, list(row), lineterminator="\n")
            writer.writeheader()
        writer.writerow(row)


def _write_jsonl(file, rows):
    for row in rows:
        file.write(json.dumps(row, ensure_ascii=False) + "\n")
