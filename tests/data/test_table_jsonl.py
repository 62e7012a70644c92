"""JSONL files as tables: what becomes of each JSON value, and lines that are no objects."""

import json

import pytest

from mm_keras.data import table_jsonl
from mm_keras.data.table import ManifestError
from mm_keras.data.table_jsonl import read_jsonl


def write(folder, text):
    path = folder / "m.jsonl"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def error_of(path):
    with pytest.raises(ManifestError) as caught:
        read_jsonl(path)
    return str(caught.value)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ('" a b "', "a b"),
        ("12345678901234567890123", "12345678901234567890123"),
        ("0.1", "0.1"),
        ("-1e-7", "-1e-7"),
        ("true", "true"),
        ("false", "false"),
        ("null", ""),
        ('["x", 2, null, "y"]', "x|2|y"),
        ("[]", "|"),
        ('"\\u00e9\\ud83d\\ude00"', "é😀"),
    ],
)
def test_values_become_text(tmp_path, value, text):
    table = read_jsonl(write(tmp_path, f'{{"k": 1, "v": {value}}}\n'))
    assert table.frame.to_dict("list") == {"k": ["1"], "v": [text]}


@pytest.mark.parametrize("chunk", [1, 8192])
def test_a_table_has_the_keys_of_all_lines(tmp_path, monkeypatch, chunk):
    monkeypatch.setattr(table_jsonl, "CHUNK", chunk)
    table = read_jsonl(write(tmp_path, '{"a": 1}\n\n{"b": "x"}\r\n{}\n{"a": 2, " b ": "y"}'))
    assert table.frame.to_dict("list") == {"a": ["1", "", "", "2"], "b": ["", "x", "", "y"]}
    assert table.lines.tolist() == [1, 3, 4, 5]
    assert list(read_jsonl(tmp_path / "m.jsonl", ["b"]).frame) == ["b"]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('{"a": 1', "no JSON: Expecting ',' delimiter at character"),
        ('{"a": 1, "a": 2}', "the key `a` twice"),
        ('{"a": 1, " a": 2}', "the key `a` twice"),
        ('{"a": NaN}', "NaN, which is no JSON; write null"),
        ('{"a": -Infinity}', "-Infinity, which is no JSON"),
        ('{"a": {"b": 1}}', "`a` holds an object; write a text"),
        ('{"a": [[1]]}', "`a` holds lists or objects in a list"),
        ('"text"', "a text, no object of columns"),
        ("3", "a number, no object"),
        ("[1]", "a list, no object"),
        ("null", "null, no object"),
        ("true", "true or false, no object"),
        ("[" * 100_000, "nested too deep"),
    ],
)
def test_lines_that_are_no_rows_are_findings(tmp_path, line, reason):
    table = read_jsonl(write(tmp_path, f'{{"a": "good"}}\n{line}\n'))
    assert table.frame["a"].tolist() == ["good"]
    (finding,) = table.findings
    assert (finding.code, finding.line, finding.row) == ("damaged_row", 2, -1)
    assert reason in finding.reason
    path = write(tmp_path, f"{line}\n")
    assert f"one JSON object a line. Received: {finding.reason} in line 1." in error_of(path)


def test_bytes_and_escapes_that_are_no_text_empty_their_cell(tmp_path):
    lines = [b'{"a": "fine"}'] * 20 + [b'{"a": "x\xe9"}', rb'{"a": "\ud800"}']
    table = read_jsonl(write(tmp_path, b"\n".join(lines)))
    assert table.frame["a"].tolist()[-2:] == ["", ""]
    assert [(finding.code, finding.line, finding.row) for finding in table.findings] == [
        ("not_text", 21, 20),
        ("not_text", 22, 21),
    ]
    assert [finding.path for finding in table.findings] == [r"x\xe9", r"\ud800"]


def test_files_that_are_no_jsonl(tmp_path):
    assert "Received: an empty file" in error_of(write(tmp_path, "\n\n"))
    assert "no JSON" in error_of(write(tmp_path, json.dumps([{"a": 1}, {"a": 2}], indent=1)))
    assert "no such file" in error_of(tmp_path / "none.jsonl")
