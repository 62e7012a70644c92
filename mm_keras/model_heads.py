"""From the outputs of a spec to heads: the layers that answer, and how much the loss of each counts."""

from mm_keras.heads import (
    AudioDecoder,
    CaptionDecoder,
    Classifier,
    ImageDecoder,
    Matcher,
    Regressor,
    SpeechDecoder,
    TextDecoder,
    VectorDecoder,
)
from mm_keras.log_mel import LogMel


def log_mel_arguments(modality):
    """Returns the arguments of `LogMel` and `MelPower` for an audio modality."""
    encoder = modality.spectrogram
    return {
        "rate": modality.rate,
        "mel_bins": encoder.mel_bins,
        "window": encoder.window,
        "hop": encoder.hop,
    }


def make_heads(spec, fitted, dtype="float32"):
    """Returns the heads of a spec, not yet built: output key -> layer."""
    heads = {}
    for name, output in spec.outputs.items():
        if output.kind in ("classification", "regression"):
            heads[name] = make_head(name, output, fitted, dtype, name)
            continue
        if output.kind == "caption":
            settings = {**output.decoder.model_dump(), "length": output.length}
            settings |= output.model_dump(include={"label_smoothing", "scheduled_sampling"})
            size = len(fitted.vocabularies[name])
            heads[name] = CaptionDecoder(
                **settings, vocabulary_size=size, seed=spec.training.seed, dtype=dtype, name=name
            )
            continue
        if output.kind == "speech":
            settings = {**output.decoder.model_dump(), "frames": output.frames}
            chosen = ("parallel", "prenet_dropout", "guided_attention", "iterations")
            settings |= output.model_dump(include=set(chosen))
            heads[name] = SpeechDecoder(output.sound.samples, **settings, dtype=dtype, name=name)
            continue
        if output.kind == "contrastive":
            heads[name] = Matcher(output.modalities, output.units, output.temperature, dtype=dtype, name=name)
            continue
        for modality, key in zip(output.modalities, spec.keys_of(name), strict=True):
            heads[key] = _decoder(spec.modalities[modality], modality, output.units, fitted, dtype, key)
    return heads


def make_head(name, output, fitted, dtype, layer_name):
    """Returns the layer that answers a classification or a regression, not yet built."""
    if output.kind == "regression":
        return Regressor(**fitted.statistics[name], error=output.loss, dtype=dtype, name=layer_name)
    return Classifier(
        len(fitted.labels[name]), output.multi_label, output.label_smoothing, dtype=dtype, name=layer_name
    )


def loss_weights(spec):
    """Returns the weight of each output key's loss; an autoencoder's parts share its weight."""
    weights = {}
    for name, output in spec.outputs.items():
        keys = spec.keys_of(name)
        weights.update({key: output.weight / len(keys) for key in keys})
    return weights


def _decoder(modality, name, units, fitted, dtype, key):
    settings = {"dtype": dtype, "name": key}
    if modality.kind == "image":
        return ImageDecoder(*modality.size, modality.channels, modality.encoder.filters[::-1], **settings)
    if modality.kind == "audio":
        arguments = log_mel_arguments(modality)
        frames = LogMel(**arguments).compute_output_shape((None, modality.samples))[1]
        return AudioDecoder(frames, arguments, modality.spectrogram.filters[::-1], **settings)
    if modality.kind == "text":
        return TextDecoder(modality.length, len(fitted.vocabularies[name]), units, **settings)
    return VectorDecoder(modality.example_shape, **fitted.statistics[name], units=units, **settings)
