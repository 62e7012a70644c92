"""Decoder that writes a sound frame by frame, from whatever modalities there are."""

import keras
from keras import ops

from mm_keras.attention_block import waves
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
    """Writes a sound as groups of log-mel frames, which attend over all modalities' steps, and says where it
    ends.

    What is attended to is a `Memory`. With "given" among the inputs it writes what follows the true groups,
    or what has their length (teacher forcing), which trains; without it, a sound of its own, which `Vocoder`
    makes heard.

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
        parallel: bool. Foretell the length, and write all groups at once, each by its place in it and not
            after those before it. What is written is then never led astray by its own faults, and quickly
            found. Where equal inputs go with different sounds, it is the mean of these, made equally long.
        guided_attention: dict or None. {"modality": str, "weight": float > 0, "width": float > 0}: adds a
            loss by which the attention to a sequence, such as a text that is to be read out, goes along it.
        iterations: int > 0. Of the `Vocoder`.

    Call arguments:
        inputs: dict as of `CaptionDecoder`, but "given": float tensor `(B, G, r * F + 1)`, what
            `SpeechFrames` gives of the groups before those that are to be written, zeros first.

    Returns: float32 tensor `(B, G, r * F + 1)`: groups, and the logit of each that the sound ends with it, if
        it has not before. Of a sound of its own, a logit of 10 behind the end.
    Raises: ValueError, if an argument is out of range or "fused" or the modalities are not there.
    Source: Wang et al. 2017, arXiv:1703.10135 (Tacotron; several frames at a step, pre-net), and Shen et al.
        2018, arXiv:1712.05884, section 2.2 (stop token), without their post-nets and location features.
        Guided attention: Tachibana et al. 2018, arXiv:1710.08969, section 4.1.
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
        parallel=True,
        guided_attention=None,
        iterations=32,
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
        self.iterations = check_positive_int("SpeechDecoder", "iterations", iterations)
        self.guided_attention = self._check_guidance(guided_attention)
        dtype = self.dtype_policy
        _, self.groups, width = SpeechFrames(**self.frames).compute_output_shape((None, samples))
        self.group_width = width - 1
        self.memory = Memory(units, dtype=dtype, name="memory")
        self.prenet = [
            keras.layers.Dense(units, activation="relu", dtype=dtype, name=f"prenet_{i}") for i in range(2)
        ]
        self.forget = keras.layers.Dropout(prenet_dropout, dtype=dtype)
        if kind == "transformer":
            self.reader = TransformerSteps(units, num_heads, layers, dropout, dtype=dtype, name="reader")
        else:
            self.reader = RecurrentSteps(units, kind, layers, dropout, dtype=dtype, name="reader")
        self.written = keras.layers.Dense(
            self.group_width if parallel else self.group_width + 1, dtype=dtype, name="written"
        )
        self.length = keras.layers.Dense(self.groups, dtype=dtype, name="length") if parallel else None
        self.float32 = keras.layers.Activation("linear", dtype="float32")

    def build(self, input_shape):
        shapes = {name: shape for name, shape in input_shape.items() if name != GIVEN}
        self.inputs_read = sorted(shapes)
        self.memory.build(shapes)
        width = 2 * self.units if self.parallel else self.group_width
        for layer in self.prenet:
            layer.build((None, None, width))
            width = self.units
        shape = (None, None, self.units)
        reader = {"tokens": shape, "memory": shape, "steps": shape[:2], "fused": shapes["fused"]}
        self.reader.build(reader)
        self.written.build(shape)
        if self.parallel:
            self.length.build(tuple(shapes["fused"]))

    def call(self, inputs, training=None):
        memory = self.memory({name: x for name, x in inputs.items() if name != GIVEN})
        given, ends = inputs.get(GIVEN), None
        if self.parallel:
            tokens, ends = self._foretell(memory, given)
        elif given is None:
            return self._write(memory)
        else:
            tokens = self._prepare(given[:, :, :-1], training)
        steps, attention = self.reader.read({**memory, "tokens": tokens}, training)
        if training and self.guided_attention:
            self.add_loss(self._stray(attention, inputs))
        written = self.float32(self.written(steps))
        return written if ends is None else ops.concatenate([written, ends[:, :, None]], axis=2)

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
            "guided_attention": self.guided_attention,
            "iterations": self.iterations,
        }

    def vocoder(self, name):
        """Returns the layer that makes heard what this one writes, not yet built."""
        return Vocoder(self.samples, self.frames, self.iterations, name=name)

    def attention(self, inputs, groups):
        """Returns how much each of the groups written, `(B, G, r * F + 1)`, attended to each step of each
        modality: a dict, name -> float32 `(B, G, T_m)`; of "fused" and of a vector it is one step."""
        memory = self.memory(inputs)
        ended = ops.cast(ops.cumsum(ops.cast(groups[:, :, -1:] > 0, "int32"), axis=1) > 0, groups.dtype)
        before = ops.concatenate([groups[:, :, :-1], ended], axis=2)
        given = ops.pad(before, ((0, 0), (1, 0), (0, 0)))[:, :-1]
        tokens = self._foretell(memory, given)[0] if self.parallel else self._prepare(given[:, :, :-1], False)
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

    def _foretell(self, memory, given):
        """Returns what stands for the place of each group in a sound, `(B, G, U)`, and the logits of its end
        `(B, G)`: those of the true length, or of the foretold one, the median of its distribution."""
        log_chances = ops.log_softmax(self.float32(self.length(memory["fused"])), axis=1)  # (B, groups)
        earlier = ops.cumsum(ops.exp(log_chances), axis=1)
        places = ops.arange(self.groups if given is None else ops.shape(given)[1], dtype="float32")
        if given is None:
            count = 1 + ops.sum(ops.cast(earlier < 0.5, "float32"), axis=1, keepdims=True)  # (B, 1)
            ends = ops.where(places >= count - 1, STOPPED, -STOPPED)
        else:
            count = ops.sum(1 - ops.cast(given[:, :, -1], "float32"), axis=1, keepdims=True)
            # So the cross-entropy of all ends is that of the length.
            ends = (log_chances - ops.log(ops.maximum(1 - earlier, 1e-6)))[:, : ops.shape(given)[1]]
        share = ops.minimum(places / count, 1.0) * self.groups  # (B, G)
        absolute = ops.zeros_like(share) + places
        tokens = ops.concatenate([waves(share, self.units), waves(absolute, self.units)], axis=2)
        # No dropout: what a place is, nothing else tells.
        return self._prepare(ops.cast(tokens, self.compute_dtype), False), ends

    def _prepare(self, groups, training):
        x = ops.cast(groups, self.compute_dtype)
        for layer in self.prenet:
            x = self.forget(layer(x), training=training)
        return x

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
        count = ops.sum(1 - ops.cast(given[:, :, -1], "float32"), axis=1, keepdims=True)  # (B, 1)
        along = ops.arange(ops.shape(given)[1], dtype="float32")[None] / count  # (B, G)
        step = (ops.cumsum(shown, axis=1) - 1) / ops.maximum(ops.sum(shown, axis=1, keepdims=True), 1)
        away = 1 - ops.exp(-ops.square(along[:, :, None] - step[:, None, :]) / (2 * width**2))
        real = ops.cast(along < 1, "float32")
        stray = ops.sum(attention * away, axis=2) * real
        return self.guided_attention["weight"] * ops.sum(stray) / ops.sum(real)
