"""Arrow columns of any type -> text, by Arrow's own functions: no cell becomes a Python object."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

TEXT = pa.large_string()
LIST_SEPARATOR = "|"
# What a column is.
TEXTS, CONTENTS, PATHS, UNDECIDED = "texts", "contents", "paths", "undecided"


def kind_of(array):
    """Returns what a column is, from its type and, of bytes, its first values.

    Returns: TEXTS; CONTENTS, the bytes of files or arrays of floats; PATHS, `{bytes, path}` without any
        bytes; UNDECIDED, nothing is there; or None: no type that a table may have.
    """
    kind = _storage(array.type)
    if array.null_count == len(array) and not pa.types.is_struct(kind):
        return UNDECIDED
    if _is_binary(kind):
        return TEXTS if _are_text(array) else CONTENTS
    if pa.types.is_struct(kind):
        return _kind_of_struct(_stored(array))
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if _is_list(kind):
        if _holds_floats(kind):
            return CONTENTS
        return TEXTS if _is_scalar(_storage(kind.value_type)) else None
    return TEXTS if _is_scalar(kind) else None


def to_text(array):
    """Returns the column as text.

    Numbers are as short as they round-trip, `true` and `false` words, null and NaN "", lists joined by `|`
    (an empty one `|` alone). Texts lose the spaces around them.

    Args:
        array: pyarrow.Array of kind TEXTS, PATHS or UNDECIDED.

    Returns: (large string array without nulls, dict of position -> shown text). The positions are cells that
        are no UTF-8; they are empty in the array.
    """
    array, kind = _stored(array), _storage(array.type)
    if pa.types.is_struct(kind):
        return to_text(array.field("path") if kind.get_field_index("path") >= 0 else pa.nulls(len(array)))
    if pa.types.is_null(kind):
        return _fill(pa.nulls(len(array), TEXT)), {}
    if pa.types.is_dictionary(kind):
        return _dictionary_to_text(array)
    if _is_list(kind):
        return _lists_to_text(array)
    if pa.types.is_floating(kind):
        known = pc.if_else(pc.is_nan(array.cast(pa.float64())), pa.scalar(None, kind), array)
        return _fill(known.cast(TEXT)), {}
    if not (_is_binary(kind) or _is_string(kind)):
        return _fill(array.cast(TEXT)), {}
    return _strings_to_text(array)


def contents_of(array):
    """Returns the contents of each row of kind CONTENTS, None = missing: list `(N,)` of bytes or arrays.

    An array that no file can hold, as its rows differ in length, is missing too.
    """
    array, kind = _stored(array), _storage(array.type)
    if pa.types.is_struct(kind):
        return array.field("bytes").to_pylist()
    if not _is_list(kind):
        return array.to_pylist()
    if not _is_list(_storage(kind.value_type)):
        return [
            _stored(cell.values).to_numpy(zero_copy_only=False) if cell.is_valid else None for cell in array
        ]
    return [_to_rectangle(cell) for cell in array.to_pylist()]


def _to_rectangle(rows):
    if rows is None or None in rows or len({len(row) for row in rows}) > 1:
        return None
    return np.array(rows, "float64")


def _storage(kind):
    return kind.storage_type if isinstance(kind, pa.BaseExtensionType) else kind


def _stored(array):
    """Returns the array without extension types, with the nulls of a struct in its fields."""
    array = array.storage if isinstance(array, pa.ExtensionArray) else array
    if not pa.types.is_struct(array.type) or not array.null_count:
        return array
    fields = array.flatten()
    return pa.StructArray.from_arrays(fields, fields=list(array.type))


def _is_binary(kind):
    sized = pa.types.is_binary(kind) or pa.types.is_large_binary(kind)
    return sized or pa.types.is_fixed_size_binary(kind) or pa.types.is_binary_view(kind)


def _is_string(kind):
    return pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)


def _is_list(kind):
    return pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)


def _is_scalar(kind):
    value = kind.value_type if pa.types.is_dictionary(kind) else kind
    numbers = pa.types.is_primitive(value) or pa.types.is_decimal(value)  # Primitive: bool and times too.
    return numbers or _is_string(value) or _is_binary(value) or pa.types.is_null(value)


def _holds_floats(kind):
    """Returns whether a list is an array of numbers: floats, or numbers on two axes."""
    value = _storage(kind.value_type)
    if _is_list(value):
        inner = _storage(value.value_type)
        return pa.types.is_floating(inner) or pa.types.is_integer(inner)
    return pa.types.is_floating(value)


def _kind_of_struct(array):
    names = {field.name: _storage(field.type) for field in array.type}
    if not set(names) <= {"bytes", "path"} or not names:
        return None
    if "bytes" in names and array.field("bytes").null_count < len(array):
        return CONTENTS if _is_binary(names["bytes"]) else None
    if "path" in names and array.field("path").null_count < len(array):
        return PATHS
    return UNDECIDED


def _are_text(array, most=100):
    """Returns whether the first bytes that are there are text, as of tables whose texts lack their type."""
    there = array.drop_null()[:most]
    try:
        texts = there.cast(pa.binary()).cast(TEXT)
    except pa.ArrowInvalid:
        return False
    return not pc.any(pc.match_substring(texts, "\0")).as_py()


def _fill(texts):
    return pc.fill_null(texts, "") if texts.null_count else texts


def _strings_to_text(array):
    raw = array.cast(pa.large_binary())
    wrong = {}
    try:
        texts = raw.cast(TEXT)
    except pa.ArrowInvalid:
        cells = raw.to_pylist()
        for position, cell in enumerate(cells):
            if cell is not None and not _is_utf8(cell):
                wrong[position] = cell.decode("utf-8", "backslashreplace")[:80]
                cells[position] = None
        texts = pa.array(cells, pa.large_binary()).cast(TEXT)
    return pc.utf8_trim_whitespace(_fill(texts)), wrong


def _is_utf8(cell):
    try:
        cell.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _dictionary_to_text(array):
    texts, wrong = to_text(array.dictionary)
    if not wrong:
        return _fill(texts.take(array.indices)), {}
    codes = array.indices.to_pylist()
    found = {position: wrong[code] for position, code in enumerate(codes) if code in wrong}
    return _fill(texts.take(array.indices)), found


def _lists_to_text(array):
    texts, wrong = to_text(pc.list_flatten(array))
    parents = pc.list_parent_indices(array)
    found = {parents[position].as_py(): shown for position, shown in wrong.items()}
    there = pc.not_equal(texts, "")
    counts = np.bincount(parents.filter(there).to_numpy(), minlength=len(array))
    offsets = pa.array(np.concatenate([[0], np.cumsum(counts)]), pa.int64())
    lists = pa.LargeListArray.from_arrays(offsets, texts.filter(there))
    joined = pc.binary_join(lists, pa.scalar(LIST_SEPARATOR, TEXT))
    # An empty list says that there is no label, null that none is known.
    joined = pc.if_else(pa.array(counts == 0), pa.scalar(LIST_SEPARATOR, TEXT), joined)
    hidden = pc.is_null(array)
    if found:
        mask = np.zeros(len(array), bool)
        mask[list(found)] = True
        hidden = pc.or_(hidden, pa.array(mask))
    return pc.if_else(hidden, pa.scalar("", TEXT), joined), found
