"""The SavedModel: signatures from raw bytes, from tensors, and to the fused embedding."""

import keras
import tensorflow as tf

from mm_keras.model import embedding_model


def write_saved_model(model, spec, preprocessor, folder):
    """Writes a SavedModel with the signatures serving_default, tensors, embed and, where the spec has an
    autoencoder, reconstruct.

    Inputs carry the names of the spec's modalities (`tensors` also has `present`), outputs those of its
    outputs; a classification's scores are `<output>_scores` beside its label strings, and the numbers of a
    regression `(B, n)` are in their own units.
    """
    archive = keras.export.ExportArchive()
    archive.track(model)
    raw, tensors = preprocessor.raw_spec(), preprocessor.tensor_spec()
    embed = embedding_model(model)

    def answer(inputs):
        return preprocessor.answers(model(preprocessor.tensors(inputs), training=False))

    def reconstruct(inputs):
        outputs = model(preprocessor.tensors(inputs), training=False)
        return preprocessor.reconstructions(outputs)

    endpoints = {
        "serving_default": (answer, raw),
        "tensors": (lambda inputs: model(inputs, training=False), tensors),
        "embed": (lambda inputs: embed(preprocessor.tensors(inputs), training=False), raw),
    }
    if spec.of_kind("autoencoder"):
        endpoints["reconstruct"] = (reconstruct, raw)
    for name, (function, inputs) in endpoints.items():
        archive.add_endpoint(name, tf.function(function, input_signature=[inputs], autograph=False))
    archive.write_out(str(folder), verbose=False)


def write_static_model(model, preprocessor, folder):
    """Writes a SavedModel of static batch 1 over the model's inputs: what the TFLite converter reads."""
    archive = keras.export.ExportArchive()
    archive.track(model)
    signature = preprocessor.tensor_spec(batch_size=1)
    call = tf.function(
        lambda inputs: model(inputs, training=False), input_signature=[signature], autograph=False
    )
    archive.add_endpoint("serving_default", call)
    archive.write_out(str(folder), verbose=False)
