"""The parts of a spec that say what is learned: classes, numbers, texts, or the inputs themselves."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from mm_keras.spec_parts import (
    ColumnName,
    Conflict,
    Example,
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


class JointLatent(Part):
    kind: Literal["joint"] = "joint"


class SeparateLatent(Part):
    kind: Literal["separate"]
    units: Units = Field(64, description="Width of the code.")


class VariationalLatent(Part):
    kind: Literal["variational"]
    experts: Literal["product", "mixture", "joint"] = Field(
        "product",
        description="How the modalities' distributions are joined; joint: one, of the fused embedding.",
    )
    units: Units = Field(32, description="Width of the code.")
    beta: Float = Field(0.001, ge=0, description="Weight of the divergence of the code (nats); 0: none.")


class AutoencoderOutput(Output):
    kind: Literal["autoencoder"]
    modalities: list[str] | None = Field(
        None, min_length=1, description="What is reconstructed; default: every modality."
    )
    units: Units = Field(128, description="Width of each decoder.")
    latent: Annotated[
        JointLatent | SeparateLatent | VariationalLatent,
        Field(discriminator="kind"),
        kind_by_default("joint"),
    ] = Field(default_factory=JointLatent, description="What the decoders read; joint: the fused embedding.")
    denoise: bool = Field(
        False, description="Rebuild what stands in the files while training reads what `augment` makes of it."
    )

    @property
    def has_experts(self):
        """Whether each modality gives the code of its own, without the fusion."""
        return self.latent.kind == "separate" or getattr(self.latent, "experts", "joint") != "joint"

    @property
    def has_divergence(self):
        """Whether the code costs something, which is then an output key of its own."""
        return self.latent.kind == "variational"


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


class GuidedAttention(Part):
    modality: str = Field(description="Text or sound along which the written sound goes.")
    weight: Float = Field(1.0, gt=0)
    width: Float = Field(0.2, gt=0, le=10, description="Share of it by which attention may be off its place.")


class TargetSound(Example):
    """The sounds of a speech output, read as those of an audio modality are."""

    section: ClassVar[str] = "outputs"
    kind: Literal["audio"] = "audio"
    column: str
    rate: int
    seconds: float

    @property
    def samples(self):
        return round(self.rate * self.seconds)

    @property
    def example_shape(self):
        return (self.samples,)


class SpeechOutput(Output):
    kind: Literal["speech"]
    column: ColumnName | None = Field(None, description="Column of sounds; default: the output's name.")
    rate: Int = Field(16000, ge=1000, le=192_000, description="Samples per second (Hz).")
    seconds: Float = Field(2.0, gt=0, le=600, description="Longest sound to learn and to write.")
    mel_bins: Int = Field(80, ge=8, le=512, description="More tell pitches apart better.")
    window: Float = Field(0.05, gt=0, le=1, description="Seconds; longer ones tell pitches apart better.")
    hop: Float = Field(0.0125, gt=0, le=1, description="Seconds between windows.")
    reduction: Int = Field(2, ge=1, le=32, description="Windows that are written in one step.")
    decoder: Annotated[
        RecurrentDecoder | TransformerDecoder, Field(discriminator="kind"), kind_by_default("gru")
    ] = Field(default_factory=lambda: RecurrentDecoder(units=256))
    parallel: bool = Field(
        True, description="Foretell the length and write all at once; false: step after step, until it ends."
    )
    prenet_dropout: Rate = Field(0.5, description="Of the sound so far, in training.")
    guided_attention: GuidedAttention | None = Field(
        None, description="Lets the sound go along a text or another sound from begin to end."
    )
    iterations: Int = Field(32, ge=1, le=1000, description="Of Griffin-Lim, by which the waveform is found.")

    @property
    def target_columns(self):
        return [self.column]

    @property
    def sound(self):
        """What a file of the column is read as."""
        return TargetSound(column=self.column, rate=self.rate, seconds=self.seconds)

    @property
    def frames(self):
        """Arguments of `SpeechFrames`."""
        return self.model_dump(include={"rate", "mel_bins", "window", "hop", "reduction"})

    @model_validator(mode="after")
    def _overlap(self):
        if not self.hop <= self.window <= self.seconds:
            raise Conflict(
                ("window",),
                "at least `hop` and at most `seconds`",
                f"window={self.window}, hop={self.hop}, seconds={self.seconds}",
                "Such as `window: 0.05` and `hop: 0.0125`.",
            )
        return self


AnyOutput = Annotated[
    ClassificationOutput
    | RegressionOutput
    | CaptionOutput
    | SpeechOutput
    | AutoencoderOutput
    | ContrastiveOutput,
    Field(discriminator="kind"),
]
