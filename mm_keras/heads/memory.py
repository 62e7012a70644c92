"""What a decoder attends to while it writes: every step of every modality."""

import keras
from keras import ops

from mm_keras.attention_block import as_sequence
from mm_keras.checks import check_positive_int, message

FUSED, STEPS = "fused", ".steps"


@keras.saving.register_keras_serializable(package="mm_keras")
class Memory(keras.layers.Layer):
    """Joins the steps of all modalities and the fused embedding, each projected by a dense layer of its own.

    An absent modality takes part as its encoder's learned token (`MissingModality`).

    Args:
        units: int > 0. Width `U` of the memory.

    Call arguments:
        inputs: dict: "fused", float tensor `(B, D)`; each modality's embedding, float tensor `(B, D_m)` or
            `(B, T_m, D_m)`; of the latter also "<modality>.steps", bool or float tensor `(B, T_m)`: False or
            0 hides a step.

    Returns: dict: "memory", float tensor `(B, S, U)`, the modalities in sorted order; "steps", float32 tensor
        `(B, S)`, 1 where a step is shown, else 0; "fused" as it is.
    Raises: ValueError, if `units` < 1, or "fused" or the modalities are not there.
    """

    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.units = check_positive_int("Memory", "units", units)

    def build(self, input_shape):
        names = sorted(name for name in input_shape if not name.endswith(STEPS))
        if FUSED not in names or len(names) < 2:
            fix = 'Pass {"fused": (B, D), "image": (B, T, D)}, and "given" to the decoder that trains.'
            expected = '"fused" and at least one modality'
            raise ValueError(message("Memory", expected, f"{sorted(input_shape)}", fix))
        self.projections = {
            name: keras.layers.Dense(self.units, dtype=self.dtype_policy, name=f"{name}_memory")
            for name in names
        }
        for name, projection in self.projections.items():
            projection.build(input_shape[name])

    def call(self, inputs):
        parts, masks = [], []
        for name, projection in self.projections.items():
            steps, mask = as_sequence(inputs[name], inputs.get(name + STEPS))
            parts.append(projection(steps))
            shown = ops.ones_like(steps[:, :, 0], dtype="float32")
            masks.append(shown if mask is None else ops.cast(mask, "float32"))
        memory, steps = ops.concatenate(parts, axis=1), ops.concatenate(masks, axis=1)
        return {"memory": memory, "steps": steps, FUSED: inputs[FUSED]}

    def compute_mask(self, inputs, previous_mask):
        return None  # What is hidden is told by name.

    def get_config(self):
        return {**super().get_config(), "units": self.units}

    def part(self, attention, inputs):
        """Parts attention `(B, T, S)` to the memory of `inputs`: name -> `(B, T, T_m)`."""
        parts, begin = {}, 0
        for name in self.projections:
            size = inputs[name].shape[1] if len(inputs[name].shape) == 3 else 1
            parts[name] = attention[:, :, begin : begin + size]
            begin += size
        return parts
