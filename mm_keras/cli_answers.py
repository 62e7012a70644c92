"""The commands that ask a model; `cli.py` puts them on the command line.

Like there, commands import what they need when they run.
"""

from pathlib import Path
from typing import Annotated

import typer

Arguments = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[MANIFEST] [--MODALITY VALUE]",
        help="A CSV table, or one example: a path, a text or numbers (1.5,2) for each modality of the "
        "model, under the modality's own name.",
    ),
]


def predict(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL", help="A run folder, a SavedModel's folder or a .tflite file.", show_default=False
        ),
    ],
    arguments: Arguments = None,
    output: Annotated[
        Path | None,
        typer.Option(
            help=".csv or .jsonl file for all rows: line, id, label (OUTPUT), its score (OUTPUT_score), the "
            "score of each class (OUTPUT:CLASS); number of a regression (OUTPUT, or OUTPUT:COLUMN)."
        ),
    ] = None,
):
    """Answer one example or the rows of a manifest.

    What is not given is taken as missing.

    Examples:

    mm-keras predict runs/keypad --image a.png --note "seven I think"

    mm-keras predict saved_models/keypad/serving keypad/manifest.csv --output answers.csv
    """
    from mm_keras import console_answers

    _answer("predict", model, arguments, output, None, console_answers.show_example)


def generate(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL",
            help="A run folder or a SavedModel's folder; for all but captions also a .tflite file.",
            show_default=False,
        ),
    ],
    arguments: Arguments = None,
    to: Annotated[
        str | None,
        typer.Option(
            help="What is written, such as image,audio: caption and speech outputs, and modalities that an "
            "autoencoder rebuilds; default: all."
        ),
    ] = None,
    sample: Annotated[
        bool, typer.Option("--sample", help="Draw the texts, instead of searching for the best ones.")
    ] = False,
    seed: Annotated[int, typer.Option(help="With --sample: the same seed draws the same texts.")] = 0,
    temperature: Annotated[
        float, typer.Option(help="With --sample: below 1 the likely becomes likelier.")
    ] = 1.0,
    top_p: Annotated[
        float, typer.Option(help="With --sample: draw among the likeliest that have this share together.")
    ] = 0.9,
    folder: Annotated[
        Path, typer.Option(help="Where files are written: OUTPUT.wav, of a manifest OUTPUT/LINE.wav.")
    ] = Path("generated"),
    output: Annotated[
        Path | None,
        typer.Option(
            help=".csv or .jsonl file for all rows: line, id, texts (OUTPUT:1) and their scores, paths of "
            "files (OUTPUT, OUTPUT_MODALITY)."
        ),
    ] = None,
):
    """Write texts, sounds and missing modalities for one example or for the rows of a manifest.

    Of each caption output there are several texts, as `beams` of the spec says. Scores are log-probabilities;
    of a search they are divided by the length penalty, best first. What is not given is taken as missing.

    Examples:

    mm-keras generate runs/captions --image a.png

    mm-keras generate runs/speech --text "good morning" --folder spoken

    mm-keras generate runs/imagine --audio a.wav --to image,note

    mm-keras generate saved_models/captions/serving manifest.csv --sample --seed 3 --output texts.jsonl
    """
    from mm_keras import console_answers

    names = None if to is None else [name.strip() for name in to.split(",") if name.strip()]
    settings = {"to": names, "sample": sample, "seed": seed, "temperature": temperature, "top_p": top_p}
    _answer("generate", model, arguments, output, settings, console_answers.show_written, folder)


def impute(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL", help="A run folder, a SavedModel's folder or a .tflite file.", show_default=False
        ),
    ],
    manifest: Annotated[Path, typer.Argument(metavar="MANIFEST", help="A CSV table.", show_default=False)],
    output: Annotated[
        Path,
        typer.Argument(
            metavar="OUTPUT", help="A new .csv file in the folder of MANIFEST.", show_default=False
        ),
    ],
):
    """Fill in the modalities that rows lack, by an autoencoder, as a new manifest.

    Files that are made lie beside it; its column `imputed` names what was made in each row.

    Example: mm-keras impute runs/imagine data/manifest.csv data/filled.csv
    """
    from mm_keras import answers, console, console_answers

    out = console.make_console()
    with console.working(out, "Starting TensorFlow"):
        from mm_keras import progress
        from mm_keras.imputation import impute_rows
        from mm_keras.prediction import load_predictor

        predictor = load_predictor(model)
    rows = answers.read_rows(predictor, manifest)
    with progress.counting(out, "Filling in", len(rows.lines)) as advance:
        result = impute_rows(predictor, rows, output, advance)
    console_answers.show_imputed(out, result)


def _answer(command, model, arguments, output, settings, show, folder=None):
    """Answers one example or a manifest; with settings, by `Predictor.generate`, which writes into a
    folder."""
    from mm_keras import answer_table, answers, console, console_answers

    model, manifest, options = answers.parse_arguments([model, *(arguments or [])], command)
    answers.check_output(output)
    out = console.make_console()
    with console.working(out, "Starting TensorFlow"):
        from mm_keras import progress
        from mm_keras.generated_files import write_files
        from mm_keras.generation import Generator
        from mm_keras.prediction import load_predictor

        predictor = load_predictor(model)
        predictor = predictor if settings is None else Generator(predictor, **settings)

    def write(part):
        return part if folder is None else write_files(part, predictor.preprocessor, folder)

    if manifest is None:
        example = answers.read_example(options, predictor.preprocessor, command)
        parts = [write(answers.predict_example(predictor, example))]
        show(out, parts[0].answers, predictor.preprocessor)
        if output:
            answer_table.write_answers(output, parts, predictor.preprocessor)
    else:
        table = answers.read_rows(predictor, manifest)
        if output:
            with progress.counting(out, "Answering", len(table.lines)) as advance:
                parts = map(write, answers.predict_rows(predictor, table, progress=advance))
                answer_table.write_answers(output, parts, predictor.preprocessor)
        else:
            part = write(next(answers.predict_rows(predictor, table, console_answers.MOST_ROWS)))
            console_answers.show_answers(out, part, predictor.preprocessor, len(table.lines))
    if output:
        console.show_paths(out, "Written", [output])
