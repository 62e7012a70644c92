import keras
import numpy as np
import pytest

from mm_keras.heads import Matcher, PairCrossentropy

SHAPES = {"a": (2, 2), "b": (2, 3), "c": (2, 1), "present": (2, 3)}


def identity(temperature=0.25, **arguments):
    """A matcher of "b" and "a" beside "c" whose projections keep two numbers as they are."""
    layer = Matcher(["b", "a"], 2, temperature, **arguments)
    layer.build(SHAPES)
    for name, kernel in (("a", np.eye(2)), ("b", np.eye(3, 2))):
        layer.projections[name].set_weights([kernel])
    return layer


def inputs(present):
    return {
        "a": np.array([[3.0, 4.0], [0.0, 2.0]]),
        "b": np.array([[5.0, 0.0, 9.0], [1.0, 1.0, 0.0]]),
        "c": np.ones((2, 1)),
        "present": np.array(present, "float32"),
    }


def test_projections_have_the_norm_of_the_temperature():
    outputs = keras.ops.convert_to_numpy(identity()(inputs([[1, 1, 1], [1, 1, 0]])))
    half = 0.5**0.5
    wanted = [[[0.6, 0.8], [1.0, 0.0]], [[0.0, 1.0], [half, half]]]
    np.testing.assert_allclose(outputs, 2 * np.array(wanted), rtol=1e-5, atol=1e-6)  # 1 / sqrt(0.25) is 2.


def test_an_absent_modality_gives_zeros_whatever_it_holds():
    outputs = keras.ops.convert_to_numpy(identity()(inputs([[0, 1, 1], [1, 0, 1]])))
    np.testing.assert_array_equal(outputs[[0, 1], [0, 1]], 0)
    assert np.abs(outputs[[0, 1], [1, 0]]).max() > 1


def test_zeros_have_no_direction():
    x = {**inputs(np.ones((2, 3))), "a": np.zeros((2, 2))}
    assert np.isfinite(keras.ops.convert_to_numpy(identity()(x))).all()


def test_the_norm_is_exact_under_mixed_precision():
    layer = identity(1.0, dtype="mixed_bfloat16")
    outputs = layer(inputs(np.ones((2, 3))))
    assert keras.backend.standardize_dtype(outputs.dtype) == "float32"
    norms = np.linalg.norm(keras.ops.convert_to_numpy(outputs), axis=-1)
    np.testing.assert_allclose(norms, 1, rtol=1e-5)


@pytest.mark.parametrize(("matching", "limit"), [(True, 0.01), (False, 1.0)])
def test_training_keeps_the_temperature_in_its_bounds(matching, limit):
    """Rows that match drive it down, rows that are all exchanged drive it up: both to the bound."""
    x = {"a": np.eye(2), "b": np.eye(2) if matching else np.eye(2)[::-1], "present": np.ones((2, 2))}
    symbols = {name: keras.Input((2,), name=name) for name in x}
    matcher = Matcher(["a", "b"], 2)
    model = keras.Model(symbols, matcher(symbols))
    for projection in matcher.projections.values():
        projection.set_weights([np.eye(2)])
        projection.trainable = False
    model.compile(keras.optimizers.Adam(1.0), PairCrossentropy())
    for _ in range(8):
        model.train_on_batch(x, np.ones((2, 2, 1)))
    assert float(np.exp(-keras.ops.convert_to_numpy(matcher.log_scale))) == pytest.approx(limit, rel=1e-5)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"modalities": ["a"]}, r"`modalities` of at least 2 names, each once. Received: modalities=\['a'\]"),
        ({"modalities": ["a", "b", "a"]}, "`modalities` of at least 2 names, each once"),
        ({"units": 0}, "`units` to be an int > 0"),
        ({"temperature": 2.0}, r"`temperature` in \[0.01, 1\]. Received: temperature=2.0"),
        ({"temperature": "x"}, "`temperature` > 0"),
    ],
)
def test_a_value_out_of_range_is_rejected(arguments, words):
    with pytest.raises(ValueError, match=f"`Matcher` expects {words}"):
        Matcher(**{"modalities": ["a", "b"], **arguments})


def test_an_embedding_that_is_not_there_or_a_sequence_is_rejected():
    words = r"an embedding \(B, D\) of each of `a`, `b`. Received: only `a`, `c`"
    with pytest.raises(ValueError, match=words):
        Matcher(["a", "b"]).build({"a": (2, 2), "c": (2, 2), "present": (2, 2)})
    with pytest.raises(ValueError, match=r"Received: 'b' of shape \(2, 7, 3\)"):
        Matcher(["a", "b"]).build({"a": (2, 2), "b": (2, 7, 3), "present": (2, 2)})
