"""The parts of a spec that say what a modality is: its column, its size and its encoder."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

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


class ConvEncoder(Part):
    kind: Literal["conv"] = "conv"
    filters: list[Units] = Field([32, 64, 128], min_length=1, description="Filters of each Conv2D stage.")
    units: Units = Field(128, description="Width of the embedding.")
    dropout: Rate = 0.2


class RecurrentTextEncoder(Part):
    kind: Literal["gru", "lstm"] = "gru"
    embedding: Units = Field(64, description="Width of a token's embedding.")
    units: Units = 64
    bidirectional: bool = False
    dropout: Rate = 0.2


class ConvRecurrentEncoder(Part):
    kind: Literal["conv_recurrent"] = "conv_recurrent"
    mel_bins: Units = 40
    window: Float = Field(0.025, gt=0, description="Window in seconds.")
    hop: Float = Field(0.010, gt=0, description="Step between windows in seconds.")
    filters: list[Units] = Field([16, 32, 64], min_length=1, description="Filters of each Conv2D stage.")
    cell: Literal["gru", "lstm"] = "gru"
    units: Units = 64
    bidirectional: bool = False
    dropout: Rate = 0.2


class DenseEncoder(Part):
    kind: Literal["dense"] = "dense"
    units: Units = 64
    layers: Int = Field(2, ge=1, le=16)
    dropout: Rate = 0.2


class RecurrentFeaturesEncoder(Part):
    kind: Literal["gru", "lstm"]
    units: Units = 64
    bidirectional: bool = False
    dropout: Rate = 0.2


class Column(Part):
    column: ColumnName | None = Field(
        None, description="Column of the manifest; default: the modality's name."
    )


class ImageModality(Column):
    kind: Literal["image"]
    size: tuple[Units, Units] = Field((64, 64), description="[height, width] in pixels.", examples=[[64, 64]])
    channels: Literal[1, 3] = Field(3, description="1 = grey, 3 = RGB.")
    encoder: ConvEncoder = Field(default_factory=ConvEncoder)


class TextModality(Column):
    kind: Literal["text"]
    length: Int = Field(32, ge=2, le=8192, description="Tokens, the start token included.")
    vocabulary_size: Int = Field(8000, ge=32, le=1_000_000)
    lowercase: bool = Field(True, description="Lower the case and strip accents.")
    encoder: RecurrentTextEncoder = Field(default_factory=RecurrentTextEncoder)


class AudioModality(Column):
    kind: Literal["audio"]
    rate: Int = Field(16000, ge=1000, le=192_000, description="Samples per second (Hz) of the model.")
    seconds: Float = Field(1.0, gt=0, le=3600, description="Longer sounds are cut, shorter ones padded.")
    encoder: ConvRecurrentEncoder = Field(default_factory=ConvRecurrentEncoder)

    @property
    def samples(self):
        return round(self.rate * self.seconds)

    @model_validator(mode="after")
    def _hold_a_window(self):
        if self.encoder.window > self.seconds:
            raise Conflict(
                ("seconds",),
                f"at least `encoder.window` ({self.encoder.window} seconds)",
                f"seconds={self.seconds}",
                "Raise `seconds` or shorten `encoder.window`.",
            )
        return self


class FeaturesModality(Column):
    kind: Literal["features"]
    shape: list[Units] = Field(
        min_length=1, max_length=2, description="[D] of a vector or [T, D] of a sequence.", examples=[[128]]
    )
    encoder: DenseEncoder | RecurrentFeaturesEncoder = Field(
        default_factory=DenseEncoder, discriminator="kind"
    )

    @model_validator(mode="after")
    def _read_sequences_by_recurrence(self):
        if self.encoder.kind != "dense" and len(self.shape) == 1:
            raise Conflict(
                ("encoder", "kind"),
                "`dense` where `shape` is one vector [D]",
                f"kind={self.encoder.kind!r}, shape={self.shape}",
                "Use `kind: dense`, or give the shape [T, D] of a sequence.",
            )
        return self


class NumbersModality(Part):
    kind: Literal["numbers"]
    columns: list[ColumnName] | None = Field(
        None, min_length=1, description="Columns of numbers; default: the modality's name."
    )
    encoder: DenseEncoder = Field(default_factory=DenseEncoder)

    @model_validator(mode="after")
    def _name_columns_once(self):
        columns = self.columns or []
        twice = [column for column in columns if columns.count(column) > 1]
        if twice:
            received = f"`{twice[0]}` {columns.count(twice[0])} times"
            raise Conflict(("columns",), "each column once", received, "Remove the repetition.")
        return self


Modality = Annotated[
    ImageModality | TextModality | AudioModality | FeaturesModality | NumbersModality,
    Field(discriminator="kind"),
]
