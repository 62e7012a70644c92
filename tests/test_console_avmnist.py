"""`mm-keras data avmnist` and `mm-keras data check`, from outside."""

import json

import pytest
import tiny_avmnist
from typer.testing import CliRunner

from mm_keras import cli
from mm_keras.spec_file import load_spec


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    return tiny_avmnist.write_sources(tmp_path_factory.mktemp("sources"))


@pytest.fixture(autouse=True)
def _wide(monkeypatch):
    monkeypatch.setenv("COLUMNS", "160")


def run(*arguments):
    return CliRunner().invoke(cli.app, [str(argument) for argument in arguments])


def build(sources, folder, *options):
    places = [part for name, path in sources.items() for part in (f"--{name}", path)]
    return run("data", "avmnist", *places, *options, folder)


SMALL = ("--train", 30, "--validation", 6, "--test", 8)


def test_builds_checks_and_gives_a_table_that_init_reads(sources, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "my digits"
    result = build(sources, folder, *SMALL, "--preset", 5, "--seed", 3, "--snr", "-5", "0", "--spectrogram")
    assert result.exit_code == 0, result.output
    recipe = json.loads((folder / "recipe.json").read_text())
    chosen = {name: recipe[name] for name in ("train", "validation", "test", "preset", "seed", "snr")}
    assert chosen == {"train": 30, "validation": 6, "test": 8, "preset": 5, "seed": 3, "snr": [-5.0, 0.0]}
    assert recipe["spectrogram"] and not recipe["held_out_speakers"]
    digest = json.loads((folder / "checksums.json").read_text())["digest"]
    for words in ("30 train, 6 validation, 8 test", "5 principal components", digest, "'"):
        assert words in result.stdout
    checked = run("data", "check", folder)
    assert (checked.exit_code, digest in checked.stdout) == (0, True)
    assert run("init", folder / "manifest.csv").exit_code == 0
    spec = load_spec("spec.yaml")
    kinds = {name: modality.kind for name, modality in spec.modalities.items()}
    assert kinds == {"image": "image", "audio": "audio", "spectrogram": "features"}
    assert list(spec.outputs) == ["label"]


def test_held_out_speakers_by_option(sources, tmp_path):
    assert build(sources, tmp_path / "out", *SMALL, "--held-out-speakers").exit_code == 0
    speakers = json.loads((tmp_path / "out/recipe.json").read_text())["speakers"]
    assert sorted(sum(speakers.values(), [])) == ["ann", "bob", "cy"]


def test_full_asks_for_all_of_mnist(sources, tmp_path):
    result = build(sources, tmp_path / "out", "--full")
    assert result.exit_code == 2
    assert "at most 120 rows of train and validation" in result.stderr
    assert "Received: 60000." in result.stderr


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (("--mnist", "nowhere"), "`mnist` to be a folder of MNIST's idx files"),
        (("--fsdd", "nowhere"), "`fsdd` to be a folder of recordings"),
        (("--noise", "nowhere"), "`noise` to be a folder of clips of noise"),
        (("--preset", "6"), "`preset` in `4`, `5`"),
        (("--train", "1"), "`train` to be an int >= 4"),
        (("--snr", "5", "-5"), "`snr` to be (lowest, highest)"),
    ],
)
def test_a_fault_is_one_message_without_a_traceback(sources, tmp_path, change, text):
    result = build(sources, tmp_path / "out", *SMALL, *change)
    assert result.exit_code == 2
    assert result.stderr.startswith("Error: `write_avmnist` expects ")
    assert text in result.stderr
    assert "Received: " in result.stderr
    assert "Traceback" not in result.output
    assert not list(tmp_path.iterdir())


def test_a_folder_that_holds_anything_is_refused(sources, tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    result = build(sources, tmp_path, *SMALL)
    assert result.exit_code == 2
    assert "expects a new or an empty folder" in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_check_names_a_changed_file(sources, tmp_path):
    build(sources, tmp_path / "out", *SMALL)
    (tmp_path / "out/images/test/00001.png").write_bytes(b"other")
    result = run("data", "check", tmp_path / "out")
    assert result.exit_code == 2
    assert "changed: `images/test/00001.png`" in result.stderr
