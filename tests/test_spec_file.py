"""Files: what load_spec says of each fault, and that save_spec and load_spec agree."""

import os

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mm_keras.spec import RESERVED, Spec
from mm_keras.spec_file import SpecError, load_spec, make_spec, save_spec, spec_schema

GOOD = """\
name: digits
data:
  manifest: manifest.csv
modalities:
  image:
    kind: image
    size: [28, 28]
  text: {kind: text}
outputs:
  label:
    kind: classification
"""


def write(folder, text):
    path = folder / "spec.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def error_of(folder, text):
    with pytest.raises(SpecError) as caught:
        load_spec(write(folder, text))
    return str(caught.value).replace(f"{folder}{os.sep}", "")


def replaced(old, new):
    assert old in GOOD
    return GOOD.replace(old, new)


def test_manifest_is_found_beside_the_spec(tmp_path):
    assert load_spec(write(tmp_path, GOOD)).data.manifest == str(tmp_path / "manifest.csv")


def test_yaml_means_what_people_think(tmp_path):
    text = GOOD + "training: {learning_rate: 1e-4}\nexport: {tolerance: 1.0e-3}\n"
    text = text.replace("  text: {kind: text}", "  no: {kind: text}\n  on: {kind: text}")
    spec = load_spec(write(tmp_path, text))
    assert spec.training.learning_rate == 1e-4
    assert spec.modality_names == ["image", "no", "on"]


def test_byte_order_mark_is_accepted(tmp_path):
    assert load_spec(write(tmp_path, b"\xef\xbb\xbf" + GOOD.encode())).name == "digits"


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (
            "size: [28, 28]",
            "size: 28",
            "spec.yaml, line 7: `modalities.image.size` expects a list of 2 whole numbers of at least 1 and "
            "at most 65536 ([height, width] in pixels). Received: size=28. Such as `size: [64, 64]`.",
        ),
        (
            "{kind: text}",
            "{kind: text, vocab_size: 9}",
            "line 8: `modalities.text` expects the keys of kind text `column`, `kind`, `length`, "
            "`vocabulary_size`, `lowercase`, `encoder`, `augment`. "
            "Received: `vocab_size`. Did you mean `vocabulary_size`?",
        ),
        ("{kind: text}", "{kind: text, units: 9}", "Received: `units`. It belongs under `encoder`."),
        (
            "{kind: text}",
            "{kind: txt}",
            "line 8: `modalities.text.kind` expects a kind in `image`, `text`, `audio`, "
            "`features`, `numbers`. "
            "Received: kind='txt'. Did you mean `text`?",
        ),
        (
            "{kind: text}",
            "{length: 9}",
            "line 8: `modalities.text` expects the key `kind` in `image`, `text`, `audio`, "
            "`features`, `numbers`. "
            "Received: only `length`. Did you mean `text`?",
        ),
        ("{kind: text}", "words", "`modalities.text` expects a mapping with a `kind` in"),
        (
            "  text: {",
            "  my text: {",
            "line 8: `modalities.my text` expects a name of letters, digits and _ (a letter first, "
            "at most 64). Received: 'my text'. Rename it, such as `my_text`, and "
            'name the column with `column: "my text"`.',
        ),
        ("  text: {", "  5: {", "`modalities[5]` expects a name"),
        (
            "  text: {",
            "  true: {",
            '`modalities` expects names that are text. Received: True. Put it in quotes: "true".',
        ),
        (
            "kind: classification",
            "kind: classification\n    weight: -1",
            "line 12: `outputs.label.weight` expects a number above 0 (weight of this output's loss). "
            "Received: weight=-1.",
        ),
        (
            "kind: classification",
            "kind: classification\n    column: 3",
            'Received: column=3. Put it in quotes: "3".',
        ),
        (
            "kind: classification",
            "kind: classification\n    class_weights: balance",
            "expects one of `none`, `balanced` or a mapping, name: number",
        ),
        (
            "kind: classification",
            "kind: classification\n    class_weights: {a: x}",
            "`outputs.label.class_weights.a` expects a number of at least 0. Received: a='x'.",
        ),
        (
            "manifest: manifest.csv",
            "cache: none",
            "line 2: `data` expects the key `manifest` (CSV, TSV, JSONL or Parquet table, folder or TFRecord "
            "shards; relative to the spec file). "
            "Received: only `cache`. Add `manifest: manifest.csv`.",
        ),
        (
            "manifest: manifest.csv",
            "manifest: m.csv\n  cache: disk",
            "`data.cache` expects one of `auto`, `memory`, `file`, `none`",
        ),
        (
            "manifest: manifest.csv",
            "manifest: m.csv\n  split: {test: a lot}",
            "line 4: `data.split.test` expects a number of at least 0 and below 1",
        ),
        (
            "manifest: manifest.csv",
            "manifest: m.csv\n  split: 3",
            "`data.split` expects text that is not empty or a mapping with keys among `validation`, `test`",
        ),
        (
            "manifest: manifest.csv",
            "manifest: m.csv\n  split: {validation: 0.6, test: 0.6}",
            "line 4: `data.split` expects `validation` + `test` below 1",
        ),
        ("name: digits", "name: digits\nepochs: 3", "line 2: `spec` expects the keys `name`, `data`"),
        ("name: digits", "name: digits\nepochs: 3", "Received: `epochs`. It belongs under `training`."),
        (
            "name: digits",
            "name: digits\nfusion: {kind: gated, rank: 3}",
            "`rank`. Only the kinds `matrix_product`, `low_rank`, `mutan` have it.",
        ),
        (
            "name: digits",
            "name: digits\nfusion: {kind: gate}",
            "`fusion.kind` expects a kind in `concatenate`",
        ),
        ("name: digits", "name: digits\ntraining:", "Received: nothing. Write a value after the colon"),
        (
            "name: digits",
            'name: digits\ntraining: {epochs: "4"}',
            "`training.epochs` expects a whole number of at least 1. "
            "Received: epochs='4'. Remove the quotes.",
        ),
        (
            "name: digits",
            "name: digits\ntraining: {steps_per_execution: fast}",
            "`training.steps_per_execution` expects a whole number of at least 1 or `auto`",
        ),
        (
            "{kind: text}",
            "{kind: features, shape: [2], encoder: {kind: dense, units: 0}}",
            "line 8: `modalities.text.encoder.units` expects a whole number of at least 1",
        ),
        (
            "{kind: text}",
            "{kind: features, shape: [2], encoder: {kind: lstn}}",
            "`modalities.text.encoder.kind` expects a kind in `dense`, `gru`, `lstm`",
        ),
        (
            "{kind: text}",
            "{kind: numbers, columns: age}",
            "Received: columns='age'. Put it in brackets: `columns: [age]`.",
        ),
        (
            "size: [28, 28]",
            "encoder: {filters: [32, x]}",
            "line 7: `modalities.image.encoder.filters[1]` expects a whole number",
        ),
        (
            "kind: classification",
            "kind: autoencoder\n    modalities: [imagee]",
            "line 12: `outputs.label.modalities` expects names among `image`, `text`",
        ),
    ],
)
def test_each_fault_is_told_with_path_line_and_remedy(tmp_path, old, new, words):
    assert words in error_of(tmp_path, replaced(old, new))


def test_modality_that_holds_a_key_named_like_its_kind(tmp_path):
    text = replaced("size: [28, 28]", "image: {image: 3}")
    assert "line 7: `modalities.image` expects the keys of kind image" in error_of(tmp_path, text)


def test_fault_in_a_value_of_several_forms_is_told_once(tmp_path):
    text = replaced("manifest: manifest.csv", "manifest: m.csv\n  split: {test: a lot}")
    text = text.replace("kind: classification", "kind: classification\n    class_weights: balance")
    assert len(error_of(tmp_path, text).splitlines()) == 2


def test_all_faults_are_told_in_the_order_of_the_file(tmp_path):
    text = replaced("size: [28, 28]", "size: 28").replace("kind: classification", "kind: classes")
    lines = error_of(tmp_path, "fusion: gated\n" + text).splitlines()
    assert [line.split(":")[0] for line in lines] == [f"spec.yaml, line {n}" for n in (1, 8, 12)]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "Received: an empty file. Begin with `name: my_model`"),
        ("# only a comment\n", "Received: an empty file"),
        ("- a\n", "Received: a list."),
        (
            "name: a\nname: b\n",
            "spec.yaml, line 2, column 1: `spec` expects YAML. Received: found duplicate key",
        ),
        ("name: a: b\n", "line 1, column 8"),
        ("name: a: b\n", "Put text that holds a colon in quotes"),
        ("name: [a\n", "Check brackets, quotes and indentation"),
        ("name: a\n\tdata: b\n", "Indent with spaces."),
        ("name: !!python/none x\n", "Remove the tag that begins with `!`."),
        ("name: a\n---\nname: b\n", "expects YAML"),
        ("name: 2024-13-45\n", "expects YAML"),
        ("name: " + "[" * 1200 + "]" * 1200, "values nested too deep"),
        ("name: \x01\n", "spec.yaml"),
        (
            b"name: caf\xe9\n",
            "expects UTF-8 text. Received: the byte 0xe9 in line 1. Save the file as UTF-8.",
        ),
    ],
)
def test_text_that_is_no_spec(tmp_path, text, words):
    assert words in error_of(tmp_path, text)


def test_aliases_that_grow_and_recur_are_answered_shortly(tmp_path):
    bomb = "a: &a [x, x, x, x, x, x, x, x]\n" + "".join(
        f"{new}: &{new} [{', '.join(['*' + old] * 8)}]\n"
        for old, new in zip("abcdefgh", "bcdefghi", strict=True)
    )
    assert len(error_of(tmp_path, bomb + "name: *i\n")) < 5000
    assert len(error_of(tmp_path, GOOD + "fusion: &f {kind: *f}\n")) < 5000


def test_missing_file_and_folder(tmp_path):
    with pytest.raises(SpecError, match="no such file. Check the path, or write a spec with `mm-keras init"):
        load_spec(tmp_path / "none.yaml")
    with pytest.raises(SpecError, match="Received: a folder. Name the file in it"):
        load_spec(tmp_path)


def test_make_spec_words_errors_without_lines():
    mapping = {"name": "a", "data": {"manifest": "m"}, "modalities": {"i": {"kind": "image"}}, "outputs": {}}
    with pytest.raises(
        SpecError, match="^my dict: `outputs` expects a mapping of at least one name. Received"
    ):
        make_spec(mapping, source="my dict")
    with pytest.raises(SpecError, match="`spec` expects a dict. Received: a list"):
        make_spec([])
    mapping["outputs"] = {"y": {"kind": "classification"}}
    assert make_spec(mapping).data.manifest == "m"


def test_saved_manifest_is_relative_only_below_the_spec(tmp_path):
    spec = load_spec(write(tmp_path, GOOD))
    save_spec(spec, tmp_path / "copy.yaml")
    assert "manifest: manifest.csv" in (tmp_path / "copy.yaml").read_text()
    save_spec(spec, tmp_path / "runs" / "spec.yaml")
    assert f"manifest: {tmp_path / 'manifest.csv'}" in (tmp_path / "runs" / "spec.yaml").read_text()
    assert load_spec(tmp_path / "copy.yaml") == load_spec(tmp_path / "runs" / "spec.yaml") == spec


def test_failed_save_leaves_the_old_file_and_no_draft(tmp_path, monkeypatch):
    path = write(tmp_path, GOOD)

    def refuse(*_):
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", refuse)
    spec = load_spec(path)
    with pytest.raises(OSError, match="disk full"):
        save_spec(spec, path)
    assert path.read_text() == GOOD
    assert os.listdir(tmp_path) == ["spec.yaml"]


def test_every_part_survives_saving(tmp_path):
    spec = Spec(
        name="all",
        data={
            "manifest": str(tmp_path / "a: b#.csv"),
            "split": {"test": 0.3},
            "cache_memory": "1GB",
            "cache_folder": str(tmp_path / "cache"),
        },
        modalities={
            "i": {"kind": "image", "size": (8, 9), "channels": 1, "column": "no"},
            "t": {"kind": "text", "encoder": {"kind": "lstm"}, "column": "0x1F"},
            "a": {"kind": "audio", "column": " # x: {y}"},
            "f": {"kind": "features", "shape": [3, 2], "encoder": {"kind": "gru"}},
            "n": {"kind": "numbers", "columns": ["1", "null"]},
        },
        fusion={"kind": "weighted_sum", "weights": "vector"},
        outputs={
            "y": {"kind": "classification", "multi_label": True, "class_weights": {"1": 2.0, "true": 1.0}},
            "r": {"kind": "autoencoder", "modalities": ["t", "a"]},
        },
        training={"steps_per_execution": 4, "learning_rate": 1e-7},
    )
    save_spec(spec, tmp_path / "spec.yaml")
    assert load_spec(tmp_path / "spec.yaml") == spec


NAMES = st.from_regex(r"[A-Za-z][A-Za-z0-9_]{0,20}", fullmatch=True) | st.sampled_from(
    ["no", "null", "true", "y", "on", "kind", "image", "e1", "NaN"]
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    names=st.lists(NAMES.filter(lambda name: name not in RESERVED), min_size=2, max_size=4, unique=True),
    column=st.text(st.characters(codec="utf-8"), min_size=1, max_size=12),
)
def test_any_names_and_columns_survive_saving(tmp_path, names, column):
    *modalities, output = names
    spec = Spec(
        name="x",
        data={"manifest": str(tmp_path / "m.csv"), "cache_folder": str(tmp_path / "cache")},
        modalities={name: {"kind": "text", "column": f"{column}{name}"} for name in modalities},
        outputs={output: {"kind": "classification", "column": column}},
    )
    save_spec(spec, tmp_path / "spec.yaml")
    assert load_spec(tmp_path / "spec.yaml") == spec


def test_schema_names_every_kind():
    schema = spec_schema()
    assert schema["$schema"].endswith("2020-12/schema")
    assert set(schema["properties"]) == set(Spec.model_fields)
    assert {"ImageModality", "AutoencoderOutput", "MatrixProductFusion"} <= set(schema["$defs"])
