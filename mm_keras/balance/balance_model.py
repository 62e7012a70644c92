"""From the model of a spec to the one that is trained."""

from mm_keras.balance.auxiliary_model import AuxiliaryModel
from mm_keras.balance.modulated_model import ModulatedModel
from mm_keras.model import make_head


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
    weights = balance.weights(spec.modality_names)
    outputs = {**spec.of_kind("classification"), **spec.of_kind("regression")}
    heads = _heads_alone(model, spec, getattr(data, "preprocessor", data), outputs, weights)
    output_weights = {name: output.weight for name, output in outputs.items()}
    return AuxiliaryModel(model.input, {**model.output, **heads}, output_weights, weights, name=model.name)


def _modulated(model, spec, balance):
    embeddings = {
        f"embedding.{name}": model.get_layer(f"{name}.encoder").output for name in spec.modality_names
    }
    multi_label = {name: output.multi_label for name, output in spec.of_kind("classification").items()}
    return ModulatedModel(
        model.input,
        {**model.output, **embeddings},
        multi_label,
        balance.alpha,
        balance.noise,
        spec.training.seed,
        name=model.name,
    )


def _heads_alone(model, spec, fitted, outputs, modalities):
    """Returns what a head for each output answers of each modality's embedding."""
    heads = {}
    for output in outputs:
        for name in modalities:
            key = f"{output}.{name}"
            head = make_head(output, spec.outputs[output], fitted, model.get_layer(output).dtype_policy, key)
            heads[key] = head(model.get_layer(f"{name}.encoder").output)
    return heads
