"""What every part of a spec is made of: its base class, its types, and how it refuses values."""

from typing import Annotated, ClassVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from mm_keras.checks import message

Name = Annotated[
    str,
    Field(
        pattern=r"^[A-Za-z][A-Za-z0-9_]*$",
        max_length=64,
        description="Letters, digits and _, a letter first.",
    ),
]
# Strict: without it pydantic reads `true` as 1 and "64" as 64.
Int = Annotated[int, Field(strict=True)]
Float = Annotated[float, Field(strict=True)]
ColumnName = Annotated[str, Field(min_length=1)]
Units = Annotated[int, Field(strict=True, ge=1, le=65536)]
Rate = Annotated[float, Field(strict=True, ge=0, lt=1)]


class Conflict(ValueError):
    """Values that are valid alone and not together.

    Args:
        path: tuple of keys to the value to mend, seen from the part that raises.
        expected, received, fix: str. The three sentences of the message, as in `checks.message`.
    """

    def __init__(self, path, expected, received, fix):
        super().__init__(message(".".join(path) or "spec", expected, received, fix))
        self.path, self.expected, self.received, self.fix = tuple(path), expected, received, fix


class Part(BaseModel):
    """A part of the spec: unknown keys are refused, defaults are checked too."""

    model_config = ConfigDict(extra="forbid", validate_default=True, allow_inf_nan=False)


class Example(Part):
    """What one example is: its shape, and whether padding ends it.

    A sequence keeps `margin` steps of padding behind the end of a batch's longest one.
    """

    @property
    def is_sequence(self):
        return False

    margin: ClassVar[int] = 0
    section: ClassVar[str] = "modalities"  # Of the spec, where it stands.


def kind_by_default(kind):
    """Returns a validator for a union of parts: a mapping without `kind` is of this one."""

    def fill(value):
        return {"kind": kind, **value} if isinstance(value, dict) and "kind" not in value else value

    return BeforeValidator(fill)


def check_heads(part):
    """Raises a `Conflict`, if `num_heads` of a part does not divide its `units`."""
    if part.units % part.num_heads:
        received = f"num_heads={part.num_heads}, units={part.units}"
        fix = "Such as `num_heads: 1`, or other `units`."
        raise Conflict(("num_heads",), "a divisor of `units`", received, fix)


def refuse_repetition(columns):
    """Raises a `Conflict` of the key `columns`, if it names a column twice."""
    twice = [column for column in columns if columns.count(column) > 1]
    if twice:
        received = f"`{twice[0]}` {columns.count(twice[0])} times"
        raise Conflict(("columns",), "each column once", received, "Remove the repetition.")
