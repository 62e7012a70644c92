"""CSV and TSV files as tables: cells, lines, damaged rows, and files that are no such table."""

import csv
import gzip

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mm_keras.data import table_csv
from mm_keras.data.table import ManifestError
from mm_keras.data.table_csv import read_csv


def write(folder, text, name="m.csv"):
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def error_of(path, **settings):
    with pytest.raises(ManifestError) as caught:
        read_csv(path, **settings)
    return str(caught.value)


def found_in(table):
    return [(finding.code, finding.line, finding.row) for finding in table.findings]


def test_cells_are_stripped_text_and_na_stays(tmp_path):
    table = read_csv(write(tmp_path, '\ufeff id , x\n 1 ,NA\n\n2, "a, ""b"""\n , 007 \n,\n'))
    assert table.frame.to_dict("list") == {"id": ["1", "2", ""], "x": ["NA", 'a, "b"', "007"]}
    assert table.lines.tolist() == [2, 4, 5]
    assert table.root == tmp_path
    assert table.findings == []


def test_tabs_and_columns_without_name(tmp_path):
    table = read_csv(write(tmp_path, "\tx\n0\ta,b\n", "m.tsv"))
    assert table.frame.to_dict("list") == {"column_1": ["0"], "x": ["a,b"]}


def test_packed_tables_are_read_alike(tmp_path):
    path = write(tmp_path, gzip.compress("\tx\n0\té\n".encode()), "m.tsv.gz")
    assert read_csv(path).frame.to_dict("list") == {"column_1": ["0"], "x": ["é"]}
    assert "a CSV file" in error_of(write(tmp_path, path.read_bytes()[:-9], "cut.csv.gz"))
    assert "Write the file again." in error_of(write(tmp_path, b"a,b\n1,2\n", "plain.csv.gz"))


def test_columns_are_chosen_and_the_others_still_named(tmp_path):
    table = read_csv(write(tmp_path, "a,b,c\n1,2,3\n"), ["c", "a", "none"])
    assert table.frame.to_dict("list") == {"a": ["1"], "c": ["3"]}
    with pytest.raises(ManifestError, match="Received: `d`. .*The columns are `a`, `b`, `c`."):
        table.column("d", "x")


@pytest.mark.parametrize("chunk", [2, 8192])
def test_lines_that_are_no_rows_are_findings(tmp_path, monkeypatch, chunk):
    monkeypatch.setattr(table_csv, "CHUNK", chunk)
    text = 'a,b\n"x"y,2\n1,2\n"3\r\n4\n",5\n1,2,3\n\n6,7\n8\n9,"a"b\n10,11\n'
    table = read_csv(write(tmp_path, text))
    assert table.frame["a"].tolist() == ["1", "3\r\n4", "6", "10"]
    assert table.lines.tolist() == [3, 4, 9, 12]
    assert sorted(found_in(table)) == [("damaged_row", line, -1) for line in (2, 7, 10, 11)]
    reasons = {finding.line: finding.reason for finding in table.findings}
    assert reasons[7] == "3 cells, where the header has 2"
    assert "no row of CSV" in reasons[2]


def test_a_last_line_with_an_open_quote_is_a_finding(tmp_path):
    assert found_in(read_csv(write(tmp_path, 'a,b\n1,2\n1,"open\n'))) == [("damaged_row", 3, -1)]


def test_bytes_that_are_no_text_empty_their_cell(tmp_path):
    table = read_csv(write(tmp_path, b"a,b\n" + b"1,2\n" * 40 + b"3,x\xe9y\n,\n\xff,\n\n4,5\n"))
    assert table.frame.tail(3).to_dict("list") == {"a": ["3", "", "4"], "b": ["", "", "5"]}
    assert sorted(found_in(table)) == [("not_text", 42, 40), ("not_text", 44, 41)]
    assert {finding.column: finding.path for finding in table.findings} == {"b": r"x\xe9y", "a": r"\xff"}
    assert read_csv(tmp_path / "m.csv", ["a"]).findings[0].column == "a"


def test_letters_of_several_bytes_may_stand_anywhere(tmp_path):
    for shift in range(2):
        table = read_csv(write(tmp_path, f"a\n{'x' * shift}{'é' * 50_000}\n"))
        assert len(table.frame["a"][0]) == 50_000 + shift


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "a table. Received: an empty file"),
        ("\n\n", "a table. Received: an empty file"),
        ("a,b\n", "rows below the header. Received: the header alone"),
        ("a,b\n,\n", "rows below the header. Received: the header alone"),
        ("a,b,a\n1,2,3\n", "each column name once. Received: `a` repeated"),
        ("a,b\n1\n", "2 cells in each row, as in the header. Received: 1 in line 2. Put"),
        ('a,b\n1,2,3\n1\n"x"y,2\n', "Received: 3 in line 2, and other numbers in line 3."),
        ('a,b\n"x"y,2\n', "in the row that begins in line 2. Close each quote"),
        ('a,b\n1,2\n"x\ny",2,3\n', "Received: 3 in the row of lines 3 to 4. Close each quote"),
        ("a;b\n1;2\n", "commas between the columns. Received: semicolons"),
        (b"a,b\n1,2\n1,caf\xe9\n", "the byte 0xe9 in line 3, byte 6. Save the file as CSV UTF-8; it looks"),
        (b"caf\xe9,b\n" + b"1,2\n" * 50, "the byte 0xe9 in line 1, byte 4."),
        (b"a,b\n1,caf\x8e\n", "the byte 0x8e in line 2, byte 6. Save the file as CSV UTF-8."),
        ("a,b\n1,2\n".encode("utf-16"), "UTF-8 text. Received: UTF-16 text"),
        ("a,b\n1,2\n".encode("utf-16-le"), "UTF-8 text. Received: UTF-16 text"),
        ("a,b\n1,2\n".encode("utf-32"), "UTF-8 text. Received: UTF-32 text"),
        (b"PK\x00\x01,ab,cd\n\x00\nlonger text\n", "a CSV file. Received: binary data"),
        ('a,b\n1,2\n1,"open\n2,3\n', "in the row that begins in line 3. Close each quote"),
        ('"a,b\n1,2\n', "in the row that begins in line 1. Close each quote"),
    ],
)
def test_tables_that_cannot_be_read(tmp_path, text, words):
    assert words in error_of(write(tmp_path, text))


def test_rows_of_another_width_are_refused_when_they_are_most(tmp_path, monkeypatch):
    monkeypatch.setattr(table_csv, "CHUNK", 10)
    monkeypatch.setattr(table_csv, "MANY_DAMAGED", 20)
    monkeypatch.setattr("mm_keras.data.table_text.MANY_DAMAGED", 20)
    path = write(tmp_path, "a,b\n" + "1,2\n" * 12 + "1,2,3\n" * 15)
    assert len(read_csv(path).findings) == 15
    path = write(tmp_path, "a,b\n" + "1,2\n" * 12 + "1,2,3\n" * 40)
    assert "2 cells in each row, as in the header. Received: 3 in line 14, and" in error_of(path)


def test_missing_table_and_folder(tmp_path):
    assert "no such file" in error_of(tmp_path / "none.csv")
    assert "a folder" in error_of(tmp_path)


CELLS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=6)
ROWS = st.lists(st.tuples(CELLS, CELLS), min_size=1, max_size=12)


@given(ROWS, st.integers(1, 5))
def test_what_the_csv_module_writes_is_read_back(tmp_path_factory, rows, chunk):
    path = tmp_path_factory.mktemp("csv") / "m.csv"
    with open(path, "w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("a", "b"), *rows])
    expected = [(a.strip(), b.strip()) for a, b in rows if a.strip() or b.strip()]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(table_csv, "CHUNK", chunk)
        if not expected:
            assert "the header alone" in error_of(path)
            return
        table = read_csv(path)
    assert list(table.frame.itertuples(index=False, name=None)) == expected
    with open(path, encoding="utf-8", newline="") as file:
        lines = file.readlines()
    for line, row in zip(table.lines.tolist(), expected, strict=True):
        found = next(csv.reader(lines[line - 1 :], skipinitialspace=True))
        assert tuple(cell.strip() for cell in found) == row
