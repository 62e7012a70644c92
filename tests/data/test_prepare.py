"""Prepared folders: equal to the files they were made of, whole after a kill, and never mixed."""

import csv
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
import tiny

from mm_keras.data.findings import DataError
from mm_keras.data.manifest import load_manifest, load_rows
from mm_keras.data.pipeline import make_datasets
from mm_keras.data.prepare import prepare
from mm_keras.data.prepare_journal import locked
from mm_keras.data.prepare_shards import describe_columns
from mm_keras.data.records import read_records
from mm_keras.data.table import ManifestError
from mm_keras.data.table_prepared import PreparedTable, check_folder, read_prepared
from mm_keras.spec_file import load_spec, save_spec
from mm_keras.training import train

EXACT = ("image", "numbers", "text", "vec")
HALF_STEP = 1 / 65536 + 1e-7  # Of 16-bit samples, and of float32.
SHARD = 900  # Bytes: a few tiny rows.
SHARES = {"validation": 0.2, "test": 0.2}


@pytest.fixture
def folder(tiny_manifest, tmp_path):
    """A copy of the data set that the test may change."""
    return Path(shutil.copytree(tiny_manifest.parent, tmp_path / "tiny"))


def small(folder, **changes):
    """A spec of features and numbers: quick to prepare."""
    return tiny.quick_spec(folder / "manifest.csv", **{"cache": "memory", **changes})


def batches_of(dataset):
    return [tf.nest.map_structure(lambda x: x.numpy(), batch) for batch in dataset]


def assert_equal(batches, others, close=()):
    """Compares batches exactly, and those of the modalities in `close` within half a step of 16 bits."""
    assert len(batches) == len(others) > 0
    for batch, other in zip(batches, others, strict=True):
        for part, same in zip(batch, other, strict=True):
            assert part.keys() == same.keys()
            for name in part:
                atol = HALF_STEP if name.rpartition("_")[2] in close else 0
                np.testing.assert_allclose(part[name], same[name], rtol=0, atol=atol, err_msg=name)


def digests(folder):
    """SHA-256 of every file of the data, name -> digest."""
    paths = [*folder.glob("*.tfrecord"), folder / "rows.parquet"]
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(paths)}


def read_quarantine(folder):
    with open(folder / "quarantine.csv", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


class StoppedError(Exception):
    """What a test raises in the middle of a preparation."""


def stop_after(rows):
    def progress(done, total):
        if done - total // 2 >= rows:
            raise StoppedError

    return progress


@pytest.mark.slow
def test_batches_from_shards_equal_those_from_files(tiny_manifest, tmp_path):
    changes = {"modalities": tiny.NAMES, "outputs": ["label", "copy"], "cache": "memory"}
    from_files = make_datasets(tiny.tiny_spec(tiny_manifest, **changes))
    prepare(tiny.tiny_spec(tiny_manifest, **changes), tmp_path / "prepared", "gzip", True, SHARD)
    spec = load_spec(tmp_path / "prepared/spec.yaml")
    assert spec.data.cache == "memory"
    from_shards = make_datasets(spec)
    assert from_shards.source.in_records
    for split in ("train", "validation", "test"):
        before, after = (batches_of(getattr(data, split)) for data in (from_files, from_shards))
        assert_equal(before, after, close=("audio",))
        assert from_shards.rows[split].tolist() == from_files.rows[split].tolist()
    spec.data.cache = "none"
    streamed = make_datasets(spec)
    assert streamed.source.plain == ["audio", "image"]
    assert_equal(batches_of(streamed.validation), batches_of(from_shards.validation))
    rows, there = from_files.rows["test"], 0
    sounds, same = (
        np.concatenate([batch[0]["audio"] for batch in batches_of(data.test)])
        for data in (from_files, from_shards)
    )
    for place, row in enumerate(rows):
        if row % 4 != 1:  # 16-bit mono at the rate of the spec.
            np.testing.assert_array_equal(sounds[place], same[place])
            there += np.any(sounds[place] != 0)
    assert there > 3
    stored = {row["image"].numpy() for row in read_records(from_shards.manifest.records)} - {b""}
    assert {tf.io.decode_image(image).shape.as_list()[0] for image in stored} == {8}


@pytest.mark.slow
def test_streamed_shards_give_every_row_of_train_once(tiny_manifest, tmp_path):
    spec = small(tiny_manifest.parent, cache="none")
    prepare(spec, tmp_path / "prepared", shard_size=SHARD)
    assert len(list((tmp_path / "prepared").glob("train-*.tfrecord"))) > 2
    ready = load_spec(tmp_path / "prepared/spec.yaml")
    from_files, from_shards = make_datasets(spec), make_datasets(ready)
    assert_equal(batches_of(from_files.test), batches_of(from_shards.test))
    once, other = (
        np.sort(np.concatenate([batch[0]["vec"] for batch in batches_of(data.train)]), axis=0)
        for data in (from_files, from_shards)
    )
    np.testing.assert_array_equal(once, other)


@pytest.mark.slow
def test_training_from_shards_gives_the_same_losses(tiny_manifest, tmp_path):
    changes = {"modalities": EXACT, "outputs": ["label"], "cache": "memory", "max_bad": 0.1}
    spec = tiny.tiny_spec(tiny_manifest, **changes)
    prepare(spec, tmp_path / "prepared", shard_size=SHARD)
    runs = [
        train(spec, tmp_path / "files")[0],
        train(load_spec(tmp_path / "prepared/spec.yaml"), tmp_path / "shards")[0],
    ]
    first, second = (pd.read_csv(run.folder / "history.csv") for run in runs)
    assert len(first) == 2
    pd.testing.assert_frame_equal(first, second, check_exact=True)


def test_train_rows_are_in_a_random_order_and_the_others_in_the_manifests(tiny_manifest, tmp_path):
    result = prepare(small(tiny_manifest.parent), tmp_path / "prepared", shard_size=SHARD)
    table = read_prepared(tmp_path / "prepared")
    order = [int(row["row"]) for row in read_records(table.records)]
    assert sorted(order) == list(range(tiny.ROWS))
    splits = [tiny.split_of(row) for row in order]
    assert splits == sorted(splits, key=("train", "validation", "test").index)
    trained, rest = order[: splits.count("train")], order[splits.count("train") :]
    assert trained != sorted(trained)
    assert rest[:8] == sorted(rest[:8]) and rest[8:] == sorted(rest[8:])
    assert result["rows"] == {"train": 24, "validation": 8, "test": 8}
    before = pd.read_csv(tiny_manifest, dtype=str, keep_default_na=False)
    pd.testing.assert_frame_equal(table.frame.astype(str), before.astype(str))


def test_progress_counts_to_its_total(tiny_manifest, tmp_path):
    seen = []
    spec = small(tiny_manifest.parent)
    prepare(spec, tmp_path / "prepared", progress=lambda *step: seen.append(step))
    assert seen[-1] == (2 * tiny.ROWS, 2 * tiny.ROWS)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen) and len(seen) > 4


def test_what_was_stopped_goes_on_behind_the_last_whole_shard(tiny_manifest, tmp_path):
    spec = small(tiny_manifest.parent)
    prepare(spec, tmp_path / "whole", shard_size=SHARD)
    with pytest.raises(StoppedError):
        prepare(spec, tmp_path / "stopped", shard_size=SHARD, progress=stop_after(30))
    with pytest.raises(ManifestError, match="finished prepared folder"):
        read_prepared(tmp_path / "stopped")
    stopped = digests_of_shards(tmp_path / "stopped")
    (tmp_path / "stopped/train-00001.tfrecord").write_bytes(b"cut")
    result = prepare(spec, tmp_path / "stopped", shard_size=SHARD)
    assert len(stopped) > 2 and result["kept"] == 1
    assert digests(tmp_path / "stopped") == digests(tmp_path / "whole")
    assert not list((tmp_path / "stopped").glob(".building")) + list((tmp_path / "stopped").glob(".checked"))


def digests_of_shards(folder):
    return {path.name for path in folder.glob("*.tfrecord")}


KILLED = """
import os, signal, sys
from mm_keras.data.prepare import prepare
from mm_keras.spec_file import load_spec, save_spec
def stop(done, total):
    if done - total // 2 >= 20:
        os.kill(os.getpid(), signal.SIGKILL)
prepare(load_spec(sys.argv[1]), sys.argv[2], shard_size=int(sys.argv[3]), progress=stop)
"""


@pytest.mark.slow
def test_a_killed_run_resumed_is_equal_byte_by_byte(tiny_manifest, tmp_path):
    prepare(small(tiny_manifest.parent), tmp_path / "whole", shard_size=SHARD)
    path = tmp_path / "spec.yaml"
    save_spec(small(tiny_manifest.parent), path)
    root = str(Path(__file__).parents[2])
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, str(path), str(tmp_path / "killed"), str(SHARD)],
        env={**os.environ, "PYTHONPATH": root, "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    shards = digests_of_shards(tmp_path / "killed")
    assert shards and not (tmp_path / "killed/schema.json").exists()
    result = prepare(load_spec(path), tmp_path / "killed", shard_size=SHARD)
    assert result["kept"] == len(shards)
    assert digests(tmp_path / "killed") == digests(tmp_path / "whole")


def test_a_finished_folder_is_left_as_it_is(tiny_manifest, tmp_path):
    spec, target = small(tiny_manifest.parent), tmp_path / "prepared"
    first = prepare(spec, target)
    times = {path.name: path.stat().st_mtime_ns for path in target.iterdir()}
    second = prepare(spec, target)
    assert (first["finished_before"], second["finished_before"]) == (False, True)
    assert second["rows"] == first["rows"] and second["kept"] == second["shards"] == first["shards"]
    assert {path.name: path.stat().st_mtime_ns for path in target.iterdir()} == times


@pytest.mark.parametrize("stopped", [True, False])
def test_other_inputs_are_not_mixed_unless_forced(folder, tmp_path, stopped):
    spec, target = small(folder), tmp_path / "prepared"
    if stopped:
        with pytest.raises(StoppedError):
            prepare(spec, target, progress=stop_after(1))
    else:
        prepare(spec, target)
    with pytest.raises(ValueError, match=r"`compression` none instead of gzip.*--force"):
        prepare(spec, target, compression="gzip")
    np.save(folder / "vec/0.npy", np.zeros(6, "float32"))
    np.save(folder / "vec/1.npy", np.zeros(6, "float64"))
    with pytest.raises(ValueError, match="`files`"):
        prepare(spec, target)
    assert not prepare(spec, target, compression="gzip", force=True)["finished_before"]
    assert read_prepared(target).records.compression == "GZIP"
    assert check_folder(target)["rows"] == tiny.ROWS


def test_a_changed_table_is_told(folder, tmp_path):
    spec = small(folder)
    prepare(spec, tmp_path / "prepared")
    text = (folder / "manifest.csv").read_text(encoding="utf-8")
    (folder / "manifest.csv").write_text(text.replace("zanzibar", "madagascar"), encoding="utf-8")
    with pytest.raises(ValueError, match="`table`"):
        prepare(spec, tmp_path / "prepared")


@pytest.mark.parametrize("on_bad", ["quarantine", "missing"])
def test_bad_files_are_left_out_by_the_policy_and_named(folder, tmp_path, on_bad):
    (folder / "vec/14.npy").write_bytes(b"no array")
    (folder / "vec/24.npy").unlink()
    spec = small(folder, on_bad=on_bad, max_bad=0.5)
    result = prepare(spec, tmp_path / "prepared")
    named = {(row["row"], row["column"], row["code"]) for row in read_quarantine(tmp_path / "prepared")}
    assert named == {("16", "vec", "wrong_type"), ("26", "vec", "missing_file")}
    assert result["bad_rows"] == 2
    assert result["rows"]["test"] == (6 if on_bad == "quarantine" else 8)
    ready = load_spec(tmp_path / "prepared/spec.yaml")
    ready.data.max_bad = 0.0
    from_files, from_shards = make_datasets(spec), make_datasets(ready)
    assert from_shards.manifest.findings == []
    assert_equal(batches_of(from_files.test), batches_of(from_shards.test))
    assert_equal(batches_of(from_files.train), batches_of(from_shards.train))


def test_too_many_bad_files_stop_it_and_are_listed(folder, tmp_path):
    for row in (0, 1, 3):
        (folder / f"vec/{row}.npy").write_bytes(b"no array")
    with pytest.raises(DataError, match="data.max_bad"):
        prepare(small(folder), tmp_path / "prepared")
    assert [row["row"] for row in read_quarantine(tmp_path / "prepared")] == ["2", "3", "5"]
    result = prepare(small(folder, max_bad=0.5), tmp_path / "prepared", force=True)
    assert result["bad_rows"] == 3


def test_shares_are_frozen_and_others_refused(folder, tmp_path):
    spec = small(folder, split=SHARES)
    expected = load_manifest(spec).splits
    prepare(spec, tmp_path / "prepared")
    spec.data.manifest = str(tmp_path / "prepared")
    found = load_manifest(spec).splits
    assert {name: rows.tolist() for name, rows in found.items()} == {
        name: rows.tolist() for name, rows in expected.items()
    }
    assert load_spec(tmp_path / "prepared/spec.yaml").data.split == "split_"  # The table has a `split`.
    with pytest.raises(ManifestError, match=r"`data.split` expects .*`split_`.*0\.3"):
        load_manifest(tiny.quick_spec(tmp_path / "prepared", split={**SHARES, "test": 0.3}))


@pytest.fixture(scope="module")
def prepared(tiny_manifest, tmp_path_factory):
    target = tmp_path_factory.mktemp("prepared")
    prepare(small(tiny_manifest.parent), target)
    return target


MODALITIES = tiny.tiny_spec("manifest.csv").modalities


@pytest.fixture(scope="module")
def table():
    """A prepared table of grey images, resized, and of sounds and vectors."""
    grey = MODALITIES["image"].model_copy(update={"channels": 1})
    columns = describe_columns({name: MODALITIES[name] for name in ("audio", "vec")} | {"image": grey}, True)
    return PreparedTable("prepared", pd.DataFrame({"text": [], "image": []}), [], schema={"columns": columns})


@pytest.mark.parametrize(
    ("name", "settings", "fault"),
    [
        ("audio", {"rate": 4000}, r"`modalities.audio.rate` expects .*rate=4000, prepared at 8000"),
        ("audio", {"seconds": 0.2}, r"`modalities.audio.seconds`.*seconds=0.2, sounds were cut after 0.1"),
        ("image", {"size": (16, 8)}, r"`modalities.image.size`.*\[16, 8\], images were resized to \[8, 8\]"),
        ("image", {"channels": 3}, r"`modalities.image.channels`.*channels=3, images were written with 1"),
        (
            "image",
            {"column": "text"},
            r"`modalities.image.column`.*`text`, whose files are not in its shards",
        ),
        ("image", {"column": "audio"}, r"`modalities.image.kind`.*'image', prepared as 'audio'"),
    ],
)
def test_settings_that_do_not_fit_are_told(table, name, settings, fault):
    modality = MODALITIES[name].model_copy(update={"channels": 1} | settings)
    with pytest.raises(ManifestError, match=fault) as told:
        table.check_fit({name: modality})
    assert "Prepare the data again" in str(told.value)


def test_smaller_settings_fit(table):
    image = MODALITIES["image"].model_copy(update={"channels": 1, "size": (4, 8)})
    audio = MODALITIES["audio"].model_copy(update={"seconds": 0.05})
    table.check_fit({**MODALITIES, "image": image, "audio": audio})


def test_settings_are_checked_where_a_manifest_is_read(prepared):
    spec = load_spec(prepared / "spec.yaml")
    spec.modalities["vec"].column = "image"
    with pytest.raises(ManifestError, match="not in its shards"):
        load_manifest(spec)
    with pytest.raises(ManifestError, match="not in its shards"):
        load_rows(prepared, spec.modalities)


def test_files_that_two_modalities_read_differently_stay_as_they_are():
    other = MODALITIES["image"].model_copy(update={"size": (2, 2)})
    stored = {"kind": "image", "stored": "as it was", "modality": "image"}
    assert describe_columns({"image": MODALITIES["image"], "small": other}, True) == {"image": stored}
    same = describe_columns({"image": MODALITIES["image"], "same": MODALITIES["image"]}, True)
    assert same["image"] == {**stored, "stored": "bmp", "size": [8, 8], "channels": 3}


def test_a_table_without_files_has_no_shards(folder, tmp_path):
    result = prepare(small(folder, modalities=("numbers", "text")), tmp_path / "prepared")
    assert result["shards"] == 0 and result["columns"] == {}
    assert read_prepared(tmp_path / "prepared", ["text"]).frame.columns.tolist() == ["text"]
    assert len(load_manifest(load_spec(tmp_path / "prepared/spec.yaml")).splits["train"]) == 24


def test_damage_is_found(prepared, tmp_path):
    target = Path(shutil.copytree(prepared, tmp_path / "copy"))
    assert check_folder(target)["files"] == 4
    shard = target / "train-00000.tfrecord"
    content = bytearray(shard.read_bytes())
    content[500] ^= 1
    shard.write_bytes(content)
    assert len(read_prepared(target).frame) == tiny.ROWS  # Sizes alone are looked at.
    with pytest.raises(ManifestError, match=r"`train-00000.tfrecord` missing or changed.*Copy"):
        check_folder(target)
    with pytest.raises(ManifestError, match=r"`train-00000.tfrecord`: corrupted record at \d+\. Copy"):
        make_datasets(load_spec(target / "spec.yaml"))
    shard.write_bytes(content[:-1])
    with pytest.raises(ManifestError, match=r"`train-00000.tfrecord` missing or changed"):
        read_prepared(target)


def test_the_format_before_this_one_is_read(prepared, tmp_path):
    target = Path(shutil.copytree(prepared, tmp_path / "copy"))
    schema = json.loads((target / "schema.json").read_text())
    (target / "schema.json").write_text(json.dumps({**schema, "format": 1}))
    assert len(read_prepared(target).frame) == tiny.ROWS


def test_another_format_is_refused(prepared, tmp_path):
    target = Path(shutil.copytree(prepared, tmp_path / "copy"))
    schema = json.loads((target / "schema.json").read_text())
    (target / "schema.json").write_text(json.dumps({**schema, "format": 99}))
    with pytest.raises(ManifestError, match=r"format=99.*Prepare the data again"):
        read_prepared(target)


def test_two_processes_do_not_write_one_folder(tiny_manifest, tmp_path):
    with locked(tmp_path / "prepared"), pytest.raises(ValueError, match="another process is writing"):
        prepare(small(tiny_manifest.parent), tmp_path / "prepared")


def test_a_full_disk_is_told_and_what_is_whole_is_kept(tiny_manifest, tmp_path):
    spec, target = small(tiny_manifest.parent), tmp_path / "prepared"
    with pytest.raises(StoppedError):
        prepare(spec, target, shard_size=SHARD, progress=stop_after(20))
    draft = target / ".building/shard-00000.tfrecord"
    draft.unlink(missing_ok=True)
    draft.parent.mkdir(exist_ok=True)
    draft.symlink_to("/dev/full")
    with pytest.raises(ValueError, match=r"to write train-\d+.tfrecord.*[Nn]o space left.*goes on"):
        prepare(spec, target, shard_size=SHARD)
    draft.unlink()
    assert prepare(spec, target, shard_size=SHARD)["kept"] > 1


def test_folders_that_cannot_be_written_are_told(tiny_manifest, tmp_path):
    spec = small(tiny_manifest.parent)
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match=r"a folder that can be written.*Not a directory"):
        prepare(spec, tmp_path / "file/prepared")
    with pytest.raises(ValueError, match=r"a new or an empty folder.*which holds `"):
        prepare(spec, shutil.copytree(tiny_manifest.parent, tmp_path / "data"))
    prepare(spec, tmp_path / "prepared")
    with pytest.raises(ValueError, match="other than `data.manifest`"):
        prepare(load_spec(tmp_path / "prepared/spec.yaml"), tmp_path / "prepared", force=True)
    assert check_folder(tmp_path / "prepared")["rows"] == tiny.ROWS


@pytest.mark.parametrize("size", ["many", 0, "-1MB"])
def test_a_shard_size_that_is_none_is_refused(tiny_manifest, tmp_path, size):
    with pytest.raises(ValueError, match="`shard_size` of at least one byte"):
        prepare(small(tiny_manifest.parent), tmp_path / "prepared", shard_size=size)


def test_a_prepared_folder_is_prepared_again_from_its_shards(prepared, tmp_path):
    result = prepare(load_spec(prepared / "spec.yaml"), tmp_path / "again", shard_size=SHARD)
    assert result["shards"] > 3 and result["rows"] == {"train": 24, "validation": 8, "test": 8}
    contents = [
        {int(row["row"]): row["vec"].numpy() for row in read_records(read_prepared(folder).records)}
        for folder in (prepared, tmp_path / "again")
    ]
    assert contents[0] == contents[1] and len(contents[0]) == tiny.ROWS
