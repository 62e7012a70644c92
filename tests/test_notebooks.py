"""Every notebook runs from top to bottom in an empty folder."""

from pathlib import Path

import nbclient
import nbformat
import pytest

FOLDER = Path(__file__).parents[1] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
SECONDS_A_CELL = 900
# What a reader runs for longer, notebook -> text in its cells -> what stands there in the test: every cell
# runs, on fewer rows and in one epoch.
SHORTER = {
    "01_quickstart": {
        'write_keypad("keypad")': 'write_keypad("keypad", rows=300)',
        "epochs = 12": "epochs = 1",
    },
    "02_your_own_data": {'"epochs": 3': '"epochs": 1'},
    "03_generation": {"rows=700": "rows=200", '"epochs": 14': '"epochs": 1'},
}


def test_there_is_a_notebook():
    assert NOTEBOOKS, f"no notebook in {FOLDER.name}/"


def shortened(notebook, changes):
    """Returns the notebook with each text that `changes` names, which its cells hold once, replaced."""
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    for text, shorter in changes.items():
        assert sum(cell.source.count(text) for cell in cells) == 1, text
        for cell in cells:
            cell.source = cell.source.replace(text, shorter)
    return notebook


@pytest.mark.slow
@pytest.mark.tensorflow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs(path, tmp_path):
    notebook = shortened(nbformat.read(path, as_version=4), SHORTER.get(path.stem, {}))
    resources = {"metadata": {"path": str(tmp_path)}}
    client = nbclient.NotebookClient(
        notebook, timeout=SECONDS_A_CELL, kernel_name="python3", resources=resources
    )
    client.execute()


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_defines_nothing(path):
    cells = nbformat.read(path, as_version=4).cells
    lines = [line for cell in cells if cell.cell_type == "code" for line in cell.source.splitlines()]
    assert [line for line in lines if line.lstrip().startswith(("def ", "class "))] == []
