"""The parts of a spec that say what is learned: classes, numbers, texts, or the inputs themselves."""

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from mm_keras.spec_parts import (
    ColumnName,
    Float,
    Int,
    Part,
    Rate,
    Units,
    check_heads,
    kind_by_default,
    refuse_repetition,
)

Weight = Annotated[float, Field(strict=True, ge=0)]


class Output(Part):
    weight: Float = Field(1.0, gt=0, description="Weight of this output's loss.")

    @property
    def target_columns(self):
        """Columns of the manifest that hold the answers; none where the inputs are the answers."""
        return []


class ClassificationOutput(Output):
    kind: Literal["classification"]
    column: ColumnName | None = Field(None, description="Column of labels; default: the output's name.")
    multi_label: bool = Field(False, description="A cell holds any number of labels.")
    separator: str = Field("|", min_length=1, description="Between the labels of a multi-label cell.")
    threshold: Float = Field(0.5, gt=0, lt=1, description="Multi-label: a label with this score is given.")
    class_weights: Literal["none", "balanced"] | dict[str, Weight] = Field(
        "none", description="balanced: n / (classes * n of the class); or label -> weight."
    )
    label_smoothing: Rate = 0.0

    @property
    def target_columns(self):
        return [self.column]

    @field_validator("class_weights", mode="before")
    @classmethod
    def _read_labels_as_text(cls, value):
        # YAML reads the label of `{3: 2.0}` as a number; in the manifest every label is text.
        if not isinstance(value, dict):
            return value
        return {str(key) if type(key) in (int, float) else key: weight for key, weight in value.items()}


class RegressionOutput(Output):
    kind: Literal["regression"]
    columns: list[ColumnName] | None = Field(
        None, min_length=1, description="Columns of numbers to learn; default: the output's name."
    )
    loss: Literal["huber", "mse", "mae"] = Field(
        "huber", description="Of the error in standard deviations; huber: mse near the target, mae far off."
    )

    @property
    def target_columns(self):
        return self.columns

    def titles(self, name):
        """Returns how a table of answers heads each column of the output `name`."""
        return [name] if len(self.columns) == 1 else [f"{name}:{column}" for column in self.columns]

    @model_validator(mode="after")
    def _name_columns_once(self):
        refuse_repetition(self.columns or [])
        return self


class AutoencoderOutput(Output):
    kind: Literal["autoencoder"]
    modalities: list[str] | None = Field(
        None, min_length=1, description="What is reconstructed; default: every modality."
    )
    units: Units = Field(128, description="Width of each decoder.")


class ContrastiveOutput(Output):
    kind: Literal["contrastive"]
    modalities: list[str] | None = Field(
        None, min_length=2, description="Those of a row that are drawn together; default: every modality."
    )
    units: Units = Field(128, description="Width of the space that they share.")
    temperature: Float = Field(
        0.07, ge=0.01, le=1, description="Temperature at the start; it is learned within 0.01 and 1."
    )

    def titles(self, name):
        """Returns how the vectors of the output `name` are called."""
        return [f"{name}_{modality}" for modality in self.modalities]


class RecurrentDecoder(Part):
    kind: Literal["gru", "lstm"] = "gru"
    units: Units = Field(128, description="Width of tokens, steps and memory.")
    layers: Int = Field(1, ge=1, le=16)
    dropout: Rate = 0.2


class TransformerDecoder(Part):
    kind: Literal["transformer"]
    units: Units = Field(128, description="Width of tokens, steps and memory.")
    num_heads: Units = Field(4, description="Heads of attention; they share `units` among them.")
    layers: Int = Field(2, ge=1, le=64)
    dropout: Rate = 0.2

    @model_validator(mode="after")
    def _share_the_units(self):
        check_heads(self)
        return self


class CaptionOutput(Output):
    kind: Literal["caption"]
    column: ColumnName | None = Field(None, description="Column of texts; default: the output's name.")
    separator: str | None = Field(
        None, min_length=1, description="Between the captions of a cell that holds several; null: it is one."
    )
    length: Int = Field(
        32, ge=3, le=1024, description="Most tokens to learn and to write, start and end token included."
    )
    vocabulary_size: Int = Field(8000, ge=32, le=1_000_000)
    lowercase: bool = Field(True, description="Learn and write without capitals and accents.")
    decoder: Annotated[
        RecurrentDecoder | TransformerDecoder, Field(discriminator="kind"), kind_by_default("gru")
    ] = Field(default_factory=RecurrentDecoder)
    label_smoothing: Rate = 0.0
    scheduled_sampling: Rate = Field(
        0.0, description="Share of true tokens that training replaces by what the model would have written."
    )
    beams: Int = Field(4, ge=1, le=64, description="Beginnings that the signature `generate` keeps.")
    length_penalty: Float = Field(0.6, ge=0, le=5, description="Of beams: 0 favours short texts.")

    @property
    def target_columns(self):
        return [self.column]

    def captions_of(self, cell):
        """Returns the captions in a cell of the column."""
        parts = cell.split(self.separator) if self.separator else [cell]
        return [part.strip() for part in parts if part.strip()]


AnyOutput = Annotated[
    ClassificationOutput | RegressionOutput | CaptionOutput | AutoencoderOutput | ContrastiveOutput,
    Field(discriminator="kind"),
]
