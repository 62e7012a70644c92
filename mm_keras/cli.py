"""The command line: `mm-keras init, doctor, prepare, train, evaluate, export, predict, generate` and others.

Commands import what they need when they run, so that `--help` does not wait for TensorFlow.
"""

import logging
import os
import sys
import warnings
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from mm_keras import __version__, cli_answers, cli_data, cli_datasets, cli_serving, cli_synchrony

ENVIRONMENT = {
    "TF_CPP_MIN_LOG_LEVEL": "3",  # 2 still prints the "factory already registered" errors of every start.
    "ABSL_MIN_LOG_LEVEL": "3",
    "KERAS_BACKEND": "tensorflow",
    "MPLBACKEND": "Agg",
    "TF_ENABLE_ONEDNN_OPTS": "1",  # Off by default on CPUs without AVX-512, where it is faster too.
}
# For a wrong command line; typer shows them itself. The fourth last class is above all of click's own.
PARSER_ERRORS = (typer.Exit, typer.Abort, typer.BadParameter.__mro__[-4])
DEBUG = "--debug"
OF_ANY_NAME = {"ignore_unknown_options": True}  # Of the model's modalities.

Split = StrEnum("Split", ["train", "validation", "test"])
Format = StrEnum("Format", ["saved_model", "tflite"])
RunArgument = Annotated[
    Path, typer.Argument(metavar="RUN", help="A run folder, or runs/NAME for the newest one.")
]


class Commands(typer.core.TyperGroup):
    """Answers every error with one message and an exit status: 2 what the user can mend, 1 the unexpected."""

    def parse_args(self, ctx, args):
        if DEBUG in args:  # Also behind the command, where people type it.
            args = [DEBUG, *(arg for arg in args if arg != DEBUG)]
        return super().parse_args(ctx, args)

    def invoke(self, ctx):
        try:
            return super().invoke(ctx)
        except (*PARSER_ERRORS, BrokenPipeError):
            raise
        except KeyboardInterrupt as stop:
            _show_error("Stopped", str(stop) or "nothing more is written.")
            raise typer.Exit(130) from None
        except Exception as error:
            if ctx.params.get("debug"):
                raise
            # Messages of the package, and of wrong values and files, are written for the user.
            if isinstance(error, (ValueError, OSError)) or type(error).__module__.startswith("mm_keras."):
                _show_error("Error", str(error))
                raise typer.Exit(2) from None
            last = str(error).strip().rpartition("\n")[2].strip()  # TensorFlow puts its traceback before.
            _show_error("Unexpected error", f"{type(error).__name__}: {last}")
            _show_error("", f"Run it again with {DEBUG} for the traceback.")
            raise typer.Exit(1) from None


app = typer.Typer(
    cls=Commands,
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Multimodal Keras models from a table of images, texts, sounds and numbers; any may be missing.\n\n"
    "Begin with [bold]mm-keras quickstart[/], or with [bold]mm-keras init manifest.csv[/] for your own data.",
)


def main(args=None):
    """Runs the command line; `args` are those of the process, if not given."""
    app(args, prog_name="mm-keras")


def _print_version(wanted: bool):
    if wanted:
        typer.echo(f"mm-keras {__version__}")
        raise typer.Exit


@app.callback()
def _start(
    debug: Annotated[bool, typer.Option(DEBUG, help="Show the traceback of an error.")] = False,
    version: Annotated[
        bool,
        typer.Option("--version", help="Print the version and end.", is_eager=True, callback=_print_version),
    ] = False,
):
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    if not (debug or sys.warnoptions):
        warnings.simplefilter("ignore")
        logging.getLogger("tensorflow").setLevel(logging.CRITICAL)
        logging.getLogger("mm_keras").setLevel(logging.CRITICAL)  # The console shows what it tells.


app.command()(cli_data.init)
app.command()(cli_data.doctor)
app.command()(cli_data.prepare)


@app.command()
def train(
    spec: Annotated[Path, typer.Argument(metavar="SPEC", help="The spec, a YAML file.")],
    runs: Annotated[Path, typer.Option(help="Folder that the run's own folder is made in.")] = Path("runs"),
    epochs: Annotated[int | None, typer.Option(help="Instead of training.epochs.", min=1)] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY.PATH=VALUE", help="Change a value of the spec. May be repeated."),
    ] = None,
):
    """Train the model of a spec.

    Every run has a folder of its own: RUNS/NAME/TIME. Ctrl-C keeps the best epoch so far.

    Example: mm-keras train spec.yaml --epochs 20 --set training.batch_size=128
    """
    from mm_keras import console
    from mm_keras.data.findings import keep_list, list_of_run
    from mm_keras.data.manifest import load_manifest
    from mm_keras.overrides import override

    settings = [*(settings or []), *([f"training.epochs={epochs}"] if epochs else [])]
    out = console.make_console()
    spec = override(spec, settings)
    # Read here too, so that a fault of the table is told before TensorFlow is loaded.
    with keep_list(list_of_run(runs, spec.name)):
        manifest = load_manifest(spec)
    console.show_start(out, spec, manifest)
    with console.working(out, "Starting TensorFlow"):
        from mm_keras import progress
    progress.train_watched(out, spec, runs, manifest)


@app.command()
def evaluate(
    run: RunArgument,
    split: Annotated[Split, typer.Option(help="Rows to evaluate on.")] = Split.test,
    manifest: Annotated[Path | None, typer.Option(help="Another table than the run's own.")] = None,
):
    """Measure a run on its test rows.

    Shows each output, each class and each subset of the modalities, and writes a report into the run folder.

    Example: mm-keras evaluate runs/keypad
    """
    from mm_keras import console, console_evaluation

    out = console.make_console()
    with console.working(out, "Starting TensorFlow"):
        from mm_keras import progress
        from mm_keras.evaluation import draw_captions, draw_rebuilt, draw_sounds, write_page, write_report
        from mm_keras.evaluation import evaluate as evaluate_model
        from mm_keras.run_folder import load_run

        loaded = load_run(run)
    data = progress.read_datasets(out, loaded, manifest)
    with console.working(out, f"Evaluating the {split} rows"):
        result = evaluate_model(loaded.model, loaded.spec, data, split.value)
        paths = write_report(result, loaded.folder)
        for draw in (draw_captions, draw_rebuilt, draw_sounds):
            paths += draw(loaded.model, loaded.spec, data, split.value, loaded.folder)
        page = write_page(result, paths, loaded.folder)
    console_evaluation.show_evaluation(out, result)
    console.show_paths(out, "Report", [page, *(path for path in paths if path.suffix != ".wav")])


@app.command()
def export(
    run: RunArgument,
    output: Annotated[Path | None, typer.Option(help="Folder; saved_models/NAME if not given.")] = None,
    formats: Annotated[
        list[Format] | None, typer.Option("--format", help="Instead of export.formats. May be repeated.")
    ] = None,
):
    """Write a SavedModel and a TFLite file, and prove them.

    Each is loaded in a fresh process and compared with the Keras model; what differs is not kept.

    Example: mm-keras export runs/keypad --format tflite
    """
    from mm_keras import answers, console

    out = console.make_console()
    with console.working(out, "Starting TensorFlow"):
        from mm_keras import progress
        from mm_keras.exporting import export as export_model
        from mm_keras.run_folder import load_run

        loaded = load_run(run)
    if formats:
        loaded.spec.export.formats = list(dict.fromkeys(kind.value for kind in formats))
    data = progress.read_datasets(out, loaded)
    with console.working(out, "Exporting, reloading and comparing"):
        result = export_model(loaded.model, loaded.spec, data, output)
    console.show_export(out, result)
    console.show_commands(out, console.predict_commands(result, answers.example_options(data)))


@app.command()
def quickstart(
    folder: Annotated[Path, typer.Option(help="Where the data set is written.")] = Path("keypad"),
    epochs: Annotated[int | None, typer.Option(help="Fewer are faster and less accurate.", min=1)] = None,
):
    """See it all on a built-in data set, in about four minutes.

    Trains a classifier and an autoencoder, evaluates, exports, and compares the answers of the three models.

    Example: mm-keras quickstart
    """
    from mm_keras import console

    out = console.make_console()
    with console.working(out, "Starting TensorFlow"):
        from mm_keras import progress
        from mm_keras.quickstart import Quickstart
    progress.watch_quickstart(out, Quickstart(folder, epochs=epochs))


app.command(context_settings=OF_ANY_NAME)(cli_answers.predict)
app.command(context_settings=OF_ANY_NAME)(cli_answers.generate)
app.command()(cli_answers.impute)
app.command(context_settings=OF_ANY_NAME)(cli_synchrony.retrieve)
app.command()(cli_synchrony.sync)
app.command()(cli_serving.serve)
app.command()(cli_serving.kit)
app.command()(cli_serving.demo)
app.add_typer(cli_data.bench, name="bench")
app.add_typer(cli_datasets.data, name="data")
app.add_typer(cli_data.data_service, name="data-service")
app.command()(cli_data.schema)


def _show_error(title, text):
    from mm_keras.console import show_error

    show_error(title, text)
