"""The spec: one YAML file that says what the columns are, how they are joined and what is learned."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from mm_keras.checks import closest, listing
from mm_keras.spec_balance import AnyBalance
from mm_keras.spec_data import Data, Input
from mm_keras.spec_fusion import AnyFusion, GatedFusion
from mm_keras.spec_modalities import Modality
from mm_keras.spec_outputs import AnyOutput
from mm_keras.spec_parts import Conflict, Float, Int, Name, Part, Rate

RESERVED = ("present", "embedding")
LATENT = "latent"  # Behind the name of an autoencoder, its code.


class Training(Part):
    epochs: Int = Field(40, ge=1)
    batch_size: Int = Field(64, ge=1, description="Of all devices together.")
    learning_rate: Float = Field(0.001, gt=0)
    weight_decay: Float = Field(0.004, ge=0)
    warmup: Rate = Field(0.05, description="Share of the steps in which the learning rate rises.")
    clip_norm: Float = Field(1.0, gt=0, description="Largest norm of the gradients of one step.")
    patience: Int = Field(10, ge=0, description="Epochs without a better val_loss before it stops; 0: never.")
    mixup: Float = Field(
        0.0, ge=0, le=100, description="Alpha of the Beta(alpha, alpha) by which mixup blends rows; 0: none."
    )
    balance: AnyBalance | None = Field(
        None, description="How a modality that is learned slowly is kept from being left behind."
    )
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
    input: Input = Field(default_factory=Input)
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
            if output.kind in ("classification", "caption", "speech"):
                output.column = output.column or name
                continue
            if output.kind == "regression":
                output.columns = output.columns or [name]
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
        self.fusion.check_modalities(self.modalities)
        if not self.of_kind("caption", "speech"):  # Which read steps beside the fusion.
            self.fusion.check_sequences(self.modalities)
        if self.training.balance:
            self.training.balance.check(self)
        self._refuse_clashes()
        self._refuse_labels_as_inputs()
        self._refuse_bucketing_of_targets()
        self._refuse_mixup_of_answers()
        for name in self.of_kind("contrastive"):
            self._check_contrast(name)
        for name in self.of_kind("speech"):
            self._check_guidance(name)
        for name in self.of_kind("autoencoder"):
            self._check_autoencoder(name)
        self._refuse_idle_modalities()
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
        written = {}
        for name, output in self.outputs.items():
            for key in self._written_beside(name):
                if key in written:
                    expected = f"answers of other names than those of `{written[key]}`"
                    raise Conflict(
                        ("outputs", name), expected, f"`{key}` twice", "Rename an output or a modality."
                    )
                written[key] = name
                if key in self.outputs or (key in self.modalities and output.kind == "autoencoder"):
                    expected = f"no modality or other output named `{key}`: it writes its own result there"
                    raise Conflict(("outputs", name), expected, f"`{key}`", "Rename one of them.")

    def _written_beside(self, name):
        """Returns the names other than its own under which an output's answers are written."""
        if self.outputs[name].kind == "classification":
            return [f"{name}_scores", f"{name}_score"]  # In a SavedModel, and in a table of answers.
        if self.outputs[name].kind == "caption":
            return [f"{name}_score", f"{name}_scores"]  # Of the greedy text, and of each of several.
        if self.outputs[name].kind == "speech":
            return [f"{name}_{part}" for part in ("frames", "samples", "rate")]
        if self.outputs[name].kind == "contrastive":
            return self.outputs[name].titles(name)
        if self.outputs[name].kind == "autoencoder":
            sounds = [key for key, m in self.copies_of(name).items() if self.modalities[m].kind == "audio"]
            beside = [f"{key}_{part}" for key in sounds for part in ("samples", "rate")]
            images = [key for key, m in self.copies_of(name).items() if self.modalities[m].kind == "image"]
            beside += [f"{key}_bytes" for key in images]  # Under which servers give files.
            code = [] if self.outputs[name].latent.kind == "joint" else [f"{name}_{LATENT}"]
            return [*self.copies_of(name), *code, *beside]
        return []

    def _refuse_labels_as_inputs(self):
        columns = {}
        for name, modality in self.modalities.items():
            for column in modality.columns if modality.kind == "numbers" else [modality.column]:
                columns[column] = name
        for name, output in self.outputs.items():
            for column in output.target_columns:
                if column in columns:
                    raise Conflict(
                        ("outputs", name, "columns" if output.kind == "regression" else "column"),
                        "a column that no modality reads: the model would see the answer",
                        f"`{column}`, read by modality `{columns[column]}`",
                        "Name another column in one of them.",
                    )

    def _refuse_bucketing_of_targets(self):
        if not self.input.bucketing:
            return
        rebuilt = {m for output in self.of_kind("autoencoder").values() for m in output.modalities}
        for name in sorted(name for name in rebuilt if self.modalities[name].is_sequence):
            raise Conflict(
                ("input", "bucketing"),
                "no text, sound or sequence that an autoencoder rebuilds, which has one length",
                f"`{name}` in its `modalities`",
                "Name other modalities there, or take `bucketing` out.",
            )

    def _check_contrast(self, name):
        modalities = self.outputs[name].modalities
        if len(modalities) < 2:
            fix = "Name two, or add a modality to the spec."
            raise Conflict(("outputs", name, "modalities"), "at least 2 modalities", listing(modalities), fix)
        for modality in modalities:
            if getattr(self.modalities[modality].encoder, "pooling", None) == "none":
                raise Conflict(
                    ("modalities", modality, "encoder", "pooling"),
                    f"one vector for the contrastive output `{name}`",
                    "pooling='none'",
                    "Such as `pooling: mean`; or leave the modality out of this output's `modalities`.",
                )

    def _check_autoencoder(self, name):
        output = self.outputs[name]
        for modality in output.modalities:
            encoder = self.modalities[modality].encoder
            if self.modalities[modality].kind == "audio" and encoder.hop > encoder.window:
                path = ("modalities", modality, "encoder", "hop")
                expected = f"at most `window` ({encoder.window}), as `{name}` makes sounds of its windows"
                raise Conflict(path, expected, f"{encoder.hop}", "Shorten it, such as to half of the window.")
        if not output.denoise:
            return
        path = ("outputs", name, "denoise")
        if not any(_changes(modality) for modality in self.modalities.values()):
            fix = "Such as `augment: {mask: {share: 0.5}}` of an image, or take `denoise` out."
            raise Conflict(path, "a modality with `augment`, whose changes are undone", "none", fix)
        if self.training.mixup:
            fix = "Take one of them out."
            raise Conflict(path, "false where `training.mixup` blends rows", "true", fix)

    def _check_guidance(self, name):
        guided = self.outputs[name].guided_attention
        if guided is None:
            return
        path = ("outputs", name, "guided_attention", "modality")
        if guided.modality not in self.modalities:
            expected = f"a name among {listing(sorted(self.modalities))}"
            fix = f"{closest(guided.modality, self.modalities)}Name a modality of this spec."
            raise Conflict(path, expected, f"`{guided.modality}`", fix)
        if getattr(self.modalities[guided.modality].encoder, "pooling", None) != "none":
            fix = f"Set `modalities.{guided.modality}.encoder.pooling: none`, or name another."
            raise Conflict(path, "a sequence, whose steps attention can go along", "one vector", fix)

    def _refuse_mixup_of_answers(self):
        for name, output in self.outputs.items():
            if self.training.mixup and output.kind in ("caption", "speech", "contrastive"):
                raise Conflict(
                    ("training", "mixup"),
                    f"0 with the {output.kind} output `{name}`: a blend of two rows belongs to neither",
                    f"mixup={self.training.mixup}",
                    "Take it out.",
                )

    def _refuse_idle_modalities(self):
        contrasts = self.of_kind("contrastive")
        if len(contrasts) < len(self.outputs):
            return  # Another output reads all modalities, fused.
        used = {modality for output in contrasts.values() for modality in output.modalities}
        for name in sorted(self.modalities.keys() - used):
            expected = "a modality that an output reads, where all outputs are contrastive"
            fix = "Take it out, or add it to the `modalities` of an output."
            raise Conflict(("modalities", name), expected, f"`{name}`, which none names", fix)

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
        if output.kind != "autoencoder":
            return [name]
        return [*self.copies_of(name), *([f"{name}_{LATENT}"] if output.has_divergence else [])]

    def copies_of(self, name):
        """Returns what an autoencoder rebuilds: output key -> modality."""
        return {f"{name}_{modality}": modality for modality in self.outputs[name].modalities}

    def of_kind(self, *kinds):
        """Modalities or outputs of these kinds, name -> part, sorted by name."""
        parts = {**self.modalities, **self.outputs}
        return {name: parts[name] for name in sorted(parts) if parts[name].kind in kinds}

    @property
    def files(self):
        """What is read from cells, name -> part: every modality, and the sounds of outputs, whose answers are
        files."""
        return {**self.modalities, **{name: part.sound for name, part in self.of_kind("speech").items()}}


def _changes(modality):
    """Tells whether training reads a modality otherwise than it stands in the files."""
    augment = getattr(modality, "augment", None)
    values = augment.model_dump(exclude={"masks"}).values() if augment else ()
    return any(value and value != "none" for value in values)
