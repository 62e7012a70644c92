"""The part of a spec that says how training keeps one modality from being learned at the others' cost."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from mm_keras.checks import closest, listing
from mm_keras.spec_parts import Conflict, Float, Int, Name, Part

PATH = ("training", "balance")
Weight = Annotated[float, Field(strict=True, gt=0)]


class Balance(Part):
    kinds_of_output: ClassVar[tuple] = ("classification", "regression")
    adds_losses: ClassVar[bool] = True

    def check(self, spec):
        """Raises a `Conflict`, seen from the spec, if this kind cannot balance its training."""
        if len(spec.modalities) < 2:
            fix = "Take `balance` out, or add a modality."
            raise Conflict(PATH, "at least 2 modalities to balance", listing(spec.modalities), fix)
        if self.adds_losses and "fused" in spec.modalities:
            expected = (
                f"no modality named `fused` with kind `{self.kind}`: so the logs call all of them together"
            )
            raise Conflict(("modalities", "fused"), expected, "`fused`", "Choose another name.")
        kinds = sorted({output.kind for output in spec.outputs.values()})
        if not set(kinds) & set(self.kinds_of_output):
            expected = f"a {' or '.join(self.kinds_of_output)} among the outputs for kind `{self.kind}`"
            fix = "Add such an output, or take `balance` out."
            raise Conflict((*PATH, "kind"), expected, f"only {listing(kinds)}", fix)


class AuxiliaryBalance(Balance):
    kind: Literal["auxiliary"]
    weight: Weight | dict[Name, Weight] = Field(
        0.5, description="Weight of each modality's own loss; or modality -> its own, and no other has one."
    )

    def weights(self, names):
        """Returns modality -> weight of its loss."""
        return dict(self.weight) if isinstance(self.weight, dict) else dict.fromkeys(names, self.weight)

    def check(self, spec):
        super().check(spec)
        for name in self.weights(spec.modalities):
            if name not in spec.modalities:
                expected = f"a name among {listing(sorted(spec.modalities))}"
                fix = f"{closest(name, spec.modalities)}Name modalities of this spec."
                raise Conflict((*PATH, "weight", name), expected, f"`{name}`", fix)


class GradientModulationBalance(Balance):
    kinds_of_output = ("classification",)
    adds_losses = False
    kind: Literal["ogm_ge"]
    alpha: Float = Field(0.5, gt=0, description="How strongly a modality that is ahead is slowed down.")
    noise: bool = Field(True, description="Add noise to the gradients of encoders, the GE of OGM-GE.")


class GradientBlendingBalance(Balance):
    kind: Literal["gradient_blending"]
    epochs: Int = Field(5, ge=1, description="Epochs after which the weights are computed anew.")

    def check(self, spec):
        super().check(spec)
        if self.epochs >= spec.training.epochs:
            received = f"epochs={self.epochs}, training.epochs={spec.training.epochs}"
            fix = f"Such as `epochs: {max(spec.training.epochs // 5, 1)}`, or train for longer."
            raise Conflict((*PATH, "epochs"), "less than `training.epochs`", received, fix)
        if getattr(spec.data.split, "validation", None) == 0:
            expected = "rows for validation, from which gradient blending reads its weights"
            fix = "Such as `split: {validation: 0.1, test: 0.2}`."
            raise Conflict(("data", "split", "validation"), expected, "validation=0", fix)


AnyBalance = Annotated[
    AuxiliaryBalance | GradientModulationBalance | GradientBlendingBalance, Field(discriminator="kind")
]
