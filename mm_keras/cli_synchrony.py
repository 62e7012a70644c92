"""The commands that compare modalities in the space that they share; `cli.py` puts them on the command line.

Like there, commands import what they need when they run.
"""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

Anchor = StrEnum("Anchor", ["start", "middle", "end"])
Model = Annotated[
    str,
    typer.Argument(
        metavar="MODEL", help="A run folder, a SavedModel's folder or a .tflite file.", show_default=False
    ),
]


def sync(
    model: Model,
    frames: Annotated[
        Path, typer.Argument(metavar="FRAMES", help="Folder of images named by their seconds: 12.40.png.")
    ],
    sound: Annotated[Path, typer.Argument(metavar="SOUND", help="WAV, FLAC, OGG or MP3 file.")],
    fps: Annotated[
        float | None, typer.Option(help="Frames a second, of images that come in the order of their names.")
    ] = None,
    most: Annotated[float, typer.Option(help="Largest offset to look for, to both sides (seconds).")] = 2.0,
    hop: Annotated[float, typer.Option(help="Step between offsets (seconds).")] = 0.02,
    anchor: Annotated[
        Anchor, typer.Option(help="Where in its sound the image of a row stands, in the training table.")
    ] = Anchor.middle,
    folder: Annotated[Path, typer.Option(help="Where sync.json and sync.png are written.")] = Path("sync"),
):
    """Find by how much a sound is late against timed images.

    The model has a contrastive output of an image and a sound.

    Example: mm-keras sync runs/match frames/ sound.wav --most 1
    """
    from mm_keras import console, console_answers

    out = console.make_console()
    with console.working(out, "Starting TensorFlow"):
        from mm_keras.prediction import load_predictor
        from mm_keras.synchrony import synchronise
        from mm_keras.synchrony_report import write_sync

        predictor = load_predictor(model)
    with console.working(out, "Comparing"):
        result = synchronise(predictor, frames, sound, fps, most, hop, anchor.value)
        paths = write_sync(result, folder)
    console_answers.show_sync(out, result)
    console.show_paths(out, "Written", paths)


def retrieve(
    model: Model,
    arguments: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="MANIFEST --MODALITY VALUE",
            help="A CSV table to look in, and one example: a path, a text or numbers of a modality.",
        ),
    ] = None,
    to: Annotated[
        str, typer.Option(help="The modality of the table that is looked for.", show_default=False)
    ] = "",
    top: Annotated[int, typer.Option(help="How many are found.", min=1)] = 5,
    output: Annotated[Path | None, typer.Option(help=".csv or .jsonl file for what is found.")] = None,
):
    """Find the cells of a table that belong best to one example, such as the sound of an image.

    Example: mm-keras retrieve runs/match manifest.csv --image a.png --to audio --top 3
    """
    from mm_keras import answer_table, answers, console, console_answers

    model, manifest, options = answers.parse_arguments([model, *(arguments or [])], "retrieve", both=True)
    answers.check_output(output)
    out = console.make_console()
    with console.working(out, "Starting TensorFlow"):
        from mm_keras import progress
        from mm_keras.prediction import load_predictor
        from mm_keras.synchrony import retrieve as find

        predictor = load_predictor(model)
    answers.check_modality("--to", to, predictor.preprocessor)
    example = answers.read_example(options, predictor.preprocessor, "retrieve")
    rows = answers.read_rows(predictor, manifest)
    with progress.counting(out, "Comparing", len(rows.lines)) as advance:
        found = find(predictor, example, rows, to, top, advance)
    console_answers.show_found(out, found, to)
    if output:
        answer_table.write_records(output, found)
        console.show_paths(out, "Written", [output])
