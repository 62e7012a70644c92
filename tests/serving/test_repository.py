"""Versions that come, go and break while a server runs."""

import shutil
import threading
import time

import pytest
from small_models import ask, serving, write_model

from mm_keras.serving import repository
from mm_keras.serving.model_settings import ModelSettings

PREDICT = "/v1/models/small:predict"
ROWS = {"instances": [{"text": "a", "pair": [1, 2]}]}


@pytest.fixture
def folder(small_model, tmp_path):
    shutil.copytree(small_model, tmp_path / "small")
    return tmp_path / "small"


@pytest.fixture(scope="module")
def second(tmp_path_factory):
    """A version 2, to be moved where it is wanted."""
    return write_model(tmp_path_factory.mktemp("other"), 2, "second")


def said(server, path=PREDICT):
    status, answer = ask(server, path, ROWS)
    return answer["predictions"][0]["said"] if status == 200 else answer["error"]


def until(condition, seconds=30):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def states(server, model="small"):
    _, answer = ask(server, f"/v1/models/{model}")
    return {int(entry["version"]): entry["state"] for entry in answer["model_version_status"]}


def test_a_new_version_is_served_without_a_failed_request_and_a_removed_one_is_rolled_back(folder, second):
    with serving(folder) as server:
        answers, stop = [], threading.Event()

        def load():
            while not stop.is_set():
                answers.append(said(server))

        threads = [threading.Thread(target=load) for _ in range(4)]
        for thread in threads:
            thread.start()
        shutil.copytree(second, folder / "2")
        until(lambda: said(server) == "second a")
        until(lambda: states(server) == {2: "AVAILABLE", 1: "END"})
        shutil.rmtree(folder / "2")
        until(lambda: said(server) == "first a")
        stop.set()
        for thread in threads:
            thread.join()
        assert set(answers) == {"first a", "second a"}


def test_a_broken_version_is_told_and_the_old_one_stays_until_it_is_mended(folder, second, tmp_path, caplog):
    shutil.copytree(second, tmp_path / "2")
    whole = (tmp_path / "2" / "saved_model.pb").read_bytes()
    (tmp_path / "2" / "saved_model.pb").write_bytes(whole[: len(whole) // 2])
    with serving(folder) as server:
        (tmp_path / "2").rename(folder / "2")
        until(lambda: states(server) == {2: "END", 1: "AVAILABLE"})
        assert said(server) == "first a"
        _, answer = ask(server, "/v1/models/small/versions/2")
        status = answer["model_version_status"][0]["status"]
        assert status["error_code"] == "UNKNOWN"
        assert "export it again" in status["error_message"]
        assert "A version could not be loaded" in caplog.text
        assert ask(server, "/v1/models/small/versions/2:predict", ROWS)[0] == 404
        (folder / "2" / "saved_model.pb").write_bytes(whole)
        until(lambda: said(server) == "second a")


def test_a_folder_that_cannot_be_read_is_told_and_looked_at_again(folder, second, monkeypatch, caplog):
    def fail(path):
        raise PermissionError(13, "Permission denied", str(path))

    with serving(folder) as server:
        with monkeypatch.context() as patch:
            patch.setattr(repository, "versions_in", fail)
            until(lambda: caplog.records)
            time.sleep(0.2)
            assert said(server) == "first a"
        (told,) = caplog.records  # Once, however often it was looked at.
        assert "Permission denied" in told.error
        shutil.copytree(second, folder / "2")
        until(lambda: said(server) == "second a")


def test_a_folder_that_is_being_copied_is_waited_for(folder, second):
    with serving(folder) as server:
        (folder / "2").mkdir()
        shutil.copytree(second / "variables", folder / "2" / "variables")
        time.sleep(0.2)
        assert states(server) == {1: "AVAILABLE"}
        shutil.copy(second / "saved_model.pb", folder / "2")
        until(lambda: said(server) == "second a")


def test_the_last_version_stays_when_its_folder_is_removed(folder):
    with serving(folder) as server:
        shutil.rmtree(folder / "1")
        time.sleep(0.2)
        assert said(server) == "first a"


def test_at_the_start_the_newest_version_that_loads_is_served(folder):
    (folder / "7").mkdir()
    (folder / "7" / "saved_model.pb").write_bytes(b"nothing of the kind")
    (folder / "notes").mkdir()
    with serving(folder) as server:
        assert said(server) == "first a"
        assert states(server) == {7: "END", 1: "AVAILABLE"}


def test_without_a_version_that_loads_it_does_not_start(tmp_path):
    (tmp_path / "small" / "1").mkdir(parents=True)
    (tmp_path / "small" / "1" / "saved_model.pb").write_bytes(b"nothing of the kind")
    with (
        pytest.raises(ValueError, match="a version of `small` that can be loaded"),
        serving(tmp_path / "small"),
    ):
        pass


def test_labels_and_versions_are_asked_by_name(folder, second):
    shutil.copytree(second, folder / "2")
    models = [ModelSettings("small", folder, latest=2, labels={"stable": 1, "canary": 2})]
    with serving(models=models) as server:
        assert said(server) == "second a"
        assert said(server, "/v1/models/small/versions/1:predict") == "first a"
        assert said(server, "/v1/models/small/labels/stable:predict") == "first a"
        assert said(server, "/v1/models/small/labels/canary:predict") == "second a"
        _, answer = ask(server, "/v1/models/small/labels/stable")
        assert [entry["version"] for entry in answer["model_version_status"]] == ["1"]


def test_a_version_is_unloaded_only_when_its_last_request_is_answered(folder, second):
    count = {"signature_name": "slow", "instances": [200_000]}
    with serving(folder) as server:
        results = []
        thread = threading.Thread(target=lambda: results.append(ask(server, PREDICT, count)))
        thread.start()
        time.sleep(0.2)
        shutil.copytree(second, folder / "2")
        until(lambda: said(server) == "second a")
        thread.join()
        assert results == [(200, {"predictions": [200_000]})]
        until(lambda: states(server) == {2: "AVAILABLE", 1: "END"})
