import csv
import hashlib
import json

import numpy as np
import pytest
from PIL import Image
from scipy.io import wavfile
from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from mm_keras.data import keypad
from mm_keras.data.keypad import write_keypad

HERTZ = (697, 770, 852, 941, 1209, 1336, 1477)
PAIRS = {
    0: (941, 1336), 1: (697, 1209), 2: (697, 1336), 3: (697, 1477), 4: (770, 1209),
    5: (770, 1336), 6: (770, 1477), 7: (852, 1209), 8: (852, 1336), 9: (852, 1477),
}  # fmt: skip


@pytest.fixture(scope="module")
def manifest(tmp_path_factory):
    return write_keypad(tmp_path_factory.mktemp("keypad") / "small", seed=3, rows=300)


def read(manifest):
    with open(manifest, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def hash_files(folder):
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def powers(sound, hertz=HERTZ):
    """The energy at each frequency as a share of the whole sound's, about 1 for one pure tone."""
    time = np.arange(len(sound)) / 8000
    found = np.abs(np.exp(-2j * np.pi * np.outer(hertz, time)) @ sound) ** 2
    return found / max(1, np.sum(sound.astype(float) ** 2))


def test_the_same_seed_gives_the_same_bytes(tmp_path):
    first = write_keypad(tmp_path / "first", seed=3, rows=100)
    again = write_keypad(tmp_path / "again", seed=3, rows=100)
    other = write_keypad(tmp_path / "other", seed=4, rows=100)
    assert hash_files(first.parent) == hash_files(again.parent)
    assert len(hash_files(first.parent)) > 180
    assert first.read_bytes() != other.read_bytes()


def test_manifest_has_a_row_per_key_and_its_files_exist(manifest):
    rows = read(manifest)
    assert manifest.name == "manifest.csv"
    assert list(rows[0]) == ["id", "image", "audio", "note", "label", "split"]
    assert len({row["id"] for row in rows}) == len(rows) == 300
    named = {row[name] for row in rows for name in ("image", "audio")} - {""}
    written = {path for path in hash_files(manifest.parent) if path.endswith((".png", ".wav"))}
    assert named == written


def test_files_are_grey_images_and_half_a_second_of_pcm(manifest):
    row = next(row for row in read(manifest) if row["split"] == "test")
    image = Image.open(manifest.parent / row["image"])
    assert (image.format, image.mode, image.size) == ("PNG", "L", (16, 16))
    rate, sound = wavfile.read(manifest.parent / row["audio"])
    assert (rate, sound.shape, sound.dtype) == (8000, (4000,), np.int16)


def test_splits_hold_every_label_in_equal_shares(manifest):
    rows = read(manifest)
    counts = {split: np.zeros(10, dtype=int) for split in ("train", "validation", "test")}
    for row in rows:
        counts[row["split"]][int(row["label"])] += 1
    assert counts["train"].tolist() == [21] * 10
    assert counts["validation"].tolist() == [3] * 10
    assert counts["test"].tolist() == [6] * 10


def test_no_scan_stands_in_two_rows():
    scans, labels = keypad._choose(1797, np.random.default_rng(0))
    assert len(np.unique(scans.reshape(1797, 64), axis=0)) == 1797
    assert np.bincount(labels).tolist() == np.bincount(load_digits().target).tolist()


def test_only_train_has_empty_cells_one_in_a_row_and_as_many_of_each_modality(manifest):
    rows = read(manifest)
    empty = np.array([[row[name] == "" for name in keypad.MODALITIES] for row in rows])
    train = np.array([row["split"] == "train" for row in rows])
    assert empty[train].sum() == round(0.05 * 3 * train.sum())
    assert empty[train].sum(axis=1).max() == 1
    assert np.ptp(empty[train].sum(axis=0)) <= 1
    assert not empty[~train].any()


def test_empty_zero_fills_every_cell(tmp_path):
    rows = read(write_keypad(tmp_path / "full", rows=100, empty=0))
    assert all(cell for row in rows for cell in row.values())


def test_each_row_has_a_whole_modality_and_each_modality_is_whole_in_two_thirds_of_the_rows():
    splits = np.array(["train"] * 1000 + ["test"] * 200)
    whole = keypad._degrade(splits, np.random.default_rng(0))
    assert whole.any(axis=1).all()
    for split in ("train", "test"):
        np.testing.assert_allclose(whole[splits == split].mean(axis=0), 0.67, atol=0.01)


@pytest.mark.parametrize("label", PAIRS)
def test_a_whole_sound_holds_the_two_tones_of_the_key_and_no_third(label):
    sounds = keypad._play(np.full(5, label), np.ones(5, dtype=bool), np.random.default_rng(0))
    for sound in sounds:
        found = powers(sound)
        assert {HERTZ[i] for i in np.argsort(found)[-2:]} == set(PAIRS[label])
        assert np.sort(found)[-2] > 20 * np.sort(found)[-3]


def test_tones_stand_within_two_hertz_of_the_recommendation():
    around = np.arange(-30, 31)
    for label, pair in PAIRS.items():
        sound = keypad._play(np.array([label]), np.array([True]), np.random.default_rng(label))[0]
        for hertz in pair:
            assert abs(around[np.argmax(powers(sound, hertz + around))]) <= 2


def test_a_sound_that_is_not_whole_holds_one_tone_of_its_key():
    sounds = keypad._play(np.full(40, 5), np.zeros(40, dtype=bool), np.random.default_rng(0))
    strongest = [HERTZ[np.argmax(powers(sound))] for sound in sounds]
    assert set(strongest) == {770, 1336}
    assert all(np.sort(powers(sound))[-1] > 20 * np.sort(powers(sound))[-2] for sound in sounds)


def test_a_sticker_leaves_a_strip_of_the_scan_at_one_side():
    scans = np.full((40, 8, 8), 16.0)
    whole = np.arange(40) % 2 == 0
    images = keypad._draw(scans, whole, np.random.default_rng(0))
    assert (images[whole] == 255).all()
    seen = (images[~whole] == 255).mean(axis=(1, 2))
    assert set(np.round(seen * 16).astype(int)) == {3, 4, 5}
    assert (images[~whole] != 255).any(axis=(1, 2)).all()


def test_scans_are_magnified_linearly():
    weights = keypad._magnifier(2, 2)
    np.testing.assert_allclose(weights @ [0.0, 1.0], [0.0, 0.25, 0.75, 1.0])


def test_misspellings_fit_one_digit_alone():
    typos = keypad._typos()
    everything = [typo for words in typos.values() for typo in words]
    assert len(everything) == len(set(everything))
    assert not set(everything) & set(keypad.WORDS)
    assert "sevne" in typos["seven"]
    assert min(len(words) for words in typos.values()) >= 5


def test_a_whole_note_names_its_digit_and_another_note_fits_several():
    labels = np.repeat(np.arange(10), 200)
    notes = np.array(keypad._note(labels, np.ones(2000, dtype=bool), np.random.default_rng(0)), dtype=object)
    typos = keypad._typos()
    for label in range(10):
        names = {keypad.WORDS[label], keypad.LETTERS[label], *typos[keypad.WORDS[label]]}
        assert all(names & set(note.split()) for note in notes[labels == label])
    fits = {}
    notes = keypad._note(labels, np.zeros(2000, dtype=bool), np.random.default_rng(0))
    for note, label in zip(notes, labels, strict=True):
        fits.setdefault(note, set()).add(label)
    assert min(len(meant) for meant in fits.values()) >= 3
    assert {1, 3, 5, 7, 9} in fits.values()


def test_the_same_folder_is_used_again(tmp_path):
    manifest = write_keypad(tmp_path / "keypad", rows=100)
    image = next((tmp_path / "keypad" / "images").iterdir())
    before = image.stat().st_mtime_ns
    assert write_keypad(tmp_path / "keypad", rows=100) == manifest
    assert image.stat().st_mtime_ns == before
    assert [path.name for path in tmp_path.iterdir()] == ["keypad"]


def test_an_empty_folder_is_filled(tmp_path):
    assert write_keypad(tmp_path, rows=100).is_file()


@pytest.mark.parametrize("change", [{"seed": 8}, {"rows": 101}, {"empty": 0.1}])
def test_a_folder_of_other_arguments_is_refused_and_kept(tmp_path, change):
    manifest = write_keypad(tmp_path, seed=7, rows=100)
    before = manifest.read_bytes()
    with pytest.raises(ValueError, match="`write_keypad` expects `folder` to be new, empty, or"):
        write_keypad(tmp_path, **{"seed": 7, "rows": 100, **change})
    assert manifest.read_bytes() == before


@pytest.mark.parametrize("name", ["manifest.csv", "keypad.json"])
def test_a_foreign_folder_is_refused_and_kept(tmp_path, name):
    (tmp_path / name).write_text("mine")
    with pytest.raises(ValueError, match=r"Choose another folder, or delete this one\."):
        write_keypad(tmp_path, rows=100)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text() == "mine"


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path):
    (tmp_path / "keypad").write_text("mine")
    with pytest.raises(ValueError, match="something else"):
        write_keypad(tmp_path / "keypad", rows=100)


def test_a_write_that_fails_leaves_no_folder(tmp_path, monkeypatch):
    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr(keypad.wavfile, "write", fail)
    with pytest.raises(OSError, match="disk full"):
        write_keypad(tmp_path / "keypad", rows=100)
    assert not list(tmp_path.iterdir())


def test_keypad_json_says_how_the_folder_was_made(manifest):
    made = json.loads((manifest.parent / "keypad.json").read_text())
    assert made == {"data_set": "keypad", "version": 1, "seed": 3, "rows": 300, "empty": 0.05}


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"seed": -1}, r"`seed` to be an int >= 0\. Received: seed=-1\."),
        ({"seed": 1.5}, r"Received: seed=1\.5\."),
        ({"rows": 99}, r"`rows` to be an int in 100\.\.1797\. Received: rows=99\."),
        ({"rows": 1798}, r"Received: rows=1798\."),
        ({"empty": 0.4}, r"`empty` in \[0, 0\.3\]\. Received: empty=0\.4\."),
    ],
)
def test_an_argument_out_of_range_is_refused(tmp_path, arguments, text):
    with pytest.raises(ValueError, match=text):
        write_keypad(tmp_path / "keypad", **arguments)
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_each_modality_tells_60_to_90_percent_and_the_three_over_97(tmp_path):
    manifest = write_keypad(tmp_path / "keypad")
    rows = read(manifest)
    splits = np.array([row["split"] for row in rows])
    labels = np.array([int(row["label"]) for row in rows])
    test = splits == "test"
    sums = np.zeros((len(rows), 10))
    for name, features, model in _simple_models(manifest.parent, rows, splits == "train"):
        seen = (splits == "train") & np.array([row[name] != "" for row in rows])
        scores = np.log(model.fit(features[seen], labels[seen]).predict_proba(features) + 1e-3)
        assert 0.65 < np.mean(scores.argmax(axis=1)[test] == labels[test]) < 0.88, name
        sums += scores
    assert np.mean(sums.argmax(axis=1)[test] == labels[test]) > 0.97


def _simple_models(folder, rows, train):
    images = [np.ravel(Image.open(folder / row["image"])) if row["image"] else np.zeros(256) for row in rows]
    yield "image", np.array(images) / 255, RandomForestClassifier(200, random_state=0)
    sounds = [powers(wavfile.read(folder / r["audio"])[1]) if r["audio"] else np.zeros(7) for r in rows]
    sounds = np.log(np.array(sounds) + 1e-2)
    yield "audio", sounds, RandomForestClassifier(100, min_samples_leaf=3, random_state=0)
    notes = np.array([row["note"] for row in rows], dtype=object)
    vectors = TfidfVectorizer(analyzer="char_wb", ngram_range=(1, 4)).fit(notes[train])
    yield "note", vectors.transform(notes), LogisticRegression(C=100, max_iter=1000)
