"""Whether each modality's branch of a model has learned anything."""

import numpy as np

from mm_keras.evaluation.answers import collect_answers
from mm_keras.evaluation.scores import right_rows

LEAST_ROWS = 50
MOST_TOKENS = 256  # Of a caption output, by which texts are compared.
MARGIN = 2.0  # Standard deviations, which chance goes beyond once in 44 times.


def warn_of_branches(model, spec, data, split="validation"):
    """Returns the sentences of `judge_branches` on a split of `Datasets`; none of too few rows to tell."""
    batches = getattr(data, split)
    if batches is None or len(data.rows[split]) < LEAST_ROWS or len(spec.modalities) < 2:
        return []
    names = spec.modality_names
    subsets = [(name,) for name in names] + [_without(name, names) for name in names] + [tuple(names)]
    answers = collect_answers(model, spec, batches, list(dict.fromkeys(subsets)))
    return judge_branches(answers, spec, split)[1]


def judge_branches(answers, spec, split):
    """Tells which modalities a model has learned nothing of.

    A modality counts as learned if for any output, over the rows that have it, either (1) the answers given
    with it alone fit their rows better than the same answers in another order would, or (2) the answers
    given with all modalities are better than those given without it. "Better" is by more than 2 standard
    deviations. (1) is a permutation test: unlike a comparison with the commonest class it is fair to rare
    classes and to class weights, and where the model always answers that class, or always about the mean, it
    finds nothing. (2) is for what says nothing alone, such as a question without its picture. An output with
    fewer than 50 such rows is not judged. Without `modality_dropout` and missing cells the model has not been
    trained for absent modalities: (2) may then take noise for learned.

    Args:
        answers: dict, output -> Answers, with each modality alone, with all but it, and with all.
        spec: Spec.
        split: str. What the sentences call the rows.

    Returns: (branches, warnings). `branches`: modality -> output -> {rows, score, chance, deviation,
        learned}; `score` is what (1) compares: the share of right answers (of several labels, of right ones),
        of numbers, and of the `outline` of sounds, the correlation, averaged over the columns, of texts the
        cosine of their tokens.
        `warnings`: a sentence for each modality that was judged and is learned for no output.
    Source: the exact variance over all orders, Hoeffding 1951, "A combinatorial central limit theorem".
    """
    names = spec.modality_names
    branches = {name: {} for name in names if len(names) > 1}
    for name, outputs in branches.items():
        for output, given in answers.items():
            rows = given.rows((name,))
            if rows.sum() >= LEAST_ROWS:
                outputs[output] = _judge(given, name, rows, spec.outputs[output])
    warnings = [
        _sentence(name, outputs, spec, split)
        for name, outputs in branches.items()
        if outputs and not any(told["learned"] for told in outputs.values())
    ]
    return {name: outputs for name, outputs in branches.items() if outputs}, warnings


def _judge(given, name, rows, part):
    score, chance, deviation = against_chance(given.true[rows], given.guesses[(name,)][rows], part)
    others = _without(name, given.names)
    both = rows & given.rows(others)
    whole, without = (_merits(given, subset, both, part) for subset in (tuple(given.names), others))
    return {
        "rows": int(rows.sum()),
        "score": score,
        "chance": chance,
        "deviation": deviation,
        "learned": score > chance + MARGIN * deviation + 1e-9 or _is_above_zero(whole - without),
    }


def against_chance(true, guess, part):
    """Returns how well answers fit their rows: (score, its mean and deviation over all orders).

    Args:
        true, guess: arrays of `Answers`, of at least two rows.
        part: the output's part of the spec.
    """
    a, b = _vectors(true, true, part), _vectors(guess, true, part)
    count = len(a)
    several = part.kind in ("regression", "speech") or getattr(part, "multi_label", False)
    columns = true.shape[1] if several else 1
    centred_a, centred_b = a - a.mean(axis=0), b - b.mean(axis=0)
    variance = np.trace((centred_a.T @ centred_a) @ (centred_b.T @ centred_b)) / (count - 1)
    scale = count * columns
    chance = float(a.mean(axis=0) @ b.mean(axis=0)) / columns
    return float((a * b).sum()) / scale, chance, float(np.sqrt(max(variance, 0.0))) / scale


def _vectors(values, true, part):
    """Returns `(N, K)`: the product of a true row and a given one is the number of right answers, of numbers
    and sounds their product in standard deviations from the mean, of texts the cosine of their counts of
    tokens."""
    if part.kind == "caption":
        return _token_shares(values, true)
    if part.kind in ("regression", "speech"):
        values = values.astype("float64")
        deviations = values.std(axis=0)
        return (values - values.mean(axis=0)) / np.where(deviations > 0, deviations, np.inf)
    if part.multi_label:
        return np.concatenate([values, ~values], axis=1).astype("float64")
    return (values[:, None] == np.unique(true)).astype("float64")


def _merits(given, subset, rows, part):
    """Returns how good the answers of rows are, `(N,)`."""
    if part.kind == "speech":
        return -given.distortions[subset][rows]
    true, guess = given.true[rows], given.guesses[subset][rows]
    if part.kind == "regression":
        deviations = given.true[given.known].astype("float64").std(axis=0)
        return -np.square((guess - true) / np.where(deviations > 0, deviations, np.inf)).mean(axis=1)
    if part.kind == "caption":
        return (_token_shares(true, true) * _token_shares(guess, true)).sum(axis=1)
    if part.multi_label:
        return (true == guess).mean(axis=1)
    return right_rows(true, guess).astype("float64")


def _token_shares(ids, true):
    """Returns how often each of the commonest true tokens stands in a text, scaled to a norm of 1."""
    tokens, counts = np.unique(true[true > 0], return_counts=True)
    tokens = tokens[np.argsort(-counts, kind="stable")[:MOST_TOKENS]]
    found = np.stack([(ids == token).sum(axis=1) for token in tokens], axis=1).astype("float64")
    return found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-12)


def _is_above_zero(values):
    """Tells whether the mean of values is above zero by more than the margin; not of too few."""
    if len(values) < LEAST_ROWS:
        return False
    return bool(values.mean() > MARGIN * values.std(ddof=1) / np.sqrt(len(values)))


def _without(name, names):
    return tuple(other for other in names if other != name)


def _sentence(name, outputs, spec, split):
    told = "; ".join(_figures(output, spec.outputs[output], told, split) for output, told in outputs.items())
    fix = "Look at its cells, try `training: {balance: {kind: auxiliary}}`, or leave it out."
    return (
        f"`{name}` has not been learned: alone it answers no better than by chance, and without it the model "
        f"answers as well ({told}). {fix}"
    )


def _figures(output, part, told, split):
    rows, most = f"{told['rows']:,} {split} rows", told["chance"] + MARGIN * told["deviation"]
    if part.kind in ("regression", "speech"):
        return f"`{output}`: correlation {told['score']:.2f} in {rows}, by chance up to {most:.2f}"
    if part.kind == "caption":
        return f"`{output}`: cosine of tokens {told['score']:.2f} in {rows}, by chance up to {most:.2f}"
    return f"`{output}`: {told['score']:.1%} right in {rows}, by chance up to {most:.1%}"
