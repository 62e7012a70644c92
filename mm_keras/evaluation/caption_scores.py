"""How well written texts agree with those that people wrote."""

import math
import re
import unicodedata
from collections import Counter

import numpy as np
from sacrebleu.metrics import BLEU

ORDERS = 4
ROUGE_BETA = 1.2
CIDER_SIGMA = 6.0


def caption_scores(references, guesses, lowercase=True):
    """Returns how well texts agree with their references.

    Args:
        references: list of N > 0 lists of str. At least one text of each row.
        guesses: list of N str.
        lowercase: bool. Capitals and accents do not count.

    Returns: dict. `exact_match`: share of the texts with the words of one of their references; `bleu_1` to
        `bleu_4` of all texts together, by sacrebleu; `rouge_l`, the mean of the texts; all in 0..1. `cider`:
        CIDEr-D, in 0..10, which rates words by how rare they are among the references, and so needs rows that
        differ.
    Source: BLEU, Papineni et al. 2002, with sacrebleu's tokens (13a) and smoothing (exp). ROUGE-L, Lin 2004,
        and CIDEr-D, Vedantam et al. 2015, arXiv:1411.5726, as in the COCO caption evaluation; its tokens come
        from Stanford's tokenizer, ours are runs of letters and digits.
    """
    words = [words_of(text, lowercase) for text in guesses]
    known = [[words_of(text, lowercase) for text in texts] for texts in references]
    most = max(map(len, references))
    # A stream of references holds one of each row, or none.
    streams = [
        [folded(texts[i], lowercase) if i < len(texts) else None for texts in references] for i in range(most)
    ]
    written = [folded(text, lowercase) for text in guesses]
    scores = {
        "exact_match": float(np.mean([guess in texts for guess, texts in zip(words, known, strict=True)]))
    }
    for order in range(1, ORDERS + 1):
        bleu = BLEU(max_ngram_order=order)
        scores[f"bleu_{order}"] = bleu.corpus_score(written, streams).score / 100
    scores["rouge_l"] = mean_rouge_l(references, guesses, lowercase)
    scores["cider"] = float(np.mean(cider(known, words)))
    return scores


def mean_rouge_l(references, guesses, lowercase=True):
    """Returns the mean of `rouge_l` over texts, given as `caption_scores` takes them."""
    pairs = zip(references, guesses, strict=True)
    scores = [
        rouge_l([words_of(text, lowercase) for text in texts], words_of(guess, lowercase))
        for texts, guess in pairs
    ]
    return float(np.mean(scores))


def words_of(text, lowercase=True):
    """Returns the words of a text: its runs of letters and digits."""
    return re.findall(r"\w+", folded(text, lowercase))


def folded(text, lowercase=True):
    """Returns a text in one form of Unicode (NFKC); with `lowercase` without capitals and accents."""
    text = unicodedata.normalize("NFKC", text)
    if not lowercase:
        return text
    parts = unicodedata.normalize("NFD", text.casefold())
    return "".join(letter for letter in parts if unicodedata.category(letter) != "Mn")


def rouge_l(references, guess):
    """Returns the F measure of the longest common subsequence of words, in 0..1.

    Args:
        references: list of lists of words, the best of which counts, for precision and recall apart.
        guess: list of words.
    """
    common = [_longest_common(reference, guess) for reference in references]
    recall = max(length / max(len(words), 1) for length, words in zip(common, references, strict=True))
    precision = max(common) / max(len(guess), 1)
    if not precision or not recall:
        return 0.0
    return (1 + ROUGE_BETA**2) * precision * recall / (recall + ROUGE_BETA**2 * precision)


def cider(references, guesses):
    """Returns CIDEr-D of each text, float64 `(N,)` in 0..10.

    Args:
        references: list of N lists of lists of words.
        guesses: list of N lists of words.
    """
    counted = [[_ngrams(words) for words in texts] for texts in references]
    rows_with = Counter(
        ngram for texts in counted for ngram in {ngram for counts in texts for ngram in counts}
    )
    log_rows = math.log(max(len(references), 1))

    def weigh(counts):
        vectors = [{} for _ in range(ORDERS)]
        for ngram, count in counts.items():
            vectors[len(ngram) - 1][ngram] = count * (log_rows - math.log(max(rows_with[ngram], 1)))
        norms = [math.sqrt(sum(value**2 for value in vector.values())) for vector in vectors]
        return vectors, norms, sum(count for ngram, count in counts.items() if len(ngram) == 2)

    scores = []
    for texts, guess in zip(counted, guesses, strict=True):
        own = weigh(_ngrams(guess))
        scores.append(10 * np.mean([_agreement(own, weigh(counts)) for counts in texts]))
    return np.array(scores)


def _agreement(own, other):
    """Returns the mean over the orders of the clipped cosine, less for texts of unequal length."""
    (vectors, norms, length), (others, other_norms, other_length) = own, other
    total = 0.0
    for order in range(ORDERS):
        product = sum(
            min(value, others[order].get(ngram, 0.0)) * others[order].get(ngram, 0.0)
            for ngram, value in vectors[order].items()
        )
        if norms[order] and other_norms[order]:
            total += product / (norms[order] * other_norms[order])
    return total / ORDERS * math.exp(-((length - other_length) ** 2) / (2 * CIDER_SIGMA**2))


def _ngrams(words):
    return Counter(
        tuple(words[start : start + order])
        for order in range(1, ORDERS + 1)
        for start in range(len(words) - order + 1)
    )


def _longest_common(one, other):
    row = [0] * (len(other) + 1)
    for word in one:
        before = 0
        for place, candidate in enumerate(other, start=1):
            here = row[place]
            row[place] = before + 1 if word == candidate else max(here, row[place - 1])
            before = here
    return row[-1]
