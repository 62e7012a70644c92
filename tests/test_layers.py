"""Every public layer stands in the table of layers, and keeps there what each layer promises."""

import inspect
import re
from pathlib import Path

import keras
import pytest

import mm_keras.model
from helpers import assert_layer
from layer_table import ROWS
from mm_keras import encoders, fusion, heads

pytestmark = pytest.mark.core
FOLDERS = {"encoders": encoders, "fusion": fusion, "heads": heads}


def snake_case(name):
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()


def public_classes(folder):
    public = {name: getattr(FOLDERS[folder], name) for name in FOLDERS[folder].__all__}
    return {name: value for name, value in public.items() if isinstance(value, type)}


def public_layers():
    """Returns the layers that the folders name, and any other that the package registers with Keras; models
    are none."""
    named = [value for folder in FOLDERS for value in public_classes(folder).values()]
    registered = [
        value
        for value in keras.saving.get_custom_objects().values()
        if isinstance(value, type) and value.__module__.split(".")[0] == mm_keras.__name__
    ]
    layers = {value for value in [*named, *registered] if issubclass(value, keras.layers.Layer)}
    return {layer for layer in layers if not issubclass(layer, keras.Model)}


def layers_without_row(layers, rows):
    return {layer.__name__ for layer in layers} - {row.layer.__name__ for row in rows}


def parameters():
    """Returns each row as a parameter: named by its layer, and marked if it is slow and not its layer's
    first, which runs wherever the fast ones do."""
    parts, known = [], set()
    for index, row in enumerate(ROWS):
        marks = [pytest.mark.slow] if row.slow and row.layer in known else []
        parts.append(pytest.param(row, id=f"{row.layer.__name__}-{index}", marks=marks))
        known.add(row.layer)
    return parts


@pytest.mark.parametrize("row", parameters())
def test_conforms(row, tmp_path):
    # Two devices share the step of a layer's first row; those behind it differ by arguments alone.
    is_first = row is next(other for other in ROWS if other.layer is row.layer)
    given = (row.call_arguments, row.dtypes, row.learns, row.noise, 2 if is_first else 1)
    assert_layer(row.layer, row.arguments, row.inputs, row.outputs, tmp_path, *given)


def test_every_public_layer_has_a_row():
    assert layers_without_row(public_layers(), ROWS) == set()


def test_a_layer_without_a_row_is_noticed():
    assert {"LogMel", "GatedFusion", "Painter", "ConvStages"} <= {layer.__name__ for layer in public_layers()}
    rows = [row for row in ROWS if row.layer.__name__ != "GatedFusion"]
    assert layers_without_row(public_layers(), rows) == {"GatedFusion"}


def test_each_argument_of_a_layer_has_a_value_in_one_of_its_rows():
    given = {}
    for row in ROWS:
        given.setdefault(row.layer, set()).update(row.arguments)
    for layer, names in given.items():
        own = layer(**next(row.arguments for row in ROWS if row.layer is layer)).get_config().keys()
        assert own - keras.layers.Layer().get_config().keys() <= names, layer.__name__


def sections_of(layer):
    return re.findall(
        r"^    (Args|Call arguments|Returns|Raises|Source|Example):", layer.__doc__, re.MULTILINE
    )


@pytest.mark.parametrize("layer", sorted(public_layers(), key=lambda layer: layer.__name__))
def test_the_documentation_has_its_sections_in_order(layer):
    order = ["Args", "Call arguments", "Returns", "Raises", "Source", "Example"]
    sections = sections_of(layer)
    assert sections == [name for name in order if name in sections]
    own = inspect.signature(layer.__init__).parameters.keys() - {"self", "args", "kwargs"}
    needed = {"Call arguments", "Returns"} | ({"Args"} if own and "__init__" in vars(layer) else set())
    if layer in fusion.FUSIONS.values():
        needed |= {"Raises", "Source"}
    assert needed <= set(sections)


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_file_of_a_folder_has_its_class_in_the_folders_names(folder):
    files = {path.stem for path in Path(FOLDERS[folder].__file__).parent.glob("*.py")} - {"__init__"}
    assert {snake_case(name) for name in public_classes(folder)} == files


@pytest.mark.parametrize("table", [encoders.ENCODERS, fusion.FUSIONS])
def test_a_table_of_kinds_names_public_layers(table):
    public = [*public_classes("encoders").values(), *public_classes("fusion").values()]
    assert all(layer in public for layer in table.values())
