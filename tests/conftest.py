"""Set up before any test: two logical devices, quiet TensorFlow, seeds, and the `core` selection."""

import gc
import logging
import os
import random
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("MPLBACKEND", "Agg")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")  # As the command line does.

import hypothesis
import keras
import numpy as np
import pytest
import tensorflow as tf
import tiny

from mm_keras.exporting import export
from mm_keras.training import train

SEED = 7
TESTS = Path(__file__).parent
SHARE_NOTHING = ("test_layers", "test_notebooks")
CORE_FOLDERS = ("encoders", "fusion", "heads")

# Distribution is tested on one computer; the number of devices is fixed once TensorFlow initialises.
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
)
hypothesis.settings.register_profile("mm_keras", deadline=None, derandomize=True)
hypothesis.settings.load_profile("mm_keras")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Gives each item its marks, and the group whose tests stay in one process: its file, or all tests that
    need the one training of the session. Groups run in order, so the longest come first; the table of layers
    shares nothing: its tests fill up the end."""
    for item in items:
        if item.path.stem not in SHARE_NOTHING:
            trained = "trained" in item.fixturenames
            item.add_marker(pytest.mark.xdist_group("trained" if trained else item.path.stem))
    items.sort(key=lambda item: (item.path.stem != "test_notebooks", item.path.stem == "test_layers"))
    other_backend = keras.config.backend() != "tensorflow"
    for item in items:
        if item.path.is_relative_to(TESTS) and item.path.relative_to(TESTS).parts[0] in CORE_FOLDERS:
            item.add_marker(pytest.mark.core)
        if other_backend and item.get_closest_marker("tensorflow"):
            item.add_marker(pytest.mark.skip(reason="needs Keras's TensorFlow backend"))


def pytest_collection_finish():
    """Takes what was imported out of the reach of Python's garbage collector, which has it all to look
    through again and again while graphs are built: a tenth of the time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 20, 100)


def pytest_make_parametrize_id(val, argname):
    """Bytes get a number for a name: files made while tests are collected may hold the time of writing,
    and pytest-xdist wants the same names from each of its processes."""
    return argname if isinstance(val, bytes) else None


@pytest.fixture(autouse=True)
def _same_start():
    """Each test begins with the same seeds, with float32 and with what the package logs, whatever the one
    before it did."""
    logging.getLogger("mm_keras").setLevel(logging.NOTSET)
    random.seed(SEED)
    np.random.seed(SEED)
    keras.utils.set_random_seed(SEED)
    keras.config.set_dtype_policy("float32")
    yield
    keras.config.set_dtype_policy("float32")


@pytest.fixture(scope="session")
def tiny_manifest(tmp_path_factory):
    """The manifest of the tiny data set; a test that changes a file copies its folder first."""
    return tiny.write_tiny(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="session")
def trained(tiny_manifest, tmp_path_factory):
    """(Run, Datasets) of one training of all five modalities and all three outputs."""
    keras.utils.set_random_seed(SEED)
    return train(tiny.tiny_spec(tiny_manifest), tmp_path_factory.mktemp("runs"))


@pytest.fixture(scope="session")
def exported(trained, tmp_path_factory):
    """What `export` returned for that run."""
    run, data = trained
    return export(run.model, run.spec, data, tmp_path_factory.mktemp("saved_models") / "tiny")
