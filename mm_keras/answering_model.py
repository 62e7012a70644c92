"""The parts of a model that write texts and sounds, cut out of the one that was trained on them."""

import keras

from mm_keras.heads import CaptionDecoder, Latent, SpeechDecoder
from mm_keras.model import GIVEN


def answering_model(model):
    """Returns the model that answers from modalities alone: its texts are found greedily.

    Args:
        model: keras.Model of `build_model`.

    Returns: keras.Model with the same layers, or `model` itself if it writes nothing. Of each caption output
        it gives token ids, int32 `(B, T)`, and "<output>_score", their log-probability `(B,)`; of each speech
        output the waveform, float32 `(B, S)`, "<output>_samples", its length int32 `(B,)`, and
        "<output>_frames", its log-mel spectrogram `(B, T, F)`. Of an autoencoder with a code of its own
        "<output>_latent" is the code, float32 `(B, U)`.
    """
    captions, sounds, codes = caption_decoders(model), speech_decoders(model), latent_codes(model)
    if not captions and not sounds and not codes:
        return model
    outputs = dict(codes)
    for key, x in model.output.items():
        if key in captions:
            written = captions[key](_memory(captions[key]))
            outputs[key], outputs[f"{key}_score"] = written["ids"], written["score"]
        elif key in sounds:
            heard = sounds[key].vocoder(f"{key}.vocoder")(sounds[key](_memory(sounds[key])))
            outputs[key] = heard["sound"]
            outputs |= {f"{key}_{part}": heard[part] for part in ("samples", "frames")}
        elif key not in codes:
            outputs[key] = x
    return keras.Model(_asked(model), outputs, name=model.name)


def memory_model(model, key):
    """Returns the model that gives what the decoder of the output `key` reads: a dict of tensors."""
    return keras.Model(_asked(model), _memory(model.get_layer(key)))


def rebuilding_model(model, keys):
    """Returns the model that gives some outputs of autoencoders alone."""
    return keras.Model(_asked(model), {key: model.output[key] for key in keys})


def caption_decoders(model):
    """Returns caption output -> its `CaptionDecoder`."""
    return _layers(model, CaptionDecoder)


def speech_decoders(model):
    """Returns speech output -> its `SpeechDecoder`."""
    return _layers(model, SpeechDecoder)


def latent_codes(model):
    """Returns "<output>_latent" -> the code of an autoencoder that has one of its own, float32 `(B, U)`."""
    # Keras keeps a layer's outputs in the order of their sorted names: "code", "divergence".
    return {layer.name: layer.output[0] for layer in model.layers if isinstance(layer, Latent)}


def _layers(model, kind):
    named = {key: model.get_layer(key) for key in model.output if "." not in key}
    return {key: layer for key, layer in named.items() if isinstance(layer, kind)}


def _asked(model):
    return {name: x for name, x in model.input.items() if not name.endswith(GIVEN)}


def _memory(decoder):
    """Returns the tensors that a decoder was called on in its model, without those that were given."""
    # Of a dict Keras keeps the tensors in the order of their sorted names.
    names = sorted([*decoder.inputs_read, "given"])
    tensors = dict(zip(names, decoder.input, strict=True))
    del tensors["given"]
    return tensors
