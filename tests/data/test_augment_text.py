import numpy as np
import tensorflow as tf
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mm_keras.data.augment_text import TextAugmentation, swapped_places
from mm_keras.data.transforms import is_text
from mm_keras.spec_modalities import TextModality

SENTENCE = "the quick brown fox jumps over the lazy dog near the river bank today"
MANY = [SENTENCE] * 200


def change(texts, seed=1, **augment):
    apply = TextAugmentation(TextModality(kind="text", augment=augment))
    changed = apply(tf.constant(texts, tf.string), tf.constant([seed, 5], tf.int32)).numpy()
    return [text.decode() for text in changed]


def test_words_are_left_out_at_the_rate_and_the_others_keep_their_order():
    changed = [text.split() for text in change(MANY, token_dropout=0.3)]
    kept = np.mean([len(words) for words in changed]) / len(SENTENCE.split())
    assert abs(kept - 0.7) < 0.03  # 2800 draws: 3.5 deviations.
    for words in changed:
        rest = iter(SENTENCE.split())
        assert all(word in rest for word in words)
    assert len({tuple(words) for words in changed}) > 150


def test_white_space_goes_with_the_word_before_it():
    texts = change([" ab  cd ef"] * 50, token_dropout=0.5)
    pieces = ("ab  ", "cd ", "ef")
    wanted = {" " + "".join(pieces[i] for i in range(3) if kept >> i & 1) for kept in range(1, 8)}
    assert set(texts) == wanted


def test_one_word_always_stays():
    texts = change(["aa bb cc", "dd", "a b"] * 30, token_dropout=0.999)
    assert all(len(text.split()) == 1 for text in texts)
    assert len(set(texts)) == 6


def test_typos_come_at_the_rate_and_leave_first_letters():
    word = "abcdefghij"
    changed = change([word] * 300, typos=0.2)
    assert all(text.startswith("a") for text in changed)
    shorter = np.mean([len(word) - len(text) for text in changed]) / 9
    assert abs(shorter - 0.2 / 3) < 0.015  # 2700 letters, a third of the typos deletes: 3 deviations.
    swapped = word[:4] + word[5] + word[4] + word[6:]
    assert {word, swapped, word[:4] + word[5:]} <= set(change([word] * 3000, typos=0.05))
    assert any(len(text) == 10 and len(set(text)) == 9 for text in changed)  # A letter replaced by another.


def test_typos_stay_inside_words_and_scripts():
    for text in change(["ab cd", "東京 は晴れ"] * 100, typos=0.9):
        first, second = text.split(" ")
        letters = "abcd" if text.isascii() else "東京は晴れ"
        assert set(first + second) <= set(letters)
        assert (first[0], second[0]) == ((letters[0], letters[2]))


def test_swaps_that_meet_lose_no_letter():
    marks = tf.constant([False, True, True, True, False, True, False])
    np.testing.assert_array_equal(swapped_places(marks), [0, 2, 1, 3, 4, 6, 5])


def test_nothing_leaks_from_one_text_to_another():
    texts = ["aa aa aa", " bb bb", "cccc"] * 40
    for old, new in zip(texts, change(texts, typos=0.5, token_dropout=0.3), strict=True):
        assert set(new) <= set(old)


def test_different_texts_of_a_batch_get_different_draws():
    assert len(set(change([SENTENCE] * 20, typos=0.1))) > 15


def test_bytes_that_are_no_text_are_replaced():
    apply = TextAugmentation(TextModality(kind="text", augment={"typos": 0.1}))
    (changed,) = apply(tf.constant([b"\xff"]), tf.constant([1, 2])).numpy()
    assert changed.decode() == "\ufffd"


@settings(max_examples=25)
@given(
    st.lists(st.text(max_size=20), min_size=1, max_size=4),
    st.sampled_from([0.0, 0.3, 0.99]),
    st.sampled_from([0.0, 0.3, 0.99]),
    st.integers(0, 2**31 - 1),
)
@example(["", " ", "\u00a0", "\u3000x", "a\u2003b", "\x00"], 0.99, 0.99, 3)
def test_a_text_that_is_not_blank_stays_so_and_a_blank_one_stays_blank(texts, token_dropout, typos, seed):
    changed = change(texts, seed, token_dropout=token_dropout, typos=typos)
    np.testing.assert_array_equal(is_text(tf.constant(changed)), is_text(tf.constant(texts)))
    assert change(texts, seed, token_dropout=token_dropout, typos=typos) == changed
    for old, new in zip(texts, changed, strict=True):
        assert len(new) <= len(old)
        assert set(new) <= set(old)
