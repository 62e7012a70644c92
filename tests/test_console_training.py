"""The measures that the table of a training shows."""

from mm_keras.console_training import choose_columns
from mm_keras.spec_file import make_spec

SPEC = {
    "name": "tiny",
    "data": {"manifest": "manifest.csv"},
    "modalities": {"note": {"kind": "text"}, "person": {"kind": "numbers"}},
    "outputs": {
        "label": {"kind": "classification"},
        "again": {"kind": "autoencoder"},
    },
    "training": {"epochs": 3, "batch_size": 4},
}
LOGS = {
    "loss": 2.0,
    "label_accuracy": 0.5,
    "val_loss": 1.0,
    "val_label_accuracy": 0.25,
    "val_again_note_loss": 3.0,
    "val_again_person_loss": 4.0,
}


def test_columns_are_left_out_where_the_width_ends():
    spec = make_spec(SPEC)
    titles = [title for title, *_ in choose_columns(spec, LOGS, 80)]
    assert titles == ["loss", "val loss", "val accuracy"]
    assert len(choose_columns(spec, LOGS, 160)) == 5


def test_without_validation_the_training_rows_are_shown():
    logs = {"loss": 1.0, "label_accuracy": 0.5, "again_note_loss": 2.0}
    titles = [title for title, *_ in choose_columns(make_spec(SPEC), logs, 80)]
    assert titles == ["loss", "accuracy", "note loss"]


def test_an_output_without_its_name_in_the_logs_is_found():
    outputs = {"label": {"kind": "classification"}}
    columns = choose_columns(make_spec({**SPEC, "outputs": outputs}), {"loss": 1.0, "accuracy": 0.5}, 80)
    assert [key for _, key, _ in columns] == ["loss", "accuracy"]


def test_of_several_classifications_each_has_a_column_and_of_many_labels_the_f1():
    outputs = {"kind_of": {"kind": "classification"}, "tags": {"kind": "classification", "multi_label": True}}
    logs = {"loss": 1.0, "kind_of_accuracy": 0.5, "tags_accuracy": 0.9, "tags_macro_f1": 0.25}
    columns = choose_columns(make_spec({**SPEC, "outputs": outputs}), logs, 80)
    assert [(title, key) for title, key, _ in columns[1:]] == [
        ("kind_of", "kind_of_accuracy"),
        ("tags", "tags_macro_f1"),
    ]


def test_a_regression_has_a_column_of_its_error_in_its_own_unit():
    outputs = {"label": {"kind": "classification"}, "price": {"kind": "regression"}}
    logs = {"loss": 1.0, "label_accuracy": 0.5, "price_mae": 12345.6, "price_rmse": 2.0}
    columns = choose_columns(make_spec({**SPEC, "outputs": outputs}), logs, 80)
    assert [(title, show(logs[key])) for title, key, show in columns[1:]] == [
        ("accuracy", "50.0%"),
        ("MAE", "12,346"),
    ]
    alone = make_spec({**SPEC, "outputs": {"price": {"kind": "regression"}}})
    columns = choose_columns(alone, {"loss": 1.0, "val_loss": 2.0, "val_mae": 0.5}, 80)
    assert [(title, key) for title, key, _ in columns[2:]] == [("val MAE", "val_mae")]
