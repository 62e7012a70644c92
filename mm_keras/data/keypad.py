"""The embedded data set: which key of a telephone keypad was meant, from a scan, a sound and a note."""

import csv
import json
import os
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.io import wavfile
from sklearn.datasets import load_digits

from mm_keras.checks import message
from mm_keras.data.keypad_sounds import COLUMN_HZ, PLACES, RATE, ROW_HZ, as_pcm16, play_keys, play_melodies
from mm_keras.data.keypad_texts import WORDS, write_captions, write_summaries

VERSION = 1
SCANS = 1797  # Of load_digits, each used once.
COLUMNS = ("id", "image", "audio", "note", "label", "split")
MODALITIES = ("image", "audio", "note")
SHARES = {"test": 0.2, "validation": 0.1}  # The rest is train.

IMAGE_SIZE = 16
STICKER = 128  # Mid grey.
SAMPLES = 4000

# Whether image, audio and note are whole, and in which share of the rows. One at least always is.
PATTERNS = np.array([(1, 1, 1), (0, 1, 1), (1, 0, 1), (1, 1, 0), (0, 0, 1), (0, 1, 0), (1, 0, 0)], dtype=bool)
PATTERN_SHARES = (0.28, 0.15, 0.15, 0.15, 0.09, 0.09, 0.09)

LETTERS = (None, None, "abc", "def", "ghi", "jkl", "mno", "pqrs", "tuv", "wxyz")  # ITU-T E.161.
WHOLE_NOTES = (
    "the {} key", "press {}", "it was {}", "key {} please", "dial {}", "i think {}", "number {}", "{}",
)  # fmt: skip
LETTER_NOTES = ("the key with {}", "the one that has {} on it", "letters {}")
PARTIAL_NOTES = ("{}", "it is {}", "i think {}", "not sure but {}", "maybe {}", "key is {}")
ROW_HINTS = ("in the top row", "in the second row", "in the third row", "in the bottom row")
COLUMN_HINTS = ("in the left column", "in the middle column", "in the right column")
TYPO_SHARE = 0.3
LETTER_SHARE = 0.2


def write_keypad(folder, seed=7, rows=SCANS, empty=0.05, captions=False, sounds=False):
    """Writes the keypad data set as a folder like any user's, and returns the path of its manifest.

    The folder holds `images/*.png` (grey, 16x16), `audio/*.wav` (16-bit PCM, 8000 Hz, 0.5 s), `manifest.csv`
    with the columns id, image, audio, note, label, split, and `keypad.json`, which says how it was made.
    In a third of the rows, in every split alike, a modality tells only a part: a sticker leaves a strip of
    the scan, the line carries one tone of the two, or the note names a row, a column, odd or even, small or
    large. At least one modality of a row is always whole, so that the three together tell the digit.
    Some cells of train are empty, one in a row at most; validation and test have none, so that accuracies
    of subsets of modalities are taken over the same rows.

    Args:
        folder: path. Is made. A folder that this function wrote with the same arguments is left as it is.
        seed: int >= 0. The same seed gives the same bytes, under the same versions of the libraries.
        rows: int in 100..1797. Number of rows; each uses a scan of its own, labels balanced.
        empty: float in [0, 0.3]. Share of the cells of train that are empty.
        captions: bool. Write two columns more, texts to learn to write: `caption`, such as "a thin three,
            leaning left", whose words are measured from the scan, with a | between several that fit, and
            `summary`, such as "three: top row, right column". Every modality of each row is whole then: under
            a sticker nothing can be measured.
        sounds: bool. Write two columns more, WAV files to learn to make: `key_tones`, the two tones of the
            key, clean, 0.3 s, and `melody`, the 3 to 6 notes of 0.2 s that each key plays. `keypad_sounds`
            reads them. Every modality of each row is whole then too.

    Returns: pathlib.Path of `manifest.csv`.
    Raises: ValueError, if an argument is out of range, or `folder` holds anything else.
    Source: scans of scikit-learn's `load_digits` (UCI Optical Recognition of Handwritten Digits, test part);
        tones of ITU-T Q.23; letters of ITU-T E.161.
    """
    _check(seed, rows, empty)
    folder = Path(folder).expanduser().resolve()
    made = {"data_set": "keypad", "version": VERSION, "seed": int(seed), "rows": int(rows), "empty": empty}
    made |= {key: True for key, asked in (("captions", captions), ("sounds", sounds)) if asked}
    if _is_reusable(folder, made):
        return folder / "manifest.csv"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as aside:
        written = Path(aside) / "keypad"
        _write(written, made)
        os.replace(written, folder)  # A run that was cut short leaves no half-written folder.
    return folder / "manifest.csv"


def _check(seed, rows, empty):
    def refuse(expected, received, fix):
        raise ValueError(message("write_keypad", expected, received, fix))

    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or seed < 0:
        refuse("`seed` to be an int >= 0", f"seed={seed!r}", "Pass a whole number, such as seed=7.")
    if isinstance(rows, bool) or not isinstance(rows, (int, np.integer)) or not 100 <= rows <= SCANS:
        refuse(f"`rows` to be an int in 100..{SCANS}", f"rows={rows!r}", f"Pass rows={SCANS} for all scans.")
    if isinstance(empty, bool) or not isinstance(empty, (int, float)) or not 0 <= empty <= 0.3:
        refuse("`empty` in [0, 0.3]", f"empty={empty!r}", "Pass a share of the cells, such as empty=0.05.")


def _is_reusable(folder, made):
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return False
    try:
        found = json.loads((folder / "keypad.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        found = "something else"
    if found == made and (folder / "manifest.csv").is_file():
        return True
    expected = f"`folder` to be new, empty, or the keypad data set {made}"
    fix = "Choose another folder, or delete this one."
    raise ValueError(message("write_keypad", expected, f"folder={str(folder)!r} with {found}", fix))


def _write(folder, made):
    seed, rows = made["seed"], made["rows"]
    # One stream a purpose: a change in the notes, say, leaves images and sounds as they are.
    streams = [np.random.default_rng([seed, purpose]) for purpose in range(6)]
    scans, labels = _choose(rows, streams[0])
    splits = _split(labels, streams[1])
    whole = _degrade(splits, streams[2])
    whole |= "captions" in made or "sounds" in made
    texts, played = {}, {}
    if "captions" in made:
        texts = {"caption": write_captions(scans / 16, labels), "summary": write_summaries(labels, PLACES)}
    if "sounds" in made:
        played = {"key_tones": play_keys(labels), "melody": play_melodies(labels)}
    whole = dict(zip(MODALITIES, whole.T, strict=True))
    filled = dict(zip(MODALITIES, _fill(splits, made["empty"], streams[2]).T, strict=True))
    images = _draw(scans, whole["image"], streams[3])
    sounds = _play(labels, whole["audio"], streams[4])
    notes = _note(labels, whole["note"], streams[5])
    for name in ("images", "audio", *played):
        (folder / name).mkdir(parents=True)
    with open(folder / "manifest.csv", "w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow([*COLUMNS, *texts, *played])
        for i in range(rows):
            key = f"k{i:04d}"
            cells = {"image": f"images/{key}.png", "audio": f"audio/{key}.wav", "note": notes[i]}
            if filled["image"][i]:
                Image.fromarray(images[i]).save(folder / cells["image"])
            if filled["audio"][i]:
                wavfile.write(folder / cells["audio"], RATE, sounds[i])
            cells = [cells[name] if filled[name][i] else "" for name in MODALITIES]
            answers = [column[i] for column in texts.values()] + [f"{name}/{key}.wav" for name in played]
            for name, column in played.items():
                wavfile.write(folder / f"{name}/{key}.wav", RATE, column[i])
            table.writerow([key, *cells, labels[i], splits[i], *answers])
    (folder / "keypad.json").write_text(json.dumps(made) + "\n", encoding="utf-8")


def _choose(rows, random):
    """Returns scans `(rows, 8, 8)` in 0..16 and labels `(rows,)`, balanced and in random order."""
    digits = load_digits()
    order = random.permutation(len(digits.target))
    rank = _rank_in_group(digits.target[order])
    chosen = random.permutation(order[np.argsort(rank, kind="stable")[:rows]])
    return digits.images[chosen], digits.target[chosen]


def _rank_in_group(groups):
    """Returns for each element how many of its group stand before it."""
    ranks = np.empty(len(groups), dtype=int)
    for group in np.unique(groups):
        members = np.flatnonzero(groups == group)
        ranks[members] = np.arange(len(members))
    return ranks


def _split(labels, random):
    """Returns the split of each row, in equal shares of every label."""
    splits = np.full(len(labels), "train", dtype=object)
    for label in np.unique(labels):
        members = random.permutation(np.flatnonzero(labels == label))
        start = 0
        for name, share in SHARES.items():
            stop = start + round(share * len(members))
            splits[members[start:stop]] = name
            start = stop
    return splits


def _degrade(splits, random):
    """Returns bool `(rows, 3)`: modality whole or not, each pattern in its share of every split."""
    whole = np.empty((len(splits), len(MODALITIES)), dtype=bool)
    for split in np.unique(splits):
        members = random.permutation(np.flatnonzero(splits == split))
        places = (np.arange(len(members)) + 0.5) / len(members)
        patterns = np.searchsorted(np.cumsum(PATTERN_SHARES[:-1]), places)
        whole[members] = PATTERNS[patterns]
    return whole


def _fill(splits, empty, random):
    """Returns bool `(rows, 3)`: cell filled or not; in train one of a row at most is empty."""
    filled = np.ones((len(splits), len(MODALITIES)), dtype=bool)
    members = random.permutation(np.flatnonzero(splits == "train"))
    members = members[: round(empty * len(MODALITIES) * len(members))]
    filled[members, np.arange(len(members)) % len(MODALITIES)] = False
    return filled


def _draw(scans, whole, random):
    """Returns uint8 `(rows, 16, 16)`: magnified scans; of those not whole, a sticker leaves one strip.

    16 pixels, because three halvings of a convolutional network leave nothing of 8, and 32 tell no more.
    """
    weights = _magnifier(scans.shape[1], IMAGE_SIZE // scans.shape[1])
    images = np.rint(weights @ (scans * 255 / 16) @ weights.T).clip(0, 255).astype(np.uint8)
    sides = random.integers(4, size=len(scans))
    strips = random.integers(3, 6, size=len(scans))  # Pixels: a fifth to a third of the image.
    for i in np.flatnonzero(~whole):
        np.rot90(images[i], sides[i])[:, strips[i] :] = STICKER
    return images


def _magnifier(size, factor):
    """Returns the matrix `(size * factor, size)` that magnifies linearly, pixel centres kept."""
    centres = ((np.arange(size * factor) + 0.5) / factor - 0.5).clip(0, size - 1)
    return np.maximum(0, 1 - np.abs(centres[:, None] - np.arange(size)))


def _play(labels, whole, random):
    """Returns int16 `(rows, 4000)`: the two tones of each key; of those not whole, one tone alone."""
    rows = len(labels)
    rate = (rows, 1)
    low, high = np.array(ROW_HZ)[PLACES[labels, 0]], np.array(COLUMN_HZ)[PLACES[labels, 1]]
    time = np.arange(SAMPLES) / RATE
    onset = random.uniform(0.02, 0.12, rate)
    length = random.uniform(0.20, 0.34, rate)
    ramp = np.minimum(time - onset, onset + length - time) / 0.005  # 5 ms up and down: no clicks.
    level = 10 ** (random.uniform(-20, -8, rate) / 20)
    lost = np.where(whole, -1, random.integers(2, size=rows))
    sounds = random.normal(size=(rows, SAMPLES)) * level * 10 ** (random.uniform(-25, -5, rate) / 20)
    for group, hertz in enumerate((low, high)):
        twist = 10 ** (random.uniform(-2, 2, rate) / 20)
        phase = random.uniform(0, 2 * np.pi, rate)
        tone = np.sin(2 * np.pi * hertz[:, None] * time + phase) * ramp.clip(0, 1) * level * twist
        sounds += tone * (lost != group)[:, None]
    return as_pcm16(sounds)


def _note(labels, whole, random):
    """Returns a list of typed notes; those not whole name only a part of the keypad or a sort of digit."""
    typos = _typos()
    return [
        _whole_note(label, typos, random) if is_whole else _partial_note(label, random)
        for label, is_whole in zip(labels, whole, strict=True)
    ]


def _whole_note(label, typos, random):
    kind = random.random()
    if LETTERS[label] and kind < LETTER_SHARE:
        return random.choice(LETTER_NOTES).format(LETTERS[label])
    word = WORDS[label]
    if random.random() < TYPO_SHARE:
        word = random.choice(typos[word])
    return random.choice(WHOLE_NOTES).format(word)


def _partial_note(label, random):
    row, column = PLACES[label]
    hints = (
        ROW_HINTS[row],
        COLUMN_HINTS[column],
        "an odd digit" if label % 2 else "an even digit",
        "a small digit" if label < 5 else "a large digit",
    )
    # The bottom row holds one digit alone: a note that names it would be whole.
    return random.choice(PARTIAL_NOTES).format(random.choice(hints[1:] if label == 0 else hints))


def _typos():
    """Returns word -> misspellings by one slip of the hand; none fits a second digit."""
    return {word: sorted(_slips(word).difference(WORDS)) for word in WORDS}


def _slips(word):
    swapped = {word[:i] + word[i + 1] + word[i] + word[i + 2 :] for i in range(len(word) - 1)}
    dropped = {word[:i] + word[i + 1 :] for i in range(len(word))}
    doubled = {word[:i] + word[i] + word[i:] for i in range(len(word))}
    return swapped | dropped | doubled
