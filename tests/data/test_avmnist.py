import csv
import gzip
import hashlib
import json

import numpy as np
import pytest
import tiny_avmnist
from PIL import Image
from scipy.io import wavfile

from mm_keras.data import avmnist, avmnist_files
from mm_keras.data.avmnist import Settings, check_avmnist, write_avmnist

SMALL = Settings(train=40, validation=12, test=20, spectrogram=True)


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    return tiny_avmnist.write_sources(tmp_path_factory.mktemp("sources"))


@pytest.fixture(scope="module")
def built(sources, tmp_path_factory):
    return build(sources, tmp_path_factory.mktemp("avmnist") / "built")


def build(sources, folder, settings=SMALL, **changed):
    write_avmnist(folder, **{**sources, **changed}, settings=settings)
    return folder


def read(folder, name="manifest.csv"):
    with open(folder / name, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def read_both(folder):
    return [
        {**cells, **drawn} for cells, drawn in zip(read(folder), read(folder, "provenance.csv"), strict=True)
    ]


def hash_files(folder):
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def values_by_split(rows, name):
    return {
        split: {row[name] for row in rows if row["split"] == split}
        for split in ("train", "validation", "test")
    }


def assert_apart(values):
    assert all(values.values())
    assert not values["train"] & values["validation"]
    assert not values["train"] & values["test"]
    assert not values["validation"] & values["test"]


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(sources, built, tmp_path):
    again = build(sources, tmp_path / "again")
    assert hash_files(again) == hash_files(built)
    assert len(hash_files(again)) == 3 * 72 + 5
    other = build(sources, tmp_path / "other", Settings(40, 12, 20, seed=8))
    assert (other / "manifest.csv").read_bytes() != (built / "manifest.csv").read_bytes()


def test_manifest_names_every_file_and_tells_nothing_but_the_label(built):
    rows = read(built)
    assert list(rows[0]) == ["id", "image", "audio", "spectrogram", "label", "split"]
    assert [row["split"] for row in rows] == ["train"] * 40 + ["validation"] * 12 + ["test"] * 20
    named = {row[name] for row in rows for name in ("image", "audio", "spectrogram")}
    assert named == {name for name in hash_files(built) if "/" in name}
    assert len(named) == 3 * 72


def test_files_are_grey_images_a_second_of_pcm_and_spectrograms(built):
    row = read(built)[-1]
    image = Image.open(built / row["image"])
    assert (image.format, image.mode, image.size) == ("PNG", "L", (28, 28))
    rate, sound = wavfile.read(built / row["audio"])
    assert (rate, sound.shape, sound.dtype) == (8000, (8000,), np.int16)
    assert np.abs(sound.astype(int)).max() == round(0.9 * 32767)
    spectrogram = np.load(built / row["spectrogram"])
    assert (spectrogram.shape, spectrogram.dtype, spectrogram.max()) == ((112, 112), np.uint8, 255)


def test_no_spectrogram_unless_asked_for(sources, tmp_path):
    folder = build(sources, tmp_path / "plain", Settings(40, 12, 20))
    assert list(read(folder)[0]) == ["id", "image", "audio", "label", "split"]
    assert not (folder / "spectrograms").exists()


def test_splits_share_no_image_recording_noise_or_origin_of_noise(built):
    rows = read_both(built)
    for row in rows:
        row["picture"] = (row["mnist_part"], row["mnist_index"])
        row["origin"] = row["noise"].split("-")[1]
    for name in ("picture", "recording", "noise", "origin"):
        assert_apart(values_by_split(rows, name))
    assert len({row["picture"] for row in rows}) == len(rows)
    assert {row["mnist_part"] for row in rows if row["split"] == "test"} == {"t10k"}


def test_held_out_speakers_stand_in_one_split(sources, tmp_path):
    folder = build(sources, tmp_path / "held", Settings(40, 12, 20, held_out_speakers=True))
    speakers = values_by_split(read_both(folder), "speaker")
    assert_apart(speakers)
    assert json.loads((folder / "recipe.json").read_text())["speakers"]["test"] == sorted(speakers["test"])


def test_without_held_out_speakers_each_is_in_train_and_test(built):
    speakers = values_by_split(read_both(built), "speaker")
    assert speakers["train"] == {"ann", "bob", "cy"} >= speakers["test"]


def test_label_image_and_sound_agree_in_the_written_files(sources, built):
    # Images are ten levels of grey, and recordings tones of ten pitches: the files tell what they are.
    for row in read_both(built):
        truth = tiny_avmnist.label_of(sources["mnist"], row["mnist_part"], int(row["mnist_index"]))
        assert int(row["label"]) == truth == int(row["recording"][0])
        _, sound = wavfile.read(built / row["audio"])
        assert tiny_avmnist.hear(sound) == int(row["label"])
        image = np.array(Image.open(built / row["image"]), dtype=float)
        assert tiny_avmnist.see(image) == int(row["label"])


@pytest.mark.parametrize("fault", ["image", "audio"])
def test_a_row_whose_label_is_not_that_of_its_files_is_refused(sources, tmp_path, monkeypatch, fault):
    plan = avmnist.plan_rows

    def plan_wrong(*arguments):
        first, *rest = plan(*arguments)
        if fault == "image":
            second = next(row for row in rest if row.label != first.label)
            return [avmnist.Row(**{**vars(first), "mnist_index": second.mnist_index}), *rest]
        second = next(row for row in rest if row.label != first.label)
        return [avmnist.Row(**{**vars(first), "recording": second.recording}), *rest]

    monkeypatch.setattr(avmnist, "plan_rows", plan_wrong)
    with pytest.raises(ValueError, match="`write_avmnist` expects the label of a row to be that of image"):
        build(sources, tmp_path / "wrong")
    assert not list(tmp_path.iterdir())


def test_files_in_another_order_than_their_rows_are_refused(sources, tmp_path, monkeypatch):
    write = avmnist._for_each

    def write_shifted(function, items, count):
        if function.__name__ == "write":
            paths = {row.id: other for row, other in zip(items, [*items[1:], items[0]], strict=True)}
            make = avmnist.RowFiles.contents
            with monkeypatch.context() as patch:
                patch.setattr(avmnist.RowFiles, "contents", lambda self, row: make(self, paths[row.id]))
                return write(function, items, count)
        return write(function, items, count)

    monkeypatch.setattr(avmnist, "_for_each", write_shifted)
    with pytest.raises(ValueError, match="`write_avmnist` expects every file as it was made"):
        build(sources, tmp_path / "shifted")


def test_components_are_fitted_on_train_alone(sources, built, tmp_path):
    unlike = tiny_avmnist.write_sources(tmp_path / "sources", seed=5)
    mixed = tmp_path / "mixed"
    mixed.mkdir()
    for name in ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"):
        (mixed / name).write_bytes((sources["mnist"] / name).read_bytes())
    for name in ("t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"):
        (mixed / name).write_bytes((unlike["mnist"] / name).read_bytes())
    before, after = hash_files(built), hash_files(build(sources, tmp_path / "other_test", mnist=mixed))
    for name, digest in before.items():
        if name.startswith(("images/train", "images/validation")):
            assert after[name] == digest
    assert any(after[name] != before[name] for name in before if name.startswith("images/test"))


def test_an_image_keeps_what_four_components_of_train_tell(sources, built):
    images, _ = tiny_avmnist.read_part(sources["mnist"], "train")
    rows = read_both(built)
    train = [images[int(row["mnist_index"])] for row in rows if row["split"] == "train"]
    pixels = np.array(train, dtype=float).reshape(-1, 784)
    mean = pixels.mean(axis=0)
    _, _, directions = np.linalg.svd(pixels - mean, full_matrices=False)
    row = next(row for row in rows if row["split"] == "validation")
    pixel = images[int(row["mnist_index"])].reshape(784).astype(float)
    expected = mean + (pixel - mean) @ directions[:4].T @ directions[:4]
    found = np.array(Image.open(built / row["image"]), dtype=float).reshape(784)
    np.testing.assert_allclose(found, expected.clip(0, 255), atol=0.5001)  # Half a level: pixels are whole.


def test_more_rows_of_train_leave_the_sounds_of_test_as_they_are(sources, built, tmp_path):
    more = build(sources, tmp_path / "more", Settings(60, 12, 20, spectrogram=True))
    before, after = hash_files(built), hash_files(more)
    tests = [name for name in before if name.startswith("audio/test")]
    assert len(tests) == 20
    assert all(after[name] == before[name] for name in tests)


def test_checksums_are_those_of_the_files_and_of_sha256sum(built):
    content = json.loads((built / "checksums.json").read_text())
    files = hash_files(built)
    del files["checksums.json"]
    assert content["files"] == files
    lines = "".join(f"{files[name]}  {name}\n" for name in sorted(files))
    assert content["digest"] == hashlib.sha256(lines.encode()).hexdigest()
    assert check_avmnist(built)["digest"] == content["digest"]
    assert check_avmnist(built)["files"] == len(files)


@pytest.mark.parametrize("fault", ["missing", "added", "changed", "digest"])
def test_a_folder_that_is_not_as_it_was_written_is_refused(sources, tmp_path, fault):
    folder = build(sources, tmp_path / "built", Settings(10, 2, 2))
    if fault == "missing":
        (folder / "images/train/00003.png").unlink()
    elif fault == "added":
        (folder / "notes.txt").write_text("mine")
    elif fault == "changed":
        path = folder / "audio/test/00000.wav"
        path.write_bytes(path.read_bytes()[:-2] + b"\x01\x02")
    else:
        path = folder / "checksums.json"
        path.write_text(path.read_text().replace(json.loads(path.read_text())["digest"], "0" * 64))
    words = {"missing": "00003.png", "added": "notes.txt", "changed": "00000.wav", "digest": "checksums.json"}
    with pytest.raises(ValueError, match=f"`check_avmnist` expects .*{words[fault]}"):
        check_avmnist(folder)


def test_a_folder_without_checksums_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"a folder with checksums\.json"):
        check_avmnist(tmp_path)


@pytest.mark.parametrize("there", ["file", "folder"])
def test_a_folder_that_holds_anything_is_refused_and_kept(sources, tmp_path, there):
    path = tmp_path / "out"
    kept = path if there == "file" else path / "mine.txt"
    kept.parent.mkdir(exist_ok=True)
    kept.write_text("mine")
    with pytest.raises(ValueError, match="`write_avmnist` expects a new or an empty folder"):
        build(sources, path)
    assert kept.read_text() == "mine"
    assert [entry.name for entry in tmp_path.iterdir()] == ["out"]


def test_an_empty_folder_is_filled(sources, tmp_path):
    assert (build(sources, tmp_path, Settings(10, 2, 2)) / "manifest.csv").is_file()


def test_a_build_that_fails_leaves_nothing(sources, tmp_path, monkeypatch):
    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr(avmnist_files, "encode_wav", fail)
    with pytest.raises(OSError, match="disk full"):
        build(sources, tmp_path / "built")
    assert not list(tmp_path.iterdir())


def test_progress_ends_at_its_total(sources, tmp_path):
    seen = []
    write_avmnist(tmp_path, **sources, settings=Settings(10, 2, 2), progress=lambda *step: seen.append(step))
    assert seen[-1] == (28, 28)


def test_recipe_and_readme_say_how_it_was_made(built):
    recipe = json.loads((built / "recipe.json").read_text())
    rows = read_both(built)
    for name in ("recording", "noise"):
        counts = {split: len(values) for split, values in values_by_split(rows, name).items()}
        assert recipe[f"{name}s"] == counts
    assert (recipe["train"], recipe["seed"], recipe["snr"]) == (40, 7, [-10.0, 5.0])
    assert 0 < recipe["kept_variance"] <= 1
    text = (built / "README.txt").read_text()
    for words in ("40 train, 12 validation, 20 test", "CC BY-SA 3.0", "CC BY-SA 4.0", "CC BY 3.0", "(Hann)"):
        assert words in text


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"train": 3}, r"`train` to be an int >= 4\. Received: train=3\."),
        ({"validation": 0}, r"Received: validation=0\."),
        ({"test": 2.0}, r"Received: test=2\.0\."),
        ({"seed": -1}, r"`seed` to be an int >= 0\."),
        ({"preset": 6}, r"`preset` in `4`, `5`\. Received: preset=6\."),
        ({"snr": (5, -10)}, r"`snr` to be \(lowest, highest\)"),
        ({"snr": (float("nan"), 5)}, r"`snr` to be \(lowest, highest\)"),
    ],
)
def test_an_argument_out_of_range_is_refused(arguments, text):
    with pytest.raises(ValueError, match=text):
        Settings(**arguments)


def test_gz_and_plain_files_give_the_same(sources, built, tmp_path):
    plain = tmp_path / "plain"
    plain.mkdir()
    for path in sources["mnist"].iterdir():
        content = path.read_bytes()
        name = path.name.removesuffix(".gz")
        (plain / name).write_bytes(gzip.decompress(content) if path.suffix == ".gz" else content)
    assert hash_files(build(sources, tmp_path / "again", mnist=plain)) == hash_files(built)
