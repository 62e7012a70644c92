"""Bytes of a file -> raw tensor, one function a kind; the same in training and in serving."""

from mm_keras.data.audio_container import audio_as_wav
from mm_keras.data.decode_audio import decode_audio
from mm_keras.data.decode_features import decode_features
from mm_keras.data.decode_image import decode_image
from mm_keras.data.decode_wav import decode_wav

__all__ = ["audio_as_wav", "decode_audio", "decode_features", "decode_image", "decode_wav"]
