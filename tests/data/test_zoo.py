"""The zoo: each bad cell is named right, none stops training, and nothing good is dropped."""

import csv

import pytest
from zoo import BASE, build_zoo, zoo_spec

from mm_keras.data.doctor import diagnose
from mm_keras.data.findings import CODES, ERROR, DataError, write_quarantine
from mm_keras.training import train

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def zoo(tmp_path_factory):
    return build_zoo(tmp_path_factory.mktemp("zoo"))


@pytest.fixture(scope="module")
def diagnosis(zoo):
    return diagnose(zoo_spec(zoo.manifest))


def lines_used(data):
    """Returns the lines of the rows in any split, each once."""
    lines = [int(data.manifest.lines[row]) for rows in data.rows.values() for row in rows]
    assert len(lines) == len(set(lines))
    return set(lines)


def describe(zoo, lines):
    return sorted(zoo.named(line) for line in lines)


def read_quarantine(path):
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_the_zoo_has_at_least_fifty_kinds_and_every_error_but_those_of_groups(zoo):
    assert len(zoo.kinds) - BASE >= 150
    assert len({kind.name for kind in zoo.kinds}) == len(zoo.kinds)
    errors = {code for code, (severity, _, _) in CODES.items() if severity == ERROR}
    assert errors - set(zoo.bad.values()) == {"no_group"}


def test_the_doctor_names_each_fault_right_and_no_good_row(zoo, diagnosis):
    found = {(zoo.named(finding.line), finding.code) for finding in diagnosis.errors}
    assert found == {(zoo.named(line), code) for line, code in zoo.bad.items()}
    assert len(diagnosis.errors) == len(found)


def test_odd_cells_that_are_valid_get_the_warning_that_they_earn(zoo, diagnosis):
    warned = {(zoo.named(f.line), f.code) for f in diagnosis.findings if f.severity != ERROR}
    assert {
        ("blank image", "blank"),
        ("silence", "silence"),
        ("JPEG named .png", "ending_differs"),
        ("PNG named .JPG", "ending_differs"),
        ("WAV named .mp3", "ending_differs"),
        ("FLAC named .wav", "ending_differs"),
    } <= warned
    assert {name for name, code in warned if code in ("blank", "silence")} <= {
        "blank image",
        "silence",
        "image of one pixel",
        "path with dots",
        "link to a file of the folder",
        "link to a file elsewhere",
    }


def test_every_reason_is_a_sentence_without_the_graph_around_it(diagnosis):
    for finding in diagnosis.errors:
        assert finding.reason
        for noise in ("Traceback", "node", "stack trace", "[Op", "assertion"):
            assert noise not in finding.reason, finding


def test_training_under_quarantine_uses_exactly_the_good_rows(zoo, diagnosis, tmp_path):
    run, data = train(zoo_spec(zoo.manifest), tmp_path / "runs")
    used = lines_used(data)
    assert describe(zoo, used - zoo.good) == []
    assert describe(zoo, zoo.good - used) == []
    assert (run.folder / "history.csv").is_file()
    rows = read_quarantine(run.folder / "quarantine.csv")
    assert {int(row["row"]): row["code"] for row in rows} == zoo.bad
    assert len(rows) == len(zoo.bad)
    written = read_quarantine(write_quarantine(tmp_path / "doctor.csv", diagnosis.findings))
    keys = ("row", "column", "path", "code")
    assert [[row[key] for key in keys] for row in rows] == [[row[key] for key in keys] for row in written]


def test_training_under_missing_keeps_rows_without_the_bad_cell(zoo, tmp_path):
    _, data = train(zoo_spec(zoo.manifest, on_bad="missing"), tmp_path / "runs")
    kept = {line for line, code in zoo.bad.items() if CODES[code][1] == "cell"}
    assert describe(zoo, lines_used(data) ^ (zoo.good | kept)) == []
    names = sorted(data.manifest.cells)
    present = {int(line): data.manifest.present[row] for row, line in enumerate(data.manifest.lines)}
    for kind in zoo.kinds:
        if kind.line in kept:
            (column,) = kind.cells
            place = names.index({"a": "numbers", "b": "numbers"}.get(column, column))
            assert present[kind.line][place] == 0, kind.name
            assert present[kind.line].sum() == len(names) - 1, kind.name


def test_training_stops_where_bad_rows_are_more_than_allowed(zoo, tmp_path):
    with pytest.raises(DataError, match="max_bad") as caught:
        train(zoo_spec(zoo.manifest, max_bad=0.1), tmp_path / "runs")
    assert caught.value.findings
    with pytest.raises(DataError, match="on_bad: fail"):
        train(zoo_spec(zoo.manifest, on_bad="fail"), tmp_path / "runs")
