"""Export: a SavedModel for servers and a TFLite file for phones, each proven on real rows once written."""

from mm_keras.exporting.child import ExportError
from mm_keras.exporting.export import export

__all__ = ["ExportError", "export"]
