"""The SavedModel: signatures from raw bytes, from tensors, and to the fused embedding."""

import keras
import tensorflow as tf

from mm_keras.answering_model import answering_model
from mm_keras.exporting.example_signatures import example_endpoints, set_methods
from mm_keras.generation import generation_endpoints
from mm_keras.model import embedding_model


def write_saved_model(model, spec, preprocessor, folder):
    """Writes a SavedModel with the signatures serving_default, tensors, describe, embed (unless nothing is
    fused), where the spec has an autoencoder, reconstruct, where it has a caption,
    speech or autoencoder output, generate, where it has a caption output, sample, and those of
    `example_endpoints`.

    Inputs carry the names of the spec's modalities (`tensors` also has `present`), outputs those of its
    outputs; a classification's scores are `<output>_scores` beside its label strings, the numbers of a
    regression `(B, n)` are in their own units, and the vectors of a contrastive output, of norm 1, are
    `<output>_<modality>`. A caption's text is found greedily, `<output>_score` is its log-probability;
    `generate` gives the texts `(B, K)` of its beams, best first, and `<output>_scores` `(B, K)`; `sample`
    draws as many, by the further inputs seed (int32), temperature and top_p (float32), a number a row each.
    What an autoencoder rebuilds is `<output>_<modality>`: of `reconstruct` pixels, log-mel spectrograms,
    texts and numbers, and `<output>_latent`, where it has a code of its own; of `generate` what `Writer`
    gives. A sound is 16-bit PCM, int16 `(B, S)`, with `<output>_samples` and `<output>_rate`, int32 `(B,)`.
    `describe` answers any strings `about` `(B,)` by `description` `(B,)`, what preprocess.json holds, so that
    a client learns from any server what the model reads.
    """
    trained, model = model, answering_model(model)
    archive = keras.export.ExportArchive()  # Without `track`, by which each weight would be stored twice.
    raw, tensors = preprocessor.raw_spec(), preprocessor.tensor_spec()
    prepare = _traced(preprocessor.tensors, raw)
    run = _traced(lambda inputs: model(inputs, training=False), tensors)
    embed = embedding_model(model)
    endpoints = {
        "serving_default": (lambda inputs: preprocessor.answers(run(prepare(inputs))), raw),
        "tensors": (run, tensors),
        "describe": (_describer(preprocessor), {"about": tf.TensorSpec([None], tf.string, "about")}),
    }
    if embed is not None:
        fuse = _traced(lambda inputs: embed(inputs, training=False), tensors)
        endpoints["embed"] = (lambda inputs: fuse(prepare(inputs)), raw)
    if spec.of_kind("autoencoder"):
        endpoints["reconstruct"] = (lambda inputs: preprocessor.reconstructions(run(prepare(inputs))), raw)
    endpoints |= generation_endpoints(trained, preprocessor, prepare, run)
    endpoints |= example_endpoints(preprocessor, prepare, run)
    for name, (function, inputs) in endpoints.items():
        graph = _traced(function, inputs)
        archive.add_endpoint(name, tf.function(graph, input_signature=[inputs], autograph=False))
    archive.write_out(str(folder), verbose=False)
    set_methods(preprocessor, folder)


def _describer(preprocessor):
    text = preprocessor.description()
    return lambda inputs: {"description": tf.fill(tf.shape(inputs["about"]), text)}


def _traced(function, signature):
    """Returns `function` of one structure of tensors as a graph, built once.

    Saving builds the graph of each endpoint twice, and most of it is the same in all of them.
    """
    return tf.function(function, input_signature=[signature], autograph=False).get_concrete_function()


def write_static_model(model, preprocessor, folder):
    """Writes a SavedModel of static batch 1 over the model's inputs: what the TFLite converter reads."""
    model = answering_model(model)
    archive = keras.export.ExportArchive()
    signature = preprocessor.tensor_spec(batch_size=1)
    run = _traced(lambda inputs: model(inputs, training=False), signature)
    archive.add_endpoint("serving_default", tf.function(run, input_signature=[signature], autograph=False))
    archive.write_out(str(folder), verbose=False)
