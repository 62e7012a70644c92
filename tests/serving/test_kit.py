"""The kit as a whole: what is written where, what it is made of, and that `deploy` is one."""

import json
from pathlib import Path

import pytest
import small_exports
from google.protobuf import text_format
from ruamel.yaml import YAML
from tensorflow_serving.config import model_server_config_pb2

from mm_keras.serving.kit import kit_files, write_kit
from mm_keras.serving.kit_models import KitModel

FILES = {
    "Dockerfile.demo", "README.md", "batching_parameters.txt", "docker-compose.yaml", "kit.json", "load.py",
    "models.config", "monitoring.config", "prometheus.yml", "requests/keypad.json",
    "kubernetes/autoscaler.yaml", "kubernetes/config.yaml", "kubernetes/deployment.yaml",
    "kubernetes/service.yaml", "kubernetes/volume.yaml", "kubernetes/loader/pod.yaml",
}  # fmt: skip
DEPLOY = Path(__file__).parents[2] / "deploy"


@pytest.fixture
def keypad(tmp_path):
    return small_exports.write_export(tmp_path / "saved_models/keypad", versions=(1, 2, 10))


def written(folder):
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def config_of(folder):
    config = model_server_config_pb2.ModelServerConfig()
    text_format.Parse((folder / "models.config").read_text(), config)
    return list(config.model_config_list.config)


def test_a_kit_has_all_its_files(keypad, tmp_path):
    told = write_kit(keypad, tmp_path / "kit", cpus=2)
    assert written(tmp_path / "kit") == FILES == set(told["files"])
    assert told["folder"] == str(tmp_path / "kit")
    facts = json.loads((tmp_path / "kit/kit.json").read_text())
    assert facts["cpus"] == 2 and facts["models"][0]["versions"] == [2, 10]
    request = json.loads((tmp_path / "kit/requests/keypad.json").read_text())
    assert request["inputs"] == {"image": [{"b64": "iVBOR/8="}], "note": ["grün"], "size": [[1.5, 2.0]]}
    readme = (tmp_path / "kit/README.md").read_text()
    assert "`/v1/models/keypad/labels/canary:predict` asks version 10." in readme


def test_a_name_alone_is_looked_for_among_the_exported_models(keypad, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "keypad").mkdir()  # The data set, beside it as after the quickstart.
    assert write_kit("keypad")["folder"] == "deploy_keypad"
    assert written(tmp_path / "deploy_keypad") == FILES


def test_the_newest_version_is_canary_and_the_one_before_is_stable(keypad, tmp_path):
    write_kit(keypad, tmp_path / "kit")
    (model,) = config_of(tmp_path / "kit")
    assert dict(model.version_labels) == {"stable": 2, "canary": 10}
    assert list(model.model_version_policy.specific.versions) == [2, 10]


def test_labels_and_further_versions_are_taken_as_they_are_given(keypad, tmp_path):
    write_kit(keypad, tmp_path / "kit", labels={"stable": 1}, versions=[10])
    (model,) = config_of(tmp_path / "kit")
    assert dict(model.version_labels) == {"stable": 1}
    assert list(model.model_version_policy.specific.versions) == [1, 10]
    write_kit(keypad, tmp_path / "kit", labels={}, force=True)
    (model,) = config_of(tmp_path / "kit")
    assert model.model_version_policy.latest.num_versions == 1 and not model.version_labels
    assert "There are no labels" in (tmp_path / "kit/README.md").read_text()


def test_several_models_stand_in_one_kit(keypad, tmp_path):
    other = small_exports.write_export(tmp_path / "saved_models/other", latency_ms=30.0, tensorflow="2.20.0")
    write_kit([keypad, other], tmp_path / "kit", cpus=2)
    assert [model.name for model in config_of(tmp_path / "kit")] == ["keypad", "other"]
    assert {"requests/keypad.json", "requests/other.json"} < written(tmp_path / "kit")
    compose = YAML(typ="safe").load(tmp_path / "kit/docker-compose.yaml")
    assert compose["services"]["tensorflow-serving"]["image"] == "tensorflow/serving:2.20.0"
    assert "`other` took 30 ms" in (tmp_path / "kit/batching_parameters.txt").read_text()
    with pytest.raises(ValueError, match="one model with labels or versions. Received: 2"):
        write_kit([keypad, other], tmp_path / "third", labels={"stable": 1})


def test_a_folder_that_holds_something_is_left_alone(keypad, tmp_path):
    (tmp_path / "kit").mkdir()
    (tmp_path / "kit/mine.txt").write_text("mine")
    with pytest.raises(ValueError, match="`kit` expects a new or empty folder"):
        write_kit(keypad, tmp_path / "kit")
    assert written(tmp_path / "kit") == {"mine.txt"}
    write_kit(keypad, tmp_path / "kit", force=True)
    assert written(tmp_path / "kit") == {"mine.txt", *FILES}


def test_what_is_not_there_is_named(keypad, tmp_path):
    with pytest.raises(ValueError, match="versions of `keypad` among `1`, `2`, `10`. Received: 3"):
        write_kit(keypad, tmp_path / "kit", labels={"stable": 3})
    with pytest.raises(ValueError, match="`kit` expects `cpus` to be an int > 0"):
        write_kit(keypad, tmp_path / "kit", cpus=0)
    with pytest.raises(ValueError, match="a folder of versions"):
        write_kit(tmp_path / "nothing", tmp_path / "kit")
    old = small_exports.write_export(tmp_path / "saved_models/old", warm_up=False)
    with pytest.raises(ValueError, match="warm-up requests.*export the run again"):
        write_kit(old, tmp_path / "kit")
    (keypad / "serving/10/assets.extra/parity.json").unlink()
    with pytest.raises(ValueError, match="a version with assets.extra/parity.json"):
        write_kit(keypad, tmp_path / "kit")
    assert not (tmp_path / "kit").exists()


def test_deploy_is_what_the_kit_writes_today():
    facts = json.loads((DEPLOY / "kit.json").read_text(encoding="utf-8"))
    request = json.loads((DEPLOY / "requests/keypad.json").read_text(encoding="utf-8"))
    (model,) = facts["models"]
    model = KitModel(**{**model, "versions": tuple(model["versions"])}, request=request)
    assert model.name == "keypad"
    files = kit_files([model], facts["cpus"])
    assert written(DEPLOY) == set(files)
    for name, text in files.items():
        assert (DEPLOY / name).read_text(encoding="utf-8") == text, name
