"""A functional model with outputs that training alone needs."""

import keras

from mm_keras.model import modality_inputs


class BalancedModel(keras.Model):
    """Trains a functional model with outputs beside its own, which have a dot in their keys.

    The compiled losses and metrics are those of the model's own outputs. `plain_model` takes out the model
    that is used.

    Args:
        inputs: dict, modality name -> keras.KerasTensor, and "present" `(B, M)`, as of `build_model`.
        outputs: dict, key -> keras.KerasTensor.
        name: str or None.
    """

    def __init__(self, inputs, outputs, name=None):
        super().__init__(inputs, outputs, name=name)
        self.names = sorted(modality_inputs(inputs))

    def get_config(self):
        whole = keras.Model(self.input, self.output, name=self.name)
        return {"model": keras.saving.serialize_keras_object(whole)}

    @classmethod
    def from_config(cls, config, custom_objects=None):
        settings = dict(config)
        whole = keras.saving.deserialize_keras_object(settings.pop("model"), custom_objects)
        return cls(whole.input, whole.output, name=whole.name, **settings)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        return super().compute_loss(x, y, own_part(y_pred), sample_weight, training)

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        return super().compute_metrics(x, y, own_part(y_pred), sample_weight)


def own_part(outputs):
    """Returns those of a dict of outputs that are the model's own: no name in a spec has a dot."""
    return {key: x for key, x in outputs.items() if "." not in key}


def plain_model(model):
    """Returns the functional model of a `BalancedModel`, with the same weights; any other model as it is."""
    if not isinstance(model, BalancedModel):
        return model
    return keras.Model(model.input, own_part(model.output), name=model.name)
