"""Folders like those of exported models, without a model in them: what a production kit reads."""

import json

import numpy as np
from tensorflow.core.protobuf import saved_model_pb2

from mm_keras.exporting.warm_up import write_warm_up

KINDS = {"image": "image", "note": "text", "size": "numbers"}


def write_export(folder, versions=(1,), latency_ms=4.0, tensorflow="2.17.1", warm_up=True):
    """Writes `<folder>/serving/<version>` for each version; returns the folder."""
    for version in versions:
        extra = folder / f"serving/{version}/assets.extra"
        extra.mkdir(parents=True)
        proto = saved_model_pb2.SavedModel()
        proto.meta_graphs.add().meta_info_def.tensorflow_version = tensorflow
        (extra.parent / "saved_model.pb").write_bytes(proto.SerializeToString())
        latency = {"latency_ms": {"serving_default": latency_ms}}
        (extra / "parity.json").write_text(json.dumps(latency), encoding="utf-8")
        modalities = {"modalities": {name: {"kind": kind} for name, kind in KINDS.items()}}
        (extra / "preprocess.json").write_text(json.dumps(modalities), encoding="utf-8")
        raw = {
            "image": np.array([b"\x89PNG\xff", b""], object),
            "note": np.array(["grün".encode(), b""], object),
            "size": np.array([[1.5, 2], [np.nan, np.nan]], "float32"),
        }
        if warm_up:
            write_warm_up(folder.name, raw, np.array([[1, 1, 1], [0, 0, 1]]), extra)
    return folder
