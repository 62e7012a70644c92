"""Runs the stand-alone scripts of this folder in a fresh process."""

import json
import os
import subprocess
import sys
from pathlib import Path

from mm_keras.checks import message


class ExportError(RuntimeError):
    """An artefact could not be written, or what was written does not answer as the Keras model does."""


def run_child(script, arguments, folder):
    """Runs `<script>.py` of this folder in a new interpreter without mm_keras (tensorflow_text loads keras).

    Args:
        script: str. Name of the script.
        arguments: dict, written as JSON to its standard input.
        folder: path. Where the process runs.

    Returns: dict, what the script wrote as JSON to `arguments["result"]`.
    Raises: ExportError with what the script said, if it fails.
    """
    path = Path(__file__).with_name(f"{script}.py")
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2", "CUDA_VISIBLE_DEVICES": "-1"}
    environment.pop("PYTHONPATH", None)
    done = subprocess.run(
        [sys.executable, "-P", str(path)],
        input=json.dumps(arguments),
        capture_output=True,
        text=True,
        errors="replace",
        cwd=folder,
        env=environment,
    )
    result = Path(arguments["result"])
    answer = json.loads(result.read_text(encoding="utf-8")) if result.is_file() else {}
    if done.returncode or "error" in answer:
        said = answer.get("error") or "\n".join(done.stderr.strip().splitlines()[-8:])
        received = f"{script} ended with status {done.returncode}: {said}"
        fix = answer.get("fix", "Nothing was written. Change what it names, then export again.")
        raise ExportError(message("export", f"{script} to succeed in a fresh process", received, fix))
    return answer
