"""Findings: what they cost, how many are allowed, and how they are listed."""

import csv

import numpy as np
import pytest

from mm_keras.data.findings import (
    CODES,
    DataError,
    Finding,
    check_limit,
    describe,
    find,
    keep_list,
    write_quarantine,
)
from mm_keras.data.reading import read_table


def finding(line, code="empty", **changes):
    return Finding(
        **{"code": code, "line": line, "column": "image", "path": f"{line}.png", "reason": "r", **changes}
    )


def test_the_limit_counts_rows_and_takes_no_warning_for_an_error():
    errors = [finding(2), finding(2, column="audio"), finding(3)]
    warnings = [finding(line, "silence") for line in range(4, 90)]
    check_limit(errors + warnings, 100, "quarantine", 0.02)
    check_limit([], 100, "fail", 0.0)
    check_limit(warnings, 100, "fail", 0.0)
    with pytest.raises(DataError, match=r"at most 1% bad rows .*Received: 2 rows of 100 \(2%\)") as caught:
        check_limit(errors + warnings, 100, "missing", 0.01)
    assert caught.value.findings == errors
    with pytest.raises(DataError, match=r"`data.on_bad: fail`.*Received: 1 row of 100\."):
        check_limit([finding(5)], 100, "fail", 1.0)


def test_every_code_says_its_severity_and_what_it_hits():
    assert {severity for severity, _, _ in CODES.values()} == {"error", "warning"}
    assert {hits for _, hits, _ in CODES.values()} == {"row", "cell", "target"}
    assert finding(1, "silence").severity == "warning" and finding(1, "no_label").hits == "target"


def test_rows_are_named_by_their_lines(tmp_path):
    (tmp_path / "m.csv").write_text('a,b\n"x\ny",1\nz,2\n', encoding="utf-8")
    table = read_table(tmp_path / "m.csv")
    found = find(
        table, np.array([False, True]), "not_a_number", "a", lambda cell: f"{cell}!", table.frame["a"]
    )
    assert found == [Finding("not_a_number", 4, "a", "z", "z!", 1)]
    assert [f.line for f in find(table, [0, 1], "empty", "a", "r")] == [2, 4]


def test_the_list_is_a_table_of_errors_in_the_order_of_the_file(tmp_path):
    hostile = 'a,"b"\n=1+1.png'
    found = [finding(9), finding(3, path=hostile), finding(4, "silence")]
    with open(write_quarantine(tmp_path / "q.csv", found), encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["row"] for row in rows] == ["3", "9"]
    assert rows[0]["path"] == hostile and rows[1]["code"] == "empty"


def test_of_many_findings_the_first_are_shown_and_the_others_counted():
    lines = describe([finding(line) for line in range(30)], most=3)
    assert lines[0] == "  line 0, image: 0.png: r" and lines[3:] == ["  and 27 more"]


def test_an_error_says_where_the_whole_list_is(tmp_path):
    path = tmp_path / "runs" / "x" / "quarantine.csv"
    with pytest.raises(DataError, match="All of them: .*quarantine.csv"), keep_list(path):
        check_limit([finding(2)], 3, "fail", 0)
    assert "2.png" in path.read_text()
