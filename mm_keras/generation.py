"""What a model writes, as the signatures of its SavedModel give it: texts, sounds, and modalities rebuilt."""

import tensorflow as tf

from mm_keras.caption_search import SAMPLING, CaptionSearch
from mm_keras.data.preprocessor import pcm16
from mm_keras.griffin_lim import GriffinLim
from mm_keras.model_heads import log_mel_arguments

WRITE = ("caption", "speech", "autoencoder")
BYTES = "_bytes"  # TensorFlow Serving's REST API encodes strings as base64 only under names that end so.


def generation_endpoints(model, preprocessor, prepare, answer):
    """Returns what writes: name -> (function of a dict of inputs, their TensorSpecs).

    Args:
        model: keras.Model of `build_model`.
        preprocessor: Preprocessor.
        prepare: callable, dict of raw inputs -> dict of the model's inputs.
        answer: callable, the latter -> what `answering_model` gives.

    Returns: dict. "generate" of a model that writes: of each caption output the texts of
        `CaptionSearch.beams`, and what `Writer` gives. "sample" of a model with caption outputs:
        `CaptionSearch.samples`, by the further inputs of `SAMPLING`.
    """
    if not preprocessor.of_kind(*WRITE):
        return {}
    raw, search, writer = preprocessor.raw_spec(), CaptionSearch(model, preprocessor), Writer(preprocessor)

    def generate(inputs):
        inputs = prepare(inputs)
        written = writer(answer(inputs)) if writer else {}
        return {**search.beams(inputs), **written}

    def sample(inputs):
        cells = {name: x for name, x in inputs.items() if name not in SAMPLING}
        return search.samples(prepare(cells), **{name: inputs[name] for name in SAMPLING})

    endpoints = {"generate": (generate, raw)}
    if search.decoders:
        endpoints["sample"] = (sample, {**raw, **SAMPLING})
    return endpoints


class Writer:
    """Turns what `answering_model` gives into what files hold. It is false of a model that writes texts
    alone.

    Args:
        preprocessor: Preprocessor.

    Call arguments:
        outputs: dict of tensors.

    Returns: dict. Of each speech output what `Preprocessor.sounds` gives. Of each modality that an
        autoencoder rebuilds, as "<output>_<modality>": a sound as 16-bit PCM, int16 `(B, S)`, by
        `GriffinLim`, with "<output>_<modality>_samples" and "<output>_<modality>_rate", int32 `(B,)`; a text,
        string `(B,)`; numbers and features as they are; and as "<output>_<modality>_bytes" an image as PNG,
        string `(B,)`.
    """

    def __init__(self, preprocessor):
        self.preprocessor = preprocessor
        rebuilt = {key: preprocessor.modalities[name] for key, name in preprocessor.copies.items()}
        self.vocoders = {
            key: GriffinLim(samples=modality.samples, **log_mel_arguments(modality))
            for key, modality in rebuilt.items()
            if modality.kind == "audio"
        }

    def __bool__(self):
        return bool(self.preprocessor.of_kind("speech", "autoencoder"))

    def __call__(self, outputs):
        written = self.preprocessor.sounds(outputs) if self.preprocessor.of_kind("speech") else {}
        for key, x in outputs.items():
            modality = self.preprocessor.rebuilt(key)
            if modality is None:
                continue
            if modality.kind == "image":
                written[key + BYTES] = _as_png(x)
            elif modality.kind == "audio":
                written |= self._as_sound(key, x, modality)
            else:
                written[key] = self.preprocessor.readable(key, x)
        return written

    def _as_sound(self, key, log_mel, modality):
        sound = self.vocoders[key](log_mel)
        return pcm16(key, sound, tf.fill([tf.shape(sound)[0]], modality.samples), modality.rate)


class Generator:
    """Asks a `Predictor` to `generate` where it is asked to predict.

    Args:
        predictor: Predictor.
        settings: as of `Predictor.generate`.

    Raises: PredictionError, as `Predictor.generate`.
    """

    def __init__(self, predictor, **settings):
        self._predictor, self._settings = predictor, settings
        predictor.check_generation(**self._settings)
        self.preprocessor = predictor.preprocessor

    def predict(self, cells):
        return self._predictor.generate(cells, **self._settings)


def _as_png(pixels):
    images = tf.cast(tf.round(pixels), tf.uint8)
    return tf.map_fn(tf.io.encode_png, images, fn_output_signature=tf.string)
