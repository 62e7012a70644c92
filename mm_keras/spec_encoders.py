"""The parts of a spec that say how a modality is encoded."""

from typing import Annotated, Literal

from pydantic import Field

from mm_keras.spec_parts import Float, Int, Part, Rate, Units

Pooling = Annotated[
    Literal["last", "mean", "max", "mean_max", "attention"],
    Field(description="How the steps of a sequence become one vector."),
]


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
    pooling: Pooling = "last"


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
    pooling: Pooling = "mean_max"


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
    pooling: Pooling = "last"
