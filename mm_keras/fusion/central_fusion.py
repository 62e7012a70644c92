"""CentralNet: a central network that fuses the modalities' networks at several depths."""

import keras
from keras import ops

from mm_keras.checks import check_positive_int, check_positive_ints, check_ranks


@keras.saving.register_keras_serializable(package="mm_keras")
class CentralFusion(keras.layers.Layer):
    """Computes `h_C^{i+1} = relu(W_C^i (a_C^i h_C^i + sum_m a_m^i h_m^i) + b_C^i)` at each depth `i`.

    Each modality has dense layers of its own, `h_m^i = relu(W_m^i h_m^{i-1} + b_m^i)`, from its embedding
    on; the central layer `i` reads their outputs and its own, each scaled by a learned number `a`.

    Args:
        units: int > 0. Width `D` of the fused embedding, the last central layer.
        hidden: list of ints > 0. Width of every network at each depth; its length is the depth.

    Call arguments:
        inputs: dict of at least one modality, name -> float tensor `(B, D_m)`.

    Returns: float tensor `(B, D)`.
    Raises: ValueError, if an argument is out of range or an input is not `(B, D_m)`.
    Source: Vielzeuf et al. 2018, arXiv:1808.07275, equation 1. The paper's modality networks are the
        encoders whole; here they are dense layers behind them, of one width at each depth so that they can
        be added. Scales begin equal, with a sum of 1. The paper's further losses of the modalities are not
        this layer's.
    """

    def __init__(self, units, hidden=(64, 64), **kwargs):
        super().__init__(**kwargs)
        self.units = check_positive_int("CentralFusion", "units", units)
        self.hidden = check_positive_ints("CentralFusion", "hidden", hidden)

    def build(self, input_shape):
        check_ranks("CentralFusion", input_shape, 2, "Pool sequences over time first.")
        self.names = sorted(input_shape)
        self.branches = []
        for name in self.names:
            widths = [input_shape[name][-1], *self.hidden]
            self.branches.append([self._dense(f"{name}_{i}", *widths[i : i + 2]) for i in self._depths])
        widths = [*self.hidden, self.units]
        self.centre = [self._dense(f"central_{i}", *widths[i : i + 2]) for i in self._depths]
        self.scales = []
        for i in self._depths:
            count = len(self.names) + (i > 0)  # At depth 0 there is no central layer to read.
            equal = keras.initializers.Constant(1 / count)
            self.scales.append(self.add_weight(name=f"scales_{i}", shape=(count,), initializer=equal))

    def call(self, inputs):
        hidden = [inputs[name] for name in self.names]
        central = []
        for i in self._depths:
            hidden = [self._relu(x, branch[i]) for x, branch in zip(hidden, self.branches, strict=True)]
            terms = [*hidden, *central]
            mixed = sum(self.scales[i][j] * term for j, term in enumerate(terms))
            central = [self._relu(mixed, self.centre[i])]
        return central[0]

    def compute_output_shape(self, input_shape):
        return (next(iter(input_shape.values()))[0], self.units)

    def get_config(self):
        return {**super().get_config(), "units": self.units, "hidden": self.hidden}

    @property
    def _depths(self):
        return range(len(self.hidden))

    def _dense(self, name, inputs, outputs):
        kernel = self.add_weight(name=f"{name}_kernel", shape=(inputs, outputs))
        bias = self.add_weight(name=f"{name}_bias", shape=(outputs,), initializer="zeros")
        return kernel, bias

    def _relu(self, x, weights):
        kernel, bias = weights
        return ops.relu(ops.matmul(x, kernel) + bias)
