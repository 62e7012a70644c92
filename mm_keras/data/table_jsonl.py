"""Reads JSONL files as tables of text: an object a line."""

import json

import numpy as np

from mm_keras.checks import message
from mm_keras.data.findings import Finding
from mm_keras.data.table import ManifestError
from mm_keras.data.table_text import (
    CHUNK,
    MANY_DAMAGED,
    READ_ERRORS,
    TextColumns,
    open_text,
    outnumber,
    unreadable,
)

KIND = "a JSONL file"
LIST_SEPARATOR = "|"


def read_jsonl(path, columns=None):
    """Reads a JSONL file: one JSON object a line, its keys the columns.

    Numbers stay as they are written, `true` and `false` are words, `null` and a key that is not there are
    missing. A list of these is a multi-label cell: its values joined by `|`, an empty list `|` alone.

    Args:
        path: Path. UTF-8 text; `.jsonl.gz` is unpacked while it is read.
        columns: list of str or None. The columns to keep; None: all. A table has all keys of all lines.

    Returns: Table. Lines that are no such object are not in it: its findings name them.
    Raises: ManifestError, if the file cannot be read or most of its lines are no such objects.
    """
    with open_text(path, KIND) as file:
        try:
            return _read(file, path, columns)
        except READ_ERRORS as error:
            raise unreadable(path, KIND, error) from error


def _read(file, path, columns):
    table, damaged = TextColumns(path, columns), []
    records, lines = [], []
    for line, text in enumerate(file, start=1):
        if not text.strip():
            continue
        try:
            records.append(_parse(text))
            lines.append(line)
        except _DamagedLineError as error:
            damaged.append(Finding("damaged_row", line, "", "", str(error)))
        if len(records) == CHUNK:
            _add(table, records, lines)
            records, lines = [], []
        if len(damaged) > max(MANY_DAMAGED, table.rows + len(records)):
            break
    if records:
        _add(table, records, lines)
    if outnumber(len(damaged), table.rows):
        received = f"{damaged[0].reason} in line {damaged[0].line}"
        fix = 'Write an object of texts and numbers on each line, such as {"text": "a", "label": "b"}.'
        raise ManifestError(message(str(path), f"{KIND}, one JSON object a line", received, fix))
    if not table.rows:
        fix = 'Write an object for each row, such as {"text": "a", "label": "b"}.'
        raise ManifestError(message(str(path), "a table", "an empty file", fix))
    table.findings += damaged
    return table.to_table()


def _add(table, records, lines):
    names = dict.fromkeys(name for record in records for name in record)
    cells = {name: [record.get(name, "") for record in records] for name in names}
    table.add(cells, np.array(lines), keep_empty=True)


class _DamagedLineError(ValueError):
    """A line that is no object of texts and numbers: says why."""


class _Number(str):
    """A number as it is written: exact, as in a CSV file."""

    __slots__ = ()


def _to_dict(pairs):
    record = {name.strip(): value for name, value in pairs}
    if len(record) < len(pairs):
        names = [name.strip() for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise _DamagedLineError(f"the key `{twice}` twice")
    return record


def _refuse_constant(word):
    raise _DamagedLineError(f"{word}, which is no JSON; write null for an unknown number")


DECODER = json.JSONDecoder(
    object_pairs_hook=_to_dict, parse_constant=_refuse_constant, parse_int=_Number, parse_float=_Number
)


def _parse(text):
    """Returns the cells of a line, column -> str."""
    try:
        record = DECODER.decode(text)
    except json.JSONDecodeError as error:
        raise _DamagedLineError(f"no JSON: {error.msg} at character {error.pos + 1}") from error
    except RecursionError as error:
        raise _DamagedLineError("nested too deep") from error
    if not isinstance(record, dict):
        raise _DamagedLineError(f"{_word(record)}, no object of columns")
    return {name: _to_text(name, value) for name, value in record.items()}


def _to_text(name, value):
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list) and not any(isinstance(part, (list, dict)) for part in value):
        return LIST_SEPARATOR.join(filter(None, (_to_text(name, part) for part in value))) or LIST_SEPARATOR
    found = "an object" if isinstance(value, dict) else "lists or objects in a list"
    raise _DamagedLineError(f"`{name}` holds {found}; write a text, a number or a list of them")


def _word(value):
    if isinstance(value, _Number):
        return "a number"
    words = {str: "a text", list: "a list", bool: "true or false"}
    return words.get(type(value), "null")
