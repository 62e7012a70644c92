"""Encoder of texts from a backbone of KerasHub."""

import keras
from keras import ops

from mm_keras.checks import check_choice, check_rank, check_rate
from mm_keras.encoders.token_mask import TokenMask
from mm_keras.hub import restore_backbone, steps_of
from mm_keras.sequence_pooling import POOLINGS, SequencePooling


@keras.saving.register_keras_serializable(package="mm_keras")
class HubTextEncoder(keras.layers.Layer):
    """Reads token ids with a backbone, and pools the steps that it gives.

    Args:
        backbone: keras.Model. Reads a dict of `token_ids`, `padding_mask` and, if it has them, `segment_ids`,
            each int `(B, T)`, and gives steps `(B, T, D)`, where it has several outputs as `sequence_output`.
        token_ids: list of int. The number that the backbone knows each token by.
        pooling: str. What `SequencePooling` makes of the steps; "mean_max" doubles their width.
        trainable: bool. False freezes the backbone.
        dropout: float in [0, 1). Dropout on the result.

    Call arguments:
        inputs: int tensor `(B, T)`, padded with 0 at the end. Padding is masked, but never the first token.

    Returns: float tensor `(B, D)`; `(B, 2 D)` with "mean_max", `(B, T, D)` with "none".
    Raises: ValueError, if an argument is out of range or the input is not `(B, T)`.
    """

    def __init__(self, backbone, token_ids, pooling="mean", trainable=True, dropout=0.0, **kwargs):
        super().__init__(trainable=trainable, **kwargs)
        self.pooling = check_choice("HubTextEncoder", "pooling", pooling, POOLINGS)
        self.dropout = check_rate("HubTextEncoder", "dropout", dropout)
        self.backbone, self.token_ids = backbone, list(token_ids)
        self.backbone.trainable = trainable
        self.token_mask = TokenMask(dtype="float32", name=f"{self.name}.mask")
        self.pool = SequencePooling(pooling, dtype=self.dtype_policy, name="pool")
        self.drop = keras.layers.Dropout(dropout, dtype=self.dtype_policy)

    def build(self, input_shape):
        check_rank("HubTextEncoder", "inputs", input_shape, 2, "Pass token ids (B, T).")
        self.pool.build((*input_shape, steps_of(self.backbone.output).shape[-1]))

    def call(self, inputs, training=None):
        mask = self.token_mask(inputs)
        given = {
            "token_ids": ops.take(ops.convert_to_tensor(self.token_ids, "int32"), inputs, axis=0),
            "padding_mask": ops.where(mask, 1, 0),  # A cast bool stops the TFLite converter of 2.21.
            "segment_ids": ops.zeros_like(inputs, "int32"),
        }
        x = self.backbone({name: given[name] for name in self.backbone.input}, training=training)
        x = ops.cast(steps_of(x), self.compute_dtype)
        return self.drop(self.pool(x, mask=mask), training=training)

    def compute_mask(self, inputs, previous_mask):
        return self.token_mask(inputs) if self.pooling == "none" else None

    def get_config(self):
        return {
            **super().get_config(),
            "backbone": keras.saving.serialize_keras_object(self.backbone),
            "token_ids": self.token_ids,
            "pooling": self.pooling,
            "trainable": self.trainable,
            "dropout": self.dropout,
        }

    @classmethod
    def from_config(cls, config):
        return cls(**{**config, "backbone": restore_backbone(config["backbone"])})
