"""A head for each modality alone, in training only."""

import keras
import tensorflow as tf

from mm_keras.balance.balanced_model import BalancedModel

FUSED = "fused"


@keras.saving.register_keras_serializable(package="mm_keras")
class AuxiliaryModel(BalancedModel):
    """Adds, in training, the losses of heads that see one modality's embedding each.

    The loss of a modality is the sum over the outputs of `output_weights[output] * loss(head)`, in which a
    row counts as in the output's own loss, and not at all where the modality is absent. While training, each
    enters the loss times its weight; of validation rows the loss is that of the model alone. The logs hold
    the loss of each modality as `<modality>.loss`, and that of the model alone as `fused.loss`.

    Args:
        inputs: dict, modality name -> keras.KerasTensor, and "present" `(B, M)`, as of `build_model`.
        outputs: dict, key -> keras.KerasTensor. "<output>.<modality>" is what a layer of that name, which
            has a method `loss`, answers of that modality alone.
        output_weights: dict, output -> float > 0. Weight of each output that such layers answer.
        modality_weights: dict, modality -> float > 0. Weight of each modality's loss.
        name: str or None.

    Source: Wang et al. 2020, arXiv:1905.12681, section 3.2, with weights that stay as they are.
    """

    def __init__(self, inputs, outputs, output_weights, modality_weights, name=None):
        super().__init__(inputs, outputs, name=name)
        self.output_weights, self.modality_weights = dict(output_weights), dict(modality_weights)
        self.losses_alone = {key: self.get_layer(key).loss() for key in self._keys()}
        branches = [*self.modality_weights, FUSED]
        self.branch_losses = {branch: keras.metrics.Mean(name=f"{branch}.loss") for branch in branches}

    def get_config(self):
        return {
            **super().get_config(),
            "output_weights": dict(self.output_weights),
            "modality_weights": dict(self.modality_weights),
        }

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        losses = {FUSED: super().compute_loss(x, y, y_pred, sample_weight, training)}
        for name in self.modality_weights:
            losses[name] = self._loss_alone(name, x["present"], y, y_pred, sample_weight)
        # Keras divides a loss by the devices that share a batch, so that their sum is right.
        replicas = tf.distribute.get_strategy().num_replicas_in_sync
        for branch, loss in losses.items():
            self.branch_losses[branch].update_state(loss * replicas, sample_weight=tf.shape(x["present"])[0])
        return self._total(losses) if training else losses[FUSED]

    def _total(self, losses):
        return losses[FUSED] + sum(weight * losses[name] for name, weight in self.modality_weights.items())

    def _keys(self):
        return [f"{output}.{name}" for output in self.output_weights for name in self.modality_weights]

    def _loss_alone(self, name, present, y, y_pred, sample_weight):
        here, total = present[:, self.names.index(name)], 0.0
        for output, weight in self.output_weights.items():
            key = f"{output}.{name}"
            counts = here if sample_weight is None else here * sample_weight[output]
            total += weight * self.losses_alone[key](y[output], y_pred[key], sample_weight=counts)
        return total
