"""The stages of a spec's input, and what is said of them."""

import shutil
from pathlib import Path

import pytest
import tiny

from mm_keras.benchmark_advice import advise
from mm_keras.benchmark_input import measure_input
from mm_keras.data.row_source import RowSource

FILES = {"read the table", "read the files", "decode image", "decode audio", "decode all"}
WHOLE = {"all, from the file cache", "all, from the memory cache", "all, decoding in each epoch"}


def found(cache="none", input=100.0, step=1000.0, shares=None, **speeds):
    """Returns figures as `measure_input` gives them, of an image and a sound of 1,000 rows."""
    speeds = {
        "decode image": 400.0,
        "decode audio": 133.0,
        "decode all": 100.0,
        "all, from the file cache": 900.0,
        "all, from the memory cache": 1000.0,
        **speeds,
    }
    return {
        "rows": 1000,
        "sample": 1000,
        "cache": cache,
        "stages": [{"name": name, "examples_per_second": speed} for name, speed in speeds.items()],
        "shares": shares or {"decode audio": 0.75, "decode image": 0.25},
        "input": input,
        "step": step,
        "waiting": None if step is None else max(0.0, 1 - input / step),
    }


KINDS = {"image": "image", "audio": "audio"}


def test_slow_decoding_is_the_limit_and_a_cache_the_cure():
    first, *others = advise(found(), KINDS)
    assert first.startswith("Input is the limit") and "waits 90% of the time" in first
    assert "Decode audio takes 75% of the input's time." in others
    assert "Set `data.cache: file`: input is then 9.0 times as fast from epoch 2 on." in others
    assert any("10.0 s, each epoch; 75% of it is audio" in line for line in others)


def test_a_cache_that_is_no_faster_is_not_advised():
    slow = {"all, from the file cache": 90.0, "all, from the memory cache": 95.0}
    assert not any("data.cache" in line for line in advise(found(**slow), KINDS))


def test_a_slow_step_is_the_limit():
    first, *others = advise(found("memory", input=5000.0, shares={"finish batches": 1.0}), KINDS)
    assert first.startswith("The training step is the limit")
    assert not any("takes 100%" in line or "data.cache" in line for line in others)
    assert any("10.0 s, once, before the first epoch" in line for line in others)


@pytest.mark.parametrize(
    ("own", "conversion", "words"),
    [
        (
            {"rate": 44100, "seconds": 1.0},
            "resampling",
            "Resampling costs 73% of that: the files have 44100 Hz",
        ),
        ({"size": (480, 640)}, "resizing", "Resizing costs 73% of that: the files have 640 x 480 pixels"),
    ],
)
def test_a_conversion_is_named_where_it_costs_most(own, conversion, words):
    figures = found(**{f"decode audio without {conversion}": 500.0})
    assert any(
        words in line and "mm-keras prepare" in line for line in advise(figures, KINDS, {"audio": own})
    )
    quick = found(**{f"decode audio without {conversion}": 140.0})
    assert not any(conversion in line.lower() for line in advise(quick, KINDS, {"audio": own}))


def test_augmentation_that_costs_most_is_named():
    figures = found("memory", shares={"augment": 0.8, "finish batches": 0.2})
    assert any(line.startswith("Augment takes 80%") for line in advise(figures, KINDS))


@pytest.mark.slow
def test_every_stage_of_a_spec_is_measured(tiny_manifest, tmp_path):
    names = ("image", "audio", "text")
    spec = tiny.tiny_spec(tiny_manifest, names, ["label", "tags"], cache_folder=str(tmp_path))
    begun = []
    result = measure_input(spec, seconds=0.01, progress=begun.append)
    speeds = {stage["name"]: stage["examples_per_second"] for stage in result["stages"]}
    assert FILES | WHOLE | {"finish batches", "train"} <= speeds.keys()
    assert all(speed > 0 for speed in speeds.values())
    assert set(begun) | {"read the table"} == set(speeds)
    assert result["input"] == speeds["all, from the memory cache"] and result["step"] == speeds["train"]
    assert sum(result["shares"].values()) == pytest.approx(1)
    assert list(tmp_path.iterdir()) == []  # It leaves no cache behind.


@pytest.mark.slow
def test_decoding_without_a_cache_is_measured_as_epochs_do_it_whatever_files_are_broken(
    tiny_manifest, tmp_path, monkeypatch
):
    folder = tmp_path / "data"
    shutil.copytree(Path(tiny_manifest).parent, folder)
    broken = sorted(folder.rglob("*.wav"))[0]
    broken.write_bytes(b"RIFF")
    spec = tiny.tiny_spec(folder / Path(tiny_manifest).name, ("image", "audio"), cache="none", max_bad=0.5)
    at_once = []
    original = RowSource.finish
    monkeypatch.setattr(RowSource, "finish", lambda self, rows: at_once.append(self) or original(self, rows))
    result = measure_input(spec, seconds=0.01, model=False)
    assert {"decode image", "decode audio"} <= result["shares"].keys()
    assert {tuple(source.names) for source in at_once} == {("audio",), ("image",), ("audio", "image")}
    assert sum(result["shares"].values()) == pytest.approx(1)
