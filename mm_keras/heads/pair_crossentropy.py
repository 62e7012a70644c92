"""Contrastive loss between the modalities of a row and those of the other rows of its batch."""

import itertools

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="mm_keras")
class PairCrossentropy(keras.losses.Loss):
    """InfoNCE of every pair of modalities: which row of the batch does this one belong to?

    `y_true` is a float tensor `(B, M, 1)`, 1 where the modality is there; `y_pred` `(B, M, D)`, of `Matcher`.
    Of a pair of modalities, the rows that have both are candidates for one another, in both directions;
    a row that lacks one is no candidate and has a loss of 0. A row's loss is the mean over all pairs.

    The rows are those that the loss is given at once: under a `MirroredStrategy` those of one replica.

    Source: van den Oord et al. 2018, arXiv:1807.03748, equation 4; both directions as the mean of two
        crossentropies, as in Radford et al. 2021, arXiv:2103.00020, figure 3.
    """

    def __init__(self, **kwargs):
        super().__init__(**{"name": "pair_crossentropy", **kwargs})

    def call(self, y_true, y_pred):
        x, here = ops.cast(y_pred, "float32"), ops.cast(y_true, "float32")[:, :, 0]
        pairs = list(itertools.combinations(range(x.shape[1]), 2))
        return sum(_of_pair(x[:, i], x[:, j], here[:, i] * here[:, j]) for i, j in pairs) / len(pairs)


def _of_pair(one, other, both):
    """Returns the loss `(B,)` of one pair of modalities; `both` `(B,)` tells the rows that have the two."""
    logits = ops.matmul(one, ops.transpose(other))  # (B, B)
    own = ops.sum(one * other, axis=-1)
    absent = -1e9 * (1.0 - both)
    forth = ops.logsumexp(logits + absent[None, :], axis=1)
    back = ops.logsumexp(logits + absent[:, None], axis=0)
    return both * (0.5 * (forth + back) - own)
