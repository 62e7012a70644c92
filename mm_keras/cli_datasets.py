"""The commands that write data sets; `cli.py` puts them on the command line.

Like there, commands import what they need when they run.
"""

from pathlib import Path
from typing import Annotated

import typer

data = typer.Typer(help="Write data sets to try and to compare with.", no_args_is_help=True)


@data.command()
def keypad(
    folder: Annotated[Path, typer.Argument(metavar="OUT", help="Folder to write, new or empty.")],
    rows: Annotated[int, typer.Option(help="Rows, 100 to 1797.")] = 1797,
    empty: Annotated[float, typer.Option(help="Share of the cells of train that are empty.")] = 0.05,
    captions: Annotated[
        bool, typer.Option("--captions", help="Write texts to learn to write too: caption and summary.")
    ] = False,
    sounds: Annotated[
        bool, typer.Option("--sounds", help="Write sounds to learn to make too: key_tones and melody.")
    ] = False,
    seed: Annotated[int, typer.Option(help="The same seed gives the same bytes.")] = 7,
):
    """Write the embedded data set: which key of a telephone keypad was meant, by scan, sound and note.

    Example: mm-keras data keypad keypad --captions --sounds
    """
    from mm_keras import console
    from mm_keras.data.keypad import write_keypad

    manifest = write_keypad(folder, seed, rows, empty, captions, sounds)
    console.show_paths(console.make_console(), "Written", [manifest])


@data.command()
def dial(
    keypad: Annotated[Path, typer.Argument(metavar="KEYPAD", help="Folder of `data keypad`.")],
    folder: Annotated[Path, typer.Argument(metavar="OUT", help="Folder to write, new or empty.")],
    keys: Annotated[str, typer.Option(help="Digits that are pressed one after another.")] = "2580147369",
    offset: Annotated[float, typer.Option(help="Seconds by which the sound is late; -1 to 1.")] = 0.0,
    fps: Annotated[float, typer.Option(help="Frames a second.")] = 20.0,
    seed: Annotated[int, typer.Option(help="The same seed gives the same bytes.")] = 7,
):
    """Write timed images and the sound of keys that are pressed, to find their offset again.

    Example: mm-keras data dial keypad dialled --offset 0.3
    """
    from mm_keras import console
    from mm_keras.data.keypad_dial import write_dial

    written = write_dial(keypad, folder, keys, offset, fps, seed)
    console.show_paths(console.make_console(), "Written", [written / "frames", written / "sound.wav"])


@data.command()
def avmnist(
    folder: Annotated[Path, typer.Argument(metavar="OUT", help="Folder to write, new or empty.")],
    mnist: Annotated[Path, typer.Option(metavar="DIR", help="MNIST's four idx files, plain or .gz.")],
    fsdd: Annotated[Path, typer.Option(metavar="DIR", help="Recordings {digit}_{speaker}_{take}.wav.")],
    noise: Annotated[Path, typer.Option(metavar="DIR", help="Clips of noise, such as ESC-10.")],
    preset: Annotated[int, typer.Option(help="Principal components kept of an image: 4 or 5.")] = 4,
    train: Annotated[int | None, typer.Option(help="Rows of train; 6000 if not given.")] = None,
    validation: Annotated[int | None, typer.Option(help="Rows of validation; 1000.")] = None,
    test: Annotated[int | None, typer.Option(help="Rows of test; 2000.")] = None,
    full: Annotated[
        bool, typer.Option("--full", help="55,000, 5,000 and 10,000 rows: all of MNIST.")
    ] = False,
    snr: Annotated[
        tuple[float, float], typer.Option(help="Lowest and highest ratio of digit to noise, in decibels.")
    ] = (-10.0, 5.0),
    held_out_speakers: Annotated[
        bool, typer.Option("--held-out-speakers", help="Hold whole speakers out, not only recordings.")
    ] = False,
    spectrogram: Annotated[
        bool, typer.Option("--spectrogram", help="Write the 112x112 spectrogram of each sound too.")
    ] = False,
    seed: Annotated[int, typer.Option(help="The same seed gives the same bytes.")] = 7,
):
    """Build AV-MNIST-R: a written digit with 28 % of its variance, the same one spoken in noise.

    The sources are MNIST, the Free Spoken Digit Dataset and ESC-10, as they are published. Every file is read
    again and compared before OUT appears.

    Example: mm-keras data avmnist --mnist mnist --fsdd fsdd/recordings --noise esc10 avmnist
    """
    from mm_keras import console
    from mm_keras.data import avmnist as builder

    rows = {"train": train, "validation": validation, "test": test}
    rows = {
        **(builder.FULL if full else {}),
        **{name: value for name, value in rows.items() if value is not None},
    }
    settings = builder.Settings(
        **rows,
        preset=preset,
        snr=snr,
        seed=seed,
        held_out_speakers=held_out_speakers,
        spectrogram=spectrogram,
    )
    out = console.make_console()
    with console.working(out, "Starting TensorFlow"):
        from mm_keras import console_avmnist, progress
    bar, task = progress.make_bar(out, "Building", status="steps")
    with bar:
        result = builder.write_avmnist(
            folder,
            mnist,
            fsdd,
            noise,
            settings,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )
    console_avmnist.show_built(out, result)


@data.command()
def check(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="What `mm-keras data avmnist` wrote.")],
):
    """Compare every file of AV-MNIST-R with its checksum.

    Example: mm-keras data check avmnist
    """
    from mm_keras import console, console_avmnist
    from mm_keras.data.avmnist import check_avmnist

    out = console.make_console()
    with console.working(out, "Reading every file"):
        result = check_avmnist(folder)
    console_avmnist.show_checked(out, result)
