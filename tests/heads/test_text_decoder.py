import numpy as np
import pytest

from mm_keras.heads import TextDecoder, TokenCrossentropy


def test_each_position_adds_its_own_vector():
    random = np.random.default_rng(7)
    layer = TextDecoder(3, 6, units=4)
    layer.build((2, 5))
    named = {weight.path.split("/", 1)[1]: random.normal(size=weight.shape) for weight in layer.weights}
    layer.set_weights(list(named.values()))
    z = random.normal(size=(2, 5))
    x = (z @ named["project/kernel"] + named["project/bias"])[:, None] + named["positions"]
    x = np.maximum(np.maximum(x, 0) @ named["hidden/kernel"] + named["hidden/bias"], 0)
    expected = x @ named["logits/kernel"] + named["logits/bias"]
    np.testing.assert_allclose(layer(z), expected, rtol=1e-4, atol=1e-5)  # Three products in float32.


def test_loss_and_metric_are_of_tokens():
    layer = TextDecoder(3, 4)
    assert isinstance(layer.loss(), TokenCrossentropy)
    (metric,) = layer.metrics_of_output()
    assert metric.name == "token_accuracy"
    logits = np.eye(4)[[[2, 3, 1], [2, 1, 0]]]
    metric.update_state(np.array([[2, 3, 0], [2, 3, 0]]), logits, sample_weight=np.array([1.0, 0.0]))
    assert float(metric.result()) == pytest.approx(2 / 3)


@pytest.mark.parametrize("name", ["length", "vocabulary_size", "units"])
def test_a_size_below_one_is_rejected(name):
    with pytest.raises(ValueError, match=f"`TextDecoder` expects `{name}` .*Received: {name}=0"):
        TextDecoder(**{"length": 3, "vocabulary_size": 4, name: 0})
