import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mm_keras.heads import TokenCrossentropy
from mm_keras.heads.token_crossentropy import counted_tokens, token_accuracy

IDS = np.array([[2, 4, 3, 0, 0], [2, 1, 4, 5, 3], [0, 0, 0, 0, 0]], "int32")
COUNTED = np.array([[1, 1, 1, 1, 0], [1, 1, 1, 1, 1], [1, 0, 0, 0, 0]], bool)


def test_the_first_padding_counts_and_no_more():
    np.testing.assert_array_equal(counted_tokens(IDS), COUNTED)


@given(st.lists(st.integers(1, 9), max_size=6), st.integers(0, 4))
def test_a_text_counts_its_tokens_and_one_end(ids, padding):
    row = np.array([ids + [0] * padding], "int32")
    if row.size:
        expected = len(ids) + (padding > 0)
        assert float(np.array(counted_tokens(row)).sum()) == expected


def test_it_is_the_mean_entropy_of_the_counted_tokens():
    logits = np.random.default_rng(7).normal(size=(3, 5, 6))
    log_share = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
    entropy = -np.take_along_axis(log_share, IDS[..., None], axis=-1)[..., 0]
    expected = [row[counted].mean() for row, counted in zip(entropy, COUNTED, strict=True)]
    np.testing.assert_allclose(TokenCrossentropy(reduction=None)(IDS, logits), expected, rtol=1e-5)


def test_what_follows_the_first_padding_does_not_matter():
    logits = np.random.default_rng(7).normal(size=(1, 5, 6))
    other = logits.copy()
    other[:, 4] += 50 * np.arange(6)
    loss = TokenCrossentropy()
    np.testing.assert_array_equal(loss(IDS[:1], logits), loss(IDS[:1], other))


def test_token_accuracy_is_the_share_of_counted_tokens_that_are_right():
    guess = np.array([[2, 4, 3, 9, 0], [2, 1, 4, 5, 3], [0, 9, 9, 9, 9]])
    logits = np.eye(10)[guess]
    np.testing.assert_allclose(token_accuracy(IDS, logits), [3 / 4, 1, 1], rtol=1e-6)
    np.testing.assert_allclose(token_accuracy(IDS.astype("float32"), logits), [3 / 4, 1, 1], rtol=1e-6)
