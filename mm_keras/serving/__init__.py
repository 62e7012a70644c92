"""Serving: a server that speaks TensorFlow Serving's language, its client, a production kit, a page to try.

Names are loaded on first use, so that a client does not wait for TensorFlow.
"""

import importlib

PUBLIC = {
    "AsyncClient": "client",
    "Client": "client",
    "Server": "server",
    "ServingError": "errors",
    "write_kit": "kit",
}

__all__ = list(PUBLIC)


def __getattr__(name):
    if name not in PUBLIC:
        raise AttributeError(f"module 'mm_keras.serving' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"mm_keras.serving.{PUBLIC[name]}"), name)
    globals()[name] = value
    return value


def __dir__():
    return sorted({*globals(), *PUBLIC})
