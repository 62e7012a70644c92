"""`tensorflow_model_server` is started with the kit's files: here a script of that name stands for it."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
import small_exports
from google.protobuf import text_format
from tensorflow_serving.config import model_server_config_pb2

from mm_keras.serving import tensorflow_serving
from mm_keras.serving.model_settings import settings_of_folders

FAKE = """\
#!{python} -IS
import json, signal, sys, time
flags = dict(flag.removeprefix("--").split("=", 1) for flag in sys.argv[1:])
texts = {{name: open(flags[name]).read() for name in flags if name.endswith("_file")}}
def stop(number, frame):
    open({log!r}, "w").write(json.dumps({{"flags": flags, "texts": texts, "signal": number}}))
    sys.exit(128 + number)
signal.signal(signal.SIGTERM, stop)
signal.signal(signal.SIGINT, stop)
open({log!r} + ".ready", "w").close()
time.sleep({seconds})
sys.exit({status})
"""

RUN = """
import sys
from mm_keras.serving.model_settings import settings_of_folders
from mm_keras.serving.tensorflow_serving import run
run(settings_of_folders([sys.argv[1]]), rest_port=9001, grpc_port=-1)
"""


@pytest.fixture
def keypad(tmp_path):
    return small_exports.write_export(tmp_path / "saved_models/keypad", versions=(1, 2))


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Puts a `tensorflow_model_server` on the PATH; returns the file to which it tells how it was started."""

    def write(seconds=60, status=0):
        program = tmp_path / "bin/tensorflow_model_server"
        program.parent.mkdir()
        log = tmp_path / "log.json"
        text = FAKE.format(python=sys.executable, log=str(log), seconds=seconds, status=status)
        program.write_text(text)
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
        return log

    return write


def test_the_command_points_to_files_that_fit_the_model(keypad, install, tmp_path):
    install()
    settings = settings_of_folders([keypad], {"stable": 1, "canary": 2})
    (tmp_path / "files").mkdir()
    program, *flags = tensorflow_serving.command(settings, tmp_path / "files", 8501, 8500, cpus=2)
    assert program == str(tmp_path / "bin/tensorflow_model_server")
    assert flags[:2] == ["--port=8500", "--rest_api_port=8501"]
    assert f"--model_config_file={tmp_path}/files/models.config" in flags
    config = text_format.Parse(
        (tmp_path / "files/models.config").read_text(), model_server_config_pb2.ModelServerConfig()
    )
    (model,) = config.model_config_list.config
    assert (model.name, model.base_path) == ("keypad", str(keypad / "serving"))
    assert dict(model.version_labels) == {"stable": 1, "canary": 2}
    batching = (tmp_path / "files/batching_parameters.txt").read_text()
    assert "`keypad` took 4 ms" in batching and "num_batch_threads { value: 2 }" in batching


def test_ports_are_free_ones_or_none(keypad, install, tmp_path):
    install()
    command = tensorflow_serving.command(settings_of_folders([keypad]), tmp_path, rest_port=0, grpc_port=-1)
    flags = dict(flag.split("=", 1) for flag in command[1:])
    assert flags["--port"] == "0" and int(flags["--rest_api_port"]) > 1023  # 0 is none.


def test_a_model_that_tells_nothing_is_served_too(keypad, install, tmp_path):
    install()
    for path in (keypad / "serving/2/assets.extra").iterdir():
        path.unlink()
    tensorflow_serving.command(settings_of_folders([keypad]), tmp_path)
    assert "took 10 ms" in (tmp_path / "batching_parameters.txt").read_text()


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_reach_the_server_and_the_files_go_with_it(keypad, install, number):
    log = install()
    ready = log.with_name("log.json.ready")
    process = subprocess.Popen([sys.executable, "-c", RUN, str(keypad)])
    until = time.monotonic() + 60
    while not ready.exists() and time.monotonic() < until and process.poll() is None:
        time.sleep(0.05)
    process.send_signal(number)
    assert process.wait(timeout=30) == 0
    told = json.loads(log.read_text())
    assert told["signal"] == number
    assert told["flags"]["rest_api_port"] == "9001" and told["flags"]["port"] == "0"
    assert "keypad" in told["texts"]["model_config_file"]
    assert not os.path.exists(told["flags"]["model_config_file"])


def test_an_end_with_an_error_is_told(keypad, install):
    install(seconds=0, status=7)
    with pytest.raises(ValueError, match="an end with status 7"):
        tensorflow_serving.run(settings_of_folders([keypad]))
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_where_it_is_not_installed_the_error_names_what_to_install(keypad, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ValueError, match=r"`tensorflow_model_server` expects .*tensorflow-model-server"):
        tensorflow_serving.run(settings_of_folders([keypad]))
