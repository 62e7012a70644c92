"""Multimodal Keras models: images, texts, sounds and numbers, any of which may be missing.

Public names are loaded on first use (PEP 562), so that importing the package does not import TensorFlow.
"""

import importlib

__version__ = "0.1.0"

PUBLIC = {
    "load_spec": "mm_keras.spec_file",
    "make_spec": "mm_keras.spec_file",
    "save_spec": "mm_keras.spec_file",
    "Spec": "mm_keras.spec",
    "infer_spec": "mm_keras.data.infer",
    "write_keypad": "mm_keras.data.keypad",
    "load_manifest": "mm_keras.data.manifest",
    "diagnose": "mm_keras.data.doctor",
    "write_diagnosis": "mm_keras.doctor_report",
    "prepare": "mm_keras.data.prepare",
    "make_datasets": "mm_keras.data.pipeline",
    "Datasets": "mm_keras.data.pipeline",
    "Preprocessor": "mm_keras.data.preprocessor",
    "build_model": "mm_keras.model",
    "balance_model": "mm_keras.balance",
    "answering_model": "mm_keras.answering_model",
    "compile_arguments": "mm_keras.training",
    "build_for_fit": "mm_keras.training",
    "train": "mm_keras.training",
    "load_run": "mm_keras.run_folder",
    "make_strategy": "mm_keras.strategy",
    "evaluate": "mm_keras.evaluation",
    "export": "mm_keras.exporting",
    "load_predictor": "mm_keras.prediction",
    "impute": "mm_keras.imputation",
    "retrieve": "mm_keras.synchrony",
    "synchronise": "mm_keras.synchrony",
    "encoders": None,
    "fusion": None,
    "heads": None,
}

__all__ = ["__version__", *PUBLIC]


def __getattr__(name):
    if name not in PUBLIC:
        raise AttributeError(f"module 'mm_keras' has no attribute {name!r}")
    module = importlib.import_module(PUBLIC[name] or f"mm_keras.{name}")
    value = getattr(module, name) if PUBLIC[name] else module
    globals()[name] = value
    return value


def __dir__():
    return sorted({*globals(), *PUBLIC})
