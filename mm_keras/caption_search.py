"""Several texts for each row: in Python and in the served graph alike."""

import tensorflow as tf

from mm_keras.answering_model import caption_decoders, memory_model

# What `samples` reads beside the model's inputs, of each a number a row.
SAMPLING = {
    "seed": tf.TensorSpec([None], tf.int32, "seed"),
    "temperature": tf.TensorSpec([None], tf.float32, "temperature"),
    "top_p": tf.TensorSpec([None], tf.float32, "top_p"),
}


class CaptionSearch:
    """Writes several texts for each row, for every caption output of a model.

    Args:
        model: keras.Model of `build_model`.
        preprocessor: Preprocessor.
    """

    def __init__(self, model, preprocessor):
        self.preprocessor = preprocessor
        self.decoders = caption_decoders(model)
        self.memories = {name: memory_model(model, name) for name in self.decoders}

    def beams(self, inputs):
        """Searches with `CaptionDecoder.beams`, for as many texts as the spec says.

        Args:
            inputs: dict of the model's inputs, "present" among them.

        Returns: dict, "<output>": strings `(B, K)`, best first, and "<output>_scores": float32 `(B, K)`.
        """

        def search(name, memory):
            part = self.preprocessor.outputs[name]
            return self.decoders[name].beams(memory, part.beams, part.length_penalty)

        return self._write(inputs, search)

    def samples(self, inputs, seed, temperature, top_p):
        """Returns as many texts of `CaptionDecoder.samples`, and their log-probabilities.

        Args:
            inputs: dict of the model's inputs, "present" among them.
            seed: int32 tensor `(B,)`. A row's texts depend on its own seed alone.
            temperature: float32 tensor `(B,)`, > 0.
            top_p: float32 tensor `(B,)` in (0, 1].
        """

        def search(name, memory):
            decoder, count = self.decoders[name], self.preprocessor.outputs[name].beams
            shape = [count, decoder.length - 1]

            def draw(number):
                return tf.random.stateless_uniform(shape, tf.stack([number, 0]))

            draws = tf.map_fn(draw, seed, fn_output_signature=tf.TensorSpec(shape, tf.float32))
            return decoder.samples(memory, draws, top_p, temperature)

        return self._write(inputs, search)

    def _write(self, inputs, search):
        written = {}
        for name, memory in self.memories.items():
            found = search(name, memory(inputs, training=False))
            written[name] = self.preprocessor.caption_strings(name, found["ids"])
            written[f"{name}_scores"] = found["score"]
        return written
