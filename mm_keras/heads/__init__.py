"""Heads: the fused embedding `(B, D)` -> an output, with its loss and metrics."""

from mm_keras.heads.audio_decoder import AudioDecoder
from mm_keras.heads.caption_crossentropy import CaptionCrossentropy
from mm_keras.heads.caption_decoder import CaptionDecoder
from mm_keras.heads.classifier import Classifier
from mm_keras.heads.divergence import Divergence
from mm_keras.heads.image_decoder import ImageDecoder
from mm_keras.heads.latent import Latent
from mm_keras.heads.log_mel_error import LogMelError
from mm_keras.heads.matcher import Matcher
from mm_keras.heads.mel_error import MelError
from mm_keras.heads.memory import Memory
from mm_keras.heads.painter import Painter
from mm_keras.heads.pair_crossentropy import PairCrossentropy
from mm_keras.heads.perplexity import Perplexity
from mm_keras.heads.pixel_crossentropy import PixelCrossentropy
from mm_keras.heads.recurrent_steps import RecurrentSteps
from mm_keras.heads.regressor import Regressor
from mm_keras.heads.speech_decoder import SpeechDecoder
from mm_keras.heads.speech_loss import SpeechLoss
from mm_keras.heads.standardized_error import StandardizedError
from mm_keras.heads.text_decoder import TextDecoder
from mm_keras.heads.token_crossentropy import TokenCrossentropy
from mm_keras.heads.transformer_steps import TransformerSteps
from mm_keras.heads.vector_decoder import VectorDecoder

__all__ = [
    "AudioDecoder",
    "CaptionCrossentropy",
    "CaptionDecoder",
    "Classifier",
    "Divergence",
    "ImageDecoder",
    "Latent",
    "LogMelError",
    "Matcher",
    "MelError",
    "Memory",
    "Painter",
    "PairCrossentropy",
    "Perplexity",
    "PixelCrossentropy",
    "RecurrentSteps",
    "Regressor",
    "SpeechDecoder",
    "SpeechLoss",
    "StandardizedError",
    "TextDecoder",
    "TokenCrossentropy",
    "TransformerSteps",
    "VectorDecoder",
]
