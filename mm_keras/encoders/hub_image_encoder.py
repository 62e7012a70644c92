"""Encoder of images from a backbone of KerasHub."""

import keras
from keras import ops

from mm_keras.checks import check_choice, check_rank, check_rate, message
from mm_keras.hub import restore_backbone, steps_of
from mm_keras.sequence_pooling import SequencePooling

POOLINGS = ("mean", "max", "mean_max", "attention", "none")


@keras.saving.register_keras_serializable(package="mm_keras")
class HubImageEncoder(keras.layers.Layer):
    """Reads an image with a backbone, the scaling of its pixels included, and pools what it gives.

    An image of one channel is repeated to the three that the backbone reads.

    Args:
        backbone: keras.Model. Its output is a map `(B, H', W', D)` or steps `(B, N, D)`; where it has several
            by name, `sequence_output`.
        scale, offset: float, or list of one float a channel. The backbone reads `scale * pixels + offset`.
        pooling: str. What `SequencePooling` makes of the places or steps.
        trainable: bool. False freezes the backbone.
        dropout: float in [0, 1). Dropout on the result.

    Call arguments:
        inputs: float tensor `(B, H, W, C)`, pixels in 0 to 255.

    Returns: float tensor `(B, D)`; `(B, 2 D)` with "mean_max", `(B, N, D)` with "none".
    Raises: ValueError, if an argument is out of range, or the input is not `(B, H, W, C)` as the backbone
        reads it.
    """

    def __init__(
        self, backbone, scale=1.0, offset=0.0, pooling="mean", trainable=True, dropout=0.0, **kwargs
    ):
        super().__init__(trainable=trainable, **kwargs)
        self.pooling = check_choice("HubImageEncoder", "pooling", pooling, POOLINGS)
        self.dropout = check_rate("HubImageEncoder", "dropout", dropout)
        self.backbone, self.scale, self.offset = backbone, scale, offset
        self.backbone.trainable = trainable
        self.pool = SequencePooling(pooling, dtype=self.dtype_policy, name="pool")
        self.drop = keras.layers.Dropout(dropout, dtype=self.dtype_policy)

    def build(self, input_shape):
        check_rank("HubImageEncoder", "inputs", input_shape, 4, "Pass images (B, H, W, C).")
        (wanted,) = (tensor.shape[1:] for tensor in self.backbone.inputs)
        given = (*input_shape[1:3], 3 if input_shape[3] == 1 and wanted[2] == 3 else input_shape[3])
        if any(side not in (None, mine) for side, mine in zip(wanted, given, strict=True)):
            fix = "Set `size` and `channels` so."
            received = f"inputs.shape={tuple(input_shape)}"
            raise ValueError(message("HubImageEncoder", f"images of {tuple(wanted)}", received, fix))
        self.pool.build((None, None, steps_of(self.backbone.output).shape[-1]))

    def call(self, inputs, training=None):
        (wanted,) = (tensor.shape[3] for tensor in self.backbone.inputs)
        x = ops.repeat(inputs, 3, axis=-1) if inputs.shape[-1] == 1 and wanted == 3 else inputs
        x = x * ops.convert_to_tensor(self.scale, x.dtype) + ops.convert_to_tensor(self.offset, x.dtype)
        x = ops.cast(steps_of(self.backbone(x, training=training)), self.compute_dtype)
        if len(x.shape) == 4:
            x = ops.reshape(x, (-1, x.shape[1] * x.shape[2], x.shape[3]))  # (B, H' W', D)
        return self.drop(self.pool(x), training=training)

    def get_config(self):
        return {
            **super().get_config(),
            "backbone": keras.saving.serialize_keras_object(self.backbone),
            "scale": self.scale,
            "offset": self.offset,
            "pooling": self.pooling,
            "trainable": self.trainable,
            "dropout": self.dropout,
        }

    @classmethod
    def from_config(cls, config):
        return cls(**{**config, "backbone": restore_backbone(config["backbone"])})
