"""The files of a diagnosis: JSON, the list of bad cells, and a page that shows any text as text."""

import csv
import json
from html.parser import HTMLParser
from types import SimpleNamespace

import pytest

from mm_keras.data.doctor import Diagnosis
from mm_keras.data.facts import distribution
from mm_keras.data.findings import Finding
from mm_keras.doctor_report import MOST_FINDINGS, render_page, shorten, write_diagnosis

HOSTILE = '<script>alert("x")</script>&\'[bold]'
FACTS = {
    "rows": 1200,
    "good_rows": 1198,
    "splits": {"train": 1000, "test": 198},
    "modalities": {
        "image": {
            "kind": "image",
            "missing": {"all": 0.25, "train": 0.25, "test": 0.0},
            "distributions": {"bytes": distribution([100, 200, 90_000]), "width": distribution([8, 8, 9])},
            "files": 3,
            "distinct": 2,
        },
        "text": {"kind": "text", "missing": {"all": 0.0}, "distributions": {}, "distinct": 5, "cut": 0.5},
        "numbers": {
            "kind": "numbers",
            "missing": {"all": 0.0},
            "distributions": {HOSTILE: distribution([1.5, 2.5])},
            "outliers": {HOSTILE: 3},
        },
    },
    "outputs": {
        "label": {
            "kind": "classification",
            "unlabelled": {"train": 4, "test": 0},
            "classes": {HOSTILE: {"train": 7, "test": 1}, "b": {"train": 2, "test": 0}},
            "rare": ["b"],
            "imbalance": 3.5,
        },
        "size": {
            "kind": "regression",
            "unlabelled": {"train": 0},
            "distributions": {"size": distribution([1, 2])},
        },
    },
}


def make_diagnosis(findings, counts=None, facts=FACTS, assumed="", max_bad=0.01):
    spec = SimpleNamespace(
        data=SimpleNamespace(manifest=f"/data/{HOSTILE}.csv", on_bad="quarantine", max_bad=max_bad)
    )
    if counts is None:
        counts = {finding.code: 1 for finding in findings}
    return Diagnosis(spec, findings, counts, facts, 3, 1.25, assumed)


BAD = Finding("wrong_type", 7, "image", f"{HOSTILE}.jpg", f"begins with {HOSTILE}", 5, "image")
ODD = Finding("blank", 3, "image", "\ud800.png", "all pixels have one colour", 1, "image")


class Reader(HTMLParser):
    """Collects the tags that are open, all tags, and the text."""

    def __init__(self, page):
        super().__init__()
        self.open, self.tags, self.text, self.attributes = [], [], "", []
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += attributes
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def test_all_files_are_written_and_say_the_same(tmp_path):
    paths = write_diagnosis(make_diagnosis([ODD, BAD]), tmp_path / "new/doctor")
    assert [path.name for path in paths] == ["doctor.json", "quarantine.csv", "doctor.html"]
    content = json.loads(paths[0].read_text(encoding="utf-8"))
    assert (content["format"], content["version"], content["bad_rows"]) == ("mm_keras doctor", 1, 1)
    assert content["data"] == json.loads(json.dumps(FACTS))
    with open(paths[1], encoding="utf-8", newline="") as file:
        (row,) = csv.DictReader(file)
    assert row == {
        "row": "7",
        "column": "image",
        "path": BAD.path,
        "reason": BAD.reason,
        "code": "wrong_type",
    }
    Reader(paths[2].read_text(encoding="utf-8"))


def test_the_page_is_whole_shows_hostile_text_as_text_and_needs_no_network():
    page = render_page(make_diagnosis([BAD], assumed=f"name: {HOSTILE}").as_json())
    reader = Reader(page)
    assert reader.open == []
    assert "script" not in reader.tags
    assert not {"link", "img", "iframe"} & set(reader.tags)
    assert not [
        value for name, value in reader.attributes if name in ("src", "href") or name.startswith("on")
    ]
    assert "http" not in page.replace(HOSTILE, "")
    assert reader.text.count(HOSTILE) >= 6
    assert reader.tags.count("svg") == 4


def test_bars_are_as_high_as_their_counts_and_tell_them():
    page = render_page(make_diagnosis([]).as_json())
    assert '<rect x="0.0" y="0.0" width="159.0" height="110.0"><title>7.5 to 8.5: 2</title>' in page
    assert '<rect x="160.0" y="55.0" width="159.0" height="55.0"><title>8.5 to 9.5: 1</title>' in page


@pytest.mark.parametrize(
    ("findings", "max_bad", "words"),
    [
        ([], 0.01, "All 1,200 rows are good."),
        ([ODD], 0.01, "look at the warnings"),
        ([BAD], 0.01, "1 of 1,200 rows cannot be used as they are."),
        ([BAD], 0.0, "training would stop"),
    ],
)
def test_the_verdict_follows_from_the_findings(findings, max_bad, words):
    page = render_page(make_diagnosis(findings, max_bad=max_bad).as_json())
    assert words in page
    assert ("training would stop" in page) == (words == "training would stop")


def test_of_many_findings_the_errors_come_first_and_the_rest_is_counted():
    odd = [Finding("blank", line, "image", f"{line}.png", "one colour") for line in range(2, 402)]
    page = render_page(make_diagnosis([*odd, BAD]).as_json())
    assert page.index("begins with") < page.index(">2.png<")
    assert page.count("one colour") == MOST_FINDINGS - 1 + page.count("image of one colour")
    assert f"The first {MOST_FINDINGS}" in page


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0"), (0.01234567, "0.01235"), (45.6, "45.6"), (12345.6, "12,346"), (1.2e12, "1.2e+12")],
)
def test_numbers_are_short(number, text):
    assert shorten(number) == text
