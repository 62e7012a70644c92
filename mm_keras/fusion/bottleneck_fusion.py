"""Bottleneck transformer (MBT): modalities exchange what fits into a few shared tokens."""

import keras
from keras import ops

from mm_keras.attention_block import AttentionBlock, check_sequences, project_steps
from mm_keras.checks import check_division, check_modalities, check_positive_int, check_rate, message


@keras.saving.register_keras_serializable(package="mm_keras")
class BottleneckFusion(keras.layers.Layer):
    """Passes each modality through transformer blocks of its own that share `bottlenecks` tokens.

    Each sequence is projected to `units`, gets its positions (a vector has none), and a class token is put
    before it. From block `fusion_layer` on (counted from 0), a modality's block also reads and writes the
    shared tokens, and the modalities' versions of these are averaged after each block. The mean of the class
    tokens is the result. What one modality has written another reads in the block after it: if the last block
    alone fuses, they meet in that mean only.

    Args:
        units: int > 0. Width `D` of the tokens and of the fused embedding.
        num_heads: int > 0, a divisor of `units`.
        layers: int > 0. Blocks `L` of each modality.
        fusion_layer: int in [0, layers). Blocks before it see their own modality alone.
        bottlenecks: int > 0. Shared tokens `B`.
        block_dropout: float in [0, 1). Dropout in each block.

    Call arguments:
        inputs: dict of at least one modality, name -> float tensor `(B, T, D_m)`, or `(B, D_m)`, which is a
            sequence of one step.
        mask: dict, name -> bool tensor `(B, T)` or None; by default the masks that Keras carries along.
            False hides a step: it changes nothing. A modality hidden whole is left out of both means.

    Returns: float tensor `(B, D)`; zeros where every modality is hidden.
    Raises: ValueError, if an argument is out of range or an input has another rank.
    Source: Nagrani et al. 2021, arXiv:2107.00135, equations 7 to 9 (sections 3.2 and 3.3); 4 tokens are the
        paper's. Positions are sinusoids, where the paper learns those of its patches. The paper averages the
        logits of one linear classifier on each class token: those of the averaged tokens are the same.
    """

    def __init__(
        self, units, num_heads=4, layers=2, fusion_layer=0, bottlenecks=4, block_dropout=0.0, **kwargs
    ):
        super().__init__(**kwargs)
        owner = "BottleneckFusion"
        self.units = check_positive_int(owner, "units", units)
        self.num_heads = check_division(owner, "num_heads", num_heads, "units", units)
        self.layers = check_positive_int(owner, "layers", layers)
        whole = isinstance(fusion_layer, int) and not isinstance(fusion_layer, bool)
        if not whole or not 0 <= fusion_layer < layers:
            fix = f"Pass 0 to fuse in every block, up to {layers - 1} to fuse in the last alone."
            expected = f"`fusion_layer` to be an int in [0, layers), layers={layers}"
            raise ValueError(message(owner, expected, f"fusion_layer={fusion_layer!r}", fix))
        self.fusion_layer = fusion_layer
        self.bottlenecks = check_positive_int(owner, "bottlenecks", bottlenecks)
        self.block_dropout = check_rate(owner, "block_dropout", block_dropout)

    def build(self, input_shape):
        check_modalities("BottleneckFusion", input_shape)
        check_sequences("BottleneckFusion", input_shape)
        self.names = sorted(input_shape)
        shape = (None, None, self.units)
        self.projections, self.tokens, self.blocks, self.norms = [], [], [], []
        for name in self.names:
            kernel_shape = (input_shape[name][-1], self.units)
            self.projections.append(self.add_weight(name=f"{name}_projection", shape=kernel_shape))
            self.tokens.append(self._token(f"{name}_class", 1))
            self.blocks.append([self._block(f"{name}_{i}", shape) for i in range(self.layers)])
            norm = keras.layers.LayerNormalization(epsilon=1e-6, dtype=self.dtype_policy, name=f"{name}_norm")
            norm.build(shape)
            self.norms.append(norm)
        self.shared = self._token("bottlenecks", self.bottlenecks)

    def call(self, inputs, mask=None, training=None):
        x, masks, shares = [], [], []
        for name, projection, token in zip(self.names, self.projections, self.tokens, strict=True):
            sequence, seen = project_steps(inputs[name], (mask or {}).get(name), projection)
            first = ops.zeros_like(sequence[:, :1]) + token  # (B, 1, D)
            x.append(ops.concatenate([first, sequence], axis=1))
            masks.append(None if seen is None else self._show(seen, before=1))
            shares.append(self._share(seen, first))
        shared = ops.zeros_like(x[0][:, :1]) + self.shared  # (B, bottlenecks, D)
        for layer in range(self.layers):
            if layer < self.fusion_layer:
                x = [
                    blocks[layer](z, mask=seen, training=training)
                    for z, seen, blocks in zip(x, masks, self.blocks, strict=True)
                ]
            else:
                x, shared = self._exchange(layer, x, masks, shared, shares, training)
        tokens = [norm(z[:, :1]) for z, norm in zip(x, self.norms, strict=True)]
        return self._mean(tokens, shares)[:, 0]

    def compute_output_shape(self, input_shape):
        return (next(iter(input_shape.values()))[0], self.units)

    def compute_mask(self, inputs, previous_mask):
        return None  # No time is left.

    def get_config(self):
        return {
            **super().get_config(),
            "units": self.units,
            "num_heads": self.num_heads,
            "layers": self.layers,
            "fusion_layer": self.fusion_layer,
            "bottlenecks": self.bottlenecks,
            "block_dropout": self.block_dropout,
        }

    def _token(self, name, count):
        # The deviation that vision transformers draw their tokens with.
        initializer = keras.initializers.TruncatedNormal(stddev=0.02)
        return self.add_weight(name=name, shape=(count, self.units), initializer=initializer)

    def _block(self, name, shape):
        block = AttentionBlock(
            self.units, self.num_heads, self.block_dropout, dtype=self.dtype_policy, name=name
        )
        block.build(shape)
        return block

    def _exchange(self, layer, x, masks, shared, shares, training):
        outputs, versions = [], []
        for z, seen, blocks in zip(x, masks, self.blocks, strict=True):
            if seen is not None:
                seen = self._show(seen, after=self.bottlenecks)
            z = blocks[layer](ops.concatenate([z, shared], axis=1), mask=seen, training=training)
            outputs.append(z[:, : -self.bottlenecks])
            versions.append(z[:, -self.bottlenecks :])
        return outputs, self._mean(versions, shares)

    def _show(self, seen, before=0, after=0):
        """Returns a mask with visible steps added; numbers, as TFLite pads no booleans."""
        return ops.pad(ops.cast(seen, "float32"), ((0, 0), (before, after)), constant_values=1.0)

    def _share(self, seen, like):
        """Returns 1 `(B, 1, 1)` for an example with a visible step, else 0."""
        if seen is None:
            return ops.ones_like(like[:, :, :1])
        return ops.cast(ops.any(seen, axis=1), like.dtype)[:, None, None]

    def _mean(self, values, shares):
        total = sum(value * share for value, share in zip(values, shares, strict=True))
        return total / ops.maximum(sum(shares), 1)
