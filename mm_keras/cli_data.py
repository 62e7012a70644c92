"""The commands about data, before and beside training; `cli.py` puts them on the command line.

Like there, commands import what they need when they run.
"""

from pathlib import Path
from typing import Annotated

import typer

bench = typer.Typer(help="Measure where the time goes.", no_args_is_help=True)
data_service = typer.Typer(help="Make training batches on other machines.", no_args_is_help=True)


def init(
    manifest: Annotated[
        Path,
        typer.Argument(metavar="MANIFEST", help="CSV table with a column for each input and for the label."),
    ],
    output: Annotated[Path, typer.Option(help="File to write.")] = Path("spec.yaml"),
    force: Annotated[bool, typer.Option("--force", help="Write over a file that is there.")] = False,
):
    """Write a commented spec.yaml for a manifest.

    Example: mm-keras init data/manifest.csv
    """
    from mm_keras import console
    from mm_keras.checks import message
    from mm_keras.data.infer import infer_spec
    from mm_keras.spec_file import load_spec

    if output.exists() and not force:
        fix = "Name another one with --output, or write over it with --force."
        raise ValueError(message("--output", "a file that is not there yet", str(output), fix))
    text = infer_spec(manifest, folder=output.parent)
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(text, encoding="utf-8")
    console.show_written_spec(console.make_console(), load_spec(output), output)


def doctor(
    source: Annotated[
        Path, typer.Argument(metavar="SPEC|MANIFEST", help="A spec (.yaml), or a table that has none yet.")
    ],
    output: Annotated[Path, typer.Option(help="Folder for the list, the page and the figures.")] = Path(
        "doctor"
    ),
):
    """Look for what is wrong with the rows and files of a data set.

    Decodes every file; names each bad cell, repeated rows and leaks between splits. Writes doctor.json,
    quarantine.csv (the bad cells) and doctor.html.

    Exit status: 0 every row can be used (there may be warnings), 1 some cannot, 2 the table or spec as a
    whole cannot be used.

    Example: mm-keras doctor spec.yaml
    """
    from mm_keras import console

    out = console.make_console()
    with console.working(out, "Starting TensorFlow"):
        from mm_keras import console_doctor
        from mm_keras.data.doctor import diagnose
        from mm_keras.doctor_report import write_diagnosis
    with console_doctor.decoding(out) as progress:
        diagnosis = diagnose(source, progress)
    console_doctor.show_diagnosis(out, diagnosis, write_diagnosis(diagnosis, output))
    if diagnosis.bad_rows:
        raise typer.Exit(1)


def prepare(
    spec: Annotated[
        Path, typer.Argument(metavar="SPEC", help="The spec, a YAML file; with --check a prepared folder.")
    ],
    folder: Annotated[
        Path | None, typer.Argument(metavar="[OUT]", help="Folder to write, new or begun.")
    ] = None,
    compression: Annotated[str, typer.Option(help="none or gzip.")] = "none",
    resize: Annotated[
        bool,
        typer.Option("--resize", help="Write images at the spec's size, as BMP: larger, and read fastest."),
    ] = False,
    shard_size: Annotated[str, typer.Option(help="Size of a shard.")] = "128MB",
    force: Annotated[bool, typer.Option("--force", help="Write the folder anew.")] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Compare a prepared folder with its checksums.")
    ] = False,
):
    """Write a data set as record shards, to train from faster or elsewhere.

    Run it again after it was stopped: it goes on. OUT/spec.yaml trains from the shards.

    Examples:

    mm-keras prepare spec.yaml prepared --compression gzip

    mm-keras prepare prepared --check
    """
    from mm_keras import console
    from mm_keras.checks import message
    from mm_keras.overrides import override

    out = console.make_console()
    if folder is None and not check:
        raise ValueError(message("prepare", "a folder to write, OUT", "none", "Name one, such as prepared."))
    with console.working(out, "Starting TensorFlow"):
        from mm_keras import console_prepare, progress
        from mm_keras.data.prepare import prepare as prepare_folder
        from mm_keras.data.table_prepared import check_folder
    if check:
        with console.working(out, "Reading every file"):
            result = check_folder(folder or spec)
        console_prepare.show_checked(out, result)
        return
    spec = override(spec, [])
    bar, task = progress.make_bar(out, "Preparing", status="steps")
    with bar:
        result = prepare_folder(
            spec,
            folder,
            compression,
            resize,
            shard_size,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
            force=force,
        )
    console_prepare.show_prepared(out, result)


@bench.command("input")
def bench_input(
    spec: Annotated[Path, typer.Argument(metavar="SPEC", help="The spec, a YAML file.")],
    seconds: Annotated[float, typer.Option(help="Time for each stage.", min=0.1)] = 2.0,
    model: Annotated[bool, typer.Option(help="Measure the training step too.")] = True,
):
    """Measure the examples a second of each stage of the input, and say what to change.

    Example: mm-keras bench input spec.yaml
    """
    from mm_keras import console
    from mm_keras.overrides import override

    out = console.make_console()
    spec = override(spec, [])
    with console.working(out, "Measuring"):
        from mm_keras import console_bench
        from mm_keras.benchmark_input import measure_input

        found = measure_input(spec, seconds, model)
    console_bench.show_input(out, found)


@data_service.command()
def dispatcher(
    port: Annotated[int, typer.Option(help="Port to listen on; 0 takes a free one.", min=0)] = 5050,
):
    """Deal out the work of making batches to workers. Ends with Ctrl-C.

    Example: mm-keras data-service dispatcher --port 5050
    """
    from mm_keras.data.service import start_dispatcher, wait_for_stop

    server = start_dispatcher(port)
    typer.echo(f"Dispatcher ready. In the spec: input: {{service: {server.target}}}")
    wait_for_stop()


@data_service.command()
def worker(
    dispatcher: Annotated[str, typer.Option(metavar="HOST:PORT", help="Where the dispatcher answers.")],
    port: Annotated[int, typer.Option(help="Port to listen on; 0 takes a free one.", min=0)] = 0,
    host: Annotated[str | None, typer.Option(help="Name by which trainers reach this machine.")] = None,
):
    """Read and decode rows for trainings elsewhere. Ends with Ctrl-C.

    The files must have the same paths here as where the training runs.

    Example: mm-keras data-service worker --dispatcher input-host:5050
    """
    # The operators of the pipeline's graphs are registered by these imports.
    from mm_keras.data import pipeline  # noqa: F401
    from mm_keras.data.service import start_worker, wait_for_stop

    server, known = start_worker(dispatcher, port, host)
    typer.echo(f"Worker ready on {known}, for the dispatcher at {dispatcher}.")
    wait_for_stop()
    del server


def schema():
    """Print the JSON schema of spec.yaml, for editors.

    Example: mm-keras schema > spec.schema.json
    """
    import json

    from mm_keras.spec_file import spec_schema

    typer.echo(json.dumps(spec_schema(), indent=2))
