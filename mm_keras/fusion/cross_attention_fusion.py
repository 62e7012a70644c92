"""Cross-modal attention (MulT): each modality's sequence reads every other one."""

import keras
from keras import ops

from mm_keras.attention_block import AttentionBlock, check_sequences, project_steps
from mm_keras.checks import check_division, check_modalities, check_positive_int, check_rate, message
from mm_keras.sequence_pooling import masked_mean


@keras.saving.register_keras_serializable(package="mm_keras")
class CrossAttentionFusion(keras.layers.Layer):
    """Lets each modality attend to every other, step by step, and joins the means over time.

    Each sequence is projected to `units` and gets its positions (a vector has none). For each ordered pair,
    `layers` cross-modal blocks take queries from the one, keys and values from the other. What a modality has
    read from all the others is concatenated, passed through `self_layers` blocks of self-attention, averaged
    over its visible steps, and one dense layer with ReLU joins the modalities.

    Args:
        units: int > 0. Width `D` of the steps and of the fused embedding.
        num_heads: int > 0, a divisor of `units`.
        layers: int > 0. Cross-modal blocks of each ordered pair.
        self_layers: int >= 0. Blocks of self-attention, `(M - 1) D` wide, of each modality.
        block_dropout: float in [0, 1). Dropout in each block.

    Call arguments:
        inputs: dict of at least two modalities, name -> float tensor `(B, T, D_m)`, or `(B, D_m)`, which is
            a sequence of one step.
        mask: dict, name -> bool tensor `(B, T)` or None; by default the masks that Keras carries along.
            False hides a step: it changes nothing. A modality hidden whole is read as nothing.

    Returns: float tensor `(B, D)`.
    Raises: ValueError, if an argument is out of range, an input has another rank, or there is one modality
        alone.
    Source: Tsai et al. 2019, arXiv:1906.00295, equations 1 to 4 (section 3). Projections have a kernel of one
        step; residuals pass by the norms, as in the authors' code, where equation 4 writes them through; the
        mean over time stands for the last step, as padding ends a sequence; self-attention is an option.
    """

    def __init__(self, units, num_heads=4, layers=1, self_layers=0, block_dropout=0.0, **kwargs):
        super().__init__(**kwargs)
        owner = "CrossAttentionFusion"
        self.units = check_positive_int(owner, "units", units)
        self.num_heads = check_division(owner, "num_heads", num_heads, "units", units)
        self.layers = check_positive_int(owner, "layers", layers)
        if isinstance(self_layers, bool) or not isinstance(self_layers, int) or self_layers < 0:
            fix = "Pass a whole number, such as self_layers=1."
            raise ValueError(
                message(owner, "`self_layers` to be an int >= 0", f"self_layers={self_layers!r}", fix)
            )
        self.self_layers = self_layers
        self.block_dropout = check_rate(owner, "block_dropout", block_dropout)

    def build(self, input_shape):
        check_modalities("CrossAttentionFusion", input_shape, 2)
        check_sequences("CrossAttentionFusion", input_shape)
        self.names = sorted(input_shape)
        width = self.units * (len(self.names) - 1)
        steps = {name: 1 if len(shape) == 2 else shape[1] for name, shape in input_shape.items()}
        shapes = {name: (None, steps[name], self.units) for name in self.names}
        self.projections, self.blocks, self.self_blocks, self.norms = [], [], [], []
        for target in self.names:
            kernel_shape = (input_shape[target][-1], self.units)
            self.projections.append(self.add_weight(name=f"{target}_projection", shape=kernel_shape))
            for source in self.names:
                if source != target:
                    names = [f"{target}_from_{source}_{i}" for i in range(self.layers)]
                    self.blocks.append([self._block(name, shapes[target], shapes[source]) for name in names])
            names = [f"{target}_self_{i}" for i in range(self.self_layers)]
            wide = (None, steps[target], width)
            self.self_blocks.append([self._block(name, wide) for name in names])
            norm = keras.layers.LayerNormalization(
                epsilon=1e-6, dtype=self.dtype_policy, name=f"{target}_norm"
            )
            norm.build(wide)
            self.norms.append(norm)
        self.kernel = self.add_weight(name="kernel", shape=(len(self.names) * width, self.units))
        self.bias = self.add_weight(name="bias", shape=(self.units,), initializer="zeros")

    def call(self, inputs, mask=None, training=None):
        x, masks = [], []
        for name, projection in zip(self.names, self.projections, strict=True):
            sequence, seen = project_steps(inputs[name], (mask or {}).get(name), projection)
            x.append(sequence)
            masks.append(seen)
        blocks = iter(self.blocks)
        pooled = []
        for i, target in enumerate(x):
            read = []
            for source, seen in zip(x[:i] + x[i + 1 :], masks[:i] + masks[i + 1 :], strict=True):
                z = target
                for block in next(blocks):
                    z = block(z, source, mask=seen, training=training)
                read.append(z)
            z = ops.concatenate(read, axis=-1)  # (B, T, (M - 1) D)
            for block in self.self_blocks[i]:
                z = block(z, mask=masks[i], training=training)
            pooled.append(masked_mean(self.norms[i](z), masks[i]))
        return ops.relu(ops.matmul(ops.concatenate(pooled, axis=-1), self.kernel) + self.bias)

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
            "self_layers": self.self_layers,
            "block_dropout": self.block_dropout,
        }

    def _block(self, name, *shapes):
        block = AttentionBlock(
            shapes[0][-1], self.num_heads, self.block_dropout, dtype=self.dtype_policy, name=name
        )
        block.build(*shapes)
        return block
