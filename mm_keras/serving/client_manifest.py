"""The rows of a manifest as the client sends them; imported with the first manifest, which takes a second."""

import numpy as np
from pydantic import TypeAdapter, ValidationError

from mm_keras.answers import Answers
from mm_keras.checks import check_positive_int, message
from mm_keras.data.manifest import load_rows
from mm_keras.spec_modalities import Modality

__all__ = ["Answers", "manifest_parts"]


def manifest_parts(path, modalities, root=None, batch_size=32):
    """Reads a manifest as `mm-keras predict` does.

    Args:
        path: path of the table.
        modalities: dict, name -> kind, or what a spec says of the modality.
        root: path or None. Folder that paths are relative to; None: the manifest's own.
        batch_size: int. Rows of a part.

    Yields: (list of dict, the rows; int array of their lines; str array of their ids, or None).
    Raises: ManifestError, if the table cannot be read.
    """
    check_positive_int("Client", "batch_size", batch_size)
    rows = load_rows(path, _read_modalities(modalities), root)
    ids = rows.table["id"].to_numpy() if "id" in rows.table else None
    for start in range(0, len(rows.lines), batch_size):
        part = slice(start, start + batch_size)
        columns = {name: list(cells[part]) for name, cells in rows.cells.items()}
        values = [dict(zip(columns, cells, strict=True)) for cells in zip(*columns.values(), strict=True)]
        yield values, np.asarray(rows.lines[part]), None if ids is None else ids[part]


def _read_modalities(modalities):
    entries = {
        name: {"kind": entry} if isinstance(entry, str) else dict(entry) for name, entry in modalities.items()
    }
    for name, entry in entries.items():
        if entry.get("kind") == "numbers":
            entry["columns"] = entry.get("columns") or [name]
    try:
        return TypeAdapter(dict[str, Modality]).validate_python(entries)
    except ValidationError as error:
        fix = "Write them as in a spec."
        raise ValueError(message("modalities", "modalities of a spec", f"{error}", fix)) from error
