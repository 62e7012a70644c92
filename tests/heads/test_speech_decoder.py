"""Decoder of sounds: written at once or step by step, and trained after the true frames."""

import numpy as np
import pytest
from keras import ops

from mm_keras.heads import MelError, SpeechDecoder, SpeechLoss

FRAMES = {"rate": 1000, "mel_bins": 8, "window": 0.032, "hop": 0.016, "reduction": 2}
SAMPLES, GROUPS, WIDTH = 150, 5, 16
RANDOM = np.random.default_rng(7)
INPUTS = {
    "fused": RANDOM.normal(size=(3, 4)).astype("float32"),
    "image": RANDOM.normal(size=(3, 5)).astype("float32"),
    "text": RANDOM.normal(size=(3, 4, 3)).astype("float32"),
    "text.steps": np.array([[1, 1, 1, 1], [1, 1, 0, 0], [1, 0, 0, 0]], "float32"),
}
GIVEN = RANDOM.normal(size=(3, GROUPS, WIDTH + 1)).astype("float32")
GIVEN[:, :, -1] = np.arange(GROUPS) >= np.array([[5], [3], [2]])  # The lengths.


def decoder(kind="gru", **settings):
    layer = SpeechDecoder(SAMPLES, FRAMES, kind, units=8, **{"dropout": 0.3, "parallel": False, **settings})
    layer({**INPUTS, "given": GIVEN})
    # Past a random start some sounds end early and some do not.
    weights = [RANDOM.normal(scale=0.5, size=weight.shape) for weight in layer.trainable_weights]
    for weight, value in zip(layer.trainable_weights, weights, strict=True):
        weight.assign(value)
    return layer


@pytest.mark.parametrize("kind", ["gru", "lstm", "transformer"])
def test_step_by_step_is_as_all_at_once_after_what_was_written(kind):
    layer = decoder(kind)
    written = np.array(layer(INPUTS))
    assert written.shape == (3, GROUPS, WIDTH + 1)
    before = np.pad(written[:, :-1], [(0, 0), (1, 0), (0, 0)])
    forced = np.array(layer({**INPUTS, "given": before}))
    for row in range(3):
        ended = np.flatnonzero(written[row, :, -1] > 0)
        last = ended[0] if len(ended) else GROUPS - 1
        np.testing.assert_allclose(written[row, : last + 1], forced[row, : last + 1], atol=1e-5)
        assert not written[row, last + 1 :, :-1].any()
        np.testing.assert_array_equal(written[row, last + 1 :, -1], 10)


def test_a_parallel_decoder_reads_the_length_alone_of_what_is_given():
    layer = decoder(parallel=True)
    forced = np.array(layer({**INPUTS, "given": GIVEN}))
    other = np.concatenate([9 * GIVEN[:, :, :-1], GIVEN[:, :, -1:]], axis=2)
    np.testing.assert_array_equal(forced, layer({**INPUTS, "given": other}))
    shorter = np.array(layer({**INPUTS, "given": GIVEN[:, :3]}))
    np.testing.assert_allclose(forced[1:, :3], shorter[1:], atol=1e-5)  # Of those that are no longer.


def test_a_parallel_decoder_foretells_the_median_length():
    layer = decoder(parallel=True)
    chances = np.array([[0.1, 0.2, 0.4, 0.2, 0.1], [0.6, 0.1, 0.1, 0.1, 0.1], [0.1, 0.1, 0.1, 0.1, 0.6]])
    layer.length.set_weights([np.zeros((4, GROUPS)), np.log(chances[0])])
    written = np.array(layer(INPUTS))
    np.testing.assert_array_equal(written[:, :, -1], np.tile([-10, -10, 10, 10, 10], (3, 1)))
    given = np.tile((np.arange(GROUPS) >= 3)[:, None], (3, 1, WIDTH + 1)).astype("float32")
    forced = np.array(layer({**INPUTS, "given": given}))
    np.testing.assert_allclose(written[:, :3, :-1], forced[:, :3, :-1], atol=1e-5)


@pytest.mark.parametrize("length", [1, 3, GROUPS])
def test_the_loss_of_all_ends_is_that_of_the_length(length):
    layer = decoder(parallel=True)
    chances = np.array([0.1, 0.2, 0.4, 0.2, 0.1])
    layer.length.set_weights([np.zeros((4, GROUPS)), np.log(chances)])
    given = GIVEN.copy()
    given[:, :, -1] = np.arange(GROUPS) >= length
    guess = np.array(layer({**INPUTS, "given": given}))
    true = guess.copy()
    true[:, :, -1] = np.arange(GROUPS) >= length - 1
    found = SpeechLoss(1, reduction=None)(true, guess)
    np.testing.assert_allclose(found, -np.log(chances[length - 1]), rtol=1e-3)


def test_hidden_steps_are_not_attended_to():
    layer = decoder(parallel=True)
    other = {**INPUTS, "text": np.where(INPUTS["text.steps"][..., None] > 0, INPUTS["text"], 9.0)}
    np.testing.assert_allclose(layer(INPUTS), layer(other), atol=1e-6)
    attention = layer.attention(INPUTS, layer(INPUTS))
    assert {name: part.shape for name, part in attention.items()} == {
        "fused": (3, GROUPS, 1),
        "image": (3, GROUPS, 1),
        "text": (3, GROUPS, 4),
    }
    np.testing.assert_allclose(sum(np.sum(part, axis=2) for part in attention.values()), 1, rtol=1e-5)
    assert np.max(np.array(attention["text"])[2, :, 1:]) < 1e-6


def test_guided_attention_costs_what_strays_from_the_diagonal():
    guided = {"modality": "text", "weight": 2.0, "width": 0.2}
    layer = decoder(guided_attention=guided, dropout=0.0, prenet_dropout=0.0)
    layer({**INPUTS, "given": GIVEN}, training=True)
    memory = layer.memory(INPUTS)
    attention = layer.reader.read({**memory, "tokens": layer._prepare(GIVEN[:, :, :-1], False)})[1]
    text = np.array(attention)[:, :, 2:]  # Behind "fused" and "image".
    total, count = 0.0, 0
    for row, (groups, steps) in enumerate(((5, 4), (3, 2), (2, 1))):
        count += groups
        for group in range(groups):
            for step in range(steps):
                away = 1 - np.exp(-((group / groups - step / steps) ** 2) / (2 * 0.2**2))
                total += text[row, group, step] * away
    assert float(layer.losses[0]) == pytest.approx(2.0 * total / count, rel=1e-4)


def test_the_loss_counts_frames_up_to_the_end_and_the_end_itself():
    true, guess = np.zeros((2, 3, 5), "float32"), np.zeros((2, 3, 5), "float32")
    true[0, 1:, -1], true[1, :, -1] = 1, 1
    guess[0, 0, :-1], guess[0, 2, :-1], guess[1, 1, :-1] = 0.5, 9.0, 9.0  # The latter two are behind the end.
    apart = 0.5 + 0.25
    wanted = [(apart + 2 * np.log(2)) / 3, np.log(2) / 3]
    np.testing.assert_allclose(SpeechLoss(3, reduction=None)(true, guess), wanted, rtol=1e-5)
    metric = MelError()
    metric.update_state(true, guess, sample_weight=[1.0, 0.0])
    assert float(metric.result()) == pytest.approx(4 * 10 / np.log(10) * 0.5 / 2, rel=1e-5)


def test_sounds_depend_on_the_inputs():
    layer = decoder()
    other = {**INPUTS, "image": INPUTS["image"][::-1]}
    assert float(ops.max(ops.abs(layer(INPUTS) - layer(other)))) > 1e-3


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"kind": "rnn"}, "`SpeechDecoder` expects `kind`"),
        ({"samples": 0}, "`SpeechDecoder` expects `samples`"),
        ({"prenet_dropout": 1.0}, r"`SpeechDecoder` expects `prenet_dropout` in \[0, 1\)"),
        ({"iterations": 0}, "`SpeechDecoder` expects `iterations`"),
        ({"guided_attention": {"modality": "text"}}, "`guided_attention` of modality, weight and width"),
        (
            {"guided_attention": {"modality": "text", "weight": 0.0, "width": 0.2}},
            "expects `guided_attention.weight`",
        ),
    ],
)
def test_a_value_out_of_range_is_rejected(arguments, words):
    with pytest.raises(ValueError, match=words):
        SpeechDecoder(**{"samples": SAMPLES, "frames": FRAMES, "units": 8, **arguments})
