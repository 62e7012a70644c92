"""Balance between modalities in training: models with more outputs around the one that is used."""

from mm_keras.balance.auxiliary_model import AuxiliaryModel
from mm_keras.balance.balance_model import balance_model
from mm_keras.balance.balanced_model import BalancedModel, plain_model
from mm_keras.balance.blended_model import BlendedModel
from mm_keras.balance.gradient_blending import GradientBlending
from mm_keras.balance.modulated_model import ModulatedModel

__all__ = [
    "AuxiliaryModel",
    "BalancedModel",
    "BlendedModel",
    "GradientBlending",
    "ModulatedModel",
    "balance_model",
    "plain_model",
]
