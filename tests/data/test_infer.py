"""The first spec of a manifest: what each column becomes, and that the text always loads."""

import csv

import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from mm_keras.data.infer import infer_spec
from mm_keras.data.manifest import ManifestError, load_manifest
from mm_keras.spec_file import load_spec


def write_table(folder, columns):
    with open(folder / "manifest.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))
    return folder / "manifest.csv"


def infer(folder, columns):
    """Returns the text and the loaded spec."""
    text = infer_spec(write_table(folder, columns))
    (folder / "spec.yaml").write_text(text, encoding="utf-8")
    return text, load_spec(folder / "spec.yaml")


def save_images(folder, sizes, colour=False):
    rng = np.random.default_rng(7)
    names = []
    for number, (height, width) in enumerate(sizes):
        shape = (height, width, 3) if colour else (height, width)
        names.append(f"{number}.png")
        Image.fromarray(rng.integers(0, 255, shape, dtype="uint8")).save(folder / names[-1])
    return names


LABELS = ["a", "b", "a", "b", "a", "b"]
WORDS = ["red ball", "blue ball", "red cube thing", "red", "big ball", "small ball"]


def test_every_kind_is_found_and_the_manifest_loads(tmp_path):
    rng = np.random.default_rng(7)
    sounds = [f"{n}.wav" for n in range(6)]
    vectors = [f"v{n}.npy" for n in range(6)]
    steps = [f"s{n}.npy" for n in range(6)]
    for n in range(6):
        soundfile.write(tmp_path / sounds[n], rng.uniform(-1, 1, 4000 + n), 8000)
        np.save(tmp_path / vectors[n], np.zeros(5, "float32"))
        np.save(tmp_path / steps[n], np.zeros((3 + n, 4), "float32"))
    columns = {
        "id": [f"r{n}" for n in range(6)],
        "image": save_images(tmp_path, [(28, 28)] * 6),
        "sound": sounds,
        "vector": vectors,
        "steps": steps,
        "text": WORDS,
        "height": [1.5, 2.5, 2.5, 0.1, "", 3.25],
        "width": [3, 1, 4, 1, 5, 9],
        "same": ["k"] * 6,
        "none": [""] * 6,
        "label": LABELS,
        "part": ["train"] * 4 + ["val", "test"],
    }
    text, spec = infer(tmp_path, columns)
    kinds = {name: part.kind for name, part in spec.modalities.items()}
    assert kinds == {
        "image": "image",
        "sound": "audio",
        "vector": "features",
        "steps": "features",
        "text": "text",
        "numbers": "numbers",
    }
    image, sound = spec.modalities["image"], spec.modalities["sound"]
    assert (image.size, image.channels, image.encoder.filters) == ((28, 28), 1, [32, 64])
    assert (sound.rate, sound.seconds) == (8000, 0.6)
    assert spec.modalities["vector"].shape == [5]
    assert (spec.modalities["steps"].shape, spec.modalities["steps"].encoder.kind) == ([8, 4], "gru")
    assert spec.modalities["numbers"].columns == ["height", "width"]
    assert (spec.data.split, spec.fusion.kind, list(spec.outputs)) == ("part", "gated", ["label"])
    assert "#   id: differs in each row" in text
    assert "#   same: the same in each row" in text
    assert "#   none: empty" in text
    assert "# reconstruction: {kind: autoencoder" in text
    assert len(load_manifest(spec).splits["train"]) == 4


@pytest.mark.parametrize(
    ("sizes", "colour", "size", "channels", "filters"),
    [
        ([(64, 64)] * 6, True, (64, 64), 3, [32, 64, 128]),
        ([(300, 400), (290, 410), (310, 390)] * 2, False, (96, 128), 1, [32, 64, 128]),
        ([(30, 50), (34, 50)] * 3, True, (32, 48), 3, [32, 64]),
        ([(8, 8)] * 6, False, (8, 8), 1, [32]),
    ],
)
def test_image_settings_follow_the_files(tmp_path, sizes, colour, size, channels, filters):
    columns = {"image": save_images(tmp_path, sizes, colour), "label": LABELS}
    image = infer(tmp_path, columns)[1].modalities["image"]
    assert (image.size, image.channels, image.encoder.filters) == (size, channels, filters)


def test_grey_pictures_saved_in_colour_are_grey(tmp_path):
    names = save_images(tmp_path, [(16, 16)] * 6)
    for name in names:
        Image.open(tmp_path / name).convert("RGB").save(tmp_path / name)
    assert infer(tmp_path, {"image": names, "label": LABELS})[1].modalities["image"].channels == 1


def test_files_that_cannot_be_read_leave_defaults(tmp_path):
    for name in ("bad.png", "bad.wav", "bad.npy"):
        (tmp_path / name).write_bytes(b"nothing of this kind")
    columns = {
        "image": ["bad.png", "none.png"] * 3,
        "sound": ["bad.wav", "../x.wav"] * 3,
        "vector": ["bad.npy", "none.npy"] * 3,
        "label": LABELS,
    }
    text, spec = infer(tmp_path, columns)
    assert list(spec.modalities) == ["image", "sound"]
    assert text.count("no file could be read: check the paths") == 2
    assert "#   vector: no .npy file of one or two axes could be read" in text


def test_questions_take_the_matrix_product(tmp_path):
    columns = {
        "image": save_images(tmp_path, [(16, 16)] * 6, True),
        "q": [f"is it {w}?" for w in WORDS],
        "y": LABELS,
    }
    assert infer(tmp_path, columns)[1].fusion.kind == "matrix_product"


def test_one_modality_is_never_hidden(tmp_path):
    spec = infer(tmp_path, {"text": WORDS, "label": LABELS})[1]
    assert (spec.fusion.kind, spec.fusion.modality_dropout) == ("concatenate", 0)
    assert (spec.data.split.validation, spec.data.split.test) == (0.1, 0.2)


def test_label_is_the_last_column_of_few_words_when_none_is_named(tmp_path):
    columns = {
        "note": [f"note {n} of many" for n in range(12)],
        "fine": ["apple", "pear", "beet", "leek"] * 3,
        "group": ["fruit", "fruit", "root", "root"] * 3,
        "group_id": [0, 0, 1, 1] * 3,
    }
    text, spec = infer(tmp_path, columns)
    assert spec.outputs["group"].kind == "classification"
    assert list(spec.modalities) == ["note"]
    assert "#   fine: decides group in each row: perhaps another label" in text
    assert "#   group_id: decides group in each row" in text


def test_text_that_decides_the_label_is_pointed_out(tmp_path):
    columns = {
        "text": ["a long and clear description", "quite another long description"] * 6,
        "label": ["a", "b"] * 6,
    }
    assert "# Careful: it decides label in each row" in infer(tmp_path, columns)[0]


def test_cells_with_several_labels(tmp_path):
    output = infer(tmp_path, {"text": WORDS, "tags": ["a|b", "a", "b", "a|b", "b", "a"]})[1].outputs["tags"]
    assert (output.multi_label, output.separator) == (True, "|")


def test_without_labels_the_model_rebuilds_its_inputs(tmp_path):
    text, spec = infer(tmp_path, {"text": [f"{word} {n}" for n, word in enumerate(WORDS)]})
    assert [part.kind for part in spec.outputs.values()] == ["autoencoder"]
    assert "add a column of them and the line:  label: {kind: classification, column: my_column}" in text


MEASURED = [0.5, 1.25, 0.5, 2.5, 1.5, 0.75]


@pytest.mark.parametrize("header", ["target", "label", "y", "Y"])
def test_measured_values_under_the_name_of_a_label_are_a_regression(tmp_path, header):
    text, spec = infer(tmp_path, {"text": WORDS, "group": LABELS, header: MEASURED})
    assert [(name, part.kind, part.columns) for name, part in spec.outputs.items()] == [
        (header, "regression", [header])
    ]
    assert list(spec.modalities) == ["text", "group"]
    assert "# Numbers from 0.5 to 2.5, 5 different ones." in text
    assert "rows are split at random.\n" in text


def test_a_named_label_of_classes_goes_before_measured_values(tmp_path):
    spec = infer(tmp_path, {"text": WORDS, "y": MEASURED, "class": LABELS})[1]
    assert (spec.outputs["class"].kind, spec.modalities["y"].kind) == ("classification", "numbers")


@pytest.mark.parametrize("header", ["price", "House price", "price_eur", "target_1"])
def test_without_classes_a_number_that_is_named_like_an_answer_is_learned(tmp_path, header):
    columns = {header: MEASURED, "width": [3.5, 1.25, 4, 1, 5, 9], "text": WORDS}
    spec = infer(tmp_path, columns)[1]
    (part,) = spec.outputs.values()
    assert (part.kind, part.columns) == ("regression", [header])
    assert spec.modalities["width"].columns == ["width"]


def test_classes_go_before_a_number_that_is_named_like_an_answer(tmp_path):
    columns = {"price": MEASURED * 2, "text": [f"{word} {n}" for n, word in enumerate(WORDS * 2)]}
    spec = infer(tmp_path, {**columns, "sort": LABELS * 2})[1]
    assert list(spec.outputs) == ["sort"]
    assert spec.modalities["price"].kind == "numbers"


def test_words_under_the_name_of_a_number_are_an_input(tmp_path):
    spec = infer(tmp_path, {"price": WORDS})[1]
    assert spec.outputs["reconstruction"].kind == "autoencoder"


def test_table_without_inputs_is_refused(tmp_path):
    with pytest.raises(ManifestError, match="a column to learn from. Received: id: differs in each row"):
        infer_spec(write_table(tmp_path, {"id": [1, 2, 3, 4], "label": ["a", "b", "a", "b"]}))


def test_the_only_input_is_kept_though_it_decides_the_label(tmp_path):
    spec = infer(tmp_path, {"colour": ["red", "blue"] * 6, "label": ["a", "b"] * 6})[1]
    assert spec.modalities["colour"].kind == "text"


@pytest.mark.parametrize("header", ["true", "null", "no", "y"])
def test_headers_that_yaml_has_words_for(tmp_path, header):
    spec = infer(tmp_path, {header: WORDS, "label": LABELS})[1]
    assert list(spec.modalities) == [header]


def test_odd_headers_become_names(tmp_path):
    columns = {
        "my image": save_images(tmp_path, [(16, 16)] * 6),
        "present": WORDS,
        "画像": [f"{word} {n}" for n, word in enumerate(WORDS)],
        "the label": LABELS,
    }
    spec = infer(tmp_path, columns)[1]
    assert {name: part.column for name, part in spec.modalities.items()} == {
        "my_image": "my image",
        "present_2": "present",
        "text": "画像",
    }
    assert spec.outputs["the_label"].column == "the label"


def test_spec_in_another_folder_finds_the_manifest(tmp_path):
    path = write_table(tmp_path, {"text": WORDS, "label": LABELS})
    (tmp_path / "specs").mkdir()
    (tmp_path / "specs" / "spec.yaml").write_text(infer_spec(path, folder=tmp_path / "specs"))
    assert load_spec(tmp_path / "specs" / "spec.yaml").data.manifest == str(path)


def test_settings_follow_the_number_of_rows(tmp_path):
    small = infer(tmp_path, {"text": WORDS, "label": LABELS})[1].training
    many = infer(tmp_path, {"text": WORDS * 500, "label": LABELS * 500})[1].training
    assert (small.epochs, small.batch_size, many.epochs, many.batch_size) == (60, 16, 40, 64)


HEADERS = st.lists(
    st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=8).filter(
        lambda text: text.strip() == text
    ),
    min_size=3,
    max_size=3,
    unique=True,
)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(headers=HEADERS)
def test_any_header_gives_a_spec_that_loads(tmp_path, headers):
    first, second, label = headers
    columns = {first: WORDS, second: [1.5, 0.25, 0.5, 7, 8, 8], label: LABELS}
    _, spec = infer(tmp_path, columns)
    load_manifest(spec)
    assert len(spec.modalities) == 2
