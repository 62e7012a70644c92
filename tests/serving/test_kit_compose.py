"""The kit of one machine: the services, how they find each other, and the page's image."""

import shutil
import socket
import subprocess
import threading

import pytest
from ruamel.yaml import YAML

from mm_keras.serving import kit_compose
from mm_keras.serving.kit import yaml_text
from mm_keras.serving.kit_models import KitModel


def models(*names, tensorflow="2.17.1"):
    return [KitModel(name, (1,), {"stable": 1}, 4.0, tensorflow=tensorflow) for name in names]


@pytest.fixture
def services():
    text = yaml_text(kit_compose.compose(models("keypad", "other"), 2))
    return YAML(typ="safe").load(text)["services"]


def test_the_server_reads_the_kit_and_the_models(services):
    server = services["tensorflow-serving"]
    assert server["image"] == "tensorflow/serving:2.17.1" and server["cpus"] == 2
    assert server["volumes"] == [
        ".:/config:ro",
        "${MODELS:-../saved_models}/keypad/serving:/models/keypad:ro",
        "${MODELS:-../saved_models}/other/serving:/models/other:ro",
    ]
    assert "--allow_version_labels_for_unavailable_models=true" in server["command"]
    for flag, file in (
        ("model_config_file", "models.config"),
        ("batching_parameters_file", "batching_parameters.txt"),
        ("monitoring_config_file", "monitoring.config"),
    ):
        assert f"--{flag}=/config/{file}" in server["command"]


def test_nothing_is_open_to_other_machines_unless_it_is_asked_for(services):
    ports = [port for service in services.values() for port in service["ports"]]
    assert len(ports) == 4 and all(port.startswith("${BIND:-127.0.0.1}:") for port in ports)


def test_the_page_waits_for_the_server_and_asks_it(services):
    demo = services["demo"]
    assert demo["depends_on"] == {"tensorflow-serving": {"condition": "service_healthy"}}
    assert demo["command"] == ["--url", "http://tensorflow-serving:8501", "--model", "keypad"]
    last = kit_compose.DOCKERFILE.splitlines()[-1]
    assert last == 'ENTRYPOINT ["mm-keras", "demo", "--host", "0.0.0.0"]'
    assert "\nUSER demo\n" in kit_compose.DOCKERFILE and "mm_keras[demo]" in kit_compose.DOCKERFILE


def test_prometheus_reads_the_metrics_of_the_server():
    (job,) = YAML(typ="safe").load(yaml_text(kit_compose.prometheus()))["scrape_configs"]
    assert job["metrics_path"] == "/monitoring/prometheus/metrics"
    assert job["static_configs"] == [{"targets": ["tensorflow-serving:8501"]}]


@pytest.mark.parametrize(
    "tensorflow,image",
    [("2.17.0", "2.17.1"), ("2.18.1", "2.19.1"), ("2.19.0", "2.19.1"), ("2.21.0", "2.21.0")],
)
def test_the_server_is_no_older_than_the_model(tensorflow, image):
    assert kit_compose.server_image(models("keypad", tensorflow=tensorflow)) == f"tensorflow/serving:{image}"


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash, as in the image")
@pytest.mark.parametrize("state,healthy", [("AVAILABLE", True), ("LOADING", False)])
def test_the_health_check_reads_the_status(state, healthy, monkeypatch):
    asked = []

    def answer(server):
        connection, _ = server.accept()
        with connection:
            with connection.makefile("rb") as file:
                asked.extend([file.readline(), file.readline()])
            body = f'{{"model_version_status": [{{"state": "{state}"}}]}}'
            connection.sendall(f"HTTP/1.0 200 OK\r\n\r\n{body}".encode())

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=answer, args=[server])
        thread.start()
        monkeypatch.setattr(kit_compose, "REST_PORT", server.getsockname()[1])
        done = subprocess.run(["bash", "-c", kit_compose.health_check("keypad")], timeout=10)
        thread.join()
    assert (done.returncode == 0) is healthy
    assert asked == [b"GET /v1/models/keypad HTTP/1.0\r\n", b"\r\n"]
