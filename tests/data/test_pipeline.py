"""The pipeline: what a batch holds, in which order, from which cache, and how unreadable files are told."""

import copy
import shutil
from pathlib import Path

import keras
import numpy as np
import pytest
import soundfile
import tensorflow as tf
import tiny
from hypothesis import given
from hypothesis import strategies as st

from mm_keras.data.manifest import load_manifest
from mm_keras.data.pipeline import DataError, choose_cache, fill_batch, make_datasets
from mm_keras.data.row_source import RowSource
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


@pytest.mark.parametrize("cache", ["memory", "file", "none"])
def test_endless_batches_give_each_row_once_an_epoch(tiny_manifest, cache):
    data = quick(tiny_manifest, cache=cache)
    batches = data.endless.take(3 * data.steps)
    rows = rows_of(batches)
    epochs = [rows[start : start + len(TRAIN)] for start in range(0, len(rows), len(TRAIN))]
    assert len(epochs) == 3 and epochs[0] != epochs[1] != epochs[2]
    for epoch in epochs:
        assert sorted(epoch, key=str) == sorted(known(TRAIN), key=str)


def test_caches_give_equal_examples(tiny_manifest):
    first, *others = (
        quick(tiny_manifest, modalities=("image", "numbers", "text"), cache=cache)
        for cache in ("memory", "none", "file")
    )
    want = concatenate(first.test)
    for other in others:
        tf.nest.map_structure(np.testing.assert_array_equal, concatenate(other.test), want)
    want = concatenate(first.train)
    tf.nest.map_structure(np.testing.assert_array_equal, concatenate(others[0].train), want)
    given = concatenate(others[1].train)  # Of the file cache, in an order of its own.
    for key, part in enumerate(("inputs", "targets", "weights")):
        for name in want[key]:
            pair = [np.sort(x[key][name].reshape(len(TRAIN), -1), axis=0) for x in (given, want)]
            np.testing.assert_array_equal(*pair, err_msg=f"{part} {name}")


def test_rows_of_similar_length_share_a_batch_and_its_padding(tiny_manifest):
    rows = tiny.read_table(tiny_manifest)
    for number, row in enumerate(rows):
        row["text"] = " ".join(["word"] * (1 + number % 30))
    manifest = tiny.write_table(tiny_manifest.parent / "lengths.csv", rows)
    spec = tiny.quick_spec(manifest, modalities=("text", "numbers"), input={"bucketing": True})
    spec.modalities["text"].length = 40
    data = make_datasets(spec)
    epochs = [[inputs["text"].numpy() for inputs, _, _ in data.train] for _ in range(2)]
    for epoch in epochs:
        assert sum(map(len, epoch)) == len(TRAIN)
        widths = [text.shape[1] for text in epoch]
        assert len(set(widths)) > 1 and all(width % 2 == 0 for width in widths)
        assert all((text != 0).sum(axis=1).max() > text.shape[1] - 2 for text in epoch)
        spread = [np.ptp((text != 0).sum(axis=1)) for text in epoch]
        assert max(spread) < 15 < np.ptp(np.concatenate([(text != 0).sum(axis=1) for text in epoch]))
    assert [len(text) for text in epochs[0]] != sorted(len(text) for text in epochs[0]) or len(epochs[0]) < 3
    assert {inputs["text"].shape[1] for inputs, _, _ in data.test} == {40}


@pytest.mark.parametrize("cache", ["memory", "file", "none"])
def test_sounds_of_similar_length_share_a_batch_and_its_padding(folder, cache):
    rows = tiny.read_table(folder / "manifest.csv")
    random = np.random.default_rng(7)
    for number, row in enumerate(rows):
        if row["audio"]:
            sound = random.uniform(0.1, 0.5, 80 * (1 + number % 30))
            soundfile.write(folder / row["audio"], sound, 8000, subtype="PCM_16")
    input = {"bucketing": True}
    spec = tiny.quick_spec(folder / "manifest.csv", modalities=("audio", "numbers"), input=input, cache=cache)
    spec.modalities["audio"] = spec.modalities["audio"].model_copy(update={"seconds": 0.4})
    data = make_datasets(spec)
    for _ in range(2):
        batches = [inputs["audio"].numpy() for inputs, _, _ in data.train]
        assert sum(map(len, batches)) == len(TRAIN)
        lengths = [(batch != 0).sum(axis=1) for batch in batches]
        assert all(0 <= x.shape[1] - n.max() <= 200 + 100 for x, n in zip(batches, lengths, strict=True))
        assert max(map(np.ptp, lengths)) < 1500 < 2000 < np.ptp(np.concatenate(lengths))
        assert len({batch.shape[1] for batch in batches}) > 1
    assert {inputs["audio"].shape[1] for inputs, _, _ in data.test} == {3200}


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
        model = tiny.compiled(spec, data)
        model.fit(data.train, epochs=1, shuffle=False, verbose=0)
        return np.concatenate([weight.ravel() for weight in model.get_weights()])

    first, again, other = train(7), train(7), train(8)
    np.testing.assert_array_equal(first, again)
    assert not np.allclose(first, other)


def test_the_budget_chooses_the_cache(tiny_manifest):
    spec = tiny.tiny_spec(tiny_manifest)
    manifest = quick(tiny_manifest).manifest
    source = RowSource(load_manifest(spec), spec.modalities, spec.data)
    assert source.row_bytes == 8 * 8 * 3 + 4 * (800 + 6)
    size = tiny.ROWS * source.row_bytes
    for memory, place in ((size, "memory"), (size - 1, "file")):
        spec.data.cache_memory = memory
        assert choose_cache(spec, load_manifest(spec)) == place
    spec.data.cache = "none"
    assert choose_cache(spec, manifest) == "none"


@pytest.mark.parametrize(("cache", "count"), [("memory", 35), ("none", 40)])
def test_progress_counts_every_example_once(tiny_manifest, tmp_path, cache, count):
    told = []
    spec = tiny.quick_spec(tiny_manifest, cache=cache, cache_folder=str(tmp_path))
    make_datasets(spec, progress=lambda *counts: told.append(counts))
    assert told[-1] == (count, count)  # In memory the six rows without a file are one example.
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


def test_plain_sounds_are_decoded_once_a_batch_and_odd_ones_among_them_too(folder):
    paths = sorted(folder.glob("**/*.wav"))
    random = np.random.default_rng(3)
    for place, path in enumerate(paths):
        sound = random.uniform(-0.5, 0.5, (100 + place, 1))
        soundfile.write(path, sound, 8000, "PCM_16")
    spec = {"modalities": ("audio", "numbers", "vec"), "cache": "none"}
    plain = quick(folder / "manifest.csv", **spec)
    assert plain.source.plain == ["audio"]
    odd = [cell for cell in plain.source.manifest.cells["audio"] if cell][1]  # Not among those looked at.
    soundfile.write(odd, random.uniform(-0.5, 0.5, (100, 2)), 8000, "PCM_24")
    mixed, kept = (quick(folder / "manifest.csv", **{**spec, "cache": cache}) for cache in ("none", "memory"))
    assert mixed.source.plain == ["audio"]
    for split in ("train", "validation", "test"):
        before, after = (concatenate(getattr(data, split)) for data in (kept, mixed))
        tf.nest.map_structure(np.testing.assert_array_equal, before, after)


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
        "line 4, image: image/2.png": "Received: 100 bytes without it. The file is truncated",
        "line 8, image: image/6.png": "Received: contents that begin with `<html>no`.",
        "line 9, image: image/7.png": "Received: an empty file.",
        "line 14, audio: audio/12.wav": "Received: 256 bytes. The file is truncated",
        "line 15, vec: vec/13.npy": "Received: shape [3 2].",
        "line 40, vec: vec/38.npy": "Received: an empty file.",
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
        "`data.manifest` expects at most 1% bad rows (`data.max_bad`). Received: 6 rows of 40 (15%). "
        "Mend them, or raise `data.max_bad` if it is right to leave them out."
    )
    assert len(lines) == len(faults) == len(caught.value.findings)
    for place, reason in faults.items():
        line = next(line for line in lines if line.startswith(f"{place}: "))
        assert reason in line
    for noise in ("{{", "}}", "[Op:", "node", "device:", "assertion", "Traceback", ".py"):
        assert noise not in text


@pytest.mark.slow
@pytest.mark.parametrize("cache", ["memory", "file"])
def test_bad_files_cost_their_rows_or_their_modality(folder, cache):
    break_files(folder)
    settings = {"modalities": ("audio", "image", "numbers", "vec"), "cache": cache, "max_bad": 0.2}
    data = quick(folder / "manifest.csv", on_bad="quarantine", **settings)
    bad = {2, 6, 7, 12, 13, 38}
    assert {row for rows in data.rows.values() for row in rows} == set(range(tiny.ROWS)) - bad
    assert data.steps == 3 and sum(len(batch["present"]) for batch, _, _ in data.train) == len(
        set(TRAIN) - bad
    )
    data = quick(folder / "manifest.csv", on_bad="missing", **settings)
    present = {row: data.manifest.present[row].tolist() for row in sorted(bad)}
    assert present[2] == [1, 0, 0, 1] and present[12] == [0, 1, 1, 1] and present[13] == [1, 1, 1, 0]
    inputs, targets, weights = concatenate(data.train)
    assert len(inputs["image"]) == len(TRAIN)
    gone = [row for row in range(tiny.ROWS) if not tiny.is_there(row, "image")]
    absent = len([row for row in TRAIN if row in {2, 6, 7, *gone}])
    assert (inputs["image"].reshape(len(TRAIN), -1).max(axis=1) == 0).sum() == absent
    # What is left of a row was decoded, in spite of the other file.
    row = data.rows["validation"].tolist().index(38)
    assert np.abs(concatenate(data.validation)[0]["audio"][row]).max() > 0.1


def test_a_line_of_the_file_is_told_where_rows_span_several(folder):
    rows = tiny.read_table(folder / "manifest.csv")
    rows[0]["text"] = "two\nlines"
    (folder / "vec/1.npy").write_bytes(b"x")
    with pytest.raises(DataError, match=r"1 row of 40 .*\n  line 4, vec: vec/1\.npy: "):
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


def few_rows(tiny_manifest, rows):
    """Returns a spec of so many rows of train, and one of validation; and the rows."""
    table = tiny.read_table(tiny_manifest)
    kept = [row for row in table if row["split"] == "train"][:rows]
    kept += [row for row in table if row["split"] == "validation"][:1]  # One row for two devices.
    manifest = tiny.write_table(tiny_manifest.parent / f"{rows}.csv", kept)
    return tiny.quick_spec(manifest, training={"batch_size": 14}), kept


@pytest.mark.parametrize(("rows", "sizes"), [(24, [14, 10]), (9, [10]), (17, [14, 4])])
def test_two_devices_share_batches_of_any_number_of_rows(tiny_manifest, rows, sizes):
    spec, kept = few_rows(tiny_manifest, rows)
    data = make_datasets(spec, replicas=2)
    weights = [batch["tags"].numpy() for _, _, batch in data.train]
    assert [len(x) for x in weights] == sizes
    with_tags = sum(1 for row in kept if row["split"] == "train" and row["tags"])
    assert np.concatenate(weights).sum() == with_tags  # A row that fills up weighs nothing.
    assert data.steps == len(sizes)


@pytest.mark.slow
def test_two_devices_train_on_fewer_rows_than_fill_their_batches(tiny_manifest):
    spec, _ = few_rows(tiny_manifest, 17)
    strategy = make_strategy("mirrored")
    data = make_datasets(spec, replicas=strategy.num_replicas_in_sync)
    with strategy.scope():
        model = build_model(spec, data)
        model.compile(**compile_arguments(spec, data))
    history = model.fit(data.train, validation_data=data.validation, shuffle=False, verbose=0).history
    assert np.isfinite(history["loss"]).all()
    assert np.isfinite(history["val_loss"]).all()
