import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

from helpers import randomised
from mm_keras.heads import CaptionCrossentropy, CaptionDecoder
from mm_keras.heads.caption_decoder import NEVER
from mm_keras.token_search import END, START

SIZE, LENGTH = 7, 4  # Of seven tokens, the end and two words may be written.
SEEN = np.array([[1, 1, 0], [1, 0, 0]], "float32")
SHAPES = {"fused": (2, 3), "image": (2, 5), "text": (2, 3, 5), "text.steps": (2, 3)}
GIVEN = np.array([[START, 5, 6, END], [START, 6, END, 0]], "int32")
KINDS = pytest.mark.parametrize(
    ("kind", "layers"), [("gru", 1), ("lstm", 2), ("transformer", 1), ("transformer", 2)]
)
KIND = pytest.mark.parametrize("kind", ["gru", "lstm", "transformer"])


def inputs(**more):
    random = np.random.default_rng(7)
    drawn = {name: random.normal(size=shape).astype("float32") for name, shape in SHAPES.items()}
    return {**drawn, "text.steps": SEEN, **more}


def made(kind="gru", layers=1, shapes=SHAPES, seed=7, **arguments):
    layer = CaptionDecoder(LENGTH, SIZE, kind, units=4, layers=layers, num_heads=2, **arguments)
    layer.build(shapes)
    randomised(layer, seed)
    return layer


def numbers(outputs):
    return {name: np.array(keras.ops.convert_to_numpy(x)) for name, x in outputs.items()}


def shares(logits, never=()):
    """Returns log-probabilities in float64, of `never` minus infinity."""
    logits = logits.astype("float64")
    logits[..., list(never)] = -np.inf
    return logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))


def chosen(log_shares, ids):
    """Returns the log-probability of each text `(B,)`, whose tokens are those above 0."""
    gained = np.take_along_axis(log_shares, ids[..., None], axis=-1)[..., 0]
    return np.where(ids > 0, gained, 0).sum(axis=1)


def forced(layer, x, ids):
    """Returns the logits for texts without their start token, by teacher forcing."""
    given = np.concatenate([np.full((len(ids), 1), START), ids], axis=1).astype("int32")
    return numbers(layer({**x, "given": given}))["logits"][:, :-1]


def all_texts():
    """Returns every text that may be written, int `(15, T)`."""
    length = LENGTH - 1
    begun = [list(text) for count in range(length) for text in itertools.product([5, 6], repeat=count)]
    texts = [*([*text, END] for text in begun), *map(list, itertools.product([5, 6], repeat=length))]
    return np.array([[*text, *[0] * (length - len(text))] for text in texts])


def penalty(ids, length_penalty):
    return ((5 + (ids > 0).sum(axis=-1)) / 6) ** length_penalty


@KINDS
def test_the_greedy_text_is_what_teacher_forcing_finds_likeliest(kind, layers):
    layer, x = made(kind, layers), inputs()
    written = numbers(layer(x))
    ids = written["ids"]
    assert ids.shape == (2, LENGTH - 1)
    log_shares = shares(forced(layer, x, ids), NEVER)
    np.testing.assert_array_equal(ids, np.where(ids > 0, log_shares.argmax(axis=-1), 0))
    over = np.cumsum(ids == END, axis=1) - (ids == END)
    np.testing.assert_array_equal(ids == 0, over > 0)
    np.testing.assert_allclose(written["score"], chosen(log_shares, ids), rtol=1e-5, atol=1e-5)


@KINDS
def test_the_score_of_given_tokens_is_their_log_probability(kind, layers):
    layer = made(kind, layers)
    outputs = numbers(layer(inputs(given=GIVEN)))
    assert outputs["logits"].shape == (2, LENGTH, SIZE)
    expected = chosen(shares(outputs["logits"][:, :-1]), GIVEN[:, 1:])  # Any token may be given.
    np.testing.assert_allclose(outputs["score"], expected, rtol=1e-5, atol=1e-5)


@KIND
def test_logits_do_not_see_the_token_that_they_guess(kind):
    layer = made(kind)
    other = np.array([[START, 5, 4, 1], [START, 6, 6, 6]], "int32")
    before, after = (numbers(layer(inputs(given=given)))["logits"] for given in (GIVEN, other))
    np.testing.assert_allclose(after[:, :2], before[:, :2], rtol=1e-5, atol=1e-6)
    assert np.abs(after[:, 2:] - before[:, 2:]).max(axis=-1).min() > 1e-3


@KINDS
def test_enough_beams_find_all_texts_best_first(kind, layers):
    layer, x, texts = made(kind, layers), inputs(), all_texts()
    found = numbers(layer.beams(x, beams=len(texts), length_penalty=1.0))
    for row in range(2):
        repeated = {name: np.repeat(array[row : row + 1], len(texts), axis=0) for name, array in x.items()}
        scores = chosen(shares(forced(layer, repeated, texts), NEVER), texts) / penalty(texts, 1.0)
        order = np.argsort(-scores)
        np.testing.assert_array_equal(found["ids"][row], texts[order])
        np.testing.assert_allclose(found["score"][row], scores[order], rtol=1e-4, atol=1e-5)  # Step by step.


@KIND
@pytest.mark.parametrize("beams", [1, 8])
@pytest.mark.parametrize("length_penalty", [0.0, 0.6])
def test_the_first_of_the_beams_is_at_least_as_good_as_the_greedy_text(kind, beams, length_penalty):
    """One beam goes on with what greedy takes, eight leave out no text: what lies between may lose it."""
    layer, x = made(kind), inputs()
    written = numbers(layer(x))
    best = numbers(layer.beams(x, beams, length_penalty))["score"][:, 0]
    assert (best >= written["score"] / penalty(written["ids"], length_penalty) - 1e-5).all()


@KIND
def test_equal_draws_give_equal_texts(kind):
    layer, x = made(kind), inputs()
    draws = np.random.default_rng(7).uniform(size=(2, 3, LENGTH - 1)).astype("float32")
    draws[:, 2] = draws[:, 0]
    first, again = (numbers(layer.samples(x, draws, 1.0)) for _ in range(2))
    for name, shape in (("ids", (2, 3, LENGTH - 1)), ("score", (2, 3))):
        assert first[name].shape == shape
        np.testing.assert_array_equal(first[name], again[name])
        np.testing.assert_array_equal(first[name][:, 0], first[name][:, 2])
    assert (first["ids"][:, 0] != first["ids"][:, 1]).any()


@KIND
def test_a_sample_scores_its_own_log_probability_and_holds_words_alone(kind):
    layer, x = made(kind), inputs()
    draws = np.random.default_rng(7).uniform(size=(2, 8, LENGTH - 1)).astype("float32")
    drawn = numbers(layer.samples(x, draws, 1.0, 2.0))
    assert len(np.unique(drawn["ids"].reshape(16, -1), axis=0)) > 3
    assert not np.isin(drawn["ids"][drawn["ids"] > 0], NEVER).any()
    for i in range(8):
        ids = drawn["ids"][:, i]
        expected = chosen(shares(forced(layer, x, ids), NEVER), ids)
        np.testing.assert_allclose(drawn["score"][:, i], expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("arguments", [{"top_p": 1e-6}, {"top_p": 1.0, "temperature": 1e-4}])
def test_samples_of_a_tiny_nucleus_or_temperature_are_the_greedy_text(arguments):
    layer, x = made(), inputs()
    draws = np.random.default_rng(7).uniform(size=(2, 3, LENGTH - 1)).astype("float32")
    drawn, written = numbers(layer.samples(x, draws, **arguments)), numbers(layer(x))
    np.testing.assert_array_equal(drawn["ids"], np.repeat(written["ids"][:, None], 3, axis=1))


def test_each_row_of_samples_may_have_its_own_nucleus_and_temperature():
    layer, x = made(), inputs()
    draws = np.random.default_rng(7).uniform(size=(2, 6, LENGTH - 1)).astype("float32")
    top_p, temperature = np.array([1e-6, 1.0], "float32"), np.array([1.0, 3.0], "float32")
    both = numbers(layer.samples(x, draws, top_p, temperature))["ids"]
    for row in range(2):
        alone = numbers(layer.samples(x, draws, float(top_p[row]), float(temperature[row])))["ids"]
        np.testing.assert_array_equal(both[row], alone[row])
    assert len(np.unique(both[0], axis=0)) == 1 < len(np.unique(both[1], axis=0))


def test_a_nucleus_and_a_temperature_may_be_whole_numbers():
    layer, x = made(), inputs()
    draws = np.random.default_rng(7).uniform(size=(2, 3, LENGTH - 1)).astype("float32")
    expected = numbers(layer.samples(x, draws, 1.0, 1.0))["ids"]
    np.testing.assert_array_equal(numbers(layer.samples(x, draws, 1, 1))["ids"], expected)


@KIND
@pytest.mark.parametrize("seen", [SEEN, 0 * SEEN])
def test_hidden_steps_have_no_influence(kind, seen):
    layer, draws = made(kind), np.random.default_rng(8).uniform(size=(2, 2, LENGTH - 1)).astype("float32")
    x = inputs(**{"text.steps": seen})
    changed = {**x, "text": np.where(seen[:, :, None], x["text"], np.float32(np.nan))}
    for search in (
        layer,
        lambda x: layer({**x, "given": GIVEN}),
        lambda x: layer.beams(x, 2),
        lambda x: layer.samples(x, draws),
    ):
        expected = numbers(search(x))
        for name, array in numbers(search(changed)).items():
            np.testing.assert_array_equal(array, expected[name])


@KIND
@pytest.mark.parametrize("name", ["fused", "image", "text"])
def test_all_that_is_seen_has_influence(kind, name):
    layer, x = made(kind), inputs(given=GIVEN)
    before, after = (numbers(layer(y))["logits"] for y in (x, {**x, name: x[name] + 1}))
    assert np.abs(after - before).max(axis=(1, 2)).min() > 1e-3


def test_sequences_whose_steps_are_not_told_are_seen_whole():
    x = inputs(given=GIVEN)
    told = {**x, "text.steps": np.ones((2, 3), "float32")}
    del x["text.steps"]
    layer = made(shapes={name: array.shape for name, array in x.items()})
    np.testing.assert_array_equal(numbers(layer(x))["logits"], numbers(layer(told))["logits"])


@KIND
def test_scheduled_sampling_reads_what_a_first_pass_guesses_and_in_training_alone(kind):
    """At a rate of almost 1 every token but the start and the end is the guess in its place."""
    layer = made(kind, scheduled_sampling=1 - 1e-9)
    quiet = numbers(layer(inputs(given=GIVEN)))["logits"]
    np.testing.assert_array_equal(quiet, numbers(made(kind)(inputs(given=GIVEN)))["logits"])
    guessed = np.concatenate([GIVEN[:, :1], quiet.argmax(axis=-1)[:, :-1]], axis=1)
    read = np.where(GIVEN > 3, guessed, GIVEN).astype("int32")
    assert (read != GIVEN).any() and (read[:, 0] == START).all()
    expected = numbers(layer(inputs(given=read)))["logits"]
    trained = numbers(layer(inputs(given=GIVEN), training=True))
    np.testing.assert_allclose(trained["logits"], expected, rtol=1e-5, atol=1e-5)
    assert np.abs(trained["logits"] - quiet).max() > 1e-3
    np.testing.assert_allclose(trained["logits"][:, 0], quiet[:, 0], rtol=1e-5, atol=1e-5)
    expected = chosen(shares(trained["logits"][:, :-1]), GIVEN[:, 1:])  # The true tokens stay the target.
    np.testing.assert_allclose(trained["score"], expected, rtol=1e-5, atol=1e-5)


def test_scheduled_sampling_replaces_about_its_share_of_tokens():
    layer = made(shapes={"fused": (1, 3), "image": (1, 5)}, scheduled_sampling=0.25, seed=3)
    rows = 400
    x = {"fused": np.zeros((rows, 3), "float32"), "image": np.zeros((rows, 5), "float32")}
    x["given"] = np.tile(np.array([[START, 5, END]], "int32"), (rows, 1))
    quiet = numbers(layer(x))["logits"]
    assert quiet[0, 0].argmax() != 5  # Else a replacement would not show.
    trained = numbers(layer(x, training=True))["logits"]
    replaced = np.abs(trained[:, 1] - quiet[:, 1]).max(axis=-1) > 1e-4
    assert 0.16 < replaced.mean() < 0.34  # Four deviations of 400 draws.


def test_what_was_never_given_a_text_writes_and_may_be_forced_later():
    layer = CaptionDecoder(LENGTH, SIZE, units=4)
    layer(inputs())
    other = made(shapes={**SHAPES, "given": (2, LENGTH)})
    layer.set_weights(other.get_weights())
    for x in (inputs(), inputs(given=GIVEN)):
        expected = numbers(other(x))
        for name, array in numbers(layer(x)).items():
            np.testing.assert_array_equal(array, expected[name])


@pytest.mark.slow
@pytest.mark.tensorflow
@KIND
def test_a_graph_that_knows_no_batch_size_writes_the_same(kind):
    layer, x = made(kind), inputs()
    x["draws"] = np.random.default_rng(7).uniform(size=(2, 3, LENGTH - 1)).astype("float32")

    def search(x):
        memory = {name: x[name] for name in SHAPES}
        found = {"greedy": layer(memory), "beams": layer.beams(memory, 3)}
        return {**found, "samples": layer.samples(memory, x["draws"])}

    signature = {name: tf.TensorSpec([None, *array.shape[1:]], array.dtype) for name, array in x.items()}
    graph = tf.function(search, input_signature=[signature], autograph=False)
    expected = search(x)
    for rows in ([0, 1], [1]):
        found = graph({name: tf.constant(array[rows]) for name, array in x.items()})
        for how, outputs in found.items():
            for name, array in numbers(outputs).items():
                np.testing.assert_allclose(array, np.array(expected[how][name])[rows], rtol=1e-5, atol=1e-5)


def test_loss_and_metrics_are_of_captions():
    layer = made(label_smoothing=0.2)
    loss = layer.loss()
    assert isinstance(loss, CaptionCrossentropy)
    assert (loss.label_smoothing, loss.tokens) == (0.2, layer.length - 1)
    accuracy, perplexity = layer.metrics_of_output()
    assert (accuracy.name, perplexity.name) == ("token_accuracy", "perplexity")
    chances = np.array([[[0.1, 0.1, 0.5, 0.3], [0.1, 0.1, 0.2, 0.6]], [[0.7, 0.1, 0.1, 0.1]] * 2])
    for metric in (accuracy, perplexity):
        metric.update_state(np.array([[3, 3], [3, 0]]), np.log(chances), sample_weight=np.array([1.0, 0.0]))
    assert float(accuracy.result()) == pytest.approx(1 / 2)
    assert float(perplexity.result()) == pytest.approx((0.3 * 0.6) ** -0.5, rel=1e-5)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"length": 0}, "`CaptionDecoder` expects `length` to be an int > 0. Received: length=0"),
        ({"vocabulary_size": 0}, "`CaptionDecoder` expects `vocabulary_size` to be an int > 0"),
        ({"units": 0}, "`CaptionDecoder` expects `units` to be an int > 0. Received: units=0"),
        ({"kind": "rnn"}, "`CaptionDecoder` expects `kind` in `gru`, `lstm`, `transformer`. Received: kind"),
        ({"layers": 0}, "expects `layers` to be an int > 0. Received: layers=0"),
        ({"kind": "transformer", "num_heads": 3}, "expects `num_heads` to divide `units`"),
        ({"dropout": 1.0}, r"expects `dropout` in \[0, 1\). Received: dropout=1.0"),
        ({"label_smoothing": 1.0}, r"`CaptionDecoder` expects `label_smoothing` in \[0, 1\)"),
        ({"scheduled_sampling": 1.0}, r"`CaptionDecoder` expects `scheduled_sampling` in \[0, 1\)"),
    ],
)
def test_a_value_out_of_range_is_rejected(arguments, words):
    with pytest.raises(ValueError, match=words):
        CaptionDecoder(**{"length": LENGTH, "vocabulary_size": SIZE, "units": 4, **arguments})


@pytest.mark.parametrize(
    "shapes", [{"image": (2, 5), "given": (2, 4)}, {"fused": (2, 3), "given": (2, 4), "text.steps": (2, 3)}]
)
def test_inputs_without_an_embedding_or_a_modality_are_rejected(shapes):
    received = next(name for name in sorted(shapes) if name != "given")
    words = rf'`Memory` expects "fused" and at least one modality. Received: .*{received}'
    with pytest.raises(ValueError, match=words):
        CaptionDecoder(LENGTH, SIZE).build(shapes)
