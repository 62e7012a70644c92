"""Searches over a random Markov chain with a state, against plain Python that follows each text."""

import itertools

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import ops

from mm_keras.token_search import END, START, beam_search, greedy_search, nucleus_search

pytestmark = pytest.mark.core

KINDS, MEMORY = 3, 4
ROWS = np.array([0, 1, 2], "int32")
ALMOST_ONE = float(np.nextafter(np.float32(1), np.float32(0)))
ROUNDING = 1e-5  # Sums of float32 log-probabilities.

seeds = st.integers(0, 1000)


class Chain:
    """Random chances of the next token, by the row's kind, all tokens so far, their number and the last one.

    Token 0 never comes.
    """

    def __init__(self, seed, size=5):
        chances = np.exp(np.random.default_rng(seed).normal(scale=1.5, size=(KINDS, MEMORY, size, size)))
        chances[..., 0] = 0
        with np.errstate(divide="ignore"):
            self.table = np.log(chances / chances.sum(axis=-1, keepdims=True))
        self.rows = np.maximum(self.table, -1e9).reshape(-1, size).astype("float32")
        self.size = size

    def state(self, kinds):
        return ops.cast(kinds, "int32"), ops.zeros_like(kinds)

    def step(self, state, tokens, place):
        kinds, read = state
        found = (kinds * MEMORY + (read + place) % MEMORY) * self.size + tokens
        return ops.take(self.rows, found, axis=0), (kinds, (2 * read + tokens + 1) % MEMORY)

    def after(self, kind, text):
        """Returns the log-probabilities `(V,)` of the token behind `text`, in float64."""
        read, tokens = 0, [START, *text]
        for token in tokens[:-1]:
            read = (2 * read + token + 1) % MEMORY
        return self.table[kind, (read + len(text)) % MEMORY, tokens[-1]]

    def score(self, kind, text):
        return sum(self.after(kind, text[:place])[token] for place, token in enumerate(text))

    def greedy(self, length):
        return lambda kinds: greedy_search(self.step, self.state(kinds), ops.shape(kinds)[0], length)

    def nucleus(self, draws, top_p=0.9, temperature=1.0):
        return lambda kinds: nucleus_search(self.step, self.state(kinds), draws, top_p, temperature)

    def beams(self, length, beams, length_penalty=0.6):
        def search(kinds):
            state = self.state(ops.repeat(kinds, beams))
            return beam_search(self.step, state, ops.shape(kinds)[0], length, beams, length_penalty)

        return search


def always(chances):
    """Returns a step whose next token has these chances, dict token -> chance, whatever came before."""
    row = np.full((1, 5), -1e9, "float32")
    row[0, list(chances)] = np.log(list(chances.values()))
    return lambda state, tokens, place: (ops.take(row, ops.zeros_like(tokens), axis=0), state)


def found(search, *arrays):
    """Returns what a search finds, (ids, scores), as NumPy arrays."""
    return [ops.convert_to_numpy(x) for x in search(*map(ops.convert_to_tensor, arrays))]


def padded(text, length):
    return [*text, *[0] * (length - len(text))]


def penalty(count, length_penalty):
    return ((5 + count) / 6) ** length_penalty


def all_texts(size, length):
    """Returns every text of tokens above 0, up to its end token or of `length` tokens."""
    words = [token for token in range(1, size) if token != END]
    begun = [list(text) for count in range(length) for text in itertools.product(words, repeat=count)]
    return [*([*text, END] for text in begun), *map(list, itertools.product(words, repeat=length))]


def plain_beams(chain, kind, length, beams, length_penalty):
    """Returns (score, text) of the best `beams` texts; all ended ones are kept, and no place is left out."""
    alive, ended = [(0.0, [])], []
    for place in range(length):
        longer = [
            (score + more, [*text, token])
            for score, text in alive
            for token, more in enumerate(chain.after(kind, text))
        ]
        best = sorted(longer, reverse=True)[: 2 * beams]
        over = penalty(place + 1, length_penalty)
        ended += [(score / over, text) for score, text in best if text[-1] == END]
        alive = [(score, text) for score, text in best if text[-1] != END][:beams]
    alive = [(score / penalty(length, length_penalty), text) for score, text in alive]
    return sorted(ended + alive, reverse=True)[:beams]


def nucleus_of(log_probabilities, top_p, temperature):
    """Returns (tokens, chances) of the nucleus, likeliest first; the chances are not renormalised."""
    chances = np.exp(log_probabilities / temperature)
    chances /= chances.sum()
    order = np.argsort(-chances)
    count = np.sum(np.cumsum(chances[order]) < top_p) + 1
    tokens = [token for token in order[:count] if chances[token] > 0]
    return tokens, chances[tokens]


@settings(max_examples=15)
@given(seed=seeds)
def test_greedy_takes_the_likeliest_token_at_each_place(seed):
    chain, length = Chain(seed), 6
    ids, scores = found(chain.greedy(length), ROWS)
    for row, kind in enumerate(ROWS):
        text = []
        while len(text) < length and END not in text:
            text.append(int(np.argmax(chain.after(kind, text))))
        assert ids[row].tolist() == padded(text, length)
        assert scores[row] == pytest.approx(chain.score(kind, text), abs=ROUNDING)


@settings(max_examples=10)
@given(seed=seeds, length_penalty=st.sampled_from([0.0, 0.6, 1.0, 2.0]))
def test_with_enough_beams_all_texts_are_found_best_first(seed, length_penalty):
    chain, length = Chain(seed), 3
    texts = all_texts(chain.size, length)
    ids, scores = found(chain.beams(length, len(texts), length_penalty), ROWS)
    for row, kind in enumerate(ROWS):
        scored = [(chain.score(kind, text) / penalty(len(text), length_penalty), text) for text in texts]
        scored.sort(reverse=True)
        assert ids[row].tolist() == [padded(text, length) for _, text in scored]
        np.testing.assert_allclose(scores[row], [score for score, _ in scored], rtol=1e-5, atol=ROUNDING)


@settings(max_examples=10)
@given(seed=seeds, beams=st.integers(1, 3), length_penalty=st.sampled_from([0.0, 0.6, 2.0]))
def test_few_beams_find_what_a_plain_beam_search_finds(seed, beams, length_penalty):
    chain, length = Chain(seed, size=6), 5
    ids, scores = found(chain.beams(length, beams, length_penalty), ROWS)
    for row, kind in enumerate(ROWS):
        expected = plain_beams(chain, kind, length, beams, length_penalty)
        assert ids[row].tolist() == [padded(text, length) for _, text in expected]
        np.testing.assert_allclose(scores[row], [score for score, _ in expected], rtol=1e-5, atol=ROUNDING)


@settings(max_examples=10)
@given(seed=seeds, length_penalty=st.sampled_from([0.0, 0.6, 2.0]))
def test_one_beam_is_never_worse_than_greedy(seed, length_penalty):
    chain, length = Chain(seed), 5
    _, scores = found(chain.beams(length, 1, length_penalty), ROWS)
    ids, greedy_scores = found(chain.greedy(length), ROWS)
    assert (scores[:, 0] >= greedy_scores / penalty((ids > 0).sum(axis=1), length_penalty) - ROUNDING).all()


@pytest.mark.parametrize(
    ("length_penalty", "text", "score"),
    [(0.0, [END, 0, 0], np.log(0.3)), (1.0, [4, 4, 4], np.log(0.6**3) / (8 / 6))],
)
def test_one_beam_takes_the_end_that_greedy_passes_over_unless_length_counts(length_penalty, text, score):
    step = always({4: 0.6, END: 0.3, 1: 0.1})
    ids, scores = found(lambda: beam_search(step, (), 2, 3, 1, length_penalty))
    np.testing.assert_array_equal(ids, [[text]] * 2)
    np.testing.assert_allclose(scores, [[score]] * 2, rtol=1e-5)
    ids, scores = found(lambda: greedy_search(step, (), 2, 3))
    np.testing.assert_array_equal(ids, [[4, 4, 4]] * 2)
    np.testing.assert_allclose(scores, [np.log(0.6**3)] * 2, rtol=1e-5)


def test_texts_that_reach_the_length_without_an_end_count():
    step = always({4: 0.75, 1: 0.25})
    ids, scores = found(lambda: beam_search(step, (), 1, 2, 4, 2.0))
    assert ids[0, 0].tolist() == [4, 4] and ids[0, 3].tolist() == [1, 1]
    assert sorted(ids[0, 1:3].tolist()) == [[1, 4], [4, 1]]
    np.testing.assert_allclose(scores[0], np.log(np.array([9, 3, 3, 1]) / 16) / (7 / 6) ** 2, rtol=1e-5)


def test_a_first_end_token_is_a_whole_text():
    step = always({END: 0.7, 4: 0.2, 1: 0.1})
    draws = np.zeros((2, 3), "float32")
    for search in (lambda: greedy_search(step, (), 2, 3), lambda: nucleus_search(step, (), draws)):
        ids, scores = found(search)
        np.testing.assert_array_equal(ids, [[END, 0, 0]] * 2)
        np.testing.assert_allclose(scores, [np.log(0.7)] * 2, rtol=1e-5)


@settings(max_examples=15)
@given(seed=seeds, top_p=st.floats(0.05, 1), temperature=st.floats(0.3, 3))
def test_a_draw_picks_the_token_of_the_nucleus_in_whose_share_it_falls(seed, top_p, temperature):
    chain, length = Chain(seed), 5
    draws = np.random.default_rng(seed).uniform(size=(3, length)).astype("float32")
    ids, scores = found(chain.nucleus(draws, top_p, temperature), ROWS)
    for row, kind in enumerate(ROWS):
        text = []
        while len(text) < length and END not in text:
            tokens, chances = nucleus_of(chain.after(kind, text), top_p, temperature)
            bounds = np.cumsum(chances)
            text.append(int(tokens[np.sum(bounds <= draws[row, len(text)] * bounds[-1])]))
        assert ids[row].tolist() == padded(text, length)
        assert scores[row] == pytest.approx(chain.score(kind, text), abs=ROUNDING)  # Not the tempered ones.


@settings(max_examples=15)
@given(seed=seeds, top_p=st.floats(0.05, 0.999), draw=st.sampled_from([0.0, ALMOST_ONE, 1.0]))
def test_no_token_outside_the_nucleus_is_drawn_even_at_the_edge(seed, top_p, draw):
    chain, length = Chain(seed), 5
    ids, _ = found(chain.nucleus(np.full((3, length), draw, "float32"), top_p, 1.0), ROWS)
    for row, kind in enumerate(ROWS):
        for place in range(int((ids[row] > 0).sum())):
            text = ids[row, :place].tolist()
            assert ids[row, place] in nucleus_of(chain.after(kind, text), top_p, 1.0)[0]


@settings(max_examples=10)
@given(seed=seeds, cold=st.booleans())
def test_a_tiny_nucleus_and_a_tiny_temperature_are_greedy(seed, cold):
    chain, length = Chain(seed), 5
    draws = np.random.default_rng(seed).uniform(size=(3, length)).astype("float32")
    arguments = (1.0, 1e-4) if cold else (1e-6, 1.0)
    for x, y in zip(
        found(chain.nucleus(draws, *arguments), ROWS), found(chain.greedy(length), ROWS), strict=True
    ):
        np.testing.assert_array_equal(x, y)


@pytest.mark.parametrize(
    ("top_p", "temperature", "shares"),
    [
        (0.75, 1.0, {4: 4 / 9, 1: 3 / 9, END: 2 / 9}),
        (0.75, 0.5, {4: 16 / 25, 1: 9 / 25}),  # Squares: 16, 9, 4 and 1 of 30.
        (1.0, 1.0, {4: 0.4, 1: 0.3, END: 0.2, 2: 0.1}),
    ],
)
def test_over_many_draws_tokens_come_as_often_as_the_renormalised_nucleus_says(top_p, temperature, shares):
    step, count = always({4: 0.4, 1: 0.3, END: 0.2, 2: 0.1}), 4000
    draws = (np.arange(count, dtype="float32")[:, None] + 0.5) / count  # Evenly spaced: no chance left.
    ids, _ = found(lambda: nucleus_search(step, (), draws, top_p, temperature))
    tokens, counts = np.unique(ids, return_counts=True)
    assert tokens.tolist() == sorted(shares)
    np.testing.assert_allclose(counts / count, [shares[token] for token in tokens], atol=1.5 / count)


def test_the_draws_decide_place_by_place():
    step = always({4: 0.5, 1: 0.3, 2: 0.2})
    draws = np.array([[0.1, 0.6, 0.9], [0.9, 0.1, 0.6], [0.1, 0.6, 0.9]], "float32")
    ids, _ = found(lambda: nucleus_search(step, (), draws, 1.0))
    np.testing.assert_array_equal(ids, [[4, 1, 2], [2, 4, 1], [4, 1, 2]])


def test_each_row_may_have_a_nucleus_and_a_temperature_of_its_own():
    chain, length = Chain(7), 4
    draws = np.random.default_rng(7).uniform(size=(3, length)).astype("float32")
    top_p = np.array([[0.3], [0.9], [1.0]], "float32")
    temperature = np.array([[1.0], [3.0], [0.5]], "float32")
    ids, scores = found(chain.nucleus(draws, top_p, temperature), ROWS)
    for row in range(3):
        own = chain.nucleus(draws[row : row + 1], float(top_p[row, 0]), float(temperature[row, 0]))
        alone, score = found(own, ROWS[row : row + 1])
        np.testing.assert_array_equal(alone[0], ids[row])
        np.testing.assert_allclose(score[0], scores[row], rtol=1e-5)


@settings(max_examples=2)
@given(seed=seeds)
def test_rows_do_not_influence_one_another(seed):
    chain, length = Chain(seed, size=6), 5
    draws = np.random.default_rng(seed).uniform(size=(3, length)).astype("float32")
    searches = {
        "greedy": lambda rows: chain.greedy(length),
        "nucleus": lambda rows: chain.nucleus(draws[rows]),
        "beams": lambda rows: chain.beams(length, 3),
    }
    for name, search in searches.items():
        ids, scores = found(search([0, 1, 2]), ROWS)
        for rows in ([1], [2, 0]):
            some, score = found(search(rows), ROWS[rows])
            np.testing.assert_array_equal(some, ids[rows], err_msg=name)
            np.testing.assert_allclose(score, scores[rows], rtol=1e-5, atol=ROUNDING, err_msg=name)


@pytest.mark.tensorflow
@pytest.mark.parametrize("name", ["greedy", "nucleus", "beams", "all_beams"])
def test_a_graph_that_knows_no_batch_size_finds_the_same(name):
    chain = Chain(7, size=6)
    searches = {
        "greedy": lambda kinds, draws: chain.greedy(5)(kinds),
        "nucleus": lambda kinds, draws: chain.nucleus(draws)(kinds),
        "beams": lambda kinds, draws: chain.beams(5, 3)(kinds),
        "all_beams": lambda kinds, draws: chain.beams(2, 21)(kinds),
    }
    signature = [tf.TensorSpec([None], tf.int32), tf.TensorSpec([None, 5], tf.float32)]
    graph = tf.function(searches[name], input_signature=signature, autograph=False)
    draws = np.random.default_rng(7).uniform(size=(3, 5)).astype("float32")
    for rows in ([0, 1, 2], [1]):
        ids, scores = found(graph, ROWS[rows], draws[rows])
        expected, expected_scores = found(searches[name], ROWS[rows], draws[rows])
        np.testing.assert_array_equal(ids, expected)
        np.testing.assert_allclose(scores, expected_scores, rtol=1e-5)
