"""One small model, and one server of it, for the tests that change neither."""

import pytest
import small_models


@pytest.fixture(scope="session")
def small_model(tmp_path_factory):
    """Folder of a model `small` with the version 1."""
    folder = tmp_path_factory.mktemp("saved_models") / "small"
    small_models.write_model(folder)
    return folder


@pytest.fixture(scope="module")
def server(small_model):
    with small_models.serving(small_model) as running:
        yield running
