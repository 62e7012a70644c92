"""The part of a spec that says how the modalities are joined."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from mm_keras.checks import closest, listing, product_fault
from mm_keras.spec_parts import Conflict, Int, Name, Part, Rate, Units


class Fusion(Part):
    least_modalities: ClassVar[int] = 1
    reads_sequences: ClassVar[bool] = False

    modality_dropout: Rate | dict[Name, Rate] = Field(
        0.2,
        description="Share of rows in which training hides a modality; or modality -> its share.",
    )
    dropout: Rate = Field(0.2, description="Dropout on the fused embedding.")

    def check_modalities(self, modalities):
        """Raises a `Conflict`, seen from the spec, if these modalities, by name, cannot be joined so."""
        names = list(modalities)
        if len(names) < self.least_modalities:
            raise Conflict(
                ("fusion", "kind"),
                f"at least {self.least_modalities} modalities for the kind `{self.kind}`",
                f"only {listing(sorted(names))}",
                "Add a modality, or choose a kind that takes one, such as `concatenate`.",
            )
        for name in self.modality_dropout if isinstance(self.modality_dropout, dict) else ():
            if name not in names:
                raise Conflict(
                    ("fusion", "modality_dropout", name),
                    f"a name among {listing(sorted(names))}",
                    f"`{name}`",
                    f"{closest(name, names)}Name modalities of this spec.",
                )

    def check_sequences(self, modalities):
        """Raises a `Conflict`, seen from the spec, if an encoder gives steps that nothing reads."""
        for name, modality in modalities.items():
            if not self.reads_sequences and getattr(modality.encoder, "pooling", None) == "none":
                raise Conflict(
                    ("modalities", name, "encoder", "pooling"),
                    f"one vector of each modality for the fusion `{self.kind}`",
                    "pooling='none'",
                    "Such as `pooling: mean`; or `cross_attention` or `bottleneck`, which read sequences.",
                )


class UnitsFusion(Fusion):
    units: Units = Field(128, description="Width of the fused embedding.")


class ConcatenateFusion(UnitsFusion):
    kind: Literal["concatenate"]


class WeightedSumFusion(UnitsFusion):
    kind: Literal["weighted_sum"]
    weights: Literal["scalar", "vector"] = "scalar"
    activation: Literal["sigmoid", "tanh", "relu", "linear"] = "sigmoid"


class MatrixProductFusion(UnitsFusion):
    least_modalities = 2
    kind: Literal["matrix_product"]
    rank: Int = Field(16, ge=1, le=512, description="Width of each side of the product.")


class TensorFusion(UnitsFusion):
    least_modalities = 2
    kind: Literal["tensor"]
    width: Int = Field(16, ge=1, le=512, description="Width of each side of the outer product.")

    def check_modalities(self, modalities):
        super().check_modalities(modalities)
        fault = product_fault(self.width, len(modalities))
        if fault:
            raise Conflict(("fusion", "width"), *fault)


class LowRankFusion(UnitsFusion):
    least_modalities = 2
    kind: Literal["low_rank"]
    rank: Int = Field(4, ge=1, le=512, description="Products that are summed.")


class GatedFusion(UnitsFusion):
    kind: Literal["gated"]


class GatedUnitFusion(UnitsFusion):
    kind: Literal["gated_unit"]


class FilmFusion(UnitsFusion):
    least_modalities = 2
    kind: Literal["film"]
    conditioned: Name | None = Field(
        None, description="Modality that the others scale and shift; default: the first by name."
    )

    def check_modalities(self, modalities):
        super().check_modalities(modalities)
        names = list(modalities)
        if self.conditioned not in (None, *names):
            raise Conflict(
                ("fusion", "conditioned"),
                f"a name among {listing(sorted(names))}",
                f"`{self.conditioned}`",
                f"{closest(self.conditioned, names)}Name a modality of this spec.",
            )


class CompactBilinearFusion(UnitsFusion):
    least_modalities = 2
    kind: Literal["compact_bilinear"]
    sketch: Int = Field(1024, ge=2, le=65536, description="Places of the sketch, a power of two.")
    signed_sqrt: bool = Field(True, description="Take the signed square root of the sketch.")
    l2: bool = Field(True, description="Scale the sketch to a norm of 1.")
    seed: Int = Field(7, ge=0, description="Seed of the sketch, which is not trained.")

    @model_validator(mode="after")
    def _count_in_powers_of_two(self):
        if self.sketch & (self.sketch - 1):
            fix = f"Such as `sketch: {1 << (self.sketch.bit_length() - 1)}`."
            raise Conflict(("sketch",), "a power of two", f"sketch={self.sketch}", fix)
        return self


class FactorizedBilinearFusion(UnitsFusion):
    least_modalities = 2
    kind: Literal["factorized_bilinear"]
    factor: Int = Field(5, ge=1, le=512, description="Products that are summed into a unit.")
    product_dropout: Rate = Field(0.1, description="Dropout on the products.")
    signed_sqrt: bool = Field(True, description="Take the signed square root of the sums.")
    l2: bool = Field(True, description="Scale the embedding to a norm of 1.")


class MutanFusion(UnitsFusion):
    least_modalities = 2
    kind: Literal["mutan"]
    width: Int = Field(64, ge=1, le=8192, description="Width of each modality's projection.")
    rank: Int = Field(5, ge=1, le=512, description="Rank of the core, the products that are summed.")


class CentralFusion(UnitsFusion):
    kind: Literal["central"]
    hidden: list[Units] = Field([64, 64], min_length=1, description="Width of the networks at each depth.")


class AttentionFusion(UnitsFusion):
    reads_sequences = True
    num_heads: Int = Field(4, ge=1, description="Heads of attention, a divisor of `units`.")
    block_dropout: Rate = Field(0.1, description="Dropout in each block.")

    @model_validator(mode="after")
    def _share_units_between_heads(self):
        if self.units % self.num_heads:
            received, fix = f"num_heads={self.num_heads}, units={self.units}", "Change one of them."
            raise Conflict(("num_heads",), "a divisor of `units`", received, fix)
        return self


class CrossAttentionFusion(AttentionFusion):
    least_modalities = 2
    kind: Literal["cross_attention"]
    layers: Int = Field(1, ge=1, le=64, description="Blocks of each ordered pair of modalities.")
    self_layers: Int = Field(0, ge=0, le=64, description="Blocks of self-attention of each modality.")


class BottleneckFusion(AttentionFusion):
    kind: Literal["bottleneck"]
    layers: Int = Field(2, ge=1, le=64, description="Blocks of each modality.")
    fusion_layer: Int = Field(0, ge=0, description="First block that fuses, counted from 0.")
    bottlenecks: Int = Field(4, ge=1, le=4096, description="Tokens that the modalities share.")

    @model_validator(mode="after")
    def _leave_a_block_to_read(self):
        if self.fusion_layer > self.layers - 2:
            expected = "at most `layers` - 2: what one block writes of a modality the next reads in another"
            received = f"fusion_layer={self.fusion_layer}, layers={self.layers}"
            fix = f"Such as `fusion_layer: 0` and `layers: {max(2, self.layers)}`."
            raise Conflict(("fusion_layer",), expected, received, fix)
        return self


class RegisteredFusion(Fusion):
    reads_sequences = True
    kind: Literal["registered"]
    layer: str = Field(
        pattern=r"^[^>]+>[^>]+$",
        description="The name under which Keras knows your layer, package>Class.",
        examples=["my_package>MyFusion"],
    )
    module: str | None = Field(
        None,
        pattern=r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*$",
        description="Python module that registers the layer, imported first; also from the working folder.",
    )
    settings: dict[str, Any] = Field(default_factory=dict, description="Arguments of the layer.")


AnyFusion = Annotated[
    ConcatenateFusion
    | WeightedSumFusion
    | MatrixProductFusion
    | TensorFusion
    | LowRankFusion
    | GatedFusion
    | GatedUnitFusion
    | FilmFusion
    | CompactBilinearFusion
    | FactorizedBilinearFusion
    | MutanFusion
    | CentralFusion
    | CrossAttentionFusion
    | BottleneckFusion
    | RegisteredFusion,
    Field(discriminator="kind"),
]
