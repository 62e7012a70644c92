"""Mixup: rows of a batch blended with one another, inputs and answers alike."""

import tensorflow as tf

from mm_keras.data.draws import seed_for


def mix(inputs, targets, weights, alpha, seed, kinds, copies=None):
    """Blends each row of a batch with another one of it, by a share of its own.

    A row keeps the larger share, so it keeps what cannot be blended: its token ids, its `present`, what its
    partner lacks, and a number that is missing (NaN) in either. Where the two share nothing that can be
    blended, the row stays as it is, answers too.

    Answers follow the loss of the paper, `share * loss(own) + (1 - share) * loss(partner's)`, each with
    its weight: one blended answer with one weight, exact for losses that are linear in the answer. A
    partner without an answer (weight 0) adds none; a row of weight 0 keeps weight 0.

    Args:
        inputs: dict, modality -> tensor `(B, ...)` as the model reads it, and "present" `(B, M)`.
        targets: dict, output key -> float tensor `(B, ...)`; labels are one-hot or multi-hot.
        weights: dict, output key -> float32 tensor `(B,)`.
        alpha: float > 0. Of Beta(alpha, alpha), from which the shares are drawn.
        seed: int tensor `(2,)`.
        kinds: dict, every modality -> its kind. Those of kind "text" are not blended.
        copies: dict or None, output key -> modality, for targets that are inputs (an autoencoder's).

    Returns: (inputs, targets, weights) of the same shapes and dtypes.
    Source: Zhang et al. 2018, arXiv:1710.09412, with a share for each row; the larger share goes to the
        row itself, which mirrors the same set of blends.
    """
    copies = copies or {}
    names, present = sorted(kinds), inputs["present"]
    count = tf.shape(present)[0]
    partner = tf.argsort(tf.random.stateless_uniform([count], seed_for(seed, "partner")))
    both = (present > 0) & (tf.gather(present, partner) > 0)
    blended = [name for name in names if kinds[name] != "text"]
    shared = [both[:, names.index(name)] for name in blended]
    share = _draw_shares(count, alpha, seed_for(seed, "share"))
    share = tf.where(tf.reduce_any([tf.zeros([count], tf.bool), *shared], axis=0), share, 1.0)
    inputs = dict(inputs)
    for name, here in zip(blended, shared, strict=True):
        inputs[name] = _blend(inputs[name], partner, tf.where(here, share, 1.0))
    targets, weights = dict(targets), dict(weights)
    for key in targets:
        if key in copies:
            targets[key] = inputs[copies[key]]
        else:
            targets[key], weights[key] = _blend_answers(targets[key], weights[key], partner, share)
    return inputs, targets, weights


def _draw_shares(count, alpha, seed):
    """Returns the larger part of Beta(alpha, alpha), float32 `(count,)` in [0.5, 1]."""
    # Beta is a gamma over the sum of two. Gammas of a small alpha underflow; their logarithms do not, with
    # gamma(alpha) = gamma(alpha + 1) * U^(1 / alpha) (Devroye 1986, Non-Uniform Random Variate Generation).
    gammas = tf.random.stateless_gamma([2, count], seed_for(seed, "gamma"), alpha + 1)
    uniform = 1 - tf.random.stateless_uniform([2, count], seed_for(seed, "power"))  # Never 0.
    one, other = tf.unstack(tf.math.log(gammas) + tf.math.log(uniform) / alpha)
    return tf.sigmoid(tf.abs(one - other))


def _blend(x, partner, share):
    share = tf.cast(_beside(share, x), x.dtype)
    other = tf.gather(x, partner)
    blended = share * x + (1 - share) * other
    return tf.where((share < 1) & tf.math.is_finite(blended), blended, x)


def _blend_answers(target, weight, partner, share):
    own = share * weight
    others = tf.where(weight > 0, (1 - share) * tf.gather(weight, partner), 0.0)
    total = own + others
    part = tf.where(total > 0, tf.math.divide_no_nan(own, total), 1.0)
    return _blend(target, partner, part), total


def _beside(share, x):
    return tf.reshape(share, [-1] + [1] * (x.shape.rank - 1))
