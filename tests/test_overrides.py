"""`--set key.path=value`."""

import pytest

from mm_keras.overrides import override
from mm_keras.spec_file import SpecError

SPEC = """
name: tiny
data: {manifest: manifest.csv}
modalities:
  note: {kind: text, encoder: {kind: lstm, units: 8}}
fusion: {kind: weighted_sum, weights: vector}
outputs:
  label: {kind: classification}
"""


@pytest.fixture
def path(tmp_path):
    (tmp_path / "spec.yaml").write_text(SPEC, encoding="utf-8")
    return tmp_path / "spec.yaml"


def test_values_are_read_as_in_the_file(path):
    settings = ["training.batch_size=8", "training.learning_rate=1.0e-2", "data.cache=none"]
    spec = override(path, [*settings, "modalities.note.lowercase=false"])
    assert spec.training.batch_size == 8
    assert spec.training.learning_rate == 0.01
    assert spec.data.cache == "none"
    assert spec.modalities["note"].lowercase is False
    assert spec.modalities["note"].encoder.units == 8
    assert spec.data.manifest == str(path.parent / "manifest.csv")


def test_the_last_setting_wins(path):
    assert override(path, ["training.epochs=3", "training.epochs=5"]).training.epochs == 5


def test_a_part_can_be_replaced_by_another_kind(path):
    spec = override(path, ["fusion={kind: gated, units: 8}"])
    assert (spec.fusion.kind, spec.fusion.units) == ("gated", 8)


def test_a_kind_can_change_where_the_file_names_no_value_of_its_own(path):
    text = path.read_text(encoding="utf-8").replace(", weights: vector", ", units: 8")
    path.write_text(text, encoding="utf-8")
    spec = override(path, ["fusion.kind=gated"])
    assert (spec.fusion.kind, spec.fusion.units) == ("gated", 8)


def test_without_settings_the_file_is_taken_as_it_stands(path):
    assert override(path, []).fusion.weights == "vector"


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("training.epochs", "`--set` expects KEY.PATH=VALUE. Received: training.epochs."),
        ("=3", "`--set` expects KEY.PATH=VALUE"),
        ("name.first=3", "`--set` expects `name` in `name.first` to hold keys. Received: 'tiny'"),
        ("training.epochs=[1", "`--set` expects a value in YAML. Received: training.epochs=[1"),
    ],
)
def test_a_setting_that_cannot_be_read_is_refused(path, setting, words):
    with pytest.raises(ValueError, match="expects") as caught:
        override(path, [setting])
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("training.epoch=3", "`training` expects"),
        ("training.epochs=many", "`training.epochs` expects"),
        ("traning.epochs=3", "Did you mean `training`?"),
    ],
)
def test_a_wrong_key_or_value_names_its_path(path, setting, words):
    with pytest.raises(SpecError, match="^--set: ") as caught:
        override(path, [setting])
    assert words in str(caught.value)
