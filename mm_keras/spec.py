"""The spec: one YAML file that says what the columns are, how they are joined and what is learned."""

from typing import Annotated, Literal

from pydantic import BaseModel, ByteSize, ConfigDict, Field, field_validator, model_validator

from mm_keras.checks import closest, listing, message

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
RESERVED = ("present", "embedding")


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


class Shares(Part):
    """A seeded split, stratified by the first classification label."""

    validation: Rate = Field(0.1, description="Share of rows for validation.")
    test: Rate = Field(0.2, description="Share of rows for test.")
    seed: Int = Field(7, ge=0)

    @model_validator(mode="after")
    def _leave_rows_for_train(self):
        if self.validation + self.test >= 1:
            raise Conflict(
                (),
                "`validation` + `test` below 1, so that rows are left for train",
                f"validation={self.validation}, test={self.test}",
                "Lower one of them, such as {validation: 0.1, test: 0.2}.",
            )
        return self


class Data(Part):
    manifest: str = Field(
        min_length=1, description="CSV file; relative to the spec file.", examples=["manifest.csv"]
    )
    split: ColumnName | Shares = Field(
        default_factory=Shares,
        description="A column with train, validation, test; or shares such as {validation: 0.1, test: 0.2}.",
    )
    cache: Literal["auto", "memory", "file", "none"] = Field(
        "auto", description="Where decoded examples are kept; auto: memory while they fit cache_memory."
    )
    cache_memory: ByteSize = Field("2GB", ge=0, description="Memory for decoded examples.", examples=["2GB"])
    max_pixels: Int = Field(
        64_000_000, ge=1, description="A larger image is refused before it is decoded (width x height)."
    )


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
    filters: list[Units] = Field([32, 64], min_length=1)
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


class Fusion(Part):
    units: Units = Field(128, description="Width of the fused embedding.")
    modality_dropout: Rate = Field(0.2, description="Share of modalities hidden per example in training.")
    dropout: Rate = Field(0.2, description="Dropout on the fused embedding.")


class ConcatenateFusion(Fusion):
    kind: Literal["concatenate"]


class WeightedSumFusion(Fusion):
    kind: Literal["weighted_sum"]
    weights: Literal["scalar", "vector"] = "scalar"
    activation: Literal["sigmoid", "tanh", "relu", "linear"] = "sigmoid"


class MatrixProductFusion(Fusion):
    kind: Literal["matrix_product"]
    rank: Int = Field(16, ge=1, le=512, description="Width of each side of the product.")


class GatedFusion(Fusion):
    kind: Literal["gated"]


AnyFusion = Annotated[
    ConcatenateFusion | WeightedSumFusion | MatrixProductFusion | GatedFusion, Field(discriminator="kind")
]


Weight = Annotated[float, Field(strict=True, ge=0)]


class Output(Part):
    weight: Float = Field(1.0, gt=0, description="Weight of this output's loss.")


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

    @field_validator("class_weights", mode="before")
    @classmethod
    def _read_labels_as_text(cls, value):
        # YAML reads the label of `{3: 2.0}` as a number; in the manifest every label is text.
        if not isinstance(value, dict):
            return value
        return {str(key) if type(key) in (int, float) else key: weight for key, weight in value.items()}


class AutoencoderOutput(Output):
    kind: Literal["autoencoder"]
    modalities: list[str] | None = Field(
        None, min_length=1, description="What is reconstructed; default: every modality."
    )
    units: Units = Field(128, description="Width of each decoder.")


AnyOutput = Annotated[ClassificationOutput | AutoencoderOutput, Field(discriminator="kind")]


class Training(Part):
    epochs: Int = Field(40, ge=1)
    batch_size: Int = Field(64, ge=1, description="Of all devices together.")
    learning_rate: Float = Field(0.001, gt=0)
    weight_decay: Float = Field(0.004, ge=0)
    warmup: Rate = Field(0.05, description="Share of the steps in which the learning rate rises.")
    clip_norm: Float = Field(1.0, gt=0, description="Largest norm of the gradients of one step.")
    patience: Int = Field(10, ge=0, description="Epochs without a better val_loss before it stops; 0: never.")
    precision: Literal["auto", "float32", "mixed_bfloat16", "mixed_float16"] = "auto"
    strategy: Literal["auto", "none", "mirrored"] = "auto"
    steps_per_execution: Annotated[int, Field(strict=True, ge=1)] | Literal["auto"] = Field(
        "auto", description="Steps in one call of the graph."
    )
    seed: Int = Field(7, ge=0)


class Export(Part):
    formats: list[Literal["saved_model", "tflite"]] = Field(["saved_model", "tflite"], min_length=1)
    tolerance: Float = Field(1.0e-4, gt=0, description="Largest difference from the Keras model.")
    rows: Int = Field(128, ge=1, description="Rows that the written artefacts are compared on.")


class Spec(Part):
    """A whole spec. `load_spec` reads it from YAML; `Spec(**dict)` from Python."""

    name: str = Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$",
        max_length=64,
        description="Letters, digits, _, - and ., a letter or digit first.",
        examples=["digits"],
    )
    data: Data
    modalities: dict[Name, Modality] = Field(min_length=1)
    fusion: AnyFusion = Field(default_factory=lambda: GatedFusion(kind="gated"))
    outputs: dict[Name, AnyOutput] = Field(min_length=1)
    training: Training = Field(default_factory=Training)
    export: Export = Field(default_factory=Export)

    @model_validator(mode="after")
    def _resolve_names(self):
        for name, modality in self.modalities.items():
            if modality.kind == "numbers":
                modality.columns = modality.columns or [name]
            else:
                modality.column = modality.column or name
        for name, output in self.outputs.items():
            if output.kind == "classification":
                output.column = output.column or name
                continue
            unknown = [m for m in output.modalities or [] if m not in self.modalities]
            if unknown:
                raise Conflict(
                    ("outputs", name, "modalities"),
                    f"names among {listing(sorted(self.modalities))}",
                    f"`{unknown[0]}`",
                    f"{closest(unknown[0], self.modalities)}Name modalities of this spec.",
                )
            output.modalities = sorted(set(output.modalities or self.modalities))
        self._refuse_clashes()
        self._refuse_labels_as_inputs()
        return self

    def _refuse_clashes(self):
        for name in [*self.modalities, *self.outputs]:
            section = "modalities" if name in self.modalities else "outputs"
            if name in RESERVED:
                expected = f"names other than {listing(RESERVED)}, which the model uses itself"
                raise Conflict((section, name), expected, f"`{name}`", "Choose another name.")
            if name in self.modalities and name in self.outputs:
                fix = "Rename one of them; `column:` still names the column."
                raise Conflict(("outputs", name), "a name that no modality has", f"`{name}`", fix)
        for name, output in self.outputs.items():
            if output.kind == "classification":
                continue
            for key in self.keys_of(name):
                if key in self.modalities or key in self.outputs:
                    expected = f"no modality or other output named `{key}`: it writes its own result there"
                    raise Conflict(("outputs", name), expected, f"`{key}`", "Rename one of them.")

    def _refuse_labels_as_inputs(self):
        columns = {}
        for name, modality in self.modalities.items():
            for column in modality.columns if modality.kind == "numbers" else [modality.column]:
                columns[column] = name
        for name, output in self.of_kind("classification").items():
            if output.column in columns:
                raise Conflict(
                    ("outputs", name, "column"),
                    "a column that no modality reads: the model would see the answer",
                    f"`{output.column}`, read by modality `{columns[output.column]}`",
                    "Name another column in one of them.",
                )

    @property
    def modality_names(self):
        """Modalities in the order of `present`: sorted by name."""
        return sorted(self.modalities)

    @property
    def output_names(self):
        """Keys of the model's output: `label`, and `reconstruction_image` for an autoencoder's part."""
        return [key for name in self.outputs for key in self.keys_of(name)]

    def keys_of(self, name):
        output = self.outputs[name]
        return [f"{name}_{m}" for m in output.modalities] if output.kind == "autoencoder" else [name]

    def of_kind(self, kind):
        """Modalities or outputs of this kind, name -> part, sorted by name."""
        parts = {**self.modalities, **self.outputs}
        return {name: parts[name] for name in sorted(parts) if parts[name].kind == kind}
