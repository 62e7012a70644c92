"""The parts of a model that write texts, cut out of the one that was trained on them."""

import keras

from mm_keras.heads import CaptionDecoder
from mm_keras.model import GIVEN


def answering_model(model):
    """Returns the model that answers from modalities alone: its captions are found greedily.

    Args:
        model: keras.Model of `build_model`.

    Returns: keras.Model with the same layers, or `model` itself if it has no caption output. Of each caption
        output it gives token ids, int32 `(B, T)`, and "<output>_score", their log-probability `(B,)`.
    """
    decoders = caption_decoders(model)
    if not decoders:
        return model
    outputs = {}
    for key, x in model.output.items():
        if key not in decoders:
            outputs[key] = x
            continue
        written = decoders[key](_memory(decoders[key]))
        outputs[key], outputs[f"{key}_score"] = written["ids"], written["score"]
    return keras.Model(_asked(model), outputs, name=model.name)


def memory_model(model, key):
    """Returns the model that gives what the decoder of the caption output `key` reads: a dict of tensors."""
    return keras.Model(_asked(model), _memory(caption_decoders(model)[key]))


def caption_decoders(model):
    """Returns caption output -> its `CaptionDecoder`."""
    named = {key: model.get_layer(key) for key in model.output if "." not in key}
    return {key: layer for key, layer in named.items() if isinstance(layer, CaptionDecoder)}


def _asked(model):
    return {name: x for name, x in model.input.items() if not name.endswith(GIVEN)}


def _memory(decoder):
    """Returns the tensors that a decoder was called on in its model, without those that were given."""
    # Of a dict Keras keeps the tensors in the order of their sorted names.
    names = sorted([*decoder.inputs_read, "given"])
    tensors = dict(zip(names, decoder.input, strict=True))
    del tensors["given"]
    return tensors
