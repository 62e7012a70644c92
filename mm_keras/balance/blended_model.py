"""Heads for each modality alone, whose losses and that of all together are blended by weights that change."""

import keras

from mm_keras.balance.auxiliary_model import FUSED, AuxiliaryModel
from mm_keras.balance.gradient_blending import GradientBlending
from mm_keras.checks import message
from mm_keras.model import modality_inputs


@keras.saving.register_keras_serializable(package="mm_keras")
class BlendedModel(AuxiliaryModel):
    """Trains on the blend `sum_m w_m loss_m + w_fused loss_fused`, whose weights sum to 1.

    The losses are those of `AuxiliaryModel`; `loss_fused` is that of all outputs of the model. The weights
    are equal until `GradientBlending`, which `fit` puts before its other callbacks, computes others. The logs
    hold them as `<modality>.weight` and `fused.weight`.

    Args:
        inputs: dict, modality name -> keras.KerasTensor, and "present" `(B, M)`, as of `build_model`.
        outputs: dict, key -> keras.KerasTensor, with "<output>.<modality>" as `AuxiliaryModel` has them.
        output_weights: dict, output -> float > 0. Weight of each output that such layers answer.
        epochs: int > 0. Epochs after which the weights are computed anew.
        name: str or None.

    Raises: ValueError in `fit` without validation rows.
    Source: Wang et al. 2020, arXiv:1905.12681, section 3.2. `GradientBlending` tells where we differ.
    """

    def __init__(self, inputs, outputs, output_weights, epochs=5, name=None):
        names = sorted(modality_inputs(inputs))
        super().__init__(inputs, outputs, output_weights, dict.fromkeys(names, 1.0), name=name)
        self.epochs = epochs
        self.branches = [*names, FUSED]
        count = len(self.branches)
        self.blend = self.add_weight(
            name="blend", shape=(count,), initializer=keras.initializers.Constant(1 / count), trainable=False
        )
        self.looked_back_on = self.add_weight(
            name="looked_back_on",
            shape=(count, 2),
            initializer=keras.initializers.Constant(float("nan")),
            trainable=False,
        )

    def get_config(self):
        config = super().get_config()
        del config["modality_weights"]
        return {**config, "epochs": self.epochs}

    def fit(self, *arguments, callbacks=None, validation_data=None, **settings):
        if validation_data is None:
            fix = "Pass validation_data, or balance by `auxiliary`."
            raise ValueError(message("gradient_blending", "validation rows in training", "none", fix))
        callbacks = [GradientBlending(self.epochs), *(callbacks or [])]
        return super().fit(*arguments, callbacks=callbacks, validation_data=validation_data, **settings)

    def _total(self, losses):
        return sum(self.blend[place] * losses[branch] for place, branch in enumerate(self.branches))
