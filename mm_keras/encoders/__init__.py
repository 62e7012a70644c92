"""Encoders: one modality -> an embedding `(B, D)`."""

from mm_keras.encoders.application_encoder import ApplicationEncoder
from mm_keras.encoders.conv_stages import ConvStages
from mm_keras.encoders.dense_encoder import DenseEncoder
from mm_keras.encoders.halved_mask import HalvedMask
from mm_keras.encoders.hub_image_encoder import HubImageEncoder
from mm_keras.encoders.hub_text_encoder import HubTextEncoder
from mm_keras.encoders.image_encoder import ImageEncoder
from mm_keras.encoders.residual_block import ResidualBlock
from mm_keras.encoders.residual_image_encoder import ResidualImageEncoder
from mm_keras.encoders.residual_spectrogram_encoder import ResidualSpectrogramEncoder
from mm_keras.encoders.residual_stages import ResidualStages
from mm_keras.encoders.sequence_encoder import SequenceEncoder
from mm_keras.encoders.sequence_transformer_encoder import SequenceTransformerEncoder
from mm_keras.encoders.spectrogram_encoder import SpectrogramEncoder
from mm_keras.encoders.spectrogram_mask import SpectrogramMask
from mm_keras.encoders.standardized_features import StandardizedFeatures
from mm_keras.encoders.standardized_numbers import StandardizedNumbers
from mm_keras.encoders.step_mask import StepMask
from mm_keras.encoders.text_cnn_encoder import TextCnnEncoder
from mm_keras.encoders.text_encoder import TextEncoder
from mm_keras.encoders.text_transformer_encoder import TextTransformerEncoder
from mm_keras.encoders.token_mask import TokenMask
from mm_keras.encoders.transformer_blocks import TransformerBlocks
from mm_keras.encoders.waveform_encoder import WaveformEncoder

ENCODERS = {
    ("audio", "conv_recurrent"): SpectrogramEncoder,
    ("audio", "residual"): ResidualSpectrogramEncoder,
    ("audio", "waveform"): WaveformEncoder,
    ("features", "dense"): DenseEncoder,
    ("features", "gru"): SequenceEncoder,
    ("features", "lstm"): SequenceEncoder,
    ("features", "transformer"): SequenceTransformerEncoder,
    ("image", "application"): ApplicationEncoder,
    ("image", "conv"): ImageEncoder,
    ("image", "keras_hub"): HubImageEncoder,
    ("image", "residual"): ResidualImageEncoder,
    ("numbers", "dense"): DenseEncoder,
    ("text", "cnn"): TextCnnEncoder,
    ("text", "gru"): TextEncoder,
    ("text", "keras_hub"): HubTextEncoder,
    ("text", "lstm"): TextEncoder,
    ("text", "transformer"): TextTransformerEncoder,
}

__all__ = [
    "ENCODERS",
    "ApplicationEncoder",
    "ConvStages",
    "DenseEncoder",
    "HalvedMask",
    "HubImageEncoder",
    "HubTextEncoder",
    "ImageEncoder",
    "ResidualBlock",
    "ResidualImageEncoder",
    "ResidualSpectrogramEncoder",
    "ResidualStages",
    "SequenceEncoder",
    "SequenceTransformerEncoder",
    "SpectrogramEncoder",
    "SpectrogramMask",
    "StandardizedFeatures",
    "StandardizedNumbers",
    "StepMask",
    "TextCnnEncoder",
    "TextEncoder",
    "TextTransformerEncoder",
    "TokenMask",
    "TransformerBlocks",
    "WaveformEncoder",
]
