"""Decoder that writes a text token by token, from whatever modalities there are."""

import keras
from keras import ops

from mm_keras.checks import check_choice, check_positive_int, check_rate
from mm_keras.heads.caption_crossentropy import CaptionCrossentropy, caption_accuracy, token_surprise
from mm_keras.heads.memory import Memory
from mm_keras.heads.perplexity import Perplexity
from mm_keras.heads.recurrent_steps import RecurrentSteps
from mm_keras.heads.transformer_steps import TransformerSteps
from mm_keras.token_search import START, beam_search, greedy_search, nucleus_search

KINDS = ("gru", "lstm", "transformer")
GIVEN = "given"
NEVER = (0, 1, 2, 4)  # Padding, unknown, start and mask are no part of a text.


@keras.saving.register_keras_serializable(package="mm_keras")
class CaptionDecoder(keras.layers.Layer):
    """Writes a text token by token, each after those before it and attending over all modalities' steps.

    What it attends to is a `Memory` of these and of the fused embedding.

    With "given" among the inputs, the logits of each next token after the true ones (teacher forcing), which
    trains; without it, the text itself, found greedily. `beams` and `samples` search in other ways.

    Args:
        length: int > 1. Most tokens of a text, start and end token included: `T + 1`.
        vocabulary_size: int > 0. Number of token ids `V`, the reserved ones first.
        kind: "gru", "lstm" or "transformer". What reads the tokens so far.
        units: int > 0. Width of tokens, steps and memory.
        layers: int > 0. Layers of that reader.
        num_heads: int > 0, a divisor of `units`. Heads of attention of the transformer.
        dropout: float in [0, 1). Dropout of the reader.
        label_smoothing: float in [0, 1). Of the loss.
        scheduled_sampling: float in [0, 1). Share of the given tokens that training replaces by what the
            model itself finds likeliest there.
        seed: int or None. Seed of that draw.

    Call arguments:
        inputs: dict: "fused", float tensor `(B, D)`; each modality's embedding, float tensor `(B, D_m)` or
            `(B, T_m, D_m)`; of the latter also "<modality>.steps", bool or float tensor `(B, T_m)`: False or
            0 hides a step; and "given", int tensor `(B, T)`, the start token and those after it, or nothing.

    Returns: dict. With "given", "logits": float32 `(B, T, V)` of the tokens after the given ones; else "ids":
        int32 `(B, T)` without the start token, 0 behind the end token. In both cases "score": the
        log-probability of the given tokens, or of those written, float32 `(B,)`.
    Raises: ValueError, if an argument is out of range or "fused" or the modalities are not there.
    Source: Sutskever et al. 2014, arXiv:1409.3215; Xu et al. 2015, arXiv:1502.03044 (attention over places
        of an image). Scheduled sampling: Bengio et al. 2015, arXiv:1506.03099, with tokens from a first pass
        over the whole text, as Mihaylova and Martins 2019, arXiv:1906.07651, and a rate that stays the same.
    """

    def __init__(
        self,
        length,
        vocabulary_size,
        kind="gru",
        units=128,
        layers=1,
        num_heads=4,
        dropout=0.0,
        label_smoothing=0.0,
        scheduled_sampling=0.0,
        seed=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.length = check_positive_int("CaptionDecoder", "length", length)
        self.vocabulary_size = check_positive_int("CaptionDecoder", "vocabulary_size", vocabulary_size)
        self.kind = check_choice("CaptionDecoder", "kind", kind, KINDS)
        self.units = check_positive_int("CaptionDecoder", "units", units)
        self.layers, self.num_heads, self.dropout = layers, num_heads, dropout
        self.label_smoothing = check_rate("CaptionDecoder", "label_smoothing", label_smoothing)
        self.scheduled_sampling = check_rate("CaptionDecoder", "scheduled_sampling", scheduled_sampling)
        self.seed = seed
        dtype = self.dtype_policy
        self.memory = Memory(units, dtype=dtype, name="memory")
        # A deviation of 1, as that of the positions that a transformer adds.
        drawn = keras.initializers.RandomNormal(stddev=1.0)
        self.embed = keras.layers.Embedding(vocabulary_size, units, drawn, dtype=dtype, name="tokens")
        if kind == "transformer":
            self.reader = TransformerSteps(units, num_heads, layers, dropout, dtype=dtype, name="reader")
        else:
            self.reader = RecurrentSteps(units, kind, layers, dropout, dtype=dtype, name="reader")
        self.logits = keras.layers.Dense(vocabulary_size, dtype=dtype, name="logits")
        self.float32 = keras.layers.Activation("linear", dtype="float32")
        self.draw = keras.random.SeedGenerator(seed)

    def build(self, input_shape):
        shapes = {name: shape for name, shape in input_shape.items() if name != GIVEN}
        self.inputs_read = sorted(shapes)
        self.memory.build(shapes)
        self.embed.build((None, None))
        shape = (None, None, self.units)
        reader = {"tokens": shape, "memory": shape, "steps": shape[:2], "fused": tuple(input_shape["fused"])}
        self.reader.build(reader)
        self.logits.build(shape)

    def call(self, inputs, training=None):
        memory = self.memory({name: x for name, x in inputs.items() if name != GIVEN})
        if GIVEN not in inputs:
            ids, score = greedy_search(*self._search(memory), ops.shape(memory["fused"])[0], self.length - 1)
            return {"ids": ids, "score": score}
        given = read = ops.cast(inputs[GIVEN], "int32")
        if training and self.scheduled_sampling:
            read = self._mistake(given, self._force(given, memory, training))
        logits = self._force(read, memory, training)
        surprise, real = token_surprise(given[:, 1:], logits[:, :-1])
        return {"logits": logits, "score": -ops.sum(surprise * real, axis=1)}

    def compute_mask(self, inputs, previous_mask):
        return None  # What is hidden is told by name.

    def compute_output_spec(self, inputs, training=None):
        rows = inputs["fused"].shape[0]
        if GIVEN in inputs:
            logits = keras.KerasTensor((rows, inputs[GIVEN].shape[1], self.vocabulary_size), "float32")
            given = {"logits": logits}
        else:
            given = {"ids": keras.KerasTensor((rows, self.length - 1), "int32")}
        # As many in both cases: Keras takes what is called twice to give as many tensors again.
        return {**given, "score": keras.KerasTensor((rows,), "float32")}

    def get_config(self):
        return {
            **super().get_config(),
            "length": self.length,
            "vocabulary_size": self.vocabulary_size,
            "kind": self.kind,
            "units": self.units,
            "layers": self.layers,
            "num_heads": self.num_heads,
            "dropout": self.dropout,
            "label_smoothing": self.label_smoothing,
            "scheduled_sampling": self.scheduled_sampling,
            "seed": self.seed,
        }

    def beams(self, inputs, beams=4, length_penalty=0.6):
        """Returns {"ids": int32 `(B, K, T)`, best first, "score": float32 `(B, K)`} of `beam_search`."""
        memory = self.memory(inputs)
        step, state = self._search({key: ops.repeat(x, beams, axis=0) for key, x in memory.items()})
        rows = ops.shape(memory["fused"])[0]
        ids, score = beam_search(step, state, rows, self.length - 1, beams, length_penalty)
        return {"ids": ids, "score": score}

    def samples(self, inputs, draws, top_p=0.9, temperature=1.0):
        """Returns {"ids": int32 `(B, K, T)`, "score": float32 `(B, K)`} of `nucleus_search`; `draws`, float
        tensor `(B, K, T)` in [0, 1), is the chance in it; `top_p` and `temperature` are numbers, or float
        tensors `(B,)`."""
        count = draws.shape[1]
        top_p, temperature = (
            float(x) if isinstance(x, (int, float)) else ops.repeat(x, count)[:, None]
            for x in (top_p, temperature)
        )
        memory = {key: ops.repeat(x, count, axis=0) for key, x in self.memory(inputs).items()}
        draws = ops.reshape(draws, (-1, self.length - 1))
        ids, score = nucleus_search(*self._search(memory), draws, top_p, temperature)
        return {
            "ids": ops.reshape(ids, (-1, count, self.length - 1)),
            "score": ops.reshape(score, (-1, count)),
        }

    def attention(self, inputs, ids):
        """Returns how much each token of texts, int `(B, T)` as they are written, attended to each step of
        each modality: a dict, name -> float32 `(B, T, T_m)`; of "fused" and of a vector it is one step."""
        memory = self.memory(inputs)
        start = ops.full_like(ids[:, :1], START)
        tokens = self.embed(ops.concatenate([start, ids[:, :-1]], axis=1))
        return self.memory.part(self.reader.read({**memory, "tokens": tokens})[1], inputs)

    def loss(self):
        return CaptionCrossentropy(self.label_smoothing, self.length - 1)

    def metrics_of_output(self):
        accuracy = keras.metrics.MeanMetricWrapper(caption_accuracy, name="token_accuracy")
        return [accuracy, Perplexity()]

    def _force(self, given, memory, training):
        steps = self.reader({**memory, "tokens": self.embed(given)}, training=training)
        return self.float32(self.logits(steps))

    def _search(self, memory):
        """Returns (step, state) for the functions of `token_search`."""
        context, state = self.reader.begin(memory, self.length - 1)
        never = sum(ops.one_hot(i, self.vocabulary_size, dtype="float32") for i in NEVER) * -1e9

        def step(state, tokens, place):
            x, state = self.reader.step(context, state, self.embed(tokens), place)
            return ops.log_softmax(self.float32(self.logits(x)) + never, axis=-1), state

        return step, state

    def _mistake(self, given, logits):
        """Returns the given tokens, of which some are what the model would have written in their place."""
        guess = ops.cast(ops.argmax(ops.stop_gradient(logits), axis=-1), "int32")
        guess = ops.concatenate([given[:, :1], guess[:, :-1]], axis=1)
        drawn = keras.random.uniform(ops.shape(given), seed=self.draw) < self.scheduled_sampling
        return ops.where(ops.logical_and(drawn, given > 3), guess, given)  # Texts keep begin and end.
