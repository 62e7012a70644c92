"""Finds the place of a pydantic error in the file and in the spec's classes."""

import dataclasses
import types
import typing

from pydantic import BaseModel
from pydantic.fields import FieldInfo


@dataclasses.dataclass
class Annotation:
    """A type of the spec, taken apart: its alternatives, its bounds, the field that it belongs to."""

    alternatives: list
    bounds: list = dataclasses.field(default_factory=list)
    description: str = ""
    discriminated: bool = False


@dataclasses.dataclass
class Spot:
    """Where an error lies: keys without pydantic's own marks, and what the spec's classes say there."""

    path: tuple
    annotation: Annotation
    field: FieldInfo | None = None
    key: object = None
    is_key: bool = False
    # (length of the path, alternative taken) of each union without a `kind`.
    untagged: list = dataclasses.field(default_factory=list)


def locate(loc, model):
    """Returns the `Spot` of pydantic's `loc`, following the types of `model`."""
    spot = Spot((), Annotation([model]))
    for part in loc:
        if part == "[key]":
            spot.is_key = True
            continue
        _enter(spot, part)
    return spot


def locate_path(path, data, model):
    """Returns the `Spot` of a path of the file."""
    spot = Spot((), Annotation([model]))
    for depth, part in enumerate(path):
        while len(spot.annotation.alternatives) > 1:
            value = value_at(data, path[:depth])
            spot.annotation = Annotation([pick(spot.annotation.alternatives, tag_of(value, spot.annotation))])
        _enter(spot, part)
    return spot


def value_at(data, path):
    for part in path:
        if isinstance(data, dict):
            data = data[part] if part in data else {str(key): value for key, value in data.items()}.get(part)
        elif isinstance(data, (list, tuple)) and isinstance(part, int) and part < len(data):
            data = data[part]
        else:
            return None
    return data


def _enter(spot, part):
    if len(spot.annotation.alternatives) > 1:
        taken = pick(spot.annotation.alternatives, part)
        if not spot.annotation.discriminated:
            spot.untagged.append((len(spot.path), taken))
        spot.annotation = Annotation([taken])
        return
    (kind,) = spot.annotation.alternatives
    spot.path += (part,)
    if is_model(kind):
        spot.key, spot.field = part, kind.model_fields.get(part)
        spot.annotation = of_field(spot.field) if spot.field else Annotation([object])
        return
    arguments = typing.get_args(kind)
    inner = {dict: 1, list: 0, tuple: part}.get(typing.get_origin(kind))
    spot.annotation = take_apart(arguments[inner]) if inner is not None else Annotation([object])
    if typing.get_origin(kind) is dict:
        spot.key, spot.field = part, None


def take_apart(annotation, bounds=(), description="", discriminated=False):
    bounds = list(bounds)
    while typing.get_origin(annotation) is typing.Annotated:
        annotation, *extras = typing.get_args(annotation)
        for extra in extras:
            if isinstance(extra, FieldInfo):
                bounds += extra.metadata
                description = description or extra.description or ""
                discriminated = discriminated or bool(extra.discriminator)
    if typing.get_origin(annotation) not in (typing.Union, types.UnionType):
        return Annotation([annotation], bounds, description, discriminated)
    alternatives = [kind for kind in typing.get_args(annotation) if kind is not type(None)]
    if len(alternatives) == 1:
        return take_apart(alternatives[0], bounds, description, discriminated)
    return Annotation(alternatives, bounds, description, discriminated)


def of_field(info):
    return take_apart(info.annotation, info.metadata, info.description or "", bool(info.discriminator))


def pick(alternatives, label):
    """Returns the alternative that pydantic names `label`: a kind, or a type's name in a longer word."""
    for kind in alternatives:
        if label in kinds_of(kind):
            return kind
    for kind in alternatives:
        plain = take_apart(kind).alternatives[0]
        name = (typing.get_origin(plain) or plain).__name__ if not literals_of(plain) else "literal"
        # Such as "dict[str,constrained-float]", "constrained-int" or "function-after[..., Shares]".
        if label.split("[")[0].endswith(name) or (is_model(plain) and name in label):
            return plain
    return object


def kinds_of(part):
    """Returns the values of `kind` that choose this class."""
    if not is_model(part) or "kind" not in part.model_fields:
        return []
    return literals_of(part.model_fields["kind"].annotation)


def tag_of(value, annotation):
    """Returns the `kind` of a mapping; where it has none, the first kind of the union that is a default."""
    if not isinstance(value, dict):
        return ""
    kinds = [part.model_fields["kind"] for part in annotation.alternatives if kinds_of(part)]
    default = next((info.default for info in kinds if not info.is_required()), "")
    return str(value.get("kind", default))


def literals_of(kind):
    return list(typing.get_args(kind)) if typing.get_origin(kind) is typing.Literal else []


def is_model(kind):
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def is_mapping(kind):
    return is_model(kind) or typing.get_origin(kind) is dict
