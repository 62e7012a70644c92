"""How a diagnosis looks on a terminal."""

import io

import pytest
from rich.console import Console
from test_doctor_report import BAD, FACTS, HOSTILE, ODD

from mm_keras.console_doctor import decoding, show_diagnosis
from mm_keras.data.doctor import Diagnosis
from mm_keras.spec_file import make_spec

SPEC = {
    "name": "tiny",
    "modalities": {"image": {"kind": "image"}},
    "outputs": {"label": {"kind": "classification"}},
}


def printed(findings, counts=None, width=160, assumed="", **data):
    spec = make_spec({**SPEC, "data": {"manifest": "my table.csv", **data}})
    if counts is None:
        counts = {finding.code: 1 for finding in findings}
    diagnosis = Diagnosis(spec, findings, counts, FACTS, 3, 1.5, assumed)
    out = Console(file=io.StringIO(), width=width, markup=False, highlight=False, emoji=False)
    show_diagnosis(out, diagnosis, ["doctor/doctor.json", "doctor/quarantine.csv", "doctor/doctor.html"])
    return out.file.getvalue()


def test_everything_that_matters_is_named():
    text = printed([BAD], {"wrong_type": 1, "blank": 30})
    for words in ("not what its column holds", "image of one colour", HOSTILE, "2.5%", "bytes 100 to 90,000"):
        assert words in text
    assert "Where: the first 12 of 31" in text
    assert BAD.reason in printed([ODD] * 20 + [BAD], {"blank": 20, "wrong_type": 1})
    assert "2 classes, largest 3.5 times the smallest, 1 with fewer than 5 rows to learn from" in text
    assert "3 files decoded in 1.5 s, 2 a second." in text
    assert text.rstrip().endswith("doctor/doctor.html")


@pytest.mark.parametrize(
    ("findings", "data", "words"),
    [
        ([], {}, "All 1,200 rows are good."),
        ([ODD], {}, "All 1,200 rows can be used."),
        ([BAD], {}, "1 of 1,200 rows cannot be used as they are. Training leaves these rows out."),
        ([BAD], {"on_bad": "missing"}, "Training takes such inputs as missing."),
        ([BAD], {"on_bad": "fail"}, "Training would stop (data.on_bad: fail"),
        ([BAD], {"max_bad": 0.0}, "Training would stop (data.on_bad: quarantine, data.max_bad: 0.0%)."),
    ],
)
def test_the_verdict_says_what_training_would_do(findings, data, words):
    assert words in printed(findings, **data)


def test_a_table_without_a_spec_leads_to_init():
    text = printed([], assumed="name: tiny")
    assert "No spec was given" in text
    assert "mm-keras init 'my table.csv'" in text
    assert "mm-keras init" not in printed([])


def test_it_fits_a_narrow_terminal():
    assert max(map(len, printed([BAD, ODD], width=80).splitlines())) <= 80


@pytest.mark.parametrize("terminal", [True, False])
def test_a_terminal_shows_how_many_files_are_decoded(terminal):
    out = Console(file=io.StringIO(), width=100, force_terminal=terminal)
    with decoding(out) as progress:
        progress(3, 8)
    assert ("3/8" in out.file.getvalue()) == terminal


def test_hostile_text_is_no_markup():
    assert "[bold]" in printed([BAD], width=200)
