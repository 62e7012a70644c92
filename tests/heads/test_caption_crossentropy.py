import keras
import numpy as np
import pytest

from mm_keras.heads import CaptionCrossentropy
from mm_keras.heads.caption_crossentropy import caption_accuracy, token_surprise

IDS = np.array([[4, 3, 0], [2, 4, 3], [0, 0, 0]], "int32")
CHANCES = np.array(
    [
        [[0.1, 0.1, 0.2, 0.1, 0.5], [0.2, 0.2, 0.1, 0.25, 0.25], [0.96, 0.01, 0.01, 0.01, 0.01]],
        [[0.1, 0.1, 0.4, 0.2, 0.2], [0.1, 0.1, 0.1, 0.6, 0.1], [0.05, 0.05, 0.05, 0.8, 0.05]],
        [[0.2, 0.2, 0.2, 0.2, 0.2], [0.1, 0.6, 0.1, 0.1, 0.1], [0.1, 0.6, 0.1, 0.1, 0.1]],
    ]
)
LOGITS = (np.log(CHANCES) + np.array([1.0, -2.0, 3.0])[:, None]).astype("float32")  # A shift changes nothing.
BY_HAND = np.array([-np.log(0.5 * 0.25), -np.log(0.4 * 0.1 * 0.8), 0.0])


def test_it_is_the_negative_log_probability_of_each_text():
    loss = CaptionCrossentropy(reduction=None)
    np.testing.assert_allclose(loss(IDS, LOGITS), BY_HAND, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(loss(IDS.astype("float32"), LOGITS), BY_HAND, rtol=1e-5, atol=1e-7)
    scaled = CaptionCrossentropy(tokens=4, reduction=None)
    np.testing.assert_allclose(scaled(IDS, LOGITS), BY_HAND / 4, rtol=1e-5, atol=1e-7)


def test_a_token_counts_alike_in_short_and_in_long_texts():
    sure = np.tile(np.array([0.0, 0, 0, 9, 0], "float32"), (2, 3, 1))
    sure[:, 0] = 0.0  # At the first token alone nothing is known.
    short, long = CaptionCrossentropy(tokens=3, reduction=None)(np.array([[3, 0, 0], [3, 3, 3]]), sure)
    assert float(short) == pytest.approx(np.log(5) / 3, rel=1e-5)
    assert float(long) == pytest.approx(float(short), rel=1e-2)


def test_smoothing_mixes_in_the_mean_entropy_of_all_tokens():
    spread = -np.log(CHANCES).mean(axis=-1)
    spread = np.array([spread[0, :2].sum(), spread[1].sum(), 0])
    loss = CaptionCrossentropy(0.2, reduction=None)
    np.testing.assert_allclose(loss(IDS, LOGITS), 0.8 * BY_HAND + 0.2 * spread, rtol=1e-5, atol=1e-7)


def test_the_smoothed_loss_is_least_where_the_guess_is_the_smoothed_target():
    best = np.log([[[0.06, 0.06, 0.06, 0.76, 0.06]]]).astype("float32")  # 0.3 is spread over five tokens.
    loss, true = CaptionCrossentropy(0.3), np.array([[3]])
    for seed in range(5):
        other = best + np.random.default_rng(seed).normal(scale=0.5, size=best.shape).astype("float32")
        assert float(loss(true, other)) > float(loss(true, best))


@pytest.mark.parametrize("label_smoothing", [0.0, 0.1])
def test_a_row_without_a_text_has_no_loss_whatever_the_logits(label_smoothing):
    loss = CaptionCrossentropy(label_smoothing, reduction=None)
    other = LOGITS.copy()
    other[2] += 50 * np.arange(5)
    assert float(loss(IDS, other)[2]) == 0


@pytest.mark.parametrize("label_smoothing", [0.0, 0.1])
def test_what_follows_the_end_does_not_matter(label_smoothing):
    other = LOGITS.copy()
    other[0, 2] += 50 * np.arange(5)
    loss = CaptionCrossentropy(label_smoothing)
    np.testing.assert_array_equal(loss(IDS, LOGITS), loss(IDS, other))


def test_sample_weights_weigh_texts_whatever_their_length():
    weights = np.array([2.0, 0.5, 1.0], "float32")
    loss = CaptionCrossentropy(reduction="sum")(IDS, LOGITS, sample_weight=weights)
    assert float(loss) == pytest.approx(2 * BY_HAND[0] + 0.5 * BY_HAND[1], rel=1e-5)


def test_its_configuration_keeps_its_arguments():
    loss = CaptionCrossentropy(0.2, 7)
    clone = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(loss))
    assert (clone.label_smoothing, clone.tokens, clone.name) == (0.2, 7, "caption_crossentropy")


def test_the_surprise_of_a_token_is_its_negative_log_probability():
    surprise, real = token_surprise(IDS, LOGITS)
    expected = -np.log(np.take_along_axis(CHANCES, IDS[..., None], axis=-1)[..., 0])
    np.testing.assert_allclose(surprise, expected, rtol=1e-5)
    np.testing.assert_array_equal(real, IDS > 0)


def test_accuracy_is_the_share_of_the_tokens_of_each_text_that_are_likeliest():
    # 4 is, of 3 and 4 the first counts; 2 is, 4 is not, 3 is; no text.
    expected = [1.0, 2 / 3, 0.0]
    np.testing.assert_allclose(caption_accuracy(IDS, LOGITS), expected, rtol=1e-6)
    np.testing.assert_allclose(caption_accuracy(IDS.astype("float32"), LOGITS), expected, rtol=1e-6)
