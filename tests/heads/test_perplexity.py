import keras
import numpy as np
import pytest

from mm_keras.heads import Perplexity

IDS = np.array([[4, 3, 0], [2, 4, 3], [0, 0, 0]], "int32")
CHANCES = np.array([[0.5, 0.25, 0.9], [0.4, 0.1, 0.8], [0.9, 0.9, 0.9]])  # Of these tokens.
# The other four tokens share what is left.
LOGITS = np.log(np.where(np.eye(5)[IDS], CHANCES[..., None], (1 - CHANCES[..., None]) / 4)).astype("float32")


def perplexity(*batches):
    metric = Perplexity()
    for batch in batches:
        metric.update_state(*batch)
    return float(metric.result())


def test_it_is_the_inverse_geometric_mean_of_the_chances_of_all_tokens():
    expected = (0.5 * 0.25 * 0.4 * 0.1 * 0.8) ** (-1 / 5)
    assert perplexity((IDS, LOGITS)) == pytest.approx(expected, rel=1e-5)


def test_batches_count_by_their_tokens():
    whole = perplexity((IDS, LOGITS))
    assert perplexity((IDS[:1], LOGITS[:1]), (IDS[1:], LOGITS[1:])) == pytest.approx(whole, rel=1e-5)


def test_equal_chances_give_the_number_of_tokens():
    assert perplexity((IDS, np.zeros((3, 3, 5), "float32"))) == pytest.approx(5, rel=1e-5)


def test_certainty_gives_one():
    assert perplexity((IDS, 100 * np.eye(5, dtype="float32")[IDS])) == pytest.approx(1, rel=1e-5)


@pytest.mark.parametrize("shape", [(3,), (3, 1)])
def test_sample_weights_weigh_the_tokens_of_their_text(shape):
    weights = np.array([2.0, 0.5, 1.0], "float32").reshape(shape)
    total = 2 * np.log(0.5 * 0.25) + 0.5 * np.log(0.4 * 0.1 * 0.8)
    expected = np.exp(-total / (2 * 2 + 0.5 * 3))
    assert perplexity((IDS, LOGITS, weights)) == pytest.approx(expected, rel=1e-5)


def test_a_text_of_weight_zero_and_a_row_without_a_text_do_not_matter():
    weights = np.array([1.0, 0.0, 1.0], "float32")
    assert perplexity((IDS, LOGITS, weights)) == pytest.approx((0.5 * 0.25) ** -0.5, rel=1e-5)


def test_a_reset_forgets():
    metric = Perplexity()
    metric.update_state(IDS[:1], LOGITS[:1])
    metric.reset_state()
    metric.update_state(IDS[1:2], LOGITS[1:2])
    assert float(metric.result()) == pytest.approx((0.4 * 0.1 * 0.8) ** (-1 / 3), rel=1e-5)


def test_it_is_saved_under_its_name():
    metric = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(Perplexity()))
    assert isinstance(metric, Perplexity) and metric.name == "perplexity"
