"""The command line from outside: messages, exit statuses, files, and what stays out of the output."""

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from typer.testing import CliRunner

from mm_keras import __version__, cli
from mm_keras.spec_file import load_spec

LABELS = ("low", "high")


def run(*arguments):
    """Returns the result of a command: exit_code, stdout, stderr."""
    return CliRunner().invoke(cli.app, [str(argument) for argument in arguments])


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with a manifest of texts and numbers; commands run in it."""
    rows = [f"note {LABELS[i % 2]} {i},{i % 2 + i / 100},{LABELS[i % 2]}" for i in range(40)]
    (tmp_path / "rows.csv").write_text("\n".join(["note,age,label", *rows]) + "\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")
    return tmp_path


class FakePredictor:
    """Answers "high" to everything."""

    def __init__(self, spec):
        self.preprocessor = SimpleNamespace(
            modalities=spec.modalities,
            outputs=spec.outputs,
            labels={"label": list(LABELS)},
            copies={},
            rebuilt=lambda key: None,
            of_kind=lambda *kinds: {name: part for name, part in spec.outputs.items() if part.kind in kinds},
        )

    def predict(self, cells):
        count = len(next(iter(cells.values())))
        return {"label": np.full(count, "high", object), "label_scores": np.tile([0.25, 0.75], (count, 1))}


@pytest.fixture
def predictor(folder, monkeypatch):
    from mm_keras import prediction

    run("init", "rows.csv")
    fake = FakePredictor(load_spec("spec.yaml"))
    monkeypatch.setattr(prediction, "load_predictor", lambda path: fake)
    return fake


def test_help_answers_at_once_and_loads_nothing_heavy():
    code = (
        "import sys, time\nbegan = time.process_time()\nfrom mm_keras.cli import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit as end:\n    assert end.code == 0\n"
        "heavy = {'tensorflow', 'keras', 'pandas', 'sklearn', 'matplotlib', 'pydantic'} & set(sys.modules)\n"
        "print(time.process_time() - began, sorted(heavy), file=sys.stderr)\n"
    )
    tries = []
    for _ in range(3):  # The fastest of three, of the processor: the computer may be busy.
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        seconds, heavy = done.stderr.split(" ", 1)
        assert heavy.strip() == "[]"
        tries.append(float(seconds))
    assert min(tries) < 0.5
    for command in ("init", "train", "evaluate", "export", "predict", "quickstart", "schema"):
        assert command in done.stdout


def test_version():
    result = run("--version")
    assert (result.exit_code, result.stdout) == (0, f"mm-keras {__version__}\n")


def test_schema_is_json_of_any_width(monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    result = run("schema")
    assert result.exit_code == 0
    assert json.loads(result.stdout)["properties"].keys() >= {"name", "data", "modalities", "outputs"}


def test_an_unknown_command_is_answered_with_a_near_one():
    result = run("trian")
    assert result.exit_code == 2
    assert "train" in result.stderr


def test_init_writes_a_spec_that_loads_and_names_the_next_command(folder):
    result = run("init", "rows.csv", "--output", "new folder/spec.yaml")
    assert result.exit_code == 0, result.output
    spec = load_spec("new folder/spec.yaml")
    assert Path(spec.data.manifest).resolve() == (folder / "rows.csv").resolve()
    assert "label: classification of column label" in result.stdout
    assert "mm-keras train 'new folder/spec.yaml'\n" in result.stdout


def test_init_writes_over_a_file_only_with_force(folder):
    (folder / "spec.yaml").write_text("mine", encoding="utf-8")
    result = run("init", "rows.csv")
    assert result.exit_code == 2
    assert "Error: `--output` expects a file that is not there yet. Received: spec.yaml." in result.stderr
    assert (folder / "spec.yaml").read_text(encoding="utf-8") == "mine"
    assert run("init", "rows.csv", "--force").exit_code == 0
    assert (folder / "spec.yaml").read_text(encoding="utf-8") != "mine"


def test_init_of_no_table_leaves_nothing(folder):
    result = run("init", "nowhere.csv")
    assert result.exit_code == 2
    assert "nowhere.csv" in result.stderr
    assert not (folder / "spec.yaml").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ("train", "[bold]nowhere[/bold].yaml"),
        ("evaluate", "[bold]nowhere[/bold].yaml"),
        ("export", "[bold]nowhere[/bold].yaml"),
        ("predict", "[bold]nowhere[/bold].yaml", "--note", "a"),
    ],
    ids=lambda arguments: arguments[0],
)
def test_a_wrong_path_is_one_message_without_a_traceback(arguments, folder):
    result = run(*arguments)
    assert result.exit_code == 2
    assert result.stderr.startswith("Error: `")
    assert "[bold]nowhere[/bold].yaml" in result.stderr
    assert "Received: " in result.stderr
    assert "Traceback" not in result.output
    assert not (folder / "runs").exists()


def test_a_fault_of_the_table_is_told_before_anything_is_trained(folder):
    run("init", "rows.csv")
    result = run("train", "spec.yaml", "--set", "outputs.label.column=lable")
    assert result.exit_code == 2
    assert "Did you mean `label`?" in result.stderr
    assert not (folder / "runs").exists()


def test_a_wrong_setting_names_its_key(folder):
    run("init", "rows.csv")
    result = run("train", "spec.yaml", "--set", "training.epoch=3")
    assert result.exit_code == 2
    assert "Received: `epoch`. Did you mean `epochs`?" in result.stderr


def fail_with(error):
    def fail(*arguments):
        raise error

    return fail


@pytest.mark.parametrize("arguments", [("--debug", "schema"), ("schema", "--debug")], ids=" ".join)
def test_debug_shows_the_error_itself_wherever_it_stands(arguments, monkeypatch):
    monkeypatch.setattr("mm_keras.spec_file.spec_schema", fail_with(ValueError("broken")))
    assert isinstance(run(*arguments).exception, ValueError)
    assert run("schema").exit_code == 2


def test_an_unexpected_error_is_a_line_and_a_hint(monkeypatch):
    monkeypatch.setattr("mm_keras.spec_file.spec_schema", fail_with(TypeError("in user code:\n\n  [b]x\n")))
    result = run("schema")
    assert result.exit_code == 1
    assert result.stderr == (
        "Unexpected error: TypeError: [b]x\nRun it again with --debug for the traceback.\n"
    )


def test_an_error_of_the_package_is_for_the_user(monkeypatch):
    from mm_keras.training import TrainingError

    monkeypatch.setattr("mm_keras.spec_file.spec_schema", fail_with(TrainingError("no number")))
    result = run("schema")
    assert (result.exit_code, result.stderr) == (2, "Error: no number\n")


@pytest.mark.parametrize(
    ("error", "words"),
    [(KeyboardInterrupt(), "nothing more is written."), (KeyboardInterrupt("kept in x"), "kept in x")],
)
def test_an_interruption_says_what_is_kept(error, words, monkeypatch):
    monkeypatch.setattr("mm_keras.spec_file.spec_schema", fail_with(error))
    result = run("schema")
    assert (result.exit_code, result.stderr) == (130, f"Stopped: {words}\n")


def test_the_log_of_tensorflow_is_quiet_unless_the_user_says_otherwise(monkeypatch):
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "0")
    monkeypatch.delenv("ABSL_MIN_LOG_LEVEL", raising=False)
    assert run("schema").exit_code == 0
    assert os.environ["TF_CPP_MIN_LOG_LEVEL"] == "0"
    assert os.environ["ABSL_MIN_LOG_LEVEL"] == "3"


def test_predict_takes_the_names_of_the_modalities_as_options(predictor):
    name = next(name for name, part in predictor.preprocessor.modalities.items() if part.kind == "text")
    result = run("predict", "model", f"--{name}=hello")
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("label: high\n")
    assert "75.0%" in result.stdout


def test_predict_with_another_option_names_those_there_are(predictor):
    result = run("predict", "model", "--nte", "hello")
    assert result.exit_code == 2
    assert "Did you mean `--note`?" in result.stderr


def test_predict_writes_all_rows_and_shows_the_first(predictor, folder):
    shown = run("predict", "model", "rows.csv")
    assert shown.exit_code == 0, shown.output
    assert shown.stdout.count("75.0%") == 20
    assert "The first 20 of 40 rows." in shown.stdout
    written = run("predict", "model", "rows.csv", "--output", "answers.csv")
    assert written.exit_code == 0, written.output
    assert "answers.csv" in written.stdout
    assert len((folder / "answers.csv").read_text(encoding="utf-8").splitlines()) == 41


def test_predict_refuses_an_output_of_another_kind_before_the_model_is_loaded(folder):
    result = run("predict", "nowhere", "rows.csv", "--output", "answers.txt")
    assert result.exit_code == 2
    assert "`--output` expects" in result.stderr


@pytest.mark.slow
def test_from_a_table_to_answers(folder):
    """Trains, measures, exports and predicts texts and numbers, all by commands."""
    assert run("init", "rows.csv").exit_code == 0
    runs = Path("runs") / load_spec("spec.yaml").name
    small = ["--set", "fusion={kind: concatenate, units: 8}", "--set", "export.formats=[tflite]"]
    trained = run("train", "spec.yaml", "--epochs", 2, *small)
    assert trained.exit_code == 0, trained.output
    assert [line.split()[0] for line in trained.stdout.splitlines() if "/2 " in line] == ["1/2", "2/2"]
    assert "Best epoch" in trained.stdout
    measured = run("evaluate", runs, "--split", "train")
    assert measured.exit_code == 0, measured.output
    assert "Classes of label" in measured.stdout
    assert "age + note" in measured.stdout
    assert list((folder / runs).glob("*/evaluation.json"))
    exported = run("export", runs, "--format", "tflite", "--output", "out")
    assert exported.exit_code == 0, exported.output
    assert "TFLite" in exported.stdout
    assert "SavedModel" not in exported.stdout
    answered = run("predict", "out/mobile/1/model.tflite", "rows.csv", "--output", "answers.jsonl")
    assert answered.exit_code == 0, answered.output
    rows = [json.loads(line) for line in (folder / "answers.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [row["line"] for row in rows] == list(range(2, 42))
    assert all(row["label"] in LABELS for row in rows)
