import types

import keras
import numpy as np
import pytest
import tensorflow as tf

from mm_keras import strategy
from mm_keras.model import build_model
from mm_keras.model_heads import make_heads
from mm_keras.spec_file import make_spec
from mm_keras.strategy import describe_devices, make_strategy, visible_devices

pytestmark = [pytest.mark.core, pytest.mark.tensorflow]
WITHOUT_GPU = not tf.config.list_physical_devices("GPU")


@pytest.mark.skipif(not WITHOUT_GPU, reason="needs a computer without a GPU")
def test_without_a_gpu_the_logical_cpus_are_seen():
    assert visible_devices() == ["CPU:0", "CPU:1"]


def test_none_is_one_device():
    assert make_strategy("none") is tf.distribute.get_strategy()
    assert make_strategy("none").num_replicas_in_sync == 1


@pytest.mark.parametrize("devices", [["CPU:0"], ["CPU:0", "CPU:1"], ["GPU:0"]])
def test_auto_is_one_device_without_two_gpus(devices, monkeypatch):
    monkeypatch.setattr(strategy, "visible_devices", lambda: devices)
    assert make_strategy() is tf.distribute.get_strategy()


@pytest.mark.parametrize(
    ("name", "devices"),
    [("auto", ["GPU:0", "GPU:1"]), ("mirrored", ["GPU:0", "GPU:1"]), ("mirrored", ["GPU:0"])],
)
def test_every_gpu_is_mirrored(name, devices, monkeypatch):
    monkeypatch.setattr(strategy, "visible_devices", lambda: devices)
    monkeypatch.setattr(strategy, "_mirrored", lambda used: ("mirrored", list(used)))
    assert make_strategy(name) == ("mirrored", devices)


def test_a_process_has_one_mirrored_strategy():
    assert make_strategy("mirrored") is make_strategy("mirrored")


def test_mirrored_on_a_single_cpu_is_refused(monkeypatch):
    monkeypatch.setattr(strategy, "visible_devices", lambda: ["CPU:0"])
    with pytest.raises(
        ValueError, match=r"expects a GPU .*Received: devices \['CPU:0'\]. Use strategy: auto"
    ):
        make_strategy("mirrored")


def test_an_unknown_name_is_refused():
    words = r"`auto`, `none`, `mirrored`. Received: strategy='mirror'. Did you mean `mirrored`\?"
    with pytest.raises(ValueError, match=words):
        make_strategy("mirror")


@pytest.mark.skipif(not WITHOUT_GPU, reason="needs a computer without a GPU")
def test_devices_without_a_gpu_are_described():
    assert describe_devices(make_strategy("none")) == "1 x CPU"
    assert describe_devices(make_strategy("mirrored")) == "2 x CPU"


def test_gpus_are_described_by_their_name(monkeypatch):
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: ["gpu"] if kind == "GPU" else [])
    monkeypatch.setattr(tf.config.experimental, "get_device_details", lambda gpu: {"device_name": "Big 9"})
    assert describe_devices(types.SimpleNamespace(num_replicas_in_sync=3)) == "3 x Big 9"


def trained_weights(name):
    """Weights after two steps of SGD on a batch of 4, of which two rows each lack a modality."""
    spec = make_spec(
        {
            "name": "tiny",
            "data": {"manifest": "manifest.csv"},
            "modalities": {
                "vec": {
                    "kind": "features",
                    "shape": [3],
                    "encoder": {"kind": "dense", "units": 4, "dropout": 0.0},
                },
                "numbers": {"kind": "numbers", "encoder": {"units": 4, "dropout": 0.0}},
            },
            "fusion": {"kind": "gated", "units": 4, "modality_dropout": 0.0, "dropout": 0.0},
            "outputs": {"label": {"kind": "classification"}},
            "training": {"precision": "float32"},
        }
    )
    fitted = types.SimpleNamespace(
        labels={"label": ["x", "y"]},
        statistics={
            "vec": {"mean": [0.0] * 3, "variance": [1.0] * 3},
            "numbers": {"mean": [0.0], "variance": [1.0]},
        },
    )
    random = np.random.default_rng(7)
    inputs = {
        "vec": random.normal(size=(4, 3)).astype("float32"),
        "numbers": random.normal(size=(4, 1)).astype("float32"),
        "present": np.array([[1, 1], [0, 1], [1, 0], [1, 1]], "float32"),
    }
    keras.utils.set_random_seed(7)
    with make_strategy(name).scope():
        model = build_model(spec, fitted)
        model.compile(keras.optimizers.SGD(0.5), {"label": make_heads(spec, fitted)["label"].loss()})
    before = model.get_weights()
    labels = {"label": np.eye(2, dtype="float32")[[0, 1, 1, 0]]}
    model.fit(inputs, labels, batch_size=4, epochs=2, verbose=0)
    return before, model.get_weights()


@pytest.mark.skipif(not WITHOUT_GPU, reason="needs a computer without a GPU")
@pytest.mark.slow
def test_two_devices_train_what_one_trains():
    (start, single), (start_of_two, mirrored) = trained_weights("none"), trained_weights("mirrored")
    for one, two in zip(start, start_of_two, strict=True):
        np.testing.assert_array_equal(one, two)
    for one, two in zip(single, mirrored, strict=True):
        np.testing.assert_allclose(two, one, rtol=1e-5, atol=1e-6)
    assert any((old != new).any() for old, new in zip(start, single, strict=True))
