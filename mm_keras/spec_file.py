"""Reads and writes spec.yaml; every error of a file is told at once, with its line."""

import os
import tempfile
from pathlib import Path

from pydantic import ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.nodes import MappingNode, SequenceNode
from ruamel.yaml.scalarstring import DoubleQuotedScalarString

from mm_keras.checks import message
from mm_keras.spec import Spec
from mm_keras.spec_errors import explain


class SpecError(ValueError):
    """A spec that cannot be used. The message holds one line for each fault, with its line in the file."""


def load_spec(path):
    """Reads a spec from a YAML 1.2 file.

    Args:
        path: str or path. The file.

    Returns: Spec. Its paths are absolute: the file names them relative to its own folder.
    Raises: SpecError, if the file cannot be read, is no YAML or is no valid spec.
    """
    path = Path(path)
    text = _read_text(path)
    data, tree = _parse(text, path)
    if not isinstance(data, dict):
        received = "an empty file" if data is None else f"a {type(data).__name__}"
        fix = "Begin with `name: my_model`, or write one with `mm-keras init manifest.csv`."
        raise SpecError(
            message(str(path), "a mapping of keys such as `name`, `data`, `modalities`", received, fix)
        )
    spec = _validate(data, str(path), tree)
    spec.data.manifest = os.path.abspath(path.parent / spec.data.manifest)
    spec.data.cache_folder = os.path.abspath(path.parent / spec.data.cache_folder)
    for noise in _noises(spec):
        noise.folder = os.path.abspath(path.parent / noise.folder)
    return spec


def make_spec(mapping, source="spec"):
    """Makes a spec from a dict, with the wording of `load_spec`.

    Args:
        mapping: dict. The keys of spec.yaml; `data.manifest` is kept as it is.
        source: str. How an error names where the dict came from.

    Returns: Spec.
    Raises: SpecError, if it is no valid spec.
    """
    if not isinstance(mapping, dict):
        fix = 'Pass {"name": ..., "data": ..., "modalities": ..., "outputs": ...}.'
        raise SpecError(message(source, "a dict", f"a {type(mapping).__name__}", fix))
    return _validate(mapping, source, None)


def save_spec(spec, path):
    """Writes a spec, whole or not at all, so that `load_spec` reads an equal one.

    Args:
        spec: Spec.
        path: str or path. The file; its folder is made. A path in this folder or below it is written
            relative to it, any other as an absolute one.

    Raises: OSError, if the file cannot be written.
    """
    path = Path(os.path.abspath(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    spec = spec.model_copy(deep=True)
    spec.data.manifest = _relative(spec.data.manifest, path.parent)
    spec.data.cache_folder = _relative(spec.data.cache_folder, path.parent)
    for noise in _noises(spec):
        noise.folder = _relative(noise.folder, path.parent)
    content = spec.model_dump(mode="json", exclude_none=True)
    yaml = YAML()
    yaml.default_flow_style = None
    yaml.width = 100
    handle, draft = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with open(handle, "w", encoding="utf-8") as file:
            yaml.dump(_quoted(content), file)
        os.chmod(draft, 0o644)
        os.replace(draft, path)
    except BaseException:
        os.unlink(draft)
        raise


def _quoted(content):
    """Returns the same content with text that YAML might take for a line break in double quotes."""
    if isinstance(content, dict):
        return {_quoted(key): _quoted(value) for key, value in content.items()}
    if isinstance(content, list):
        return [_quoted(value) for value in content]
    odd = isinstance(content, str) and not content.isprintable()
    return DoubleQuotedScalarString(content) if odd else content


def spec_schema():
    """Returns the JSON schema of spec.yaml as a dict, for editors."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **Spec.model_json_schema()}


def _noises(spec):
    """Returns the parts of a spec that name a folder of noise."""
    augments = [modality.augment for modality in spec.of_kind("audio").values()]
    return [augment.noise for augment in augments if augment and augment.noise]


def _relative(path, folder):
    """Returns a path in a folder or below it as seen from there, any other as an absolute one."""
    named = Path(os.path.abspath(path))
    return str(named.relative_to(folder) if named.is_relative_to(folder) else named)


def _read_text(path):
    expected = "a spec file in YAML"
    if path.is_dir():
        fix = f"Name the file in it, such as `{path / 'spec.yaml'}`."
        raise SpecError(message(str(path), expected, "a folder", fix))
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        fix = "Check the path, or write a spec with `mm-keras init manifest.csv`."
        raise SpecError(message(str(path), expected, "no such file", fix)) from error
    except OSError as error:
        fix = "Check the path and the file's permissions."
        raise SpecError(message(str(path), expected, error.strerror or str(error), fix)) from error
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        received = f"the byte 0x{content[error.start]:02x} in line {line}"
        raise SpecError(message(str(path), "UTF-8 text", received, "Save the file as UTF-8.")) from error


def _parse(text, path):
    """Returns the data of a YAML text, and its tree of nodes, which know their lines."""
    try:
        tree = YAML(typ="safe", pure=True).compose(text)
        return YAML(typ="safe", pure=True).load(text), tree
    except YAMLError as error:
        mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
        place = f"{path}, line {mark.line + 1}, column {mark.column + 1}" if mark else str(path)
        problem = getattr(error, "problem", None) or getattr(error, "reason", None) or "no YAML"
        raise SpecError(f"{place}: {message('spec', 'YAML', problem, _mend_syntax(problem))}") from error
    except (ValueError, RecursionError) as error:
        problem = "values nested too deep" if isinstance(error, RecursionError) else str(error)
        fix = "Write plain keys and values, text in quotes where in doubt."
        raise SpecError(f"{path}: {message('spec', 'YAML', problem, fix)}") from error


def _mend_syntax(problem):
    if "duplicate key" in problem:
        return "Keep one of them."
    if "\\t" in problem:
        return "Indent with spaces."
    if "mapping values" in problem:
        return "Put text that holds a colon in quotes, and give each key a line of its own."
    if "constructor" in problem:
        return "Remove the tag that begins with `!`."
    return "Check brackets, quotes and indentation near this place."


def _validate(data, source, tree):
    try:
        return Spec.model_validate(data)
    except ValidationError as error:
        faults = explain(error.errors(include_url=False), data, Spec)
        lines = [(_line_of(fault.path, tree), fault.text) for fault in faults]
        lines.sort(key=lambda pair: pair[0])
        texts = [f"{source}, line {line}: {text}" if tree else f"{source}: {text}" for line, text in lines]
        raise SpecError("\n".join(texts)) from error


def _line_of(path, node):
    """Returns the line (from 1) of the deepest key of `path` that the file holds; 0 without a file."""
    if node is None:
        return 0
    line = node.start_mark.line + 1
    for part in path:
        if isinstance(node, MappingNode):
            found = [(key, value) for key, value in node.value if key.value == str(part)]
            if not found:
                break
            key, node = found[0]
            line = key.start_mark.line + 1
        elif isinstance(node, SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            line = node.start_mark.line + 1
        else:
            break
    return line
