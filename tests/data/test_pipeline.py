"""The pipeline: what a batch holds, in which order, from which cache, and how unreadable files are told."""

import copy
import gc
import shutil
import tempfile
from pathlib import Path

import keras
import numpy as np
import pytest
import soundfile
import tensorflow as tf
import tiny
from hypothesis import given
from hypothesis import strategies as st

from mm_keras.data.pipeline import DataError, bytes_per_row, choose_cache, fill_batch, make_datasets
from mm_keras.model import build_model
from mm_keras.strategy import make_strategy
from mm_keras.training import compile_arguments

TRAIN, VALIDATION, TEST = (
    [row for row in range(tiny.ROWS) if tiny.split_of(row) == split]
    for split in ("train", "validation", "test")
)
WITH_B = [row for row in range(tiny.ROWS) if tiny.is_there(row, "numbers") and row % 7 != 5]


@pytest.fixture
def folder(tiny_manifest, tmp_path):
    """A copy of the data set that the test may change."""
    return Path(shutil.copytree(tiny_manifest.parent, tmp_path / "tiny"))


def rows_of(dataset):
    """The manifest's rows in the order of a dataset, told by column b; None where it is missing."""
    inputs, _, _ = concatenate(dataset)
    pairs = zip(inputs["numbers"][:, 1], inputs["present"][:, -2], strict=True)
    return [int(b) if here and b == b else None for b, here in pairs]


def known(rows):
    return [row if row in WITH_B else None for row in rows]


def quick(manifest, modalities=("numbers", "vec"), **changes):
    """Datasets of the quickest spec."""
    names = sorted(modalities)
    assert names[-2] == "numbers", "rows_of reads `present` there"
    return make_datasets(tiny.quick_spec(manifest, modalities=modalities, **changes))


def concatenate(dataset):
    batches = [tf.nest.map_structure(lambda x: x.numpy(), batch) for batch in dataset]
    return tf.nest.map_structure(lambda *parts: np.concatenate(parts), *batches)


@pytest.mark.slow
def test_a_batch_keeps_the_contract(trained):
    run, data = trained
    inputs, targets, weights = next(iter(data.test))
    assert list(inputs) == [*tiny.NAMES, "present"]
    assert {name: (x.shape.as_list(), x.dtype.name) for name, x in inputs.items()} == {
        "audio": ([7, 800], "float32"),
        "image": ([7, 8, 8, 3], "float32"),
        "numbers": ([7, 2], "float32"),
        "text": ([7, 6], "int32"),
        "vec": ([7, 6], "float32"),
        "present": ([7, 5], "float32"),
    }
    assert set(targets) == set(weights) == set(run.spec.output_names)
    assert all(x.shape == (7,) and x.dtype == tf.float32 for x in weights.values())
    assert targets["label"].shape == (7, 3) and targets["tags"].shape == (7, 2)
    for name in tiny.NAMES:
        assert targets[f"copy_{name}"] is inputs[name] or np.array_equal(
            targets[f"copy_{name}"], inputs[name], equal_nan=name == "numbers"
        )


@pytest.mark.slow
def test_absent_cells_are_zeros_and_absent_targets_weigh_nothing(trained):
    _, data = trained
    inputs, targets, weights = concatenate(data.test)
    there = np.array([[tiny.is_there(row, name) for name in tiny.NAMES] for row in TEST], "float32")
    np.testing.assert_array_equal(inputs["present"], there)
    for column, name in enumerate(tiny.NAMES):
        flat = inputs[name].reshape(len(TEST), -1)
        np.testing.assert_array_equal(np.any(flat != 0, axis=1), there[:, column], err_msg=name)
        np.testing.assert_array_equal(weights[f"copy_{name}"], there[:, column], err_msg=name)
    np.testing.assert_array_equal(weights["label"], [row != 14 for row in TEST])
    np.testing.assert_array_equal(weights["tags"], [row != 19 for row in TEST])
    labels = np.eye(3)[[row % 3 for row in TEST]] * weights["label"][:, None]
    np.testing.assert_array_equal(targets["label"], labels)
    tags = np.array([[[0, 0], [1, 0], [1, 1]][row % 3] for row in TEST]) * weights["tags"][:, None]
    np.testing.assert_array_equal(targets["tags"], tags)
    image = inputs["image"]
    assert image.max() > 128 and np.array_equal(image, np.round(image))
    assert 0.3 < np.abs(inputs["audio"]).max() <= 1
    known_text = inputs["text"][there[:, tiny.NAMES.index("text")] == 1]
    assert (known_text[:, 0] == 2).all() and (known_text == 3).any(axis=1).all()


@pytest.mark.parametrize("cache", ["memory", "file", "none"])
def test_rows_come_in_order_for_evaluation_and_each_once_for_training(tiny_manifest, cache):
    data = quick(tiny_manifest, cache=cache)
    assert data.cached_in == cache
    for dataset, rows, split in ((data.validation, VALIDATION, "validation"), (data.test, TEST, "test")):
        assert data.rows[split].tolist() == rows
        assert rows_of(dataset) == rows_of(dataset) == known(rows)
    epochs = [rows_of(data.train) for _ in range(2)]
    assert epochs[0] != epochs[1]
    for epoch in epochs:
        assert sorted(epoch, key=str) == sorted(known(TRAIN), key=str)
        assert epoch != known(TRAIN)
    assert data.train.cardinality() == data.steps == 4


def test_caches_give_equal_examples(tiny_manifest):
    first, *others = (
        quick(tiny_manifest, modalities=("image", "numbers", "text"), cache=cache)
        for cache in ("memory", "file", "none")
    )
    for split in ("train", "test"):
        want = concatenate(getattr(first, split))
        for other in others:
            given = concatenate(getattr(other, split))
            tf.nest.map_structure(np.testing.assert_array_equal, given, want)


def test_the_file_cache_is_removed_with_its_datasets(tiny_manifest, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    data = quick(tiny_manifest, cache="file")
    train = data.train
    assert len(list(tmp_path.iterdir())) == 3
    del data
    gc.collect()
    assert len(list(tmp_path.iterdir())) == 1  # A dataset that is still held keeps its own.
    assert sorted(rows_of(train), key=str) == sorted(known(TRAIN), key=str)
    del train
    gc.collect()
    assert not list(tmp_path.iterdir())


def test_a_seed_gives_one_order_and_another_seed_another(tiny_manifest):
    first, again, other = (
        [rows_of(data.train) for _ in range(2)]
        for seed in (7, 7, 8)
        for data in [quick(tiny_manifest, training={"seed": seed})]
    )
    assert first == again
    assert first != other


@pytest.mark.slow
def test_a_seed_gives_the_same_weights_after_an_epoch(tiny_manifest):
    def train(seed):
        spec = tiny.quick_spec(tiny_manifest, training={"seed": seed})
        keras.utils.set_random_seed(seed)
        data = make_datasets(spec)
        model = build_model(spec, data)
        model.compile(**compile_arguments(spec, data))
        model.fit(data.train, epochs=1, shuffle=False, verbose=0)
        return np.concatenate([weight.ravel() for weight in model.get_weights()])

    first, again, other = train(7), train(7), train(8)
    np.testing.assert_array_equal(first, again)
    assert not np.allclose(first, other)


def test_the_budget_chooses_the_cache(tiny_manifest):
    spec = tiny.tiny_spec(tiny_manifest)
    assert bytes_per_row(spec) == 8 * 8 * 3 + 4 * (800 + 6 + 6 + 2)
    manifest = quick(tiny_manifest).manifest
    size = tiny.ROWS * bytes_per_row(spec)
    for memory, place in ((size, "memory"), (size - 1, "file")):
        spec.data.cache_memory = memory
        assert choose_cache(spec, manifest) == place
    spec.data.cache = "none"
    assert choose_cache(spec, manifest) == "none"


def test_progress_counts_every_row_once(tiny_manifest):
    told = []
    make_datasets(tiny.quick_spec(tiny_manifest), progress=lambda *counts: told.append(counts))
    assert told[-1] == (tiny.ROWS, tiny.ROWS)
    assert told == sorted(told)


def test_fitted_values_of_a_run_are_taken_as_they_are(tiny_manifest):
    data = quick(tiny_manifest)
    fitted = copy.copy(data.preprocessor)
    again = make_datasets(tiny.quick_spec(tiny_manifest), preprocessor=fitted)
    assert again.preprocessor is fitted


def test_wav_files_are_decoded_without_python(tiny_manifest, monkeypatch):
    def refuse(*arguments, **settings):
        raise AssertionError("soundfile was called")

    monkeypatch.setattr(soundfile, "read", refuse)
    data = quick(tiny_manifest, modalities=("audio", "numbers", "vec"))
    assert np.std(next(iter(data.test))[0]["audio"]) > 0


@pytest.mark.parametrize("name", ["index", "real", "label_2", "weight"])
def test_a_modality_may_have_any_name(tiny_manifest, name):
    spec = tiny.quick_spec(tiny_manifest, modalities=("numbers",))
    spec.modalities = {name: spec.modalities["numbers"]}
    rows = [row for row in tiny.read_table(tiny_manifest) if row["a"]]
    spec.data.manifest = str(tiny.write_table(tiny_manifest.parent / f"{name}.csv", rows))
    inputs, _, _ = concatenate(make_datasets(spec).test)
    wanted = [float(row["a"]) for row in rows if row["split"] == "test"]
    np.testing.assert_allclose(inputs[name][:, 0], wanted, rtol=1e-6)


def test_splits_without_rows_are_none(tiny_manifest):
    rows = [row for row in tiny.read_table(tiny_manifest) if row["split"] == "train"]
    data = quick(tiny.write_table(tiny_manifest.parent / "train_only.csv", rows))
    assert data.validation is None and data.test is None
    assert len(rows_of(data.train)) == len(TRAIN)


def break_files(folder):
    png = folder / "image/2.png"
    png.write_bytes(png.read_bytes()[:100])
    (folder / "image/6.png").write_bytes(b"<html>not found</html>")
    (folder / "image/7.png").write_bytes(b"")
    wav = folder / "audio/12.wav"
    wav.write_bytes(wav.read_bytes()[:300])
    np.save(folder / "vec/13.npy", np.ones((3, 2), "float32"))
    (folder / "vec/38.npy").write_bytes(b"")
    return {
        "line 4, image: {root}/image/2.png": "Invalid PNG data, size 100",
        "line 8, image: {root}/image/6.png": "Received: contents that begin with `<html>no`.",
        "line 9, image: {root}/image/7.png": "Received: an empty file.",
        "line 14, audio: {root}/audio/12.wav": "Received: 256 bytes. The file was cut off",
        "line 15, vec: {root}/vec/13.npy": "Received: shape [3 2].",
        "line 40, vec: {root}/vec/38.npy": "Received: an empty file.",
    }


@pytest.mark.slow
@pytest.mark.parametrize("cache", ["memory", "none"])
def test_every_unreadable_file_is_named_at_once_with_its_reason(folder, cache):
    faults = break_files(folder)
    with pytest.raises(DataError) as caught:
        quick(folder / "manifest.csv", modalities=("audio", "image", "numbers", "vec"), cache=cache)
    text = str(caught.value)
    first, *lines = (line.strip() for line in text.splitlines())
    assert first == (
        "`data.manifest` expects files that can be decoded. Received: 6 rows with a file that cannot be "
        "read. Replace these files, or empty their cells: an empty cell is a missing modality."
    )
    assert len(lines) == len(faults)
    for line, (place, reason) in zip(lines, sorted(faults.items(), key=_split_then_line), strict=True):
        assert line.startswith(place.format(root=folder) + ": "), line
        assert reason in line
    for noise in ("{{", "}}", "[Op:", "node", "device:", "assertion", "Traceback", ".py"):
        assert noise not in text


def _split_then_line(fault):
    line = int(fault[0].split()[1].rstrip(","))
    return ("train", "validation", "test").index(tiny.split_of(line - 2)), line


def test_of_many_unreadable_files_ten_are_named_and_the_rest_counted(folder):
    for path in (folder / "vec").iterdir():
        path.write_bytes(b"x")
    with pytest.raises(DataError, match=r"34 rows with .*\n(  line .*\n){10}  and 24 more rows$"):
        quick(folder / "manifest.csv")


def test_a_line_of_the_file_is_told_where_rows_span_several(folder):
    rows = tiny.read_table(folder / "manifest.csv")
    rows[0]["text"] = "two\nlines"
    (folder / "vec/1.npy").write_bytes(b"x")
    with pytest.raises(DataError, match=r"1 row with a file that .*\n  line 4, vec: .*1\.npy: "):
        quick(tiny.write_table(folder / "manifest.csv", rows))


@given(st.integers(1, 40), st.integers(1, 8))
def test_filled_batches_can_be_shared_equally(count, replicas):
    rows = {"row/index": tf.range(count), "x": tf.random.normal((count, 2))}
    filled = {name: x.numpy() for name, x in fill_batch(rows, replicas).items()}
    size = len(filled["row/index"])
    assert size % replicas == 0 and count <= size < count + replicas
    np.testing.assert_array_equal(filled["row/index"], np.arange(size) % count)
    np.testing.assert_array_equal(filled["row/real"], np.arange(size) < count)
    np.testing.assert_array_equal(filled["x"], rows["x"].numpy()[np.arange(size) % count])


@pytest.mark.slow
@pytest.mark.parametrize(("rows", "sizes"), [(24, [14, 10]), (9, [10]), (17, [14, 4])])
def test_two_devices_train_on_any_number_of_rows(tiny_manifest, rows, sizes):
    table = tiny.read_table(tiny_manifest)
    kept = [row for row in table if row["split"] == "train"][:rows]
    kept += [row for row in table if row["split"] == "validation"][:1]  # One row for two devices.
    manifest = tiny.write_table(tiny_manifest.parent / f"{rows}.csv", kept)
    spec = tiny.quick_spec(manifest, training={"batch_size": 14})
    strategy = make_strategy("mirrored")
    data = make_datasets(spec, replicas=strategy.num_replicas_in_sync)
    weights = [batch["tags"].numpy() for _, _, batch in data.train]
    assert [len(x) for x in weights] == sizes
    with_tags = sum(1 for row in kept if row["split"] == "train" and row["tags"])
    assert np.concatenate(weights).sum() == with_tags  # A row that fills up weighs nothing.
    assert data.steps == len(sizes)
    with strategy.scope():
        model = build_model(spec, data)
        model.compile(**compile_arguments(spec, data))
    history = model.fit(data.train, validation_data=data.validation, shuffle=False, verbose=0).history
    assert np.isfinite(history["loss"]).all()
    assert np.isfinite(history["val_loss"]).all()
