"""What an import and `mm-keras --help` load, seen from a fresh process."""

import subprocess
import sys

import pytest

HEAVY = (
    "tensorflow",
    "tensorflow_text",
    "tensorflow_io",
    "keras",
    "pandas",
    "sklearn",
    "scipy",
    "matplotlib",
)
REPORT = f"""
import sys
found = [name for name in {HEAVY!r} if name in sys.modules]
sys.stderr.write("LOADED " + " ".join(found))
"""
HELP = """
import sys
from mm_keras.cli import main
sys.argv = ["mm-keras", *{arguments!r}]
try:
    main()
except SystemExit as end:
    assert not end.code, end.code
"""


def run(code):
    """Runs code in a fresh process; returns (its output, names of HEAVY modules that it loaded)."""
    done = subprocess.run(
        [sys.executable, "-c", code + REPORT], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout, done.stderr.rpartition("LOADED")[2].split()


def test_the_report_sees_a_heavy_module():
    assert run("import pandas")[1] == ["pandas"]


def test_importing_the_package_loads_nothing_heavy():
    assert run("import mm_keras")[1] == []


def test_every_public_name_loads():
    output, loaded = run(
        "import mm_keras\nfor name in mm_keras.__all__: print(name, getattr(mm_keras, name))"
    )
    assert {"load_spec", "make_datasets", "build_model", "compile_arguments", "export"} <= {
        line.split()[0] for line in output.splitlines()
    }
    assert "tensorflow" in loaded


def test_public_names_are_listed_before_they_load():
    assert run("import mm_keras\nassert set(mm_keras.__all__) <= set(dir(mm_keras))")[1] == []


def test_an_unknown_name_is_an_attribute_error():
    code = "import mm_keras\ntry:\n    mm_keras.nothing\nexcept AttributeError as error:\n    print(error)"
    output, loaded = run(code)
    assert "nothing" in output
    assert loaded == []


@pytest.mark.parametrize("arguments", [["--help"], ["train", "--help"], ["schema", "--help"]], ids=" ".join)
def test_help_loads_nothing_heavy(arguments):
    output, loaded = run(HELP.format(arguments=arguments))
    assert "Usage" in output
    assert loaded == []
