import numpy as np
import pytest
import soundfile

from mm_keras.data.noise import read_noise

RATE = 8000


def write(path, samples, rate=RATE, seed=7):
    path.parent.mkdir(parents=True, exist_ok=True)
    sound = np.random.default_rng(seed).uniform(-0.5, 0.5, samples)
    soundfile.write(path, sound, rate, subtype="PCM_16")
    return sound.astype("float32")


def clips_of(noise):
    bounds = zip(noise.starts.numpy(), noise.lengths.numpy(), strict=True)
    return [noise.samples.numpy()[start : start + length] for start, length in bounds]


def error_of(folder):
    with pytest.raises(ValueError, match="augment.noise.folder") as caught:
        read_noise(folder, RATE)
    return str(caught.value)


def test_every_sound_below_the_folder_is_read_in_the_order_of_names(tmp_path):
    second = write(tmp_path / "straße" / "größe 雨.wav", 30, seed=2)
    first = write(tmp_path / "a.flac", 20, seed=1)
    (tmp_path / "readme.txt").write_text("no sound")
    (tmp_path / "._a.wav").write_bytes(b"what some systems leave beside a file")
    one, other = clips_of(read_noise(str(tmp_path), RATE))
    np.testing.assert_allclose(one, first, atol=1e-4)
    np.testing.assert_allclose(other, second, atol=1e-4)


def test_another_rate_is_resampled(tmp_path):
    write(tmp_path / "a.wav", 1000, rate=2 * RATE)
    assert read_noise(tmp_path, RATE).lengths.numpy().tolist() == [500]


def test_long_files_are_cut_to_what_short_ones_leave(tmp_path):
    whole = write(tmp_path / "long.wav", 1000)
    write(tmp_path / "longer.wav", 2000)
    write(tmp_path / "short.wav", 10)
    noise = read_noise(tmp_path, RATE, most_bytes=4 * 110)
    assert noise.lengths.numpy().tolist() == [50, 50, 10]
    assert len(noise.samples) == 110
    np.testing.assert_allclose(clips_of(noise)[0], whole[:50], atol=1e-4)


def test_more_files_than_memory_has_samples_leave_at_least_one_each(tmp_path):
    for name in "abc":
        write(tmp_path / f"{name}.wav", 50)
    assert read_noise(tmp_path, RATE, most_bytes=4).lengths.numpy().tolist() == [1, 1, 1]


def test_a_folder_that_is_not_there_is_named(tmp_path):
    assert f"Received: {tmp_path / 'gone'}, which is not there. Check the path" in error_of(tmp_path / "gone")


def test_a_file_in_place_of_a_folder_is_named(tmp_path):
    write(tmp_path / "a.wav", 10)
    assert "which is a file" in error_of(tmp_path / "a.wav")


def test_an_empty_folder_is_named(tmp_path):
    assert f"Received: {tmp_path}, which is empty. Put sounds there" in error_of(tmp_path)


def test_a_folder_of_other_files_says_which_endings_are_sounds(tmp_path):
    (tmp_path / "a.txt").write_text("x")
    assert "with 1 other files" in error_of(tmp_path)
    assert ".flac, .mp3" in error_of(tmp_path)


@pytest.mark.parametrize("content", [b"no sound at all", b"", b"RIFF\x00\x00\x00\x00WAVE"])
def test_a_file_that_cannot_be_read_is_named(tmp_path, content):
    write(tmp_path / "a.wav", 10)
    (tmp_path / "schlecht.wav").write_bytes(content)
    assert f"Received: {tmp_path / 'schlecht.wav'}: " in error_of(tmp_path)
    assert "take it out of the folder" in error_of(tmp_path)


def test_a_silent_file_is_named(tmp_path):
    soundfile.write(tmp_path / "still.wav", np.zeros(100), RATE)
    assert f"{tmp_path / 'still.wav'}: only silence" in error_of(tmp_path)
