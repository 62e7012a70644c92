"""The parts of a spec that say what a modality is: its column, its size and its encoder."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from mm_keras.applications import SMALLEST_SIZES
from mm_keras.spec_augment import AudioAugment, ImageAugment, TextAugment
from mm_keras.spec_encoders import (
    AudioEncoder,
    ConvEncoder,
    ConvRecurrentEncoder,
    DenseEncoder,
    FeaturesEncoder,
    ImageEncoder,
    RecurrentTextEncoder,
    TextEncoder,
)
from mm_keras.spec_parts import ColumnName, Conflict, Example, Float, Int, Units, refuse_repetition


class Column(Example):
    column: ColumnName | None = Field(
        None, description="Column of the manifest; default: the modality's name."
    )


class ImageModality(Column):
    kind: Literal["image"]
    size: tuple[Units, Units] = Field((64, 64), description="[height, width] in pixels.", examples=[[64, 64]])
    channels: Literal[1, 3] = Field(3, description="1 = grey, 3 = RGB.")
    encoder: ImageEncoder = Field(default_factory=ConvEncoder)
    augment: ImageAugment | None = Field(None, description="Changes of the images, in training only.")

    @model_validator(mode="after")
    def _be_large_enough(self):
        least = SMALLEST_SIZES[self.encoder.model] if self.encoder.kind == "application" else 1
        if min(self.size) < least:
            expected = f"at least [{least}, {least}], which `{self.encoder.model}` needs"
            raise Conflict(("size",), expected, f"size={list(self.size)}", "Raise it, or take another model.")
        return self

    @model_validator(mode="after")
    def _colour_only_colours(self):
        for key in ("saturation", "hue", "rand_augment"):
            if self.channels == 1 and self.augment and getattr(self.augment, key):
                raise Conflict(
                    ("augment", key),
                    "no change of colours where `channels` is 1",
                    f"{key}, channels=1",
                    "Remove it, or set `channels: 3`.",
                )
        return self

    @property
    def example_shape(self):
        """Shape of one example of the model's input, without the batch axis; so for each kind."""
        return (*self.size, self.channels)


class TextModality(Column):
    kind: Literal["text"]
    length: Int = Field(32, ge=2, le=8192, description="Tokens, the start token included.")
    vocabulary_size: Int = Field(8000, ge=32, le=1_000_000)
    lowercase: bool = Field(True, description="Lower the case and strip accents.")
    encoder: TextEncoder = Field(default_factory=RecurrentTextEncoder)
    augment: TextAugment | None = Field(None, description="Changes of the texts, in training only.")

    @property
    def example_shape(self):
        return (self.length,)

    @property
    def is_sequence(self):
        return True


class AudioModality(Column):
    kind: Literal["audio"]
    rate: Int = Field(16000, ge=1000, le=192_000, description="Samples per second (Hz) of the model.")
    seconds: Float = Field(1.0, gt=0, le=3600, description="Longer sounds are cut, shorter ones padded.")
    encoder: AudioEncoder = Field(default_factory=ConvRecurrentEncoder)
    augment: AudioAugment | None = Field(None, description="Changes of the sounds, in training only.")

    @property
    def samples(self):
        return round(self.rate * self.seconds)

    @property
    def example_shape(self):
        return (self.samples,)

    @property
    def is_sequence(self):
        return True

    @property
    def spectrogram(self):
        """Encoder whose log-mel spectrogram a decoder paints: the usual one where this has none."""
        if self.encoder.kind != "waveform":
            return self.encoder
        usual = ConvRecurrentEncoder()
        window = min(usual.window, self.seconds)
        return usual.model_copy(update={"window": window, "hop": min(usual.hop, window)})

    @property
    def margin(self):
        """Samples that the windows around a sound's end reach beyond it: half of a transform's length."""
        return max(2, round(self.encoder.window * self.rate))

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

    @model_validator(mode="after")
    def _mask_spectrograms_alone(self):
        for key in ("time_mask", "frequency_mask"):
            if self.encoder.kind == "waveform" and self.augment and getattr(self.augment, key):
                raise Conflict(
                    ("augment", key),
                    "0 where `encoder.kind` is `waveform`, which makes no spectrogram",
                    f"{key}={getattr(self.augment, key)}",
                    "Remove it, or take the encoder `conv_recurrent` or `residual`.",
                )
        return self

    @model_validator(mode="after")
    def _leave_something_to_hear(self):
        augment = self.augment or AudioAugment()
        frames = 1 + self.samples // max(1, round(self.spectrogram.hop * self.rate))
        bins = self.spectrogram.mel_bins
        limits = {
            "shift": (self.seconds, f"`seconds` ({self.seconds})"),
            "time_mask": (frames, f"the {frames} frames of the sound"),
            "frequency_mask": (bins, f"`encoder.mel_bins` ({bins})"),
        }
        for key, (limit, name) in limits.items():
            value = getattr(augment, key)
            if value >= limit:
                raise Conflict(("augment", key), f"less than {name}", f"{key}={value}", "Lower it.")
        return self


class FeaturesModality(Column):
    kind: Literal["features"]
    shape: list[Units] = Field(
        min_length=1, max_length=2, description="[D] of a vector or [T, D] of a sequence.", examples=[[128]]
    )
    encoder: FeaturesEncoder = Field(default_factory=DenseEncoder)

    @property
    def example_shape(self):
        return tuple(self.shape)

    @property
    def is_sequence(self):
        return len(self.shape) == 2 and self.encoder.kind != "dense"  # Which reads each step by its place.

    @model_validator(mode="after")
    def _read_sequences_by_steps(self):
        if self.encoder.kind != "dense" and len(self.shape) == 1:
            raise Conflict(
                ("encoder", "kind"),
                "`dense` where `shape` is one vector [D]",
                f"kind={self.encoder.kind!r}, shape={self.shape}",
                "Use `kind: dense`, or give the shape [T, D] of a sequence.",
            )
        return self


class NumbersModality(Example):
    kind: Literal["numbers"]
    columns: list[ColumnName] | None = Field(
        None, min_length=1, description="Columns of numbers; default: the modality's name."
    )
    encoder: DenseEncoder = Field(default_factory=DenseEncoder)

    @property
    def example_shape(self):
        return (len(self.columns),)

    @model_validator(mode="after")
    def _name_columns_once(self):
        refuse_repetition(self.columns or [])
        return self


Modality = Annotated[
    ImageModality | TextModality | AudioModality | FeaturesModality | NumbersModality,
    Field(discriminator="kind"),
]
