"""The parts of a spec that say how training examples are changed at random; all of it is off by default."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from mm_keras.spec_parts import Conflict, Float, Int, Part, Rate

Decibels = Annotated[float, Field(strict=True, ge=-100, le=100)]


class RandAugment(Part):
    layers: Int = Field(2, ge=1, le=8, description="Operations on each image, one after another.")
    magnitude: Float = Field(0.3, gt=0, le=1, description="Strength of each operation; 1 is the strongest.")


class ImageMask(Part):
    share: Float = Field(0.5, gt=0, le=0.95, description="Share of the patches that are hidden.")
    patch: Int = Field(4, ge=1, le=1024, description="Height and width of a patch (pixels).")


class ImageAugment(Part):
    flip: Literal["none", "horizontal", "vertical", "both"] = Field(
        "none", description="Mirror half of the images."
    )
    rotation: Float = Field(0.0, ge=0, le=180, description="Largest turn to either side, in degrees.")
    crop: Float = Field(
        0.0, ge=0, le=0.9, description="Largest share cut away from height and width; the rest is enlarged."
    )
    brightness: Rate = Field(0.0, description="Largest change, as a share of the range from black to white.")
    contrast: Rate = Field(0.0, description="Largest change: 0.2 scales contrast by 0.8 to 1.2.")
    saturation: Rate = Field(0.0, description="Largest change: 0.2 scales saturation by 0.8 to 1.2.")
    hue: Float = Field(0.0, ge=0, le=0.5, description="Largest turn, as a share of the circle of colours.")
    rand_augment: RandAugment | None = Field(None, description="Random operations, drawn for each image.")
    noise: Rate = Field(
        0.0, description="Deviation of the noise, as a share of the range from black to white."
    )
    mask: ImageMask | None = Field(None, description="Patches that are hidden by grey, drawn for each image.")


class Noise(Part):
    folder: str = Field(
        min_length=1, description="Folder of sounds; relative to the spec file.", examples=["noise"]
    )
    snr: tuple[Decibels, Decibels] = Field(
        (0.0, 20.0), description="[lowest, highest] ratio of sound to noise in decibels.", examples=[[0, 20]]
    )
    share: Float = Field(0.5, gt=0, le=1, description="Share of the sounds that get noise.")

    @model_validator(mode="after")
    def _order_ratios(self):
        if self.snr[0] > self.snr[1]:
            fix = f"Write `snr: [{self.snr[1]:g}, {self.snr[0]:g}]`."
            raise Conflict(("snr",), "[lowest, highest]", f"snr={list(self.snr)}", fix)
        return self


class AudioAugment(Part):
    shift: Float = Field(0.0, ge=0, description="Largest shift to either side, in seconds; silence follows.")
    gain_db: Float = Field(0.0, ge=0, le=60, description="Largest change of level, in decibels.")
    noise: Noise | None = Field(None, description="Background noise mixed in.")
    time_mask: Int = Field(0, ge=0, description="Most frames hidden by one mask of the spectrogram.")
    frequency_mask: Int = Field(0, ge=0, description="Most mel bins hidden by one mask of the spectrogram.")
    masks: Int = Field(1, ge=1, le=16, description="Masks of each sort.")


class TextAugment(Part):
    token_dropout: Rate = Field(0.0, description="Share of the words left out; one always stays.")
    typos: Rate = Field(0.0, description="Share of the letters with a typo; the first of a word stays.")
