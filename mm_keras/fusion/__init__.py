"""Fusion layers: a dict of embeddings `(B, D_m)` -> one embedding `(B, D)`."""

from mm_keras.fusion.concatenate_fusion import ConcatenateFusion
from mm_keras.fusion.gated_fusion import GatedFusion
from mm_keras.fusion.matrix_product_fusion import MatrixProductFusion
from mm_keras.fusion.missing_modality import MissingModality
from mm_keras.fusion.weighted_sum_fusion import WeightedSumFusion

FUSIONS = {
    "concatenate": ConcatenateFusion,
    "gated": GatedFusion,
    "matrix_product": MatrixProductFusion,
    "weighted_sum": WeightedSumFusion,
}

__all__ = [
    "FUSIONS",
    "ConcatenateFusion",
    "GatedFusion",
    "MatrixProductFusion",
    "MissingModality",
    "WeightedSumFusion",
]
