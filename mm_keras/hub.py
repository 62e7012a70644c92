"""Presets of KerasHub, which is loaded only where a spec or a written model asks for one."""

import dataclasses
import importlib

import keras

from mm_keras.checks import message

ABSENT = 'Install it: pip install "mm_keras[hub]".'


@dataclasses.dataclass(frozen=True)
class HubVocabulary:
    """The WordPiece vocabulary of a preset, in the order of this package.

    Args:
        tokens: list of str. Reserved tokens first, as `RESERVED_TOKENS` has them, then the preset's others.
        ids: list of int. The number that the preset gives to each of them.
        lowercase: bool. Whether the preset lowers the case.
    """

    tokens: list
    ids: list
    lowercase: bool


def load_hub():
    """Returns the package `keras_hub`.

    Raises: ValueError, if it is not installed.
    """
    try:
        return importlib.import_module("keras_hub")
    except ImportError as error:
        raise ValueError(message("keras_hub", "KerasHub", f"{error}", ABSENT)) from error


def load_backbone(preset, weights=True, policy=None):
    """Returns the backbone of a preset, a keras.Model.

    Args:
        preset: str. A name that KerasHub knows, an address such as `hf://...`, or a folder that
            `save_to_preset` wrote.
        weights: bool. False draws them.
        policy: keras.DTypePolicy or None.
    Raises: ValueError, if the preset cannot be had.
    """
    return _from_preset(load_hub().models.Backbone, preset, load_weights=weights, dtype=policy)


def load_scaling(preset):
    """Returns (scale, offset) by which pixels in 0 to 255 become what a preset's backbone reads.

    Each is a float or a list of one float a channel.
    Raises: ValueError, if the preset cannot be had or reads no images.
    """
    converter = _from_preset(load_hub().layers.ImageConverter, preset)
    return (
        1.0 if converter.scale is None else converter.scale,
        0.0 if converter.offset is None else converter.offset,
    )


def load_vocabulary(preset, reserved):
    """Returns the `HubVocabulary` of a preset.

    Args:
        preset: str.
        reserved: the tokens for padding, unknown words, start, end and a mask.
    Raises: ValueError, if the preset cannot be had or has no WordPiece vocabulary.
    """
    hub = load_hub()
    tokenizer = _from_preset(hub.models.Tokenizer, preset)
    if not isinstance(tokenizer, hub.tokenizers.WordPieceTokenizer):
        fix = "Take a preset of that family, or another `encoder.kind`."
        expected = "the preset of a WordPiece tokenizer, such as those of BERT, DistilBERT and ELECTRA"
        received = f"preset={preset!r} of {type(tokenizer).__name__}"
        raise ValueError(message("keras_hub", expected, received, fix))
    known = tokenizer.get_vocabulary()
    special = [
        tokenizer.pad_token_id,
        known.index(tokenizer.oov_token),
        tokenizer.cls_token_id,
        tokenizer.sep_token_id,
        tokenizer.mask_token_id,
    ]
    others = [number for number in range(len(known)) if number not in special]
    tokens = [*reserved, *(known[number] for number in others)]
    return HubVocabulary(tokens, [*special, *others], tokenizer.lowercase)


def restore_backbone(config):
    """Returns a backbone from its configuration; KerasHub is loaded if it is one of its own."""
    if str(config.get("registered_name")).startswith("keras_hub>"):
        load_hub()
    return keras.saving.deserialize_keras_object(config)


def steps_of(output):
    """Returns the map or the steps among what a backbone gives."""
    return output["sequence_output"] if isinstance(output, dict) else output


def _from_preset(kind, preset, **settings):
    try:
        return kind.from_preset(preset, **settings)
    except (ValueError, OSError, KeyError) as error:
        fix = f"Check its name and the network, or give a folder of `save_to_preset`. KerasHub says: {error}"
        expected = f"a preset with its {kind.__name__}"
        raise ValueError(message("keras_hub", expected, f"preset={preset!r}", fix)) from error
