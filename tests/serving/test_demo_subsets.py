"""Which subsets are asked, and the table of their answers."""

import numpy as np
import pytest

from mm_keras.serving.demo_subsets import Cell, ask_subsets, read_cell, subsets, subsets_table

LABEL = {"kind": "classification"}


class Client:
    """Answers how many modalities a row has."""

    def __init__(self):
        self.asked = []

    def predict_batch(self, rows):
        self.asked.append(rows)
        sizes = np.array([len(row) for row in rows])
        scores = np.stack([sizes / 10, 1 - sizes / 10], axis=1)
        return {"label": np.array([f"<{size}>" for size in sizes], object), "label_scores": scores}


def test_up_to_four_modalities_are_compared_in_every_subset_the_whole_last():
    assert subsets("ab") == [("a",), ("b",), ("a", "b")]
    assert len(subsets("abcd")) == 15
    assert subsets("abcd")[-1] == tuple("abcd")


def test_more_are_compared_alone_without_each_and_together():
    chosen = subsets("abcde")
    assert len(chosen) == 11
    assert [len(names) for names in chosen] == [1] * 5 + [4] * 5 + [5]


def test_all_subsets_of_a_row_are_one_request():
    client = Client()
    answered = ask_subsets(client, {"image": b"x", "text": "three"})
    assert client.asked == [[{"image": b"x"}, {"text": "three"}, {"image": b"x", "text": "three"}]]
    assert [(names, answers["label"]) for names, answers in answered] == [
        (("image",), "<1>"),
        (("text",), "<1>"),
        (("image", "text"), "<2>"),
    ]


def test_the_table_marks_what_differs_from_the_whole_and_escapes_it():
    table = subsets_table({"label": LABEL}, ask_subsets(Client(), {"a": 1, "b": 2}))
    assert table.count("class='differs'>&lt;1&gt;") == 2
    assert table.count("class='same'>&lt;2&gt;") == 1
    assert table.count("<tr class='whole'><td>a + b</td>") == 1
    assert "90.0%" in table and "80.0%" in table


def test_of_many_modalities_the_table_names_what_is_left_out():
    table = subsets_table({"label": LABEL}, ask_subsets(Client(), dict.fromkeys("abcde", 1)))
    assert "<td>all but e</td>" in table
    assert "<tr class='whole'><td>all</td>" in table


def test_there_is_no_table_of_one_modality_nor_of_outputs_that_cannot_be_compared():
    one = ask_subsets(Client(), {"a": 1})
    assert "second modality" in subsets_table({"label": LABEL}, one)
    assert subsets_table({"copy": {"kind": "autoencoder"}}, one) == ""


@pytest.mark.parametrize(
    ("output", "answers", "cell"),
    [
        (LABEL, {"x": "red", "x_scores": np.array([0.25, 0.75])}, Cell("red", 0.75)),
        ({"kind": "classification", "multi_label": True}, {"x": ""}, Cell("none")),
        (
            {"kind": "regression", "columns": ["kg", "m"]},
            {"x": np.array([1.23456, 2])},
            Cell("kg 1.235, m 2"),
        ),
        ({"kind": "caption"}, {"x": "a dog"}, Cell("a dog")),
    ],
)
def test_each_kind_of_output_is_read(output, answers, cell):
    assert read_cell("x", output, answers) == cell
