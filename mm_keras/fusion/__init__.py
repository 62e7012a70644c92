"""Fusion layers: a dict of embeddings `(B, D_m)` -> one embedding `(B, D)`."""

from mm_keras.fusion.bottleneck_fusion import BottleneckFusion
from mm_keras.fusion.central_fusion import CentralFusion
from mm_keras.fusion.compact_bilinear_fusion import CompactBilinearFusion
from mm_keras.fusion.concatenate_fusion import ConcatenateFusion
from mm_keras.fusion.cross_attention_fusion import CrossAttentionFusion
from mm_keras.fusion.factorized_bilinear_fusion import FactorizedBilinearFusion
from mm_keras.fusion.film_fusion import FilmFusion
from mm_keras.fusion.gated_fusion import GatedFusion
from mm_keras.fusion.gated_unit_fusion import GatedUnitFusion
from mm_keras.fusion.low_rank_fusion import LowRankFusion
from mm_keras.fusion.matrix_product_fusion import MatrixProductFusion
from mm_keras.fusion.missing_modality import MissingModality
from mm_keras.fusion.modality_dropout import ModalityDropout
from mm_keras.fusion.mutan_fusion import MutanFusion
from mm_keras.fusion.sequence_mask import SequenceMask
from mm_keras.fusion.shown_steps import ShownSteps
from mm_keras.fusion.tensor_fusion import TensorFusion
from mm_keras.fusion.weighted_sum_fusion import WeightedSumFusion

FUSIONS = {
    "bottleneck": BottleneckFusion,
    "central": CentralFusion,
    "compact_bilinear": CompactBilinearFusion,
    "concatenate": ConcatenateFusion,
    "cross_attention": CrossAttentionFusion,
    "factorized_bilinear": FactorizedBilinearFusion,
    "film": FilmFusion,
    "gated": GatedFusion,
    "gated_unit": GatedUnitFusion,
    "low_rank": LowRankFusion,
    "matrix_product": MatrixProductFusion,
    "mutan": MutanFusion,
    "tensor": TensorFusion,
    "weighted_sum": WeightedSumFusion,
}

__all__ = [
    "FUSIONS",
    "BottleneckFusion",
    "CentralFusion",
    "CompactBilinearFusion",
    "ConcatenateFusion",
    "CrossAttentionFusion",
    "FactorizedBilinearFusion",
    "FilmFusion",
    "GatedFusion",
    "GatedUnitFusion",
    "LowRankFusion",
    "MatrixProductFusion",
    "MissingModality",
    "ModalityDropout",
    "MutanFusion",
    "SequenceMask",
    "ShownSteps",
    "TensorFusion",
    "WeightedSumFusion",
]
