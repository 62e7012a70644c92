"""Search for the tokens of a text that a decoder gives one by one: greedily, by beams, or drawn.

A `step` is called with (state, tokens int32 `(N,)`, place) and returns the log-probabilities of the next
token, float32 `(N, V)`, and the new state. A state is a tuple of tensors whose first axis is N.
"""

from keras import ops

START, END = 2, 3  # Ids among the reserved tokens of every vocabulary.
LEAST = -1e9


def greedy_search(step, state, rows, length):
    """Takes the most probable token at each place.

    Args:
        step: callable, see above.
        state: tuple of tensors before the first token.
        rows: int or int tensor. N.
        length: int > 0. Most tokens `T`, the end token included.

    Returns: (ids int32 `(N, T)` up to the end token, then 0; their log-probability, float32 `(N,)`).
    """

    def choose(log_probabilities, place):
        return ops.top_k(log_probabilities, 1)[1][:, 0]  # Keras's argmax has no builtin operator of TFLite.

    return _follow(step, state, rows, length, choose)


def nucleus_search(step, state, draws, top_p=0.9, temperature=1.0):
    """Draws each token from the fewest most probable ones that together have the probability `top_p`.

    Args:
        step: callable, see above.
        state: tuple of tensors before the first token.
        draws: float tensor `(N, T)` in [0, 1): what chance there is, so that equal draws give equal texts.
        top_p: float in (0, 1], or float tensor `(N, 1)`.
        temperature: float > 0, or float tensor `(N, 1)`. Divides the log-probabilities before: below
            1 what is likely becomes likelier.

    Returns: (ids, log-probability) as `greedy_search`; the latter is that of the model itself.
    Source: Holtzman et al. 2020, arXiv:1904.09751, section 3.1.
    """

    def choose(log_probabilities, place):
        tempered = ops.softmax(log_probabilities / temperature, axis=-1)
        order = ops.flip(ops.argsort(tempered, axis=-1), axis=-1)
        sorted_probabilities = ops.take_along_axis(tempered, order, axis=-1)
        before = ops.cumsum(sorted_probabilities, axis=-1) - sorted_probabilities
        # The first is always kept, as nothing stands before it.
        kept = ops.where(before < top_p, sorted_probabilities, 0.0)
        bounds = ops.cumsum(kept, axis=-1)
        drawn = ops.take(draws, place, axis=1)[:, None] * bounds[:, -1:]
        rank = ops.sum(ops.cast(bounds <= drawn, "int32"), axis=-1, keepdims=True)
        # Rounding must not lead behind the last one that is kept.
        last = ops.sum(ops.cast(kept > 0, "int32"), axis=-1, keepdims=True) - 1
        return ops.take_along_axis(order, ops.minimum(rank, last), axis=-1)[:, 0]

    return _follow(step, state, ops.shape(draws)[0], draws.shape[1], choose)


def beam_search(step, state, rows, length, beams, length_penalty=0.6):
    """Keeps the `beams` best beginnings at each place, and of the texts that ended the best.

    A text of n tokens, its end token included, scores `log P / ((5 + n) / 6) ** length_penalty`. One that
    reaches `length` without an end token counts as it stands.

    Args:
        step: callable, see above; N is `rows * beams`, the beams of a row one after another.
        state: tuple of tensors before the first token, already for N rows.
        rows: int or int tensor `B`.
        length: int > 0. Most tokens `T`, the end token included.
        beams: int > 0, `K`.
        length_penalty: float >= 0. 0 favours short texts.

    Returns: (ids int32 `(B, K, T)`, best first, 0 behind the end token; scores float32 `(B, K)`).
    Source: Wu et al. 2016, arXiv:1609.08144, section 7 and equation 14, without the coverage penalty.
    """
    places = ops.arange(length, dtype="int32")
    row_starts = ops.arange(rows, dtype="int32")[:, None] * beams

    def penalty(count):
        return ((5.0 + ops.cast(count, "float32")) / 6.0) ** length_penalty

    def goes_on(place, last, alive, alive_scores, ended, ended_scores, *state):
        # No beginning can get better than as long as may be, at its log-probability of now.
        hope = alive_scores[:, 0] / penalty(length)
        return ops.logical_and(place < length, ops.any(hope > ended_scores[:, -1]))

    def body(place, last, alive, alive_scores, ended, ended_scores, *state):
        log_probabilities, state = step(state, ops.reshape(last, (-1,)), place)
        size = log_probabilities.shape[-1]
        totals = alive_scores[:, :, None] + ops.reshape(log_probabilities, (-1, beams, size))
        values, found = ops.top_k(ops.reshape(totals, (-1, beams * size)), 2 * beams)
        found = ops.cast(found, "int32")
        parents, tokens = found // size, found % size  # (B, 2 K)
        texts = ops.take_along_axis(alive, parents[:, :, None], axis=1)
        texts = ops.where(places == place, tokens[:, :, None], texts)
        ends = tokens == END
        ended_scores, chosen = ops.top_k(
            ops.concatenate([ended_scores, ops.where(ends, values / penalty(place + 1), LEAST)], axis=1),
            beams,
        )
        ended = ops.take_along_axis(
            ops.concatenate([ended, texts], axis=1), ops.cast(chosen, "int32")[:, :, None], axis=1
        )
        alive_scores, chosen = ops.top_k(ops.where(ends, LEAST, values), beams)
        chosen = ops.cast(chosen, "int32")
        alive = ops.take_along_axis(texts, chosen[:, :, None], axis=1)
        last = ops.take_along_axis(tokens, chosen, axis=1)
        parents = ops.reshape(row_starts + ops.take_along_axis(parents, chosen, axis=1), (-1,))
        state = [ops.take(x, parents, axis=0) for x in state]
        return (place + 1, last, alive, alive_scores, ended, ended_scores, *state)

    none = ops.zeros((rows, beams, length), "int32")
    # All beams begin alike: but for the first, they would be the same text again.
    first = ops.where(ops.arange(beams) == 0, 0.0, LEAST) + ops.zeros((rows, beams), "float32")
    begin = (0, ops.full((rows, beams), START, "int32"), none, first, none)
    begin += (ops.full((rows, beams), LEAST, "float32"), *state)
    _, _, alive, alive_scores, ended, ended_scores, *_ = ops.while_loop(goes_on, body, begin)
    scores = ops.concatenate([ended_scores, alive_scores / penalty(length)], axis=1)
    scores, chosen = ops.top_k(scores, beams)
    texts = ops.concatenate([ended, alive], axis=1)
    return ops.take_along_axis(texts, ops.cast(chosen, "int32")[:, :, None], axis=1), scores


def _follow(step, state, rows, length, choose):
    """Writes one text a row, whose token `choose(log_probabilities, place)` gives, int32 `(N,)`."""
    places = ops.arange(length, dtype="int32")

    def goes_on(place, last, ids, score, *state):
        return ops.logical_and(place < length, ops.any(ops.logical_and(last != END, last != 0)))

    def body(place, last, ids, score, *state):
        log_probabilities, state = step(state, last, place)
        chosen = ops.cast(choose(log_probabilities, place), "int32")
        gained = ops.take_along_axis(log_probabilities, chosen[:, None], axis=-1)[:, 0]
        over = ops.logical_or(last == END, last == 0)
        chosen = ops.where(over, 0, chosen)
        ids = ops.where(places == place, chosen[:, None], ids)
        return (place + 1, chosen, ids, score + ops.where(over, 0.0, gained), *state)

    begin = (0, ops.full((rows,), START, "int32"), ops.zeros((rows, length), "int32"))
    _, _, ids, score, *_ = ops.while_loop(goes_on, body, (*begin, ops.zeros((rows,), "float32"), *state))
    return ids, score
