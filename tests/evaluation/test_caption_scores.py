"""Scores of texts against cases computed by hand, and against pycocoevalcap 1.2 (COCO caption evaluation)."""

import math

import numpy as np
import pytest

from mm_keras.evaluation.caption_scores import caption_scores, cider, mean_rouge_l, rouge_l, words_of

REFERENCES = [
    ["a thin three leaning left", "a three that leans"],
    ["a bold seven standing upright"],
    ["a thin nine leaning right", "thin nine"],
    ["a bold bold four"],
]
TEXTS = [
    "a thin three leaning right",
    "a bold seven standing upright",
    "a thin nine",
    "a bold four four four",
]
COCO = {
    "cider": 4.9669727938039,
    "rouge_l": 0.8700743494423792,
    "bleu_1": 0.8333333,
    "bleu_2": 0.8091736,
    "bleu_3": 0.7323942,
    "bleu_4": 0.6657346,
}
COCO_CIDER = [3.52385785, 10.0, 4.58750131, 1.75653202]
COCO_ROUGE_L = [0.8, 1.0, 1.0, 0.6802974]


def split(texts):
    return [text.split() for text in texts]


def exact(references, text, **arguments):
    return caption_scores([references], [text], **arguments)["exact_match"]


@pytest.mark.parametrize("name", COCO)
def test_scores_are_those_of_the_coco_evaluation(name):
    assert caption_scores(REFERENCES, TEXTS)[name] == pytest.approx(COCO[name], abs=1e-7)


def test_each_text_has_the_cider_and_the_rouge_l_of_the_coco_evaluation():
    known, words = list(map(split, REFERENCES)), split(TEXTS)
    np.testing.assert_allclose(cider(known, words), COCO_CIDER, rtol=1e-7)
    rouge = [rouge_l(*pair) for pair in zip(known, words, strict=True)]
    np.testing.assert_allclose(rouge, COCO_ROUGE_L, rtol=1e-6)


def test_texts_that_are_their_references_have_the_best_scores():
    texts = ["a thin three leans left", "two bold nines stand upright", "one slanted zero over there"]
    best = {
        **dict.fromkeys(("exact_match", "rouge_l", *(f"bleu_{i}" for i in range(1, 5))), 1.0),
        "cider": 10.0,
    }
    assert caption_scores([[text] for text in texts], texts) == pytest.approx(best)


def test_words_that_no_reference_holds_have_no_score():
    scores = caption_scores(REFERENCES, ["x y z u v"] * 4)
    assert all(scores[name] == 0 for name in ("exact_match", "rouge_l", "cider", "bleu_1"))


def test_any_of_the_references_matches_exactly_and_their_order_does_not_matter():
    assert exact(["a red one", "a red two"], "a red two") == 1
    assert exact(["a red one", "a red two"], "a red one") == 1
    assert exact(["a red one", "a red two"], "a red") == 0
    assert exact(["a red one", "a red two"], "a one red") == 0
    turned = [references[::-1] for references in REFERENCES]
    assert caption_scores(turned, TEXTS) == pytest.approx(caption_scores(REFERENCES, TEXTS))


def test_the_exact_match_is_a_share_of_the_texts():
    assert caption_scores(REFERENCES, TEXTS)["exact_match"] == 1 / 4


def test_capitals_accents_and_punctuation_do_not_count():
    assert exact(["Un café, déjà!"], "un cafe deja") == 1
    assert exact(["cafe\u0301"], "CAF\u00c9") == 1  # An accent of its own and one within the letter.
    assert exact(["die Straße"], "DIE STRASSE") == 1
    assert exact(["\uff21\uff14"], "A4", lowercase=False) == 1  # Letters of full width.


def test_capitals_and_accents_count_if_asked():
    assert exact(["A red one"], "a red one", lowercase=False) == 0
    assert exact(["caf\u00e9"], "cafe", lowercase=False) == 0
    assert exact(["cafe\u0301"], "caf\u00e9", lowercase=False) == 1  # The same letter, written in two ways.
    upper = caption_scores([["A RED ONE"], ["b"]], ["a red one", "b"], lowercase=False)
    lower = caption_scores([["A RED ONE"], ["b"]], ["a red one", "b"])
    for name in ("bleu_1", "rouge_l", "cider"):
        assert upper[name] < lower[name]


def test_capitals_count_in_no_score():
    shouted = caption_scores(REFERENCES, [text.upper() for text in TEXTS])
    assert shouted == pytest.approx(caption_scores(REFERENCES, TEXTS))


def test_accents_count_in_no_score():
    accented = caption_scores(REFERENCES, [text.replace("e", "é") for text in TEXTS])
    assert accented == pytest.approx(caption_scores(REFERENCES, TEXTS))


def test_an_empty_text_scores_nothing_and_stops_nothing():
    scores = caption_scores(REFERENCES, ["", *TEXTS[1:]])
    assert scores["cider"] == pytest.approx(sum(COCO_CIDER[1:]) / 4)
    assert scores["rouge_l"] == pytest.approx(sum(COCO_ROUGE_L[1:]) / 4)
    assert scores["exact_match"] == 1 / 4
    nothing = caption_scores(REFERENCES, [""] * 4)
    assert set(nothing.values()) == {0.0}


def test_rows_may_have_unequal_numbers_of_references():
    """A reference that is there twice is as good as once, where the best counts."""
    most = max(map(len, REFERENCES))
    filled = [references + references[:1] * (most - len(references)) for references in REFERENCES]
    some, all_filled = caption_scores(REFERENCES, TEXTS), caption_scores(filled, TEXTS)
    for name in ("exact_match", "rouge_l", "bleu_1", "bleu_4"):
        assert some[name] == pytest.approx(all_filled[name])


def test_rouge_l_by_hand():
    # Common, in order: "a c d", 3 of 4 words of the text and 3 of 5 of the reference.
    precision, recall = 3 / 4, 3 / 5
    expected = (1 + 1.2**2) * precision * recall / (recall + 1.2**2 * precision)
    assert rouge_l(["a b c d e".split()], "a c x d".split()) == pytest.approx(expected)
    assert mean_rouge_l([["a b c d e"], ["x"]], ["a c x d", "y"]) == pytest.approx(expected / 2)


def test_rouge_l_takes_the_best_precision_and_the_best_recall_of_any_reference():
    # "a b c": precision 1, recall 3/6. "a": precision 1/3, recall 1.
    assert rouge_l(["a b c d e f".split(), ["a"]], "a b c".split()) == pytest.approx(1)


def test_cider_by_hand():
    """One word a text, so of the four orders one counts, and words of all rows weigh nothing."""
    assert cider([[["x"]], [["y"]]], [["x"], ["x"]]).tolist() == pytest.approx([2.5, 0])
    assert cider([[["x"]], [["x"]]], [["x"], ["x"]]).tolist() == [0, 0]
    # Two words: the first orders agree by half of the squares, the second one not at all.
    texts, guess = [[["x", "y"]], [["z"]]], [["x", "u"], ["z"]]
    # "u" is in no reference: it weighs as much as what is in one of the two.
    assert cider(texts, guess)[0] == pytest.approx(10 * (1 / 2) / 4)


def test_cider_is_less_for_a_text_of_another_length():
    same = cider([[["x", "y"]], [["z"]]], [["x", "y"], ["z"]])[0]
    longer = cider([[["x", "y"]], [["z"]]], [["x", "y", "y"], ["z"]])[0]
    # Clipped counts: (1 * 1 + 1 * 1) / (sqrt(2) sqrt(5)); of two pairs one is known; one pair more in all.
    expected = 10 * (2 / math.sqrt(10) + 1 / math.sqrt(2)) / 4 * math.exp(-1 / 72)
    assert same == pytest.approx(5) and longer == pytest.approx(expected)


def test_words_are_runs_of_letters_and_digits():
    assert words_of("It's 3 o'clock, no?") == ["it", "s", "3", "o", "clock", "no"]
    assert words_of("") == words_of(" ,.! ") == []
    assert words_of("Été", lowercase=False) == ["Été"]


def test_a_text_too_few_is_an_error():
    with pytest.raises(ValueError):
        caption_scores(REFERENCES, TEXTS[:3])
