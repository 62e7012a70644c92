"""`assert_layer` passes a sound layer and catches each fault that it is there for."""

import keras
import numpy as np
import pytest
from keras import ops

from helpers import ON_TENSORFLOW, assert_layer

SHAPES = {"text": (3,), "image": (3,)}
registered = keras.saving.register_keras_serializable(package="mm_keras")


@registered
class Sound(keras.layers.Layer):
    """Projects each modality and adds. Each layer below changes one thing of it."""

    def __init__(self, units=2, **kwargs):
        super().__init__(**kwargs)
        self.units = units

    def build(self, input_shape):
        self.names = sorted(input_shape)
        self.kernels = [
            self.add_weight(name=f"kernel_{i}", shape=(input_shape[name][-1], self.units))
            for i, name in enumerate(self.names)
        ]

    def call(self, inputs):
        x = [inputs[name] for name in self.names]
        return sum(ops.matmul(x_m, kernel) for x_m, kernel in zip(x, self.kernels, strict=True))

    def compute_output_shape(self, input_shape):
        return (next(iter(input_shape.values()))[0], self.units)

    def get_config(self):
        return {**super().get_config(), "units": self.units}


@registered
class ForgetsUnits(Sound):
    def get_config(self):
        return {name: value for name, value in super().get_config().items() if name != "units"}


@registered
class AlwaysTwoUnits(Sound):
    def get_config(self):
        return {**super().get_config(), "units": 2}


@registered
class BuildsUnsorted(Sound):
    def build(self, input_shape):
        super().build(input_shape)
        self.names = list(input_shape)


@registered
class ReadsUnsorted(Sound):
    def call(self, inputs):
        return super().call(dict(zip(self.names, inputs.values(), strict=True)))


@registered
class StopsText(Sound):
    def call(self, inputs):
        return super().call({**inputs, "text": ops.stop_gradient(inputs["text"])})


class Unregistered(Sound):
    pass


@registered
class WrongShape(Sound):
    def compute_output_shape(self, input_shape):
        return (next(iter(input_shape.values()))[0], self.units + 1)


@registered
class Idle(Sound):
    def build(self, input_shape):
        super().build(input_shape)
        self.add_weight(name="idle", shape=(1,))


@registered
class OverflowsInHalf(Sound):
    def call(self, inputs):
        outputs = super().call(inputs)
        return outputs / ops.cast(self.compute_dtype != "bfloat16", outputs.dtype)


@registered
class NamedOutputs(Sound):
    def call(self, inputs, present):
        return {"sum": super().call(inputs) * present[:, :1], "present": present}

    def compute_output_shape(self, inputs_shape, present_shape):
        return {"sum": super().compute_output_shape(inputs_shape), "present": present_shape}

    def build(self, inputs_shape, present_shape):
        super().build(inputs_shape)


@registered
class Lookup(keras.layers.Embedding):
    def __init__(self, input_dim, output_dim, **kwargs):
        super().__init__(input_dim, output_dim, **kwargs)


@pytest.mark.core
def test_a_sound_layer_passes(tmp_path):
    assert_layer(Sound, {"units": 4}, SHAPES, (4,), tmp_path)


@pytest.mark.core
def test_named_outputs_and_further_arguments_pass(tmp_path):
    present = np.array([[1, 0], [0, 1]], "float32")
    shapes = {"sum": (4,), "present": (2,)}
    assert_layer(NamedOutputs, {"units": 4}, SHAPES, shapes, tmp_path, {"present": present})


@pytest.mark.core
def test_integers_pass(tmp_path):
    arguments = {"input_dim": 5, "output_dim": 2}
    assert_layer(Lookup, arguments, (3,), (3, 2), tmp_path, dtypes={"inputs": "int32"})


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (ForgetsUnits, r"get_config of `ForgetsUnits` lacks \['units'\]"),
        (AlwaysTwoUnits, "gives units=2, not 4"),
        (BuildsUnsorted, "built in another order"),
        (ReadsUnsorted, "in another order"),
        (StopsText, "no gradient of `StopsText` reaches text"),
        (Idle, "no gradient of `Idle` reaches idle/idle"),
        (Unregistered, "`Unregistered` is not registered"),
        (WrongShape, r"symbolic shape \(None, 5\)"),
        (OverflowsInHalf, "mixed_bfloat16 gives a value of output that is not finite"),
    ],
)
def test_each_fault_is_caught(fault, words, tmp_path):
    if fault in (StopsText, Idle) and not ON_TENSORFLOW:
        pytest.skip("gradients are checked on TensorFlow")
    with pytest.raises(AssertionError, match=words):
        assert_layer(fault, {"units": 4}, SHAPES, (4,), tmp_path)


def test_a_wrong_expected_shape_is_caught(tmp_path):
    with pytest.raises(AssertionError, match=r"symbolic shape \(None, 4\)"):
        assert_layer(Sound, {"units": 4}, SHAPES, (5,), tmp_path)
