"""What the console prints of a prepared folder."""

import io

import pytest
import tiny
from rich.console import Console

from mm_keras.console_prepare import show_checked, show_prepared
from mm_keras.data.prepare import prepare

RESULT = {
    "folder": "/data/my digits",
    "rows": {"train": 1200, "validation": 34, "test": 0},
    "shards": 3,
    "bytes": 2_500_000,
    "bad_rows": 0,
    "columns": {
        "photo": {"kind": "image", "stored": "bmp", "modality": "photo", "size": [8, 12], "channels": 1},
        "[red]sound": {"kind": "audio", "stored": "pcm16", "modality": "s", "rate": 16000, "samples": 8000},
        "vector": {"kind": "features", "stored": "as it was", "modality": "vector"},
    },
    "kept": 0,
    "finished_before": False,
    "seconds": 2.0,
}


def printed(show, result):
    out = Console(file=io.StringIO(), width=80, markup=False, highlight=False, emoji=False)
    show(out, result)
    return out.file.getvalue()


def test_a_prepared_folder_is_shown_with_what_it_holds_and_what_to_type_next():
    text = "\n".join(line.rstrip() for line in printed(show_prepared, RESULT).splitlines())
    for part in (
        "1,200 train, 34 validation\n",
        "Files   photo: image, BMP, 8 x 12",
        "[red]sound: audio, 16-bit WAV, 16,000 Hz, up to 0.5 s",
        "vector: features, the files as they are",
        "3, 2.5 MB\n",
        "2.0 s, 617 rows/s",
        "Folder  /data/my digits",
        "mm-keras train '/data/my digits/spec.yaml'",
    ):
        assert part in text
    assert "bad rows" not in text and "finished before" not in text


@pytest.mark.slow
@pytest.mark.parametrize("resize", [False, True])
def test_what_prepare_returns_is_shown(resize, tiny_manifest, tmp_path):
    spec = tiny.tiny_spec(tiny_manifest, ("image", "audio", "vec"))
    text = printed(show_prepared, prepare(spec, tmp_path / "prepared", resize=resize))
    assert f"image: image, {'BMP, 8 x 8' if resize else 'the files as they are'}" in text
    assert "audio: audio, 16-bit WAV" in text and "vec: features, the files as they are" in text


def test_bad_rows_and_what_was_there_before_are_told():
    text = printed(show_prepared, {**RESULT, "bad_rows": 2, "kept": 1})
    assert "2 bad rows; quarantine.csv says why." in text
    assert "/data/my digits/quarantine.csv" in text
    assert "1 were there before" in text


def test_a_finished_folder_is_said_to_be_left_alone():
    text = printed(show_prepared, {**RESULT, "kept": 3, "finished_before": True})
    assert "The folder was finished before; nothing was written." in text
    assert "rows/s" not in text and "were there before" not in text


def test_a_checked_folder_is_summed_up():
    text = printed(show_checked, {"folder": "/data", "files": 4, "bytes": 1000, "rows": 1234})
    assert text == "As it was written: 4 files, 1.0 kB, 1,234 rows.\n"
