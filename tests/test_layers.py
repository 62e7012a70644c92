"""Every public layer has a test_conforms in the test file of its own name."""

import ast
import re
from pathlib import Path

import keras
import pytest

from mm_keras import encoders, fusion, heads, log_mel

pytestmark = pytest.mark.core
TESTS = Path(__file__).parent
FOLDERS = {"encoders": encoders, "fusion": fusion, "heads": heads}


def snake_case(name):
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()


def public_classes(folder):
    public = {name: getattr(FOLDERS[folder], name) for name in FOLDERS[folder].__all__}
    return {name: value for name, value in public.items() if isinstance(value, type)}


LAYERS = [
    (folder, name)
    for folder in FOLDERS
    for name, value in public_classes(folder).items()
    if issubclass(value, keras.layers.Layer)
]


def conforming_layers(path):
    """Returns the layers that a test whose name begins with test_conforms hands to `assert_layer`."""
    if not path.exists():
        return set()
    tree = ast.parse(path.read_text(encoding="utf-8"))
    tests = [n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name.startswith("test_conforms")]
    calls = [node for test in tests for node in ast.walk(test) if isinstance(node, ast.Call)]
    return {
        call.args[0].id
        for call in calls
        if isinstance(call.func, ast.Name) and call.func.id == "assert_layer"
    }


@pytest.mark.parametrize(("folder", "name"), LAYERS)
def test_a_layer_has_its_test(folder, name):
    assert name in conforming_layers(TESTS / folder / f"test_{snake_case(name)}.py")


def test_log_mel_has_its_test():
    assert conforming_layers(TESTS / "test_log_mel.py") == {log_mel.LogMel.__name__}


def test_a_file_without_the_test_is_noticed(tmp_path):
    assert conforming_layers(tmp_path / "test_absent.py") == set()
    path = tmp_path / "test_other.py"
    path.write_text("def test_value():\n    assert_layer(GatedFusion, {})\n", encoding="utf-8")
    assert conforming_layers(path) == set()


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_file_of_a_folder_has_its_class_in_the_folders_names(folder):
    files = {path.stem for path in Path(FOLDERS[folder].__file__).parent.glob("*.py")} - {"__init__"}
    assert {snake_case(name) for name in public_classes(folder)} == files


@pytest.mark.parametrize("table", [encoders.ENCODERS, fusion.FUSIONS])
def test_a_table_of_kinds_names_public_layers(table):
    public = [*public_classes("encoders").values(), *public_classes("fusion").values()]
    assert all(layer in public for layer in table.values())
