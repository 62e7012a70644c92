"""From a spec to one functional Keras model: encoders, missing tokens, fusion, heads."""

import importlib
import inspect
import os
import sys

import keras

from mm_keras.checks import closest, message
from mm_keras.encoders import ENCODERS, SpectrogramMask, StandardizedFeatures, StandardizedNumbers
from mm_keras.fusion import FUSIONS, MissingModality, ModalityDropout, SequenceMask
from mm_keras.heads import CaptionDecoder, Matcher, SpeechDecoder
from mm_keras.hub import load_backbone, load_scaling, load_vocabulary
from mm_keras.log_mel import LogMel
from mm_keras.mel_power import MelPower
from mm_keras.model_heads import latent_key, log_mel_arguments, make_heads, make_latent
from mm_keras.pcen import Pcen
from mm_keras.sequence_pooling import SequencePooling

FUSED = "fused.embedding"
GIVEN = ".given"
RESERVED = 5  # The first tokens of every vocabulary.


def build_model(spec, data, precision=None):
    """Builds the functional model of a spec.

    Args:
        spec: Spec.
        data: Datasets or Preprocessor. Its vocabularies, labels and statistics size the layers.
        precision: str or None. A Keras dtype policy; None takes `spec.training.precision`.

    Returns: keras.Model. Inputs: dict, modality name -> tensor as the batch contract has it, and
        "present" `(B, M)`; with `input.bucketing` sequences of any length. Outputs: dict,
        `spec.output_names` -> float32 tensor; probabilities `(B, C)` of a classification, numbers `(B, n)`
        of a regression in their own units, of an autoencoder what each of its decoders gives, and the
        divergence `(B, 1)` of a variational code, and of a contrastive output the vectors `(B, M, D)` of
        `Matcher`. A caption output has an input too, int32 "<output>.given" `(B, T)` of any T, the tokens
        before those that it is to give, and gives the logits of the latter `(B, T, V)`, which trains; of a
        speech output both are float32 groups of frames and their ends `(B, G, r * F + 1)`. `answering_model`
        writes texts and sounds.
    """
    fitted = getattr(data, "preprocessor", data)
    dtype = keras.DTypePolicy(choose_precision(precision or spec.training.precision))
    seed = spec.training.seed
    inputs, embeddings = {}, {}
    for name in spec.modality_names:
        modality = spec.modalities[name]
        shape, kind = modality.example_shape, "int32" if modality.kind == "text" else "float32"
        if spec.input.bucketing and modality.is_sequence:
            shape = (None, *shape[1:])
        inputs[name] = keras.Input(shape, dtype=kind, name=name)
        embeddings[name] = _encode(name, modality, inputs[name], fitted, dtype, seed)
    inputs["present"] = keras.Input((len(embeddings),), dtype="float32", name="present")
    fusion = spec.fusion
    # With a dot, which no name in a spec has, a layer never clashes with a modality or an output.
    hide = ModalityDropout(fusion.modality_dropout, seed=seed, dtype=dtype, name="modality.dropout")
    sequences = [name for name, x in embeddings.items() if len(x.shape) == 3]
    masks = {name: SequenceMask(name=f"{name}.steps")(embeddings[name]) for name in sequences}
    encoded = {**embeddings, "present": inputs["present"]}
    hidden = hide(encoded)
    missing = MissingModality(dtype=dtype, name="missing.modality")
    embeddings, masks = missing(hidden), missing.compute_mask(hidden, masks)
    shown = {name: mask for name, mask in masks.items() if mask is not None}
    autoencoders = spec.of_kind("autoencoder")
    pooled = not fusion.reads_sequences or any(part.has_experts for part in autoencoders.values())
    vectors = _pooled(embeddings, shown, dtype) if pooled else embeddings
    fused = _fuse(make_fusion(fusion, dtype), embeddings if fusion.reads_sequences else vectors, shown)
    fused = keras.layers.Dropout(fusion.dropout, seed=seed, dtype=dtype, name="fused.dropout")(fused)
    remembered = {**embeddings, "fused": fused, **{f"{name}.steps": mask for name, mask in shown.items()}}
    heads = make_heads(spec, fitted, dtype)
    outputs, read = {}, {}  # The latter: output key -> what its head reads, if it is not the fused embedding.
    for name, part in autoencoders.items():
        latent = heads.pop(latent_key(name), None) or make_latent(spec, name, dtype)
        if latent is None:
            continue
        experts = {**vectors, "present": hidden["present"]} if part.has_experts else {"fused": fused}
        given = latent(experts)
        read |= dict.fromkeys(spec.copies_of(name), given["code"])
        if part.has_divergence:
            outputs[latent.name] = given["divergence"]
    for key, head in heads.items():
        if isinstance(head, CaptionDecoder):
            inputs[f"{key}{GIVEN}"] = keras.Input((None,), dtype="int32", name=f"{key}{GIVEN}")
            outputs[key] = head({**remembered, "given": inputs[f"{key}{GIVEN}"]})["logits"]
        elif isinstance(head, SpeechDecoder):
            inputs[f"{key}{GIVEN}"] = keras.Input((None, head.group_width + 1), name=f"{key}{GIVEN}")
            outputs[key] = head({**remembered, "given": inputs[f"{key}{GIVEN}"]})
        else:
            outputs[key] = head(encoded if isinstance(head, Matcher) else read.get(key, fused))
    return keras.Model(inputs, outputs, name=_layer_name(spec.name))


def choose_precision(name):
    """Returns a dtype policy; "auto" is mixed_bfloat16 on a GPU and float32 elsewhere."""
    if name != "auto":
        return name
    return "mixed_bfloat16" if keras.distribution.list_devices("gpu") else "float32"


def make_fusion(fusion, dtype="float32"):
    """Returns the fusion layer of a spec's part, not yet built.

    Raises: ValueError, if the part names a layer that is not registered, or settings that it does not take.
    """
    if fusion.kind != "registered":
        settings = fusion.model_dump(exclude={"kind", "modality_dropout", "dropout"})
        return FUSIONS[fusion.kind](**settings, dtype=dtype, name=FUSED)
    import_layers(fusion)
    name = fusion.layer
    found = keras.saving.get_registered_object(name)
    if not isinstance(found, type) or not issubclass(found, keras.layers.Layer):
        known = keras.saving.get_custom_objects()
        fix = (
            f"{closest(name, known)}Name its module as `fusion.module`, or import it before, with "
            f'`@keras.saving.register_keras_serializable(package="{name.split(">")[0]}")` on its class.'
        )
        expected = "the name of a layer that is registered with Keras"
        raise ValueError(message("fusion.layer", expected, f"`{name}`", fix))
    try:
        return found(**fusion.settings, dtype=dtype, name=FUSED)
    except (TypeError, ValueError) as error:
        expected = f"arguments that `{name}` takes, beside `dtype` and `name`"
        fix = f"The layer says: {error}"
        raise ValueError(message("fusion.settings", expected, f"{fusion.settings}", fix)) from error


def import_layers(fusion):
    """Imports the module that registers the layer of a spec's part, if it names one; working folder included.

    Raises: ValueError, if it cannot be imported.
    """
    module = getattr(fusion, "module", None)
    if module is None:
        return
    if os.getcwd() not in sys.path:  # As `python -m` has it, and an installed command has not.
        sys.path.append(os.getcwd())
    try:
        importlib.import_module(module)
    except ImportError as error:
        fix = f"Run in the folder of {module.split('.')[0]}.py, or install it."
        raise ValueError(
            message("fusion.module", "a module that can be imported", f"{error}", fix)
        ) from error


def embedding_model(model):
    """Returns the part of a model that ends with {"embedding": the fused embedding, float32 `(B, D)`}.

    None of a model that fuses nothing: all outputs are contrastive, or rebuild from a code that the
    modalities' encoders give.
    """
    if FUSED not in {layer.name for layer in model.layers}:
        return None
    in_float32 = keras.layers.Activation("linear", dtype="float32", name="embedding")
    return keras.Model(model.input, {"embedding": in_float32(model.get_layer(FUSED).output)})


def modality_inputs(inputs):
    """Returns the names of the modalities among a model's inputs: without "present" and what only training
    gives, which has a dot in its name."""
    return [name for name in inputs if name != "present" and "." not in name]


def encoded_tensors(model):
    """Returns what enters the fusion of a model of `build_model`, with which it can be cut there.

    A dict, modality name -> what its encoder gives, `(B, D)` or `(B, T, D)`; of the latter also
    "<modality>.steps" -> bool `(B, T)`, which of its steps are no padding.
    """
    names = modality_inputs(model.input)
    tensors = {name: model.get_layer(f"{name}.encoder").output for name in names}
    masks = {f"{name}.steps" for name in names} & {layer.name for layer in model.layers}
    return tensors | {name: model.get_layer(name).output for name in sorted(masks)}


def _encode(name, modality, x, fitted, dtype, seed):
    if modality.kind == "numbers":
        x = StandardizedNumbers(**fitted.statistics[name], name=f"{name}.standardized")(x)
    elif modality.kind == "features":
        x = StandardizedFeatures(**fitted.statistics[name], name=f"{name}.standardized")(x)
    elif modality.kind == "audio" and modality.encoder.kind != "waveform":
        x = _spectrogram(name, modality, x)
        if modality.augment and (modality.augment.time_mask or modality.augment.frequency_mask):
            masks = modality.augment.model_dump(include={"time_mask", "frequency_mask", "masks"})
            x = SpectrogramMask(**masks, seed=seed, dtype="float32", name=f"{name}.mask")(x)
    encoder = modality.encoder
    settings = encoder.model_dump(exclude={"kind", "mel_bins", "window", "hop", "compression"})
    if encoder.kind == "keras_hub":
        settings = _hub_settings(modality, settings, fitted.vocabularies.get(name), dtype)
    elif modality.kind == "text":
        settings.update(vocabulary_size=len(fitted.vocabularies[name]))
    if encoder.kind == "waveform":
        seconds = {"kernel_size": encoder.window, "stride": encoder.hop}
        settings.update({key: max(1, round(value * modality.rate)) for key, value in seconds.items()})
    if encoder.kind in ("gru", "lstm"):
        settings.update(cell=encoder.kind)
    layer = ENCODERS[modality.kind, encoder.kind]
    return layer(**settings, dtype=dtype, name=f"{name}.encoder")(x)


def _hub_settings(modality, settings, vocabulary, dtype):
    """Returns the arguments of a layer around a backbone of KerasHub."""
    preset = settings.pop("preset")
    backbone = load_backbone(preset, settings.pop("weights"), dtype)
    if modality.kind == "image":
        scale, offset = load_scaling(preset)
        return {**settings, "backbone": backbone, "scale": scale, "offset": offset}
    most = getattr(backbone, "max_sequence_length", modality.length)
    if modality.length > most:
        expected = f"at most {most} tokens, which preset `{preset}` reads"
        raise ValueError(message("length", expected, f"length={modality.length}", "Shorten it."))
    ids = load_vocabulary(preset, vocabulary[:RESERVED]).ids
    return {**settings, "backbone": backbone, "token_ids": ids}


def _spectrogram(name, modality, x):
    arguments = {**log_mel_arguments(modality), "dtype": "float32"}
    if modality.encoder.compression == "log":
        return LogMel(**arguments, name=f"{name}.log_mel")(x)
    x = MelPower(**arguments, name=f"{name}.mel_power")(x)
    hop = modality.encoder.hop
    # A low-pass filter with a time constant of 0.39 s: at a hop of 10 ms the 0.025 of Wang et al. 2017.
    return Pcen(hop / (hop + 0.39), dtype="float32", name=f"{name}.pcen")(x)


def _pooled(embeddings, masks, dtype):
    """Returns the embeddings as vectors: sequences as their mean."""
    means = {
        name: SequencePooling("mean", dtype=dtype, name=f"{name}.mean")(embeddings[name], mask=mask)
        for name, mask in masks.items()
    }
    return {**embeddings, **means}


def _fuse(layer, embeddings, masks):
    # Passed by name: what Keras carries along is no part of the graph, in which evaluation cuts.
    heeds = masks and "mask" in inspect.signature(layer.call).parameters
    fused = layer(embeddings, mask=masks) if heeds else layer(embeddings)
    shape = getattr(fused, "shape", None)
    if shape is None or len(shape) != 2 or shape[1] is None:
        received = type(fused).__name__ if shape is None else f"a tensor of shape {tuple(shape)}"
        expected = "the fusion layer to return one tensor (B, D) of a known width D"
        fix = "Pool over time in its call, and give its compute_output_shape the width."
        raise ValueError(message("build_model", expected, received, fix))
    return fused


def _layer_name(name):
    return "".join(letter if letter.isalnum() else "_" for letter in name)
