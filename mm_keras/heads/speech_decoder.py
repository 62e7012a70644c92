"""Decoder that writes a sound frame by frame, from whatever modalities there are."""

import keras
from keras import ops

from mm_keras.attention_block import sinusoids
from mm_keras.checks import check_choice, check_positive, check_positive_int, check_rate, message
from mm_keras.heads.mel_error import MelError
from mm_keras.heads.memory import Memory
from mm_keras.heads.recurrent_steps import RecurrentSteps
from mm_keras.heads.speech_loss import SpeechLoss
from mm_keras.heads.transformer_steps import TransformerSteps
from mm_keras.speech_frames import SpeechFrames
from mm_keras.vocoder import Vocoder

KINDS = ("gru", "lstm", "transformer")
GIVEN = "given"
STOPPED = 10.0  # Logit of what comes behind the end.


@keras.saving.register_keras_serializable(package="mm_keras")
class SpeechDecoder(keras.layers.Layer):
    """Writes a sound as groups of log-mel frames, each after those before it and attending over all
    modalities' steps, until it says that the sound ends.

    The memory is that of `CaptionDecoder`. With "given" among the inputs, each next group after the true ones
    (teacher forcing), which trains; without it, the groups of a sound of its own, which `Vocoder` makes
    heard.

    Args:
        samples: int > 0. Longest sound.
        frames: dict. Arguments of `SpeechFrames`: rate, mel_bins, window, hop, reduction.
        kind: "gru", "lstm" or "transformer". What reads the groups so far.
        units: int > 0. Width of groups, steps and memory.
        layers: int > 0. Layers of that reader.
        num_heads: int > 0, a divisor of `units`. Heads of attention of the transformer.
        dropout: float in [0, 1). Dropout of the reader.
        prenet_dropout: float in [0, 1). Dropout on the groups so far, in training: what the model writes
            itself is never as right as the true ones.
        parallel: bool. Write all groups at once, each by its place and not after those before it. What is
            written is then never led astray by its own faults, and quickly found. Where equal inputs go with
            different sounds, it is their mean, unless `style` tells them apart.
        style: int >= 0. Width of a latent vector that training reads off the true sound, so that it is no
            mean of what equal inputs go with that is learned; 0: none. A sound of its own has the style 0,
            the middle of all.
        style_weight: float > 0. Weight of the divergence of a style's distribution from a normal one.
        guided_attention: dict or None. {"modality": str, "weight": float > 0, "width": float > 0}: adds a
            loss by which the attention to a sequence, such as a text that is to be read out, goes along it.
        iterations: int > 0. Of the `Vocoder`.
        seed: int or None. Seed of the styles that training draws.

    Call arguments:
        inputs: dict as of `CaptionDecoder`, but "given": float tensor `(B, G, r * F)`, the groups before
            those that are to be written, zeros first.

    Returns: float32 tensor `(B, G, r * F + 1)`: groups, and the logit of each that the sound ends with it. Of
        a sound of its own, zeros and a logit of 10 behind the end.
    Raises: ValueError, if an argument is out of range or "fused" or the modalities are not there.
    Source: Wang et al. 2017, arXiv:1703.10135 (Tacotron; several frames at a step, pre-net), and Shen et al.
        2018, arXiv:1712.05884, section 2.2 (stop token), without their post-nets and location features.
        Style: Zhang et al. 2019, arXiv:1812.04342, section 3. Guided attention: Tachibana et al. 2018,
            arXiv:1710.08969, section 4.1.
    """

    def __init__(
        self,
        samples,
        frames,
        kind="gru",
        units=256,
        layers=1,
        num_heads=4,
        dropout=0.0,
        prenet_dropout=0.5,
        parallel=False,
        style=0,
        style_weight=0.005,
        guided_attention=None,
        iterations=32,
        seed=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.samples = check_positive_int("SpeechDecoder", "samples", samples)
        self.frames = dict(frames)
        self.kind = check_choice("SpeechDecoder", "kind", kind, KINDS)
        self.units = check_positive_int("SpeechDecoder", "units", units)
        self.layers, self.num_heads, self.dropout = layers, num_heads, dropout
        self.prenet_dropout = check_rate("SpeechDecoder", "prenet_dropout", prenet_dropout)
        self.parallel = parallel
        self.style, self.style_weight, self.seed = style, style_weight, seed
        self.iterations = check_positive_int("SpeechDecoder", "iterations", iterations)
        self.guided_attention = self._check_guidance(guided_attention)
        dtype = self.dtype_policy
        _, self.groups, width = SpeechFrames(**self.frames).compute_output_shape((None, samples))
        self.group_width = width - 1
        self.memory = Memory(units, dtype=dtype, name="memory")
        self.prenet = [
            keras.layers.Dense(units, activation="relu", dtype=dtype, name=f"prenet_{i}") for i in range(2)
        ]
        if style:
            self.posterior = keras.layers.GRU(units, dtype=dtype, name="posterior")
            self.moments = keras.layers.Dense(2 * style, dtype=dtype, name="moments")
            # Without a bias: the style 0 adds nothing.
            self.colour = keras.layers.Dense(units, use_bias=False, dtype=dtype, name="colour")
            self.draw = keras.random.SeedGenerator(seed)
        self.forget = keras.layers.Dropout(prenet_dropout, dtype=dtype)
        if kind == "transformer":
            self.reader = TransformerSteps(units, num_heads, layers, dropout, dtype=dtype, name="reader")
        else:
            self.reader = RecurrentSteps(units, kind, layers, dropout, dtype=dtype, name="reader")
        self.written = keras.layers.Dense(self.group_width + 1, dtype=dtype, name="written")
        self.float32 = keras.layers.Activation("linear", dtype="float32")

    def build(self, input_shape):
        shapes = {name: shape for name, shape in input_shape.items() if name != GIVEN}
        self.inputs_read = sorted(shapes)
        self.memory.build(shapes)
        width = self.units if self.parallel else self.group_width
        for layer in self.prenet:
            layer.build((None, None, width))
            width = self.units
        if self.style:
            self.posterior.build((None, None, self.group_width))
            self.moments.build((None, self.units))
            self.colour.build((None, self.style))
        shape = (None, None, self.units)
        reader = {"tokens": shape, "memory": shape, "steps": shape[:2], "fused": shapes["fused"]}
        self.reader.build(reader)
        self.written.build(shape)

    def call(self, inputs, training=None):
        memory = self.memory({name: x for name, x in inputs.items() if name != GIVEN})
        if GIVEN not in inputs and not self.parallel:
            return self._write(memory)
        tokens = self._tokens(memory, inputs.get(GIVEN), training)
        if training and self.style:
            tokens = tokens + self._colour(inputs[GIVEN])
        steps, attention = self.reader.read({**memory, "tokens": tokens}, training)
        if training and self.guided_attention:
            self.add_loss(self._stray(attention, inputs))
        return self.float32(self.written(steps))

    def compute_mask(self, inputs, previous_mask):
        return None  # What is hidden is told by name.

    def compute_output_shape(self, input_shape):
        groups = input_shape[GIVEN][1] if GIVEN in input_shape else self.groups
        return (input_shape["fused"][0], groups, self.group_width + 1)

    def compute_output_spec(self, inputs, training=None):
        shape = self.compute_output_shape({name: x.shape for name, x in inputs.items()})
        return keras.KerasTensor(shape, "float32")

    def get_config(self):
        return {
            **super().get_config(),
            "samples": self.samples,
            "frames": self.frames,
            "kind": self.kind,
            "units": self.units,
            "layers": self.layers,
            "num_heads": self.num_heads,
            "dropout": self.dropout,
            "prenet_dropout": self.prenet_dropout,
            "parallel": self.parallel,
            "style": self.style,
            "style_weight": self.style_weight,
            "guided_attention": self.guided_attention,
            "iterations": self.iterations,
            "seed": self.seed,
        }

    def vocoder(self, name):
        """Returns the layer that makes heard what this one writes, not yet built."""
        return Vocoder(self.samples, self.frames, self.iterations, name=name)

    def attention(self, inputs, groups):
        """Returns how much each of the groups written, `(B, G, r * F + 1)`, attended to each step of each
        modality: a dict, name -> float32 `(B, G, T_m)`; of "fused" and of a vector it is one step."""
        memory = self.memory(inputs)
        tokens = self._tokens(memory, ops.pad(groups, ((0, 0), (1, 0), (0, 0)))[:, :-1, :-1], False)
        return self.memory.part(self.reader.read({**memory, "tokens": tokens})[1], inputs)

    def loss(self):
        return SpeechLoss(self.groups)

    def metrics_of_output(self):
        return [MelError()]

    def _check_guidance(self, guided):
        if guided is None:
            return None
        if sorted(guided) != ["modality", "weight", "width"]:
            fix = 'Pass {"modality": "text", "weight": 1.0, "width": 0.2}.'
            expected = "`guided_attention` of modality, weight and width"
            raise ValueError(message("SpeechDecoder", expected, f"{sorted(guided)}", fix))
        for key in ("weight", "width"):
            check_positive("SpeechDecoder", f"guided_attention.{key}", guided[key])
        return dict(guided)

    def _tokens(self, memory, given, training):
        """Returns what the reader reads `(B, G, U)`: the groups before each, or of `parallel` their
        places."""
        if not self.parallel:
            return self._prepare(given, training)
        count = self.groups if given is None else ops.shape(given)[1]
        places = sinusoids(ops.zeros((1, self.groups, self.units)))[None, :count]
        # No dropout: what a place is, nothing else tells.
        tokens = self._prepare(ops.cast(places, self.compute_dtype), False)
        return ops.repeat(tokens, ops.shape(memory["fused"])[0], axis=0)

    def _prepare(self, groups, training):
        x = ops.cast(groups, self.compute_dtype)
        for layer in self.prenet:
            x = self.forget(layer(x), training=training)
        return x

    def _colour(self, given):
        """Returns what the style of the true sounds adds to each group `(B, 1, U)`, and adds its loss."""
        read = self.posterior(ops.cast(given, self.compute_dtype))
        mean, log_variance = ops.split(ops.cast(self.moments(read), "float32"), 2, axis=1)
        divergence = ops.sum(ops.exp(log_variance) + ops.square(mean) - 1 - log_variance, axis=1) / 2
        self.add_loss(self.style_weight * ops.mean(divergence))
        drawn = keras.random.normal(ops.shape(mean), seed=self.draw)
        style = mean + ops.exp(log_variance / 2) * drawn
        return self.colour(ops.cast(style, self.compute_dtype))[:, None, :]

    def _write(self, memory):
        """Returns the groups of sounds that go on from what is written itself, until all have ended."""
        context, state = self.reader.begin(memory, self.groups)
        rows, width = ops.shape(memory["fused"])[0], self.group_width
        places = ops.arange(self.groups, dtype="int32")
        silence = ops.concatenate(
            [ops.zeros((rows, width), "float32"), STOPPED + ops.zeros((rows, 1), "float32")], axis=1
        )

        def goes_on(place, over, last, groups, *state):
            return ops.logical_and(place < self.groups, ops.any(over < 0.5))

        def body(place, over, last, groups, *state):
            x, state = self.reader.step(context, state, self._prepare(last[:, :-1], False), place)
            new = ops.where(over[:, None] > 0.5, silence, self.float32(self.written(x)))
            groups = ops.where((places == place)[None, :, None], new[:, None, :], groups)
            return (place + 1, ops.cast(new[:, -1] > 0, "float32"), new, groups, *state)

        begin = (0, ops.zeros((rows,), "float32"), ops.zeros_like(silence))
        begin += (ops.repeat(silence[:, None, :], self.groups, axis=1), *state)
        return ops.while_loop(goes_on, body, begin)[3]

    def _stray(self, attention, inputs):
        """Returns how much attention to the guiding sequence is off its diagonal."""
        name, width = self.guided_attention["modality"], self.guided_attention["width"]
        attention = self.memory.part(attention, inputs)[name]  # (B, G, T)
        shown = ops.cast(inputs.get(f"{name}.steps", ops.ones_like(attention[:, 0])), "float32")
        given = inputs[GIVEN]
        numbers = ops.arange(1, ops.shape(given)[1] + 1)
        heard = ops.cast(ops.any(given != 0, axis=2), "int32") * ops.cast(numbers, "int32")
        # One group more than the sound has, unless it is as long as may be.
        count = ops.maximum(ops.cast(ops.max(heard, axis=1, keepdims=True), "float32"), 1.0)  # (B, 1)
        along = ops.cast(numbers - 1, "float32")[None] / count  # (B, G)
        step = (ops.cumsum(shown, axis=1) - 1) / ops.maximum(ops.sum(shown, axis=1, keepdims=True), 1)
        away = 1 - ops.exp(-ops.square(along[:, :, None] - step[:, None, :]) / (2 * width**2))
        real = ops.cast(along < 1, "float32")
        stray = ops.sum(attention * away, axis=2) * real
        return self.guided_attention["weight"] * ops.sum(stray) / ops.sum(real)
