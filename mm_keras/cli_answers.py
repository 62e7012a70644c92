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
    from mm_keras import console

    _answer("predict", model, arguments, output, None, console.show_example)


def generate(
    model: Annotated[
        str,
        typer.Argument(metavar="MODEL", help="A run folder or a SavedModel's folder.", show_default=False),
    ],
    arguments: Arguments = None,
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
        Path, typer.Option(help="Where sounds are written: OUTPUT.wav, of a manifest OUTPUT/LINE.wav.")
    ] = Path("generated"),
    output: Annotated[
        Path | None,
        typer.Option(
            help=".csv or .jsonl file for all rows: line, id, texts (OUTPUT:1) and their scores, paths of "
            "sounds (OUTPUT)."
        ),
    ] = None,
):
    """Write texts and sounds for one example or for the rows of a manifest.

    Of each caption output there are several texts, as `beams` of the spec says. Scores are log-probabilities;
    of a search they are divided by the length penalty, best first. What is not given is taken as missing.

    Examples:

    mm-keras generate runs/captions --image a.png

    mm-keras generate runs/speech --text "good morning" --folder spoken

    mm-keras generate saved_models/captions/serving manifest.csv --sample --seed 3 --output texts.jsonl
    """
    from mm_keras import console

    settings = {"sample": sample, "seed": seed, "temperature": temperature, "top_p": top_p}
    _answer("generate", model, arguments, output, settings, console.show_written, folder)


def _answer(command, model, arguments, output, settings, show, folder=None):
    """Answers one example or a manifest; with settings, by `Predictor.generate`, which writes into a
    folder."""
    from mm_keras import answer_table, answers, console

    model, manifest, options = answers.parse_arguments([model, *(arguments or [])], command)
    answers.check_output(output)
    out = console.make_console()
    with console.working(out, "Starting TensorFlow"):
        from mm_keras import progress
        from mm_keras.prediction import Generator, load_predictor
        from mm_keras.sound_files import write_sounds

        predictor = load_predictor(model)
        predictor = predictor if settings is None else Generator(predictor, **settings)

    def write(part):
        return part if folder is None else write_sounds(part, predictor.preprocessor, folder)

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
            part = write(next(answers.predict_rows(predictor, table, console.MOST_ROWS)))
            console.show_answers(out, part, predictor.preprocessor, len(table.lines))
    if output:
        console.show_paths(out, "Written", [output])
