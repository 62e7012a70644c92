"""From the outputs of a spec to heads: the layers that answer, and how much the loss of each counts."""

from mm_keras.heads import (
    AudioDecoder,
    CaptionDecoder,
    Classifier,
    ImageDecoder,
    Latent,
    Matcher,
    Regressor,
    SpeechDecoder,
    TextDecoder,
    VectorDecoder,
)
from mm_keras.log_mel import LogMel
from mm_keras.spec import LATENT


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
        for key, modality in spec.copies_of(name).items():
            heads[key] = _decoder(spec.modalities[modality], modality, output.units, fitted, dtype, key)
        if output.has_divergence:
            heads[latent_key(name)] = make_latent(spec, name, dtype)
    return heads


def make_latent(spec, name, dtype="float32"):
    """Returns the layer that gives the code of an autoencoder, not yet built; None where the decoders read
    the fused embedding itself."""
    latent = spec.outputs[name].latent
    if latent.kind == "joint":
        return None
    # Of one expert, the fused embedding, the mixture is itself.
    experts = "product" if getattr(latent, "experts", None) == "product" else "mixture"
    settings = {"variational": latent.kind == "variational", "seed": spec.training.seed + 1, "dtype": dtype}
    return Latent(latent.units, experts, **settings, name=latent_key(name))


def latent_key(name):
    """Returns the output key of the code of an autoencoder, and its layer's name."""
    return f"{name}_{LATENT}"


def make_head(name, output, fitted, dtype, layer_name):
    """Returns the layer that answers a classification or a regression, not yet built."""
    if output.kind == "regression":
        return Regressor(**fitted.statistics[name], error=output.loss, dtype=dtype, name=layer_name)
    return Classifier(
        len(fitted.labels[name]), output.multi_label, output.label_smoothing, dtype=dtype, name=layer_name
    )


def loss_weights(spec):
    """Returns the weight of each output key's loss; an autoencoder's parts share its weight, and the
    divergence of its code has the weight times beta."""
    weights = {}
    for name, output in spec.outputs.items():
        parts = spec.copies_of(name) if output.kind == "autoencoder" else [name]
        weights |= {key: output.weight / len(parts) for key in parts}
        if output.kind == "autoencoder" and output.has_divergence:
            weights[latent_key(name)] = output.weight * output.latent.beta
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
