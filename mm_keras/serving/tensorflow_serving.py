"""Starts `tensorflow_model_server`, where it is installed, with the files of a kit."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path

from mm_keras.checks import message
from mm_keras.serving.kit_compose import server_flags
from mm_keras.serving.kit_configs import MONITORING, batching_parameters, models_config
from mm_keras.serving.kit_models import read_version

PROGRAM = "tensorflow_model_server"
FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def command(settings, folder, rest_port=8501, grpc_port=8500, cpus=None):
    """Writes TensorFlow Serving's files into a folder and returns the command that starts it with them.

    Args:
        settings: list of ModelSettings.
        folder: path. Where models.config, batching_parameters.txt and monitoring.config are written.
        rest_port, grpc_port: int. 0 takes any free one, a negative one leaves that interface out.
        cpus: int > 0 or None. Processors; None is as many as this machine has.

    Returns: list of str.
    Raises: ValueError, if `tensorflow_model_server` is not on the PATH, or a model has no version.
    """
    program = shutil.which(PROGRAM)
    if program is None:
        fix = (
            "Install Debian's package `tensorflow-model-server` of TensorFlow's own source, or serve without "
            "`--engine`; `mm-keras kit` writes a docker-compose.yaml that brings it."
        )
        raise ValueError(message(PROGRAM, "the program on the PATH", "none of that name", fix))
    models = [read_version(model) for model in settings]
    folders = {model.name: os.path.abspath(model.folder) for model in settings}
    files = {
        "models.config": models_config(settings, lambda model: folders[model.name]),
        "batching_parameters.txt": batching_parameters(models, cpus or os.cpu_count() or 1),
        "monitoring.config": MONITORING,
    }
    for name, text in files.items():
        (Path(folder) / name).write_text(text, encoding="utf-8")
    ports = [f"--port={_port(grpc_port)}", f"--rest_api_port={_port(rest_port)}"]
    return [program, *ports, *server_flags(folder)]


def run(settings, rest_port=8501, grpc_port=8500, cpus=None):
    """Runs `tensorflow_model_server` until it ends, and hands signals on to it. Arguments as of `command`.

    Raises: ValueError as of `command`, or if the server ends by itself with an error.
    """
    with tempfile.TemporaryDirectory(prefix="mm_keras_serving_") as folder:
        arguments = command(settings, folder, rest_port, grpc_port, cpus)
        asked = []
        server = subprocess.Popen(arguments, start_new_session=True)  # Else Ctrl-C would reach it twice.
        with _handing_on(server, asked):
            status = server.wait()
    if status and not asked:
        fix = "What it wrote above tells why."
        raise ValueError(message(PROGRAM, "to run until it is stopped", f"an end with status {status}", fix))


@contextmanager
def _handing_on(server, asked):
    def hand_on(number, frame):
        asked.append(number)
        server.send_signal(number)

    before = {number: signal.signal(number, hand_on) for number in FORWARDED}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _port(port):
    """Returns the port to ask for, where TensorFlow Serving takes 0 for none."""
    if port > 0:
        return port
    if port < 0:
        return 0
    with socket.socket() as probe:
        probe.bind(("", 0))
        return probe.getsockname()[1]
