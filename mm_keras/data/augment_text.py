"""Random changes of texts: words left out, typos."""

import tensorflow as tf

from mm_keras.data.draws import seed_for

# Unicode's White_Space: what the tokenizer, too, splits words at.
SPACES = [
    *range(9, 14),
    32,
    0x85,
    0xA0,
    0x1680,
    *range(0x2000, 0x200B),
    0x2028,
    0x2029,
    0x202F,
    0x205F,
    0x3000,
]
DELETE, SWAP, REPLACE = range(3)


class TextAugmentation:
    """Leaves words out and makes typos, drawn for each word and each letter.

    A word is what stands between white space. Of the words that are drawn to be left out, one stays if
    none else would. A typo deletes a letter, swaps it with the next one, or replaces it by another letter
    of the same text, which keeps to the text's script; the first letter of a word stays what it is. So a
    text that is not blank stays so. Bytes that are no UTF-8 become U+FFFD.

    Args:
        modality: TextModality of the spec, with `augment`.

    Call arguments:
        texts: string tensor `(B,)`, UTF-8.
        seed: int tensor `(2,)`.

    Returns: string tensor `(B,)`.
    Source: Pruthi et al. 2019, arXiv:1905.11268 (typos inside words), with swaps, deletions and
        replacements equally likely.
    """

    def __init__(self, modality):
        self.token_dropout = modality.augment.token_dropout
        self.typos = modality.augment.typos

    def __call__(self, texts, seed):
        letters = tf.strings.unicode_decode(texts, "UTF-8")  # Ragged (B, letters).
        if self.token_dropout:
            letters = drop_words(letters, self.token_dropout, seed_for(seed, "token_dropout"))
        if self.typos:
            letters = make_typos(letters, self.typos, seed_for(seed, "typos"))
        return tf.ensure_shape(tf.strings.unicode_encode(letters, "UTF-8"), texts.shape)


def drop_words(letters, rate, seed):
    """Leaves out whole words with the white space behind them; `letters` is a ragged int32 `(B, None)`."""
    rows, starts = letters.value_rowids(), _word_starts(letters)
    # White space at a text's beginning is a group of its own, which stays.
    begins = starts | _row_starts(rows)
    group = tf.cumsum(tf.cast(begins, tf.int32)) - 1
    first = tf.where(begins)[:, 0]
    row, is_word = tf.gather(rows, first), tf.gather(starts, first)
    draws = tf.where(is_word, tf.random.stateless_uniform(tf.shape(first), seed), -1.0)
    best = tf.gather(tf.math.unsorted_segment_max(draws, row, letters.nrows()), row)
    stays = ~is_word | (draws >= rate) | (draws == best)
    return _keep(letters, tf.gather(stays, group))


def make_typos(letters, rate, seed):
    """Deletes, swaps or replaces letters, each with probability `rate`; `letters` is ragged `(B, None)`."""
    values, rows = letters.flat_values, letters.value_rowids()
    inner = ~_is_space(values) & ~_word_starts(letters)
    size = tf.shape(values)
    hit = inner & (tf.random.stateless_uniform(size, seed_for(seed, "place")) < rate)
    kind = tf.random.stateless_uniform(size, seed_for(seed, "kind"), 0, 3, tf.int32)
    has_next = tf.concat([inner[1:], [False]], 0)[: size[0]]
    values = tf.gather(values, swapped_places(hit & (kind == SWAP) & has_next))
    other = tf.gather(values, _draw_in_row(letters, rows, seed_for(seed, "letter")))
    values = tf.where(hit & (kind == REPLACE) & ~_is_space(other), other, values)
    return _keep(letters.with_flat_values(values), ~(hit & (kind == DELETE)))


def swapped_places(marks):
    """Returns the places `(N,)` of N letters after each marked one has changed places with the next.

    A mark right behind another is left out, so no letter moves twice.
    """
    swap = marks & ~_behind(marks)
    moved = tf.cast(swap, tf.int32) - tf.cast(_behind(swap), tf.int32)
    return tf.range(tf.size(marks)) + moved


def _draw_in_row(letters, rows, seed):
    """Returns for each letter the place of a random one of the same text."""
    lengths = tf.gather(letters.row_lengths(), rows)
    draws = tf.random.stateless_uniform(tf.shape(rows), seed) * tf.cast(lengths, tf.float32)
    inside = tf.minimum(tf.cast(draws, tf.int64), lengths - 1)
    return tf.gather(letters.row_starts(), rows) + inside


def _word_starts(letters):
    space = _is_space(letters.flat_values)
    return ~space & (_row_starts(letters.value_rowids()) | _behind(space))


def _row_starts(rows):
    return tf.concat([tf.ones_like(rows[:1], tf.bool), rows[1:] != rows[:-1]], 0)


def _behind(marks):
    """Returns the marks moved one place to the end; the first is False."""
    return tf.concat([tf.zeros_like(marks[:1]), marks[:-1]], 0)


def _is_space(values):
    return tf.reduce_any(values[:, None] == SPACES, axis=1)


def _keep(letters, stays):
    return tf.ragged.boolean_mask(letters, letters.with_flat_values(stays))
