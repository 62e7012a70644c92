"""From the model of a spec to the one that is trained."""

from mm_keras.balance.auxiliary_model import AuxiliaryModel
from mm_keras.balance.blended_model import BlendedModel
from mm_keras.balance.modulated_model import ModulatedModel
from mm_keras.model import encoded_tensors
from mm_keras.model_heads import make_head
from mm_keras.sequence_pooling import SequencePooling


def balance_model(model, spec, data):
    """Gives a model what `training.balance` of its spec asks for; without it, the model is as it was.

    Args:
        model: keras.Model of `build_model`.
        spec: Spec.
        data: Datasets or Preprocessor.

    Returns: keras.Model to compile with `compile_arguments` and to fit. It shares its layers with `model`,
        which `plain_model` takes out again.
    """
    balance = spec.training.balance
    if balance is None:
        return model
    if balance.kind == "ogm_ge":
        return _modulated(model, spec, balance)
    outputs = {**spec.of_kind("classification"), **spec.of_kind("regression")}
    output_weights = {name: output.weight for name, output in outputs.items()}
    fitted = getattr(data, "preprocessor", data)
    if balance.kind == "gradient_blending":
        answers = {**model.output, **_heads_alone(model, spec, fitted, outputs, spec.modality_names)}
        return BlendedModel(model.input, answers, output_weights, balance.epochs, name=model.name)
    weights = balance.weights(spec.modality_names)
    answers = {**model.output, **_heads_alone(model, spec, fitted, outputs, weights)}
    return AuxiliaryModel(model.input, answers, output_weights, weights, name=model.name)


def _modulated(model, spec, balance):
    encoded = {f"encoded.{name}": x for name, x in encoded_tensors(model).items()}
    multi_label = {name: output.multi_label for name, output in spec.of_kind("classification").items()}
    return ModulatedModel(
        model.input,
        {**model.output, **encoded},
        multi_label,
        balance.alpha,
        balance.noise,
        spec.training.seed,
        name=model.name,
    )


def _heads_alone(model, spec, fitted, outputs, modalities):
    """Returns what a head for each output answers of each modality's embedding; of steps, their mean."""
    heads, encoded = {}, encoded_tensors(model)
    for name in modalities:
        embedding = encoded[name]
        if len(embedding.shape) == 3:
            pooling = SequencePooling(dtype=embedding.dtype, name=f"mean.{name}")
            embedding = pooling(embedding, mask=encoded[f"{name}.steps"])
        for output in outputs:
            key = f"{output}.{name}"
            head = make_head(output, spec.outputs[output], fitted, model.get_layer(output).dtype_policy, key)
            heads[key] = head(embedding)
    return heads
