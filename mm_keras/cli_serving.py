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
BOTH_ENGINES = ("models", "config", "rest_port", "grpc_port", "version", "label", "engine")
Engine = StrEnum("Engine", {"mm_keras": "mm-keras", "tensorflow_serving": "tensorflow-serving"})
Models = Annotated[
    list[Path] | None,
    typer.Argument(metavar="MODEL...", help="Folders such as saved_models/NAME.", show_default=False),
]


def serve(
    context: typer.Context,
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
    allow_reload: Annotated[
        bool, typer.Option("--allow-reload", help="Let clients have other models loaded, of any folder.")
    ] = False,
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
    if config and (version or label):
        fix = "Name them in the file: model_version_policy, version_labels."
        raise ValueError(message("serve", "--config alone", "--version or --label beside it", fix))
    if engine is Engine.tensorflow_serving:
        _refuse_own_options(context, keys)
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
            allow_reload=allow_reload,
        ),
        lambda server: console_serving.show_server(out, server),
    )


def kit(
    models: Annotated[
        list[str],
        typer.Argument(metavar="MODEL...", help="Folders, or names in saved_models.", show_default=False),
    ],
    output: Annotated[Path | None, typer.Option(help="New folder; deploy_NAME if not given.")] = None,
    version: Annotated[list[int] | None, typer.Option(help="Serve it too. May be repeated.", min=0)] = None,
    label: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VERSION",
            help="May be repeated; default: canary is the newest version, stable the one before.",
        ),
    ] = None,
    no_labels: Annotated[
        bool, typer.Option("--no-labels", help="Label no version: always the newest is served.")
    ] = False,
    cpus: Annotated[
        int | None, typer.Option(help="Processors of the server; default: as many as here.", min=1)
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Write into a folder that holds something.")] = False,
):
    """Write what TensorFlow Serving needs in production.

    Configuration of models, batching and monitoring, docker-compose.yaml with Prometheus and the demo page,
    manifests for Kubernetes, and a load script with real requests. README.md in it has the commands.

    Example: mm-keras kit keypad --label stable=1 --label canary=2
    """
    from mm_keras import console, console_serving
    from mm_keras.serving.kit import write_kit

    if no_labels and label:
        raise ValueError(message("kit", "--label or --no-labels", "both", "Leave out one of them."))
    labels = {} if no_labels else _read_labels(label, models) or None
    written = write_kit(models, output, labels, tuple(version or ()), cpus, force)
    console_serving.show_kit(console.make_console(), written)


def demo(
    model: Annotated[
        Path | None, typer.Argument(metavar="MODEL", help="A folder such as saved_models/NAME.")
    ] = None,
    url: Annotated[
        str | None, typer.Option(help="In place of MODEL: a server, such as http://localhost:8501.")
    ] = None,
    name: Annotated[str | None, typer.Option("--model", help="With --url: the model's name.")] = None,
    version: Annotated[int | None, typer.Option(help="With --url: instead of the newest.", min=0)] = None,
    examples: Annotated[
        Path | None, typer.Option(help="Manifest of rows to try; default: a few of the export's own.")
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 is every one.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="0 takes any free one.", min=0, max=65535)] = 7860,
):
    """Show a page to try a model: with images, texts and sounds, any of which may be left out.

    With --url, a key is taken from the environment: MM_KERAS_API_KEY.

    Example: mm-keras demo saved_models/keypad
    """
    from mm_keras import console, console_serving

    _need_extra("demo", "gradio", "uvicorn", "httpx", "orjson", "pybase64", "prometheus_client")
    out = console.make_console()
    with console.working(out, "Starting"):
        from mm_keras.serving.demo import run_demo
    key = os.environ.get("MM_KERAS_API_KEY") if url else None
    run_demo(
        model,
        url,
        name,
        version,
        key,
        examples=examples,
        host=host,
        port=port,
        started=lambda page: console_serving.show_demo(out, page),
    )


def _refuse_own_options(context, keys):
    """Names options that the other engine would leave out without a word."""
    given = [
        f"--{name.replace('_', '-')}"
        for name in context.params
        if name not in BOTH_ENGINES and context.get_parameter_source(name).name == "COMMANDLINE"
    ]
    if keys and "--api-keys" not in given:
        given.append(API_KEYS)
    if given:
        fix = "Leave them out, and put a proxy with TLS and keys in front where they are needed."
        received = ", ".join(given)
        expected = "options that tensorflow_model_server has"
        raise ValueError(message("--engine tensorflow-serving", expected, received, fix))


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
    if path is not None and not path.is_file():
        received = f"{path}, which is none"
        raise ValueError(message("--api-keys", "a file with a key a line", received, "Write it."))
    text = os.environ.get(API_KEYS, "").replace(",", "\n") if path is None else path.read_text("utf-8")
    keys = tuple(line.strip().encode() for line in text.splitlines() if line.strip())
    if path is not None and not keys:
        raise ValueError(
            message("--api-keys", "a file with a key a line", f"{path}, which has none", "Write one.")
        )
    return keys
