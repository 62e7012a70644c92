"""The fresh processes of an export: what they say when they fail."""

import pytest

from mm_keras.exporting.child import ExportError, run_child


@pytest.mark.slow
def test_a_file_that_cannot_be_loaded_is_told_in_its_words(tmp_path):
    model = tmp_path / "model.tflite"
    model.write_bytes(b"no model")
    task = {"kind": "tflite", "path": str(model), "inputs": str(tmp_path)}
    task |= {"outputs": str(tmp_path / "out"), "result": str(tmp_path / "result.json")}
    with pytest.raises(ExportError, match=r"expects reload to succeed in a fresh process\. .*identifier"):
        run_child("reload", task, tmp_path)


@pytest.mark.slow
def test_a_process_that_dies_is_told_with_its_status(tmp_path):
    with pytest.raises(ExportError, match=r"(?s)reload ended with status 1: .*KeyError: 'outputs'"):
        run_child("reload", {"result": str(tmp_path / "result.json")}, tmp_path)
