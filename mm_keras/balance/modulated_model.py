"""Slows down, in training, the encoder of a modality that is ahead of the others."""

import keras
import tensorflow as tf
from keras import ops

from mm_keras.balance.balanced_model import BalancedModel
from mm_keras.checks import check_positive


@keras.saving.register_keras_serializable(package="mm_keras")
class ModulatedModel(BalancedModel):
    """Scales the gradients of each encoder by how far its modality is ahead in a batch: OGM-GE.

    The paper, for modalities u and v and rows i of a batch with the classes y_i:

        s_i^u = softmax(W^u z_i^u + b / 2)[y_i]                              (8)
        r^u = sum_i s_i^u / sum_i s_i^v                                      (9)
        k^u = 1 - tanh(alpha r^u) where r^u > 1, else 1                      (10)
        w^u <- w^u - rate (k^u g^u + h^u), h^u ~ N(0, covariance of g^u)     for the weights of encoder u

    Ours differs: (8) reads the scores off the halves of a linear layer behind a concatenation, which other
    fusions do not have; here s_i^u is the probability of the right answer given modality u alone, the other
    modalities being absent, without dropout. Of several labels it is the mean over them, of several outputs
    the mean over those whose answer is known. (9) is here the mean over the rows that have u, divided by the
    mean of what the other modalities reach; one that no row of the batch has takes no part. As in the
    authors' code the noise has, for each weight, the standard deviation of its gradient's values; theirs
    modulates the kernels of convolutions alone, ours every weight of an encoder, of a table of tokens the
    rows that the batch uses. They stop the modulation after some epochs, ours does not. Devices that share a
    batch compute the coefficients of their own rows each.

    AdamW, with which `compile_arguments` trains where the authors take SGD, divides each gradient by its own
    running size: a coefficient that stays constant cancels out. What remains is its change from batch to
    batch, its part in the clipping of the gradients' norm, and the noise.

    The logs hold the mean of each modality's coefficient as `<modality>.coefficient`. Trains on Keras's
    TensorFlow backend alone.

    Args:
        inputs: dict, modality name -> keras.KerasTensor, and "present" `(B, M)`, as of `build_model`.
        outputs: dict, key -> keras.KerasTensor. Those with "encoded." before their keys are all that enters
            the fusion beside "present".
        multi_label: dict, classification -> bool. Whether it may have several labels.
        alpha: float > 0. How strongly a modality that is ahead is slowed down.
        noise: bool. Add noise to the gradients of encoders: GE.
        seed: int or None. Seed of that noise.
        name: str or None.

    Raises: ValueError, if `alpha` is not positive.
    Source: Peng et al. 2022, arXiv:2203.15332, sections 3.2 and 3.3.
    """

    def __init__(self, inputs, outputs, multi_label, alpha=0.5, noise=True, seed=None, name=None):
        super().__init__(inputs, outputs, name=name)
        self.multi_label = dict(multi_label)
        self.alpha = check_positive("ModulatedModel", "alpha", alpha)
        self.noise, self.seed = noise, seed
        self.seed_generator = keras.random.SeedGenerator(seed)
        self.between = [key for key in outputs if key.startswith("encoded.")]
        between = [*(outputs[key] for key in self.between), inputs["present"]]
        # The call alone: Keras would count the layers of a model that is an attribute twice.
        self.decide = keras.Model(between, {output: outputs[output] for output in multi_label}).__call__
        self.coefficients = {name: keras.metrics.Mean(name=f"{name}.coefficient") for name in self.names}

    def get_config(self):
        settings = {"alpha": self.alpha, "noise": self.noise, "seed": self.seed}
        return {**super().get_config(), "multi_label": dict(self.multi_label), **settings}

    def train_step(self, data):
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        with tf.GradientTape() as tape:
            y_pred = self(x, training=True)
            loss = self.compute_loss(x, y, y_pred, sample_weight, training=True)
            scaled_loss = self.optimizer.scale_loss(loss)
        # Keras divides a loss by the devices that share a batch, so that their sum is right.
        replicas = tf.distribute.get_strategy().num_replicas_in_sync
        tracker = next(metric for metric in self.metrics if metric.name == "loss")
        tracker.update_state(loss * replicas, sample_weight=tf.shape(x["present"])[0])
        coefficients = self._coefficients(x, y, y_pred, sample_weight)
        of_weight = {
            id(weight): coefficients[place]
            for place, name in enumerate(self.names)
            for weight in self.get_layer(f"{name}.encoder").trainable_weights
        }
        weights = self.trainable_weights
        gradients = [
            self._modulate(gradient, of_weight.get(id(weight)))
            for gradient, weight in zip(tape.gradient(scaled_loss, weights), weights, strict=True)
        ]
        # Without this the scores are read, now and then, off weights of which some have taken their step.
        with tf.control_dependencies([coefficients]):
            self.optimizer.apply_gradients(zip(gradients, weights, strict=True))
        return super().compute_metrics(x, y, y_pred, sample_weight)

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        self._coefficients(x, y, y_pred, sample_weight)  # In `evaluate`, where `train_step` does not.
        return super().compute_metrics(x, y, y_pred, sample_weight)

    def _coefficients(self, x, y, y_pred, sample_weight):
        """Returns `(M,)`, and takes note of them for the logs."""
        scores, here = self._scores_alone(x["present"], y, y_pred, sample_weight)
        coefficients = modulation_coefficients(scores, here, self.alpha)
        rows = ops.sum(here, axis=0)
        for place, name in enumerate(self.names):
            self.coefficients[name].update_state(coefficients[place], sample_weight=rows[place])
        return coefficients

    def _scores_alone(self, present, y, y_pred, sample_weight):
        """Returns the probability of the right answer with each modality alone, `(B, M)`, and 1 where it
        counts: where the modality and an answer are there."""
        # Masks are among them by name: what Keras carries along would be lost on the way, with a warning.
        encoded = [ops.stop_gradient(y_pred[key]) for key in self.between]
        known = {output: ops.ones_like(present[:, 0]) for output in self.multi_label}
        if sample_weight is not None:
            known = {output: ops.cast(sample_weight[output] > 0, "float32") for output in self.multi_label}
        count, columns = sum(known.values()), []
        for place in range(len(self.names)):
            alone = present * ops.one_hot(place, len(self.names), dtype="float32")
            given = self.decide([*encoded, alone], training=False)
            right = sum(
                known[output] * right_share(y[output], given[output], several)
                for output, several in self.multi_label.items()
            )
            columns.append(right / ops.maximum(count, 1.0))
        return ops.stack(columns, axis=1), present * ops.cast(count > 0, "float32")[:, None]

    def _modulate(self, gradient, coefficient):
        if gradient is None or coefficient is None:
            return gradient
        if isinstance(gradient, tf.IndexedSlices):
            values = self._modulate(gradient.values, coefficient)
            return tf.IndexedSlices(values, gradient.indices, gradient.dense_shape)
        modulated = gradient * ops.cast(coefficient, gradient.dtype)
        if not self.noise:
            return modulated
        draws = keras.random.normal(ops.shape(gradient), dtype=gradient.dtype, seed=self.seed_generator)
        return modulated + draws * ops.std(gradient)


def modulation_coefficients(scores, here, alpha):
    """Returns the coefficient of each modality, `(M,)`, from scores `(B, M)` where `here` `(B, M)` is 1."""
    counts = ops.sum(here, axis=0)
    others_there = ops.sum(ops.cast(counts > 0, "float32")) - 1.0
    means = ops.sum(scores * here, axis=0) / ops.maximum(counts, 1.0)
    others = (ops.sum(means) - means) / ops.maximum(others_there, 1.0)
    ratios = means / ops.maximum(others, 1e-7)
    ahead = ops.logical_and(ratios > 1, others_there > 0)
    return ops.where(ahead, 1.0 - ops.tanh(alpha * ratios), ops.ones_like(ratios))


def right_share(target, given, several):
    """Returns the probability `(B,)` that `given` `(B, C)` holds for the right answer."""
    target = ops.cast(target, "float32")
    if several:
        return ops.mean(target * given + (1.0 - target) * (1.0 - given), axis=-1)
    return ops.sum(target * given, axis=-1)
