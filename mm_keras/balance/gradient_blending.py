"""Weights of the losses of a `BlendedModel`, from how fast each branch learns and overfits."""

import keras
import numpy as np

from mm_keras.checks import check_positive_int

LEAST_GROWTH = 0.01  # Less is noise, by whose square we would divide.
LEAST_WEIGHT = 0.01  # Of each branch, so that one that stood still can be seen to learn again.


class GradientBlending(keras.callbacks.Callback):
    """Computes the weights of a `BlendedModel` anew every few epochs, and adds those in use to the logs.

    Args:
        epochs: int > 0. Epochs from one computation to the next; the first one looks back on the first epoch.

    Source: Wang et al. 2020, arXiv:1905.12681, online Gradient-Blending (algorithms 1 and 2). Theirs trains
        each branch apart for these epochs, from a copy of the model, to see how it learns and overfits; ours
        reads that off the joint training, in which the losses of training rows are the means over an epoch,
        with augmentation and dropout.
    """

    def __init__(self, epochs=5):
        super().__init__()
        self.epochs = check_positive_int("GradientBlending", "epochs", epochs)

    def on_epoch_end(self, epoch, logs=None):
        model, branches = self.model, self.model.branches
        weights = keras.ops.convert_to_numpy(model.blend)
        now = np.array([[logs[f"{name}.loss"], logs[f"val_{name}.loss"]] for name in branches], "float32")
        logs.update({f"{name}.weight": float(w) for name, w in zip(branches, weights, strict=True)})
        before = keras.ops.convert_to_numpy(model.looked_back_on)
        first = np.isnan(before).all()
        if first or (epoch + 1) % self.epochs == 0:
            model.blend.assign(weights if first else blending_weights(before, now, weights))
            model.looked_back_on.assign(now)


def blending_weights(before, after, weights):
    """Returns `(K,)`, which sum to 1: for each branch its gain divided by the square of how much it overfits.

    The gain G is what the validation loss fell by; O is what the gap between validation and training loss
    grew by.

    Args:
        before, after: float arrays `(K, 2)`. Training and validation loss of each branch at two times.
        weights: float array `(K,)`. Returned as they are if no branch gained.

    Source: Wang et al. 2020, arXiv:1905.12681, `w = G / (Z O^2)`, Z the sum over the branches. Ours takes a
        negative gain for 0 and a gap that grew by less than 0.01 for one that grew by 0.01, and gives every
        branch at least 0.01.
    """
    before, after = np.asarray(before, "float64"), np.asarray(after, "float64")
    gain = np.maximum(before[:, 1] - after[:, 1], 0.0)
    growth = (after[:, 1] - after[:, 0]) - (before[:, 1] - before[:, 0])
    ratios = gain / np.square(np.maximum(np.abs(growth), LEAST_GROWTH))
    if not 0 < ratios.sum() < np.inf:
        return weights
    return LEAST_WEIGHT + (1 - LEAST_WEIGHT * len(ratios)) * ratios / ratios.sum()
