"""Measures of a trained model: per output, per class, and with every subset of modalities."""

from mm_keras.evaluation.branches import warn_of_branches
from mm_keras.evaluation.caption_pictures import draw_captions
from mm_keras.evaluation.evaluate import evaluate, subset_name, subsets_of
from mm_keras.evaluation.html_report import write_page
from mm_keras.evaluation.rebuilt_pictures import draw_rebuilt
from mm_keras.evaluation.report import write_report
from mm_keras.evaluation.speech_pictures import draw_sounds

__all__ = [
    "draw_captions",
    "draw_rebuilt",
    "draw_sounds",
    "evaluate",
    "subset_name",
    "subsets_of",
    "warn_of_branches",
    "write_page",
    "write_report",
]
