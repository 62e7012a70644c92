"""AV-MNIST-R: handwritten and spoken digits, each made hard, built from sources that anyone can get.

AV-MNIST (Vielzeuf et al. 2018, arXiv:1808.07275; MultiBench, arXiv:2107.07502) is the usual benchmark of
fusion, and its public copies cannot be reproduced. They are arrays without the code that made them: how many
principal components were kept, which recording and which noise made a row, and at what ratio, is not told.
The spoken digits are of TIDIGITS, which is sold. Images and sounds are separate arrays joined by their order,
with one array of labels, so nothing shows that the sound in a row says the digit of its label, nor that a
recording or a noise of train is not in test. Here every row names its sources, splits share none, and labels
are checked in the written files.
"""

import csv
import hashlib
import json
import os
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

from mm_keras.checks import check_choice, listing, message
from mm_keras.data.avmnist_files import RowFiles
from mm_keras.data.avmnist_recipe import make_readme, make_recipe
from mm_keras.data.avmnist_rows import SPLITS, Row, plan_rows
from mm_keras.data.avmnist_sources import OWNER, read_clips, read_mnist, read_recordings

MANIFEST, PROVENANCE, RECIPE, README = "manifest.csv", "provenance.csv", "recipe.json", "README.txt"
CHECKSUMS = "checksums.json"
REPORT = "This is a fault of mm_keras: please report it."
PRESETS = (4, 5)
FULL = {"train": 55_000, "validation": 5_000, "test": 10_000}  # All of MNIST, parted as MultiBench parts it.


@dataclass(frozen=True)
class Settings:
    """What an AV-MNIST-R is built by.

    Args:
        train, validation, test: int > 0. Rows of each split.
        preset: 4 or 5. Principal components that are kept of an image, fitted on the images of train: 28 %
            and 33 % of their variance.
        snr: (lowest, highest). Ratio of spoken digit to noise (decibels), drawn uniformly for each row.
        seed: int >= 0.
        held_out_speakers: bool. Whole speakers are held out for validation and test, instead of recordings.
        spectrogram: bool. Write the 112x112 spectrogram of each sound too.

    Raises: ValueError, if an argument is out of range.
    """

    train: int = 6000
    validation: int = 1000
    test: int = 2000
    preset: int = 4
    snr: tuple = (-10.0, 5.0)
    seed: int = 7
    held_out_speakers: bool = False
    spectrogram: bool = False

    def __post_init__(self):
        check_choice(OWNER, "preset", self.preset, PRESETS)
        for name, least in (("train", self.preset), ("validation", 1), ("test", 1), ("seed", 0)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                fix = f"Pass a whole number of at least {least}."
                raise ValueError(
                    message(OWNER, f"`{name}` to be an int >= {least}", f"{name}={value!r}", fix)
                )
        if not -100 <= self.snr[0] <= self.snr[1] <= 100:
            expected = "`snr` to be (lowest, highest) in -100 to 100 decibels"
            raise ValueError(message(OWNER, expected, f"snr={self.snr!r}", "Pass such as snr=(-10, 5)."))


def write_avmnist(folder, mnist, fsdd, noise, settings=None, progress=None):
    """Builds AV-MNIST-R as a folder like any user's.

    The folder holds `manifest.csv` (id, image, audio, spectrogram if asked for, label, split),
    `images/*/*.png` (28x28, grey), `audio/*/*.wav` (one second, 8000 Hz, 16 bits), `spectrograms/*/*.npy`,
    `provenance.csv` (of each row the image, recording, noise, their places and the ratio; apart from the
    manifest, because the recording's name tells the label), `recipe.json`, `README.txt` and `checksums.json`.
    It is built beside its place and moved there when it is whole. Before that every file is read again and
    compared with what its row in `provenance.csv` makes, and the label with that of its image and of its
    recording.

    Args:
        folder: path. New or empty.
        mnist: path. Folder of MNIST's four idx files, plain or `.gz`.
        fsdd: path. Folder of recordings `{digit}_{speaker}_{take}.wav`.
        noise: path. Folder of clips, such as ESC-10.
        settings: Settings or None.
        progress: callable or None. Called with (steps done, steps in all).

    Returns: dict: folder, digest, recipe, files, bytes.
    Raises: ValueError, if a source lacks something, `folder` holds anything, or a file is not as it was made.
    """
    settings = settings or Settings()
    folder = Path(folder).expanduser().resolve()
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        received = f"{folder}, which is {'not empty' if folder.is_dir() else 'a file'}"
        raise ValueError(message(OWNER, "a new or an empty folder", received, "Name another one."))
    sources = {"mnist": read_mnist(mnist), "fsdd": read_recordings(fsdd), "noise": read_clips(noise)}
    rows = plan_rows(settings, sources["mnist"], sources["fsdd"], sources["noise"])
    files = RowFiles(settings, sources["mnist"], sources["fsdd"], sources["noise"], rows)
    recipe = make_recipe(asdict(settings), sources, rows, files.kept_variance)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as aside:
        written = Path(aside) / "avmnist"
        count = _Count(progress, 2 * len(rows))
        _write(written, rows, files, recipe, count)
        _check_rows(written, sources, files, count)
        result = _write_checksums(written)
        os.replace(written, folder)
    return {**result, "folder": folder, "recipe": recipe}


def check_avmnist(folder):
    """Compares every file of an AV-MNIST-R with its checksum.

    Returns: dict: digest, files, bytes.
    Raises: ValueError, if a file is missing, is another one, or was added.
    """
    folder = Path(folder).expanduser()
    try:
        expected = json.loads((folder / CHECKSUMS).read_text(encoding="utf-8"))
        digests, digest = expected["files"], expected["digest"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        fix = "Name the folder that `mm-keras data avmnist` wrote."
        raise ValueError(_of_check("a folder with checksums.json", f"{folder}: {error}", fix)) from error
    there = _list_files(folder)
    fix = "Build the data set again."
    for what, names in (("missing", digests.keys() - there), ("added", there.keys() - digests)):
        if names:
            received = f"{what}: {listing(sorted(names), 3)}"
            raise ValueError(_of_check("the files of checksums.json", received, fix))
    with ThreadPoolExecutor() as pool:
        found = dict(zip(there, pool.map(_sha256, there.values()), strict=True))
    changed = sorted(name for name in digests if digests[name] != found[name])
    if changed or _digest_of(digests) != digest:
        received = f"changed: {listing(changed or [CHECKSUMS], 3)}"
        raise ValueError(_of_check("every file as it was written", received, fix))
    return _summary(digest, there)


def _write(folder, rows, files, recipe, count):
    for split in SPLITS:
        for path in files.paths(next(row for row in rows if row.split == split)).values():
            (folder / path).parent.mkdir(parents=True)

    def write(row):
        for name, content in files.contents(row).items():
            (folder / files.paths(row)[name]).write_bytes(content)

    _for_each(write, rows, count)
    columns = ["id", *files.columns, "label", "split"]
    _write_table(folder / MANIFEST, columns, ({**asdict(row), **files.paths(row)} for row in rows))
    drawn = [name for name in Row.__dataclass_fields__ if name not in ("split", "label")]
    _write_table(folder / PROVENANCE, drawn, map(asdict, rows))
    (folder / RECIPE).write_text(json.dumps(recipe, indent=1) + "\n", encoding="utf-8")
    (folder / README).write_text(make_readme(recipe), encoding="utf-8")


def _check_rows(folder, sources, files, count):
    """Checks each written row against its sources: its labels, and every byte of its files."""
    manifest, provenance = _read_table(folder / MANIFEST), _read_table(folder / PROVENANCE)
    spoken = {recording.name: recording.kind for recording in sources["fsdd"]}

    def check(pair):
        cells, drawn = pair
        row = _row_of(cells, drawn)
        shown, said = sources["mnist"][row.mnist_part][1][row.mnist_index], spoken[row.recording]
        if (shown, said) != (row.label, row.label):
            received = f"{row.id}: {row.label}, where the image shows {shown} and the sound says {said}"
            expected = "the label of a row to be that of image and sound"
            raise ValueError(message(OWNER, expected, received, REPORT))
        for name, content in files.contents(row).items():
            if (folder / cells[name]).read_bytes() != content:
                fix = "Check the disk, and build it again."
                raise ValueError(message(OWNER, "every file as it was made", f"{cells[name]}, changed", fix))

    _for_each(check, list(zip(manifest, provenance, strict=True)), count)


def _row_of(cells, drawn):
    if cells["id"] != drawn["id"]:
        received = f"{cells['id']} beside {drawn['id']}"
        raise ValueError(message(OWNER, "the same rows in both tables", received, REPORT))
    texts = {**cells, **drawn}
    return Row(**{name: field.type(texts[name]) for name, field in Row.__dataclass_fields__.items()})


def _write_checksums(folder):
    there = _list_files(folder)
    with ThreadPoolExecutor() as pool:
        digests = dict(zip(there, pool.map(_sha256, there.values()), strict=True))
    digest = _digest_of(digests)
    content = json.dumps({"digest": digest, "files": digests}, indent=1)
    (folder / CHECKSUMS).write_text(content + "\n", encoding="utf-8")
    return _summary(digest, there)


def _digest_of(digests):
    """Returns the SHA-256 of what `sha256sum` prints of the files, sorted by name."""
    lines = "".join(f"{digests[name]}  {name}\n" for name in sorted(digests))
    return hashlib.sha256(lines.encode()).hexdigest()


def _summary(digest, files):
    size = sum(path.stat().st_size for path in files.values())
    return {"digest": digest, "files": len(files), "bytes": size}


def _list_files(folder):
    """Returns name -> path of every file but the checksums, sorted by name."""
    paths = (path for path in folder.rglob("*") if path.is_file() and path != folder / CHECKSUMS)
    return dict(sorted((path.relative_to(folder).as_posix(), path) for path in paths))


def _sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _for_each(function, items, count):
    with ThreadPoolExecutor() as pool:
        try:
            for _ in pool.map(function, items):
                count()
        except BaseException:
            pool.shutdown(cancel_futures=True)  # Else an error, or Ctrl-C, waits for every row.
            raise


def _write_table(path, columns, rows):
    with open(path, "w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, columns, extrasaction="ignore", lineterminator="\n")
        table.writeheader()
        table.writerows(rows)


def _read_table(path):
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _of_check(expected, received, fix):
    return message("check_avmnist", expected, received, fix)


class _Count:
    """Counts steps, and tells `progress` of every hundredth and the last."""

    def __init__(self, progress, total):
        self.progress, self.total, self.done = progress, total, 0

    def __call__(self):
        self.done += 1
        if self.progress and (self.done % 100 == 0 or self.done == self.total):
            self.progress(self.done, self.total)
