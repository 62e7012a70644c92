"""The table itself: columns by name, lines in words, Arrow columns without copies."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from mm_keras.data.table import TEXT, ManifestError, Table, text_column


def table_of(**columns):
    frame = pd.DataFrame({name: text_column([pa.array(cells)]) for name, cells in columns.items()})
    return Table("folder/m.csv", frame, np.arange(2, 2 + len(frame)))


def test_columns_of_text_share_the_buffers_of_their_chunks():
    chunks = [pa.array(["a", "bc"], pa.large_string()), pa.array([""], pa.large_string())]
    column = text_column(chunks)
    assert column.dtype == TEXT
    assert column.tolist() == ["a", "bc", ""]
    assert pa.array(column).chunks[0].buffers()[2].address == chunks[0].buffers()[2].address


def test_columns_are_named_with_the_closest_and_those_that_were_not_read():
    table = table_of(label=["a"])
    table.names.append("text")
    assert table.column("label", "x").tolist() == ["a"]
    expected = "Received: `labels`. Did you mean `label`. The columns are `label`, `text`."
    with pytest.raises(ManifestError, match=expected):
        table.column("labels", "outputs.y.column")


def test_lines_in_words():
    table = table_of(a=list("abcdef"))
    assert table.name_lines(np.array([1])) == "line 3"
    assert table.name_lines(np.array([True, False, True, False, False, False])) == "lines 2, 4"
    assert table.name_lines(np.arange(6), most=2) == "lines 2, 3 and 4 more"


def test_paths_are_relative_to_the_folder_of_the_file():
    table = table_of(a=["b"])
    assert table.root.is_absolute()
    assert table.root.name == "folder"
