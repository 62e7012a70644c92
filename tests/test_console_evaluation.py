"""What the console prints of an evaluation."""

import io

from rich.console import Console

from mm_keras.console_evaluation import show_evaluation

CLASS = {"precision": 0.5, "recall": 1 / 3, "f1-score": 0.4, "support": 1234.0}
EVALUATION = {
    "split": "test",
    "rows": 1234,
    "loss": 0.25,
    "outputs": {
        "label": {
            "loss": 0.125,
            "accuracy": 0.98765,
            "macro_f1": 0.5,
            "labels": ["cat", "[red]dog[/red]"],
            "classes": {"cat": CLASS, "[red]dog[/red]": CLASS},
            "confusion": [[1, 0], [0, 1]],
        },
        "again_note": {"loss": 2.0, "token_accuracy": 0.25, "pixel_error": 12.3456},
    },
    "subsets": {"note": {"label": 0.5}, "note+photo": {"label": 1.0}, "photo": {"label": None}},
}


def printed(*arguments):
    """Returns what `show_evaluation` prints on a console that is no terminal."""
    out = Console(file=io.StringIO(), width=80, markup=False, highlight=False, emoji=False)
    show_evaluation(out, *arguments)
    return out.file.getvalue()


def test_an_evaluation_shows_outputs_classes_and_subsets():
    text = printed(EVALUATION)
    lines = text.splitlines()
    assert "1,234 test rows, loss 0.2500" in lines
    assert any(
        "label" in line and "0.1250" in line and "accuracy 98.8%, macro F1 50.0%" in line for line in lines
    )
    assert any("again_note" in line and "token accuracy 25.0%, pixel error 12.35" in line for line in lines)
    assert [line.split() for line in lines if line.startswith("[red]")] == [
        ["[red]dog[/red]", "50.0%", "33.3%", "40.0%", "1,234"]
    ]
    assert [line.split() for line in lines if line.startswith(("note ", "photo "))] == [
        ["note", "50.0%"],
        ["note", "+", "photo", "100.0%"],
        ["photo", "-"],
    ]


def test_percentages_of_a_column_end_at_the_same_place():
    lines = printed(EVALUATION).splitlines()
    ends = {len(line.rstrip()) for line in lines if line.startswith(("note ", "photo "))}
    assert len(ends) == 1


def test_classes_can_be_left_out():
    assert "Precision" not in printed(EVALUATION, False)


def test_of_many_classes_the_worst_are_shown():
    labels = [f"class{i:02}" for i in range(40)]
    classes = {label: {**CLASS, "f1-score": 1 - i / 100} for i, label in enumerate(labels)}
    output = {**EVALUATION["outputs"]["label"], "labels": labels, "classes": classes}
    text = printed({**EVALUATION, "outputs": {"label": output}})
    assert "the 30 lowest F1 of 40" in text
    assert "class39" in text
    assert "class10" in text
    assert "class09" not in text


def test_an_evaluation_without_classification_has_no_subsets():
    outputs = {"again_note": EVALUATION["outputs"]["again_note"]}
    text = printed({**EVALUATION, "outputs": outputs, "subsets": {"note": {}}})
    assert "again_note" in text
    assert "subset" not in text


PRICE = {"mae": 1234.5, "rmse": 2000.0, "r2": 0.8125}
NUMBERS = {
    "split": "test",
    "rows": 9,
    "loss": 0.5,
    "outputs": {
        "price": {"loss": 0.25, **PRICE, "columns": {"price": PRICE}, "points": {"price": [[0.0, 1.0]]}},
    },
    "subsets": {"note": {"price": 0.25}, "photo": {"price": None}, "note+photo": {"price": 0.8125}},
}


def table_row(text, start):
    return next(line.split() for line in text.splitlines() if line.startswith(start))


def test_an_evaluation_shows_the_errors_of_a_regression_and_its_r2_with_each_subset():
    text = printed(NUMBERS)
    assert "MAE 1,234, RMSE 2,000, R2 0.8125" in text
    assert "Columns of price" not in text
    assert table_row(text, "Modalities") == ["Modalities", "present", "R2"]
    assert table_row(text, "note ") == ["note", "0.25"]
    assert table_row(text, "photo ") == ["photo", "-"]


def test_several_columns_of_a_regression_are_told_one_by_one():
    columns = {"north": PRICE, "[b]east[/b]": {**PRICE, "mae": 0.5, "r2": None}}
    outputs = {"place": {**NUMBERS["outputs"]["price"], "columns": columns}, **EVALUATION["outputs"]}
    subsets = {"note": {"place": 0.25, "label": 0.5}}
    text = printed({**NUMBERS, "outputs": outputs, "subsets": subsets})
    assert table_row(text, "north") == ["north", "1,234", "2,000", "0.8125"]
    assert table_row(text, "[b]east") == ["[b]east[/b]", "0.5", "2,000", "-"]
    assert table_row(text, "Modalities") == ["Modalities", "present", "place", "R2", "label"]
    assert table_row(text, "note ") == ["note", "0.25", "50.0%"]
    assert "Columns of place" not in printed({**NUMBERS, "outputs": outputs, "subsets": subsets}, False)
