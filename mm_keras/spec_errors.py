"""Words the errors that pydantic finds in a spec: the key's path, expected, received, how to mend it."""

import dataclasses
import datetime
import json
import reprlib
import typing

from annotated_types import Ge, Gt, Le, Lt, MaxLen, MinLen
from pydantic import BaseModel

from mm_keras.checks import closest, listing, message
from mm_keras.spec_places import (
    Spot,
    is_mapping,
    is_model,
    kinds_of,
    literals_of,
    locate,
    locate_path,
    of_field,
    pick,
    tag_of,
    take_apart,
    value_at,
)

SCALARS = {int: "a whole number", float: "a number", str: "text", bool: "true or false"}
PLURALS = {int: "whole numbers", float: "numbers", str: "texts"}
REPR = reprlib.Repr()
REPR.maxlevel, REPR.maxstring, REPR.maxother = 2, 60, 60


@dataclasses.dataclass(frozen=True)
class Fault:
    """One error of a spec. `path` holds the keys from the top of the file, `text` the three sentences."""

    path: tuple
    text: str


def explain(errors, data, model):
    """Returns the `Fault`s of `errors` (of `ValidationError.errors()`) in `data`, a mapping for `model`."""
    faults = {}
    for error in errors:
        spot = locate(error["loc"], model)
        spot = _settle_union(spot, data, model)
        if spot is not None:
            fault = _word(error, spot, data, model)
            faults.setdefault(fault.text, fault)
    return list(faults.values())


def _settle_union(spot, data, model):
    """Keeps an error of a plain union if the value has that form, else words the union whole."""
    for length, taken in spot.untagged:
        value = value_at(data, spot.path[:length])
        if not isinstance(value, dict):
            return locate_path(spot.path[:length], data, model)
        if not is_mapping(taken):
            return None
    return spot


def _word(error, spot, data, model):
    kind, path = error["type"], spot.path
    if kind == "extra_forbidden":
        return _word_unknown_key(path, data, model)
    if spot.is_key:
        return _word_name(spot, error["input"])
    if kind == "missing":
        return _word_missing(path, spot, data)
    if kind.startswith("union_tag") or spot.annotation.discriminated:
        return _word_kind(path, spot, value_at(data, path))
    raised = error.get("ctx", {}).get("error")
    if kind == "value_error" and hasattr(raised, "expected"):
        full = path + raised.path
        return Fault(full, message(_dotted(full), raised.expected, raised.received, raised.fix))
    return _word_value(spot, value_at(data, path))


def _word_unknown_key(path, data, model):
    *parent, key = path
    owner = locate_path(tuple(parent), data, model)
    value = value_at(data, tuple(parent))
    alternatives = owner.annotation.alternatives
    tag = tag_of(value, owner.annotation)
    part = pick(alternatives, tag) if len(alternatives) > 1 else alternatives[0]
    keys = list(part.model_fields)
    hint = closest(key, keys) or _home_hint(key, part, alternatives, ()) or _home_hint(key, model, [], parent)
    of_kind = f" of kind {tag}" if len(alternatives) > 1 else ""
    expected = f"the keys{of_kind} {listing(keys, 24)}"
    fix = hint.strip() or "Remove it, or use one of these keys."
    return Fault(path, message(_dotted(parent) or "spec", expected, f"`{key}`", fix))


def _home_hint(key, part, alternatives, parent):
    """Says which key of `part`, or which other kinds, have a field `key`; "" if none has."""
    others = [kinds_of(other)[0] for other in alternatives if key in other.model_fields]
    if others and "settings" in part.model_fields:
        return "Put it under `settings`."
    if others:
        return f"Only the kind{'s' * (len(others) > 1)} {listing(others)} ha{'ve' if others[1:] else 's'} it."
    for name, info in part.model_fields.items():
        for kind in of_field(info).alternatives:
            if is_model(kind) and key in kind.model_fields and name not in parent:
                return f"It belongs under `{name}`."
    return ""


def _word_name(spot, name):
    if isinstance(name, float) or not isinstance(name, (str, int)) or isinstance(name, bool):
        quoted = f'Put it in quotes: "{str(name).lower()}".'
        path = (*spot.path[:-1], str(name))
        return Fault(path, message(_dotted(spot.path[:-1]), "names that are text", f"{name!r}", quoted))
    expected = "a name of letters, digits and _ (a letter first, at most 64)"
    cleaned = "".join(c if c.isascii() and c.isalnum() else "_" for c in str(name)).strip("_")[:60]
    cleaned = cleaned if cleaned[:1].isalpha() else f"x_{cleaned}".rstrip("_")
    fix = f"Rename it, such as `{cleaned}`, and name the column with `column: {json.dumps(str(name))}`."
    return Fault(spot.path, message(_dotted(spot.path), expected, f"{name!r}", fix))


def _word_missing(path, spot, data):
    *parent, key = path
    owner = _dotted(parent) or "spec"
    described = f" ({_lower(spot.annotation.description)})" if spot.annotation.description else ""
    keys = value_at(data, parent)
    received = f"only {listing(keys)}" if keys else "no key"
    fix = f"Add `{_example(spot)}`."
    return Fault(path, message(owner, f"the key `{key}`{described}", received, fix))


def _word_kind(path, spot, value):
    kinds = [kind for part in spot.annotation.alternatives for kind in kinds_of(part)]
    if not isinstance(value, dict):
        expected, fix = f"a mapping with a `kind` in {listing(kinds)}", f"Such as `{_example(spot)}`."
        return Fault(path, message(_dotted(path), expected, _received(path, value), fix))
    if "kind" not in value:
        guess = closest(path[-1], kinds) or f"Add `kind: {kinds[0]}` or another of them. "
        received = f"only {listing(value)}" if value else "no key"
        return Fault(
            path, message(_dotted(path), f"the key `kind` in {listing(kinds)}", received, guess.strip())
        )
    path += ("kind",)
    fix = f"{closest(value['kind'], kinds)}Choose one of them."
    if "registered" in kinds and ">" in str(value["kind"]):
        fix = f"Write `kind: registered` and `layer: {value['kind']}`."
    expected = f"a kind in {listing(kinds)}"
    return Fault(path, message(_dotted(path), expected, _received(path, value["kind"]), fix))


def _word_value(spot, value):
    annotation = spot.annotation
    expected = _describe(annotation)
    if annotation.description:
        expected += f" ({_lower(annotation.description)})"
    return Fault(
        spot.path,
        message(_dotted(spot.path) or "spec", expected, _received(spot.path, value), _fix(spot, value)),
    )


def _fix(spot, value):
    annotation = spot.annotation
    has_default = spot.field is not None and not spot.field.is_required()
    if value is None and has_default:
        return "Write a value after the colon, or remove the key to have its default."
    choices = [word for kind in annotation.alternatives for word in literals_of(kind)]
    if choices and isinstance(value, str):
        return f"{closest(value, choices)}Such as `{spot.key}: {choices[0]}`."
    takes_text = any(take_apart(kind).alternatives[0] is str for kind in annotation.alternatives)
    if takes_text and isinstance(value, (int, float, bool, datetime.date)):
        return f'Put it in quotes: "{value}".'
    example = _example(spot)
    if isinstance(value, str) and list in map(typing.get_origin, annotation.alternatives) and not example:
        return f"Put it in brackets: `{spot.key}: [{value}]`."
    if isinstance(value, str) and _reads_as_number(value) and {int, float} & set(annotation.alternatives):
        return "Remove the quotes."
    return f"Such as `{example}`." if example else "Write such a value."


def _reads_as_number(text):
    try:
        float(text)
    except ValueError:
        return False
    return True


def _example(spot):
    """Returns "key: value" from the field's example or default; YAML in flow style."""
    info = spot.field
    if info is None:
        kinds = [kind for part in spot.annotation.alternatives for kind in kinds_of(part)]
        return f"{spot.key}: {{kind: {kinds[0]}}}" if kinds else ""
    if info.examples:
        value = info.examples[0]
    elif info.is_required():
        return f"{spot.key}: {_placeholder(spot)}"
    else:
        value = info.get_default(call_default_factory=True)
    if isinstance(value, BaseModel):
        value = value.model_dump(mode="json", exclude_none=True)
    shown = value if isinstance(value, str) else json.dumps(value).replace('"', "")
    return f"{spot.key}: {shown}" if value is not None else ""


def _placeholder(spot):
    kind = spot.annotation.alternatives[0]
    if typing.get_origin(kind) is dict:
        name = {"modalities": "image: {kind: image}", "outputs": "label: {kind: classification}"}.get(
            spot.key, ""
        )
        return f"{{{name}}}"
    if is_model(kind):
        required = [name for name, info in kind.model_fields.items() if info.is_required()]
        return (
            "{"
            + ", ".join(
                _example(Spot((), of_field(kind.model_fields[n]), kind.model_fields[n], n)) for n in required
            )
            + "}"
        )
    literals = literals_of(kind)
    return str(literals[0]) if literals else "..."


def _describe(annotation):
    return " or ".join(_describe_one(kind, annotation.bounds) for kind in annotation.alternatives)


def _describe_one(kind, bounds=()):
    inner = take_apart(kind)
    kind, bounds = inner.alternatives[0], [*bounds, *inner.bounds]
    if is_model(kind):
        return f"a mapping with keys among {listing(kind.model_fields, 24)}"
    literals = literals_of(kind)
    if literals:
        return f"one of {listing(literals)}" if len(literals) > 1 else f"`{literals[0]}`"
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is dict:
        kept = "number" if take_apart(arguments[1]).alternatives[0] in SCALARS else "value"
        return "a mapping of at least one name" if _bound(bounds, MinLen) else f"a mapping, name: {kept}"
    if origin in (list, tuple):
        element = take_apart(arguments[0])
        if literals_of(element.alternatives[0]):
            words = f"words among {listing(literals_of(element.alternatives[0]))}"
        else:
            words = PLURALS.get(element.alternatives[0], "values") + _limits(element.bounds)
        return f"a list of {_count(origin, arguments, bounds)}{words}"
    if kind is str:
        return "text" + (" that is not empty" if _bound(bounds, MinLen) else "")
    return SCALARS.get(kind, "a size such as 2GB") + _limits(bounds)


def _count(origin, arguments, bounds):
    if origin is tuple:
        return f"{len(arguments)} "
    least, most = _bound(bounds, MinLen), _bound(bounds, MaxLen)
    if least is not None and most is not None:
        return f"{least} to {most} "
    return f"at least {least} " if least is not None else ""


def _limits(bounds):
    lower, above = _bound(bounds, Ge), _bound(bounds, Gt)
    upper, below = _bound(bounds, Le), _bound(bounds, Lt)
    words = []
    if lower is not None:
        words.append(f"of at least {lower}")
    if above is not None:
        words.append(f"above {above}")
    if upper is not None:
        words.append(f"at most {upper}" if words else f"of at most {upper}")
    if below is not None:
        words.append(f"below {below}")
    return "".join(f" {'and ' if index else ''}{word}" for index, word in enumerate(words))


def _bound(bounds, kind):
    attribute = {Ge: "ge", Gt: "gt", Le: "le", Lt: "lt", MinLen: "min_length", MaxLen: "max_length"}[kind]
    found = [getattr(bound, attribute) for bound in bounds if isinstance(bound, kind)]
    return found[0] if found else None


def _received(path, value):
    if value is None:
        return "nothing"
    name = str(path[-1]) if path and isinstance(path[-1], str) else ""
    shown = REPR.repr(value)
    if not name and path:
        name = f"{path[-2]}[{path[-1]}]"
    return f"{name}={shown}" if name else f"{type(value).__name__} {shown}"


def _dotted(path):
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) and text else f".{part}" if text else str(part)
    return text


def _lower(text):
    """Returns a description as the end of a sentence."""
    text = text.rstrip(".")
    return text if text[:2].isupper() else text[:1].lower() + text[1:]
