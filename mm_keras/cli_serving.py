"""The commands that serve exported models; `cli.py` puts them on the command line.

Like there, commands import what they need when they run.
"""

import os
from enum import StrEnum
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from mm_keras.checks import message

API_KEYS = "MM_KERAS_API_KEYS"
Engine = StrEnum("Engine", {"mm_keras": "mm-keras", "tensorflow_serving": "tensorflow-serving"})
Models = Annotated[
    list[Path] | None,
    typer.Argument(metavar="MODEL...", help="Folders such as saved_models/NAME.", show_default=False),
]


def serve(
    models: Models = None,
    config: Annotated[
        Path | None, typer.Option(help="In place of MODEL: TensorFlow Serving's models.config.")
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 is every one.")] = "127.0.0.1",
    rest_port: Annotated[int, typer.Option(help="0 takes any free one, -1 leaves REST out.")] = 8501,
    grpc_port: Annotated[int, typer.Option(help="0 takes any free one, -1 leaves gRPC out.")] = 8500,
    version: Annotated[
        list[int] | None, typer.Option(help="In place of the newest one. May be repeated.", min=0)
    ] = None,
    label: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VERSION", help="Such as canary=2. May be repeated.")
    ] = None,
    engine: Annotated[
        Engine, typer.Option(help="tensorflow-serving starts `tensorflow_model_server`.")
    ] = Engine.mm_keras,
    most_rows: Annotated[int, typer.Option(help="Rows of a batch.", min=1)] = 32,
    most_waiting: Annotated[int, typer.Option(help="Rows that may wait; more are refused.", min=1)] = 256,
    most_bytes: Annotated[int, typer.Option(help="Bytes of a request.", min=1)] = 64 * 2**20,
    workers: Annotated[
        int | None, typer.Option(help="Batches at the same time; default: as many as processors.", min=1)
    ] = None,
    threads: Annotated[int, typer.Option(help="Threads of one batch.", min=1)] = 1,
    timeout: Annotated[float, typer.Option(help="Seconds of the longest request.", min=0.001)] = 30.0,
    poll: Annotated[float, typer.Option(help="Seconds between looks for new versions.", min=0.01)] = 1.0,
    grace: Annotated[float, typer.Option(help="Seconds that a stop waits for answers.", min=0)] = 30.0,
    certificate: Annotated[Path | None, typer.Option(help="PEM file of TLS, with --key.")] = None,
    key: Annotated[Path | None, typer.Option(help="PEM file of TLS.")] = None,
    api_keys: Annotated[
        Path | None,
        typer.Option(help=f"File with a key a line, of which requests name one; or {API_KEYS}, with commas."),
    ] = None,
    cors: Annotated[
        list[str] | None, typer.Option(help="Origin whose pages may ask; may be repeated; * is all.")
    ] = None,
    access_log: Annotated[bool, typer.Option("--access-log", help="A line for each request.")] = False,
):
    """Serve exported models by TensorFlow Serving's REST and gRPC.

    New versions are served as soon as they are written, and the one before again when they are removed.
    Ctrl-C answers what was taken, then ends.

    Example: mm-keras serve saved_models/keypad
    """
    from mm_keras import console, console_serving

    _need_extra("serve", "uvicorn", "starlette", "orjson", "pybase64", "prometheus_client", "grpc_health")
    out = console.make_console(stderr=True)
    keys = _read_keys(api_keys)
    with console.working(out, "Starting TensorFlow"):
        from mm_keras.serving.model_settings import settings_of_config, settings_of_folders
    if (config is None) == (not models):
        fix = "Name folders such as saved_models/NAME, or a models.config."
        received = "neither" if config is None else "both"
        raise ValueError(message("serve", "MODEL or --config", received, fix))
    settings = (
        settings_of_config(config)
        if config
        else settings_of_folders(models, _read_labels(label, models), tuple(version or ()))
    )
    if engine is Engine.tensorflow_serving:
        from mm_keras.serving.tensorflow_serving import run

        run(settings, rest_port=rest_port, grpc_port=grpc_port)
        return
    from mm_keras.serving.log_lines import log_to_stderr
    from mm_keras.serving.server import ServerSettings
    from mm_keras.serving.server import serve as run_server

    log_to_stderr()
    run_server(
        ServerSettings(
            settings,
            host=host,
            rest_port=None if rest_port < 0 else rest_port,
            grpc_port=None if grpc_port < 0 else grpc_port,
            most_bytes=most_bytes,
            most_rows=most_rows,
            most_waiting=most_waiting,
            workers=workers,
            threads=threads,
            timeout=timeout,
            poll_seconds=poll,
            grace_seconds=grace,
            api_keys=keys,
            certificate=certificate,
            key=key,
            cors=tuple(cors or ()),
            access_log=access_log,
        ),
        lambda server: console_serving.show_server(out, server),
    )


def _need_extra(extra, *modules):
    lost = [name for name in modules if find_spec(name) is None]
    if lost:
        fix = f'Install them: pip install "mm_keras[{extra}]".'
        raise ValueError(message(extra, f"the packages of the extra `{extra}`", f"no {lost[0]}", fix))


def _read_labels(labels, models):
    read = {}
    for text in labels or ():
        name, _, version = text.partition("=")
        if not (name and version.isascii() and version.isdigit()):
            raise ValueError(message("--label", "NAME=VERSION", text, "Such as --label canary=2."))
        read[name] = int(version)
    if read and len(models) != 1:
        raise ValueError(
            message("--label", "one MODEL", f"{len(models)}", "Use a models.config for several.")
        )
    return read


def _read_keys(path):
    text = os.environ.get(API_KEYS, "").replace(",", "\n") if path is None else path.read_text("utf-8")
    keys = tuple(line.strip().encode() for line in text.splitlines() if line.strip())
    if path is not None and not keys:
        raise ValueError(
            message("--api-keys", "a file with a key a line", f"{path}, which has none", "Write one.")
        )
    return keys
