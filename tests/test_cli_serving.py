"""Options of the commands that serve, where they do not go together."""

import pytest
from typer.testing import CliRunner

from mm_keras import cli


def run(*arguments):
    result = CliRunner().invoke(cli.app, ["serve", *map(str, arguments)], env={"COLUMNS": "400"})
    assert result.exit_code == 2
    return result.stderr


def test_versions_and_labels_are_named_in_the_file_where_there_is_one(tmp_path):
    for option in (("--version", 1), ("--label", "a=1")):
        assert "`serve` expects --config alone" in run("--config", tmp_path / "models.config", *option)
    assert "`serve` expects MODEL or --config. Received: neither" in run()


@pytest.mark.parametrize(
    ("options", "received"),
    [
        (("--timeout", 3, "--allow-reload"), "--timeout, --allow-reload"),
        (("--certificate", "a.pem", "--key", "b.pem"), "--certificate, --key"),
        (("--host", "127.0.0.1"), "--host"),
    ],
)
def test_options_that_tensorflow_serving_lacks_are_named(tmp_path, options, received):
    told = run(tmp_path, "--engine", "tensorflow-serving", *options)
    assert f"has. Received: {received}. Leave them out" in told


def test_keys_are_not_left_out_without_a_word(tmp_path, monkeypatch):
    keys = tmp_path / "keys"
    keys.write_text("one\n")
    assert "Received: --api-keys." in run(tmp_path, "--engine", "tensorflow-serving", "--api-keys", keys)
    monkeypatch.setenv("MM_KERAS_API_KEYS", "one")
    assert "Received: MM_KERAS_API_KEYS." in run(tmp_path, "--engine", "tensorflow-serving")
