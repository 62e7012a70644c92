import gzip
import shutil

import numpy as np
import pytest
import tiny_avmnist
from hypothesis import given
from hypothesis import strategies as st

from mm_keras.data import avmnist_sources
from mm_keras.data.avmnist_sources import (
    loudest_second,
    read_clips,
    read_mnist,
    read_recordings,
    second_powers,
)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return tiny_avmnist.write_sources(tmp_path_factory.mktemp("sources"))


@pytest.fixture
def sources(whole, tmp_path):
    """A copy of the sources to break."""
    return {name: shutil.copytree(path, tmp_path / name) for name, path in whole.items()}


def test_idx_files_are_read_as_they_were_written(whole):
    parts = read_mnist(whole["mnist"])
    for part, count in tiny_avmnist.IMAGES.items():
        images, labels = tiny_avmnist.read_part(whole["mnist"], part)
        np.testing.assert_array_equal(parts[part][0], images)
        np.testing.assert_array_equal(parts[part][1], labels)
        assert images.shape == (count, 28, 28)


def test_the_other_spelling_of_idx_names_is_read(sources):
    path = sources["mnist"] / "train-images-idx3-ubyte"
    path.rename(path.with_name("train-images.idx3-ubyte"))
    assert len(read_mnist(sources["mnist"])["train"][0]) == 120


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"\0\0\x08\x01" + bytes(12), r"an idx file of 3 axes of uint8, which begins with 00 00 08 03"),
        (b"\x89PNG", r"with 89 50 4e 47"),
        (b"", r"an idx file of 3 axes"),
        (b"\0\0\x08\x03\0\0\0\x01", r"\(1, 0, 0\) numbers, as its header says.*, with 0\."),
        (b"\0\0\x08\x03" + b"\xff" * 12, r"4294967295, 4294967295\) numbers"),
        (b"\0\0\x08\x03\0\0\0\x01\0\0\0\x1c\0\0\0\x1c" + bytes(783), r"with 783"),
        (
            b"\0\0\x08\x03\0\0\0\x01\0\0\0\x1c\0\0\0\x1c" + bytes(784),
            r"as many labels 0 to 9 as images of 28x28",
        ),
    ],
    ids=["other axes", "other type", "empty", "cut header", "huge", "cut", "other count"],
)
def test_a_wrong_idx_file_is_named(sources, content, text):
    (sources["mnist"] / "train-images-idx3-ubyte").write_bytes(content)
    with pytest.raises(ValueError, match=text):
        read_mnist(sources["mnist"])


@pytest.mark.parametrize(
    "content", [b"no gzip", gzip.compress(bytes(100))[:-10], b"\x1f\x8b\x08\0" + bytes(60)]
)
def test_a_damaged_gz_is_named(sources, content):
    path = sources["mnist"] / "t10k-labels-idx1-ubyte.gz"
    path.write_bytes(content)
    with pytest.raises(
        ValueError, match=r"`write_avmnist` expects idx files that can be read\. .*t10k-labels"
    ):
        read_mnist(sources["mnist"])


def test_a_label_above_nine_is_refused(sources):
    tiny_avmnist.write_idx(sources["mnist"] / "train-labels-idx1-ubyte", np.full(120, 10, np.uint8))
    with pytest.raises(ValueError, match="labels .* up to 10"):
        read_mnist(sources["mnist"])


def test_a_missing_idx_file_is_named(sources):
    (sources["mnist"] / "t10k-images-idx3-ubyte.gz").unlink()
    with pytest.raises(
        ValueError, match=r"Put `t10k-images-idx3-ubyte` or `t10k-images-idx3-ubyte\.gz` there\."
    ):
        read_mnist(sources["mnist"])


@pytest.mark.parametrize("read", [read_mnist, read_recordings, read_clips])
def test_a_missing_folder_and_a_file_are_refused(tmp_path, read):
    (tmp_path / "file").write_text("mine")
    for name, words in (("nowhere", "is not there"), ("file", "is a file")):
        with pytest.raises(ValueError, match=f"to be a folder of .*{name}', which {words}"):
            read(tmp_path / name)


def test_recordings_are_known_by_their_names(whole):
    recordings = read_recordings(whole["fsdd"])
    assert len(recordings) == 90
    first = recordings[0]
    assert (first.name, first.kind, first.group, len(first.samples)) == ("0_ann_0.wav", 0, "ann", 800)


def test_a_digit_without_recordings_is_named(sources):
    for path in sources["fsdd"].glob("[37]_*"):
        path.unlink()
    (sources["fsdd"] / "notes.wav").write_bytes(b"no digit: not read")
    with pytest.raises(ValueError, match=r"with no recording of 3, 7\."):
        read_recordings(sources["fsdd"])


@pytest.mark.parametrize("read", [read_recordings, read_clips])
@pytest.mark.parametrize(
    ("write", "text"),
    [
        (lambda path: path.write_bytes(b"RIFF"), "sounds that can be read"),
        (lambda path: tiny_avmnist.write_wav(path, np.zeros(4000)), "sounds that can be heard"),
        (lambda path: tiny_avmnist.write_wav(path, np.zeros(0)), "sounds that can be heard"),
        (lambda path: path.write_bytes(path.read_bytes()[:900]), "whole sounds"),
    ],
    ids=["damaged", "silent", "empty", "cut"],
)
def test_a_sound_that_is_damaged_or_silent_is_named(sources, read, write, text):
    folder = sources["fsdd"]
    write(folder / "4_ann_1.wav")
    with pytest.raises(ValueError, match=f"{text}.*4_ann_1.wav"):
        read(folder)


def test_stereo_of_another_rate_becomes_mono_at_8000(tmp_path):
    time = np.arange(44100) / 44100
    stereo = np.stack([0.8 * np.sin(2 * np.pi * 500 * time), np.zeros(44100)], axis=1)
    tiny_avmnist.write_wav(tmp_path / "tone.wav", stereo, rate=44100)
    clip = read_clips(tmp_path)[0]
    assert clip.samples.shape == (8000,)
    expected = 0.4 * np.sin(2 * np.pi * 500 * np.arange(8000) / 8000)
    # The ends ring: there a resampler does not know what came before.
    np.testing.assert_allclose(clip.samples[200:-200], expected[200:-200], atol=2e-3)


def test_clips_of_one_origin_share_a_group_and_other_names_are_origins_themselves(whole, tmp_path):
    groups = {clip.name: (clip.group, clip.kind) for clip in read_clips(whole["noise"])}
    assert groups["1-1000-A-0.wav"] == groups["1-1000-B-0.wav"] == ("1000", "0")
    shutil.copy(whole["noise"] / "1-1000-A-0.wav", tmp_path / "rain.wav")
    assert read_clips(tmp_path)[0].group == "rain.wav"


def test_a_folder_without_clips_is_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ValueError, match="`noise` to hold clips of noise"):
        read_clips(tmp_path)


def test_a_copy_under_another_name_is_left_out(sources):
    shutil.copy(sources["noise"] / "1-1000-A-0.wav", sources["noise"] / "zz.wav")
    assert "zz.wav" not in {clip.name for clip in read_clips(sources["noise"])}


def test_a_long_clip_gives_its_beginning(tmp_path, monkeypatch):
    monkeypatch.setattr(avmnist_sources, "CLIP_SECONDS", 1)
    tiny_avmnist.write_wav(tmp_path / "long.wav", tiny_avmnist.tone(1, 20000) * 0.5)
    assert len(read_clips(tmp_path)[0].samples) == 8000


def test_digests_tell_every_change():
    parts = {part: (np.zeros((2, 28, 28), np.uint8), np.zeros(2, int)) for part in ("train", "t10k")}
    before = avmnist_sources.digest_mnist(parts)
    parts["train"][1][1] = 3
    assert avmnist_sources.digest_mnist(parts) != before
    sound = avmnist_sources.Sound("a.wav", 1, "ann", np.ones(4, np.float32))
    digests = {
        avmnist_sources.digest_sounds([sound]),
        avmnist_sources.digest_sounds([avmnist_sources.Sound("b.wav", 1, "ann", sound.samples)]),
        avmnist_sources.digest_sounds([avmnist_sources.Sound("a.wav", 1, "ann", 2 * sound.samples)]),
    }
    assert len(digests) == 3


@given(st.integers(1, 20000), st.integers(0, 2**32 - 1))
def test_the_loudest_second_has_no_louder_one(count, seed):
    random = np.random.default_rng(seed)
    samples = (random.normal(size=count) * np.repeat(random.uniform(0, 1, 100), 200)[:count]).astype(
        np.float32
    )
    found = loudest_second(samples)
    if count <= 8000:
        assert found is samples
        return
    place = random.integers(count - 8000 + 1)
    other = np.mean(np.square(samples[place : place + 8000], dtype=np.float64))
    np.testing.assert_allclose(second_powers(samples)[place], other, rtol=1e-9, atol=1e-12)
    assert len(found) == 8000
    assert np.mean(np.square(found, dtype=np.float64)) >= other * (1 - 1e-9)
