"""The parts of a spec that say how a modality is encoded."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from mm_keras.applications import SMALLEST_SIZES
from mm_keras.spec_parts import Conflict, Float, Int, Part, Rate, Units, check_heads, kind_by_default

Pooling = Annotated[
    Literal["last", "mean", "max", "mean_max", "attention", "none"],
    Field(description="How the steps become one vector; none: they stay, for what reads sequences."),
]

Halving = Annotated[
    Literal["pool", "stride"],
    Field(description="How a stage halves: max pooling, or a convolution at every second place (faster)."),
]

Blocks = Annotated[Int, Field(ge=1, le=64, description="Residual blocks of each stage.")]


class ConvEncoder(Part):
    kind: Literal["conv"] = "conv"
    filters: list[Units] = Field([32, 64, 128], min_length=1, description="Filters of each Conv2D stage.")
    halving: Halving = "pool"
    units: Units = Field(128, description="Width of the embedding.")
    dropout: Rate = 0.2
    pooling: Literal["flatten", "none"] = Field(
        "flatten", description="flatten: one dense layer over the whole last map; none: each place stays."
    )


class RecurrentTextEncoder(Part):
    kind: Literal["gru", "lstm"] = "gru"
    embedding: Units = Field(64, description="Width of a token's embedding.")
    units: Units = 64
    bidirectional: bool = False
    dropout: Rate = 0.2
    pooling: Pooling = "last"


class ResidualImageEncoder(Part):
    kind: Literal["residual"] = "residual"
    filters: list[Units] = Field([32, 64, 128], min_length=1, description="Channels of each stage.")
    blocks: Blocks = 1
    units: Units = Field(128, description="Width of the embedding.")
    dropout: Rate = 0.2
    pooling: Literal["mean", "none"] = Field(
        "mean", description="none: each place of the last map stays, for what reads sequences."
    )


class ApplicationEncoder(Part):
    kind: Literal["application"] = "application"
    model: Literal[tuple(SMALLEST_SIZES)] = Field(
        "MobileNetV3Small", description="Name of a model of keras.applications."
    )
    weights: str | None = Field(
        None, min_length=1, description="imagenet, or a file of weights; null draws them."
    )
    trainable: bool = True
    dropout: Rate = 0.2

    @property
    def filters(self):
        """Channels that a decoder of the image mirrors; those of the other encoders by default."""
        return [32, 64, 128]

    @model_validator(mode="after")
    def _learn_or_know(self):
        if self.weights is None and not self.trainable:
            expected = "true where `weights` is null: drawn weights that never learn tell nothing"
            fix = "Give `weights: imagenet` or a file, or remove it."
            raise Conflict(("trainable",), expected, "trainable=False", fix)
        return self


class HubEncoder(Part):
    kind: Literal["keras_hub"] = "keras_hub"
    preset: str = Field(min_length=1, description="Preset of KerasHub: its name, an address or a folder.")
    weights: bool = Field(True, description="The preset's weights; false draws them.")
    trainable: bool = True
    dropout: Rate = 0.2

    @model_validator(mode="after")
    def _learn_or_know(self):
        if not (self.weights or self.trainable):
            expected = "true where `weights` is false: drawn weights that never learn tell nothing"
            raise Conflict(("trainable",), expected, "trainable=False", "Remove one of the two.")
        return self


class HubImageEncoder(HubEncoder):
    pooling: Literal["mean", "max", "mean_max", "attention", "none"] = Field(
        "mean", description="How the places of the last map become one vector; none: they stay."
    )

    @property
    def filters(self):
        """Channels that a decoder of the image mirrors; those of the other encoders by default."""
        return [32, 64, 128]


class HubTextEncoder(HubEncoder):
    pooling: Pooling = "mean"


class SpectrogramEncoder(Part):
    kind: str
    mel_bins: Units = 40
    window: Float = Field(0.025, gt=0, description="Window in seconds.")
    hop: Float = Field(0.010, gt=0, description="Step between windows in seconds.")
    compression: Literal["log", "pcen"] = Field(
        "log", description="pcen: a gain control of each mel bin, learned, in place of the logarithm."
    )


class ConvRecurrentEncoder(SpectrogramEncoder):
    kind: Literal["conv_recurrent"] = "conv_recurrent"
    filters: list[Units] = Field([16, 32, 64], min_length=1, description="Filters of each Conv2D stage.")
    halving: Halving = "pool"
    cell: Literal["gru", "lstm"] = "gru"
    units: Units = 64
    bidirectional: bool = False
    dropout: Rate = 0.2
    pooling: Pooling = "mean_max"


class ResidualSpectrogramEncoder(SpectrogramEncoder):
    kind: Literal["residual"] = "residual"
    filters: list[Units] = Field([16, 32, 64], min_length=1, description="Channels of each stage.")
    blocks: Blocks = 1
    units: Units = Field(64, description="Width of a step before the pooling.")
    dropout: Rate = 0.2
    pooling: Pooling = "mean_max"


class WaveformEncoder(Part):
    kind: Literal["waveform"] = "waveform"
    window: Float = Field(0.010, gt=0, description="Length of the first convolution in seconds.")
    hop: Float = Field(0.0005, gt=0, description="Step of the first convolution in seconds.")
    filters: list[Units] = Field([32, 32, 64, 128], min_length=1, description="Filters of each Conv1D stage.")
    units: Units = Field(64, description="Width of a step before the pooling.")
    dropout: Rate = 0.2
    pooling: Literal["last", "mean", "max", "mean_max", "attention"] = Field(
        "mean_max", description="How the steps become one vector."
    )


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


class CnnTextEncoder(Part):
    kind: Literal["cnn"] = "cnn"
    embedding: Units = Field(64, description="Width of a token's embedding.")
    units: Units = Field(64, description="Filters of each width.")
    windows: list[Units] = Field([3, 4, 5], min_length=1, description="Widths of the windows in tokens.")
    dropout: Rate = 0.2
    pooling: Pooling = "max"


class TransformerEncoder(Part):
    kind: Literal["transformer"] = "transformer"
    units: Units = Field(64, description="Width of the steps.")
    num_heads: Units = Field(4, description="Heads of attention; they share `units` among them.")
    layers: Int = Field(2, ge=1, le=64, description="Number of blocks.")
    dropout: Rate = 0.2
    pooling: Pooling = "mean"

    @model_validator(mode="after")
    def _share_the_units(self):
        check_heads(self)
        return self


class TransformerTextEncoder(TransformerEncoder):
    embedding: Units = Field(64, description="Width of a token's embedding.")


TextEncoder = Annotated[
    RecurrentTextEncoder | CnnTextEncoder | TransformerTextEncoder | HubTextEncoder,
    Field(discriminator="kind"),
    kind_by_default("gru"),
]
FeaturesEncoder = Annotated[
    DenseEncoder | RecurrentFeaturesEncoder | TransformerEncoder, Field(discriminator="kind")
]
ImageEncoder = Annotated[
    ConvEncoder | ResidualImageEncoder | ApplicationEncoder | HubImageEncoder,
    Field(discriminator="kind"),
    kind_by_default("conv"),
]
AudioEncoder = Annotated[
    ConvRecurrentEncoder | ResidualSpectrogramEncoder | WaveformEncoder,
    Field(discriminator="kind"),
    kind_by_default("conv_recurrent"),
]
