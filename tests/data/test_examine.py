"""Every file is decoded and measured once; what fails is explained."""

import numpy as np
import pandas as pd
import pytest
import soundfile
from PIL import Image

from mm_keras.data.examine import SILENT, examine_files
from mm_keras.data.manifest import Manifest
from mm_keras.data.records import RecordWriter
from mm_keras.spec_modalities import AudioModality, FeaturesModality, ImageModality

IMAGE = ImageModality(kind="image", size=(12, 12), column="image")
AUDIO = AudioModality(kind="audio", rate=8000, seconds=0.1, column="audio")
VEC = FeaturesModality(kind="features", shape=[3], column="vec")


def examine(modality, paths, records=None, present=None, progress=None):
    """Returns the Files of one modality of rows with these paths, "" = missing."""
    name = modality.column
    present = [[float(path != "")] for path in paths] if present is None else present
    cells = {name: pd.array([str(path) for path in paths], dtype="str")}
    manifest = Manifest(None, None, None, cells, np.array(present, "float32"), records)
    return examine_files(manifest, {name: modality}, 10_000, 100_000, progress)[name]


def save_image(path, pixels, **options):
    Image.fromarray(np.asarray(pixels, "uint8")).save(path, **options)
    return path


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """Paths: an image, it as JPEG, a plain one, it upside down, a copy of it, and one of the JPEG."""
    folder = tmp_path_factory.mktemp("pictures")
    random = np.random.default_rng(7)
    # Of few waves, so that a copy of another quality has the same thumbnail.
    place = np.mgrid[0:40, 0:30] / 12
    waves = np.stack([np.sin(place[0] + k) * np.cos(place[1] * k) for k in (1, 2, 3)], axis=-1)
    pixels = 127 + 100 * waves + random.normal(0, 2, waves.shape)
    paths = [
        save_image(folder / "a.png", pixels),
        save_image(folder / "b.jpg", pixels, quality=60),
        save_image(folder / "c.png", np.full((5, 6, 3), 200)),
        save_image(folder / "d.png", pixels[::-1]),
        folder / "copy.png",
        folder / "hidden.png",
    ]
    paths[4].write_bytes(paths[0].read_bytes())
    paths[5].write_bytes(paths[1].read_bytes())
    return paths


@pytest.fixture(scope="module")
def examined(pictures):
    """(Files, progress calls) of these, then a missing one, the first again, and one that is not present."""
    seen = []
    paths = [*pictures, "", pictures[0], "gone.png"]
    present = [[1.0]] * 6 + [[0], [1], [0]]
    return examine(IMAGE, paths, present=present, progress=lambda *counts: seen.append(counts)), seen


def test_images_have_sizes_and_contents(examined, pictures):
    measures = examined[0].measures
    assert measures["decoded"].all()
    assert measures["width"].tolist() == [30, 30, 6, 30, 30, 30]
    assert measures["height"].tolist() == [40, 40, 5, 40, 40, 40]
    assert measures["bytes"].tolist() == [path.stat().st_size for path in pictures]
    assert measures["blank"].tolist() == [False, False, True, False, False, False]
    assert measures["content"][0] == measures["content"][4]
    assert len(set(measures["content"][:4].tolist())) == 4


def test_images_that_look_alike_have_hashes_of_few_different_bits(examined):
    measures = examined[0].measures
    bits = [bin(int(look) ^ int(measures["look"][0])).count("1") for look in measures["look"]]
    assert bits[1] <= 4 < min(bits[2], bits[3])
    assert measures["thumbnail"].shape == (6, 72, 3)


def test_a_file_of_several_rows_is_read_once_and_a_missing_one_never(examined):
    files, seen = examined
    assert files.of_row.tolist() == [0, 1, 2, 3, 4, 5, -1, 0, -1]
    assert seen[-1] == (6, 6)
    assert not files.faults
    first = np.arange(6) == 0
    assert np.flatnonzero(files.rows_of(first)).tolist() == [0, 7]


def test_a_name_that_hides_another_type_is_noticed(examined):
    endings = examined[0].measures["ending"]
    assert endings[:5].tolist() == [""] * 5
    assert "JPEG" in endings[5]


def test_sounds_have_lengths_and_peaks(tmp_path):
    wave = 0.5 * np.sin(np.arange(4000) / 5)
    for name, samples in (("a.wav", wave), ("b.flac", wave[:1000]), ("c.ogg", wave), ("d.wav", 0 * wave)):
        soundfile.write(tmp_path / name, samples, 8000)
    files = examine(AUDIO, [tmp_path / name for name in ("a.wav", "b.flac", "c.ogg", "d.wav")])
    np.testing.assert_allclose(files.measures["seconds"], [0.5, 0.125, 0.5, 0.5], atol=1e-3)
    peaks = files.measures["peak"]
    np.testing.assert_allclose(peaks[:2], [0.5, 0.5], atol=1e-3)
    assert peaks[3] < SILENT < peaks[2]
    np.testing.assert_allclose(files.measures["rms"][0], np.sqrt((wave[:800] ** 2).mean()), atol=1e-4)


def test_what_cannot_be_decoded_is_told_with_code_and_reason(tmp_path):
    good, short, empty = (tmp_path / name for name in ("good.npy", "short.npy", "empty.npy"))
    np.save(good, np.zeros(3, "float32"))
    np.save(short, np.zeros(2, "float32"))
    empty.touch()
    files = examine(VEC, [good, short, empty, tmp_path / "gone.npy"])
    assert files.measures["decoded"].tolist() == [True, False, False, False]
    assert {number: code for number, (code, _) in files.faults.items() if number < 3} == {
        1: "wrong_shape",
        2: "empty",
    }
    assert "shape" in files.faults[1][1]
    assert "No such file" in files.faults[3][1]


def test_contents_of_record_shards_are_read_once_for_each_name(tmp_path, pictures):
    with RecordWriter(tmp_path / "shards", ["image"]) as writer:
        for row, path in enumerate([pictures[0], pictures[2], pictures[0]]):
            writer.write(row, {"image": path.read_bytes()})
        writer.write(3, {"image": b"\x89PNG\r\n\x1a\n and no more"})
    files = examine(IMAGE, ["a", "c", "a", "broken"], writer.records)
    assert files.measures["decoded"].tolist() == [True, True, False]
    assert files.measures["width"].tolist() == [30, 6, 0]
    assert files.of_row.tolist() == [0, 1, 0, 2]
    assert set(files.faults) == {2}


def test_no_files_are_no_work():
    files = examine(IMAGE, ["", ""])
    assert len(files.paths) == 0
    assert not files.rows_of(np.zeros(0, bool)).any()
