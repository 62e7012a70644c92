"""`assert_layer`: everything that each Keras layer of the package promises, checked in one call."""

import functools
import inspect
import json
import math

import keras
import numpy as np
import tensorflow as tf

from mm_keras.strategy import make_strategy
from mm_keras.training import build_for_fit

BATCH = 2
SINGLE = "inputs"
ON_TENSORFLOW = keras.config.backend() == "tensorflow"


def assert_layer(
    layer_class,
    arguments,
    input_shapes,
    output_shape,
    tmp_path,
    call_arguments=None,
    dtypes=None,
    learns=True,
    noise=0.3,
    devices=2,
):
    """Checks a layer whole, on seeded random inputs of batch 2 and on randomised trainable weights.

    Args:
        layer_class: class of the layer.
        arguments: dict of its constructor's arguments.
        input_shapes: dict, modality name -> shape without batch; a tuple if the layer reads one tensor.
        output_shape: shape without batch, or dict, name -> shape, if the layer returns a dict.
        tmp_path: folder for the written files.
        call_arguments: dict, name of a further tensor, such as `present` -> array `(2, ...)`. It is passed
            by keyword if `call` has such an argument, else as a key of the inputs; it needs no gradient. A
            dict of arrays, such as `mask` -> {"text": array}, is passed as one; its inputs are `mask_text`.
        dtypes: dict, name of an input -> dtype, "float32" where none is given. A single tensor is named
            "inputs". Integers are drawn from 1 to 4.
        noise: float > 0. Deviation of what is added to each trainable weight.
        devices: 1 or 2. Logical devices that share the training step; its graph is built for each.
        learns: bool. False leaves out gradients and the training step, for a layer that gives booleans.

    On another backend than TensorFlow: configuration, shapes, precision, `.keras` file and one training step.
    """
    case = LayerCase(layer_class, arguments, input_shapes, output_shape, call_arguments, dtypes, noise)
    case.check_registration()
    case.check_config()
    case.check_shapes()
    case.check_order()
    case.check_precision()
    case.check_keras_file(tmp_path)
    if ON_TENSORFLOW:
        case.check_written_files(tmp_path)
    if ON_TENSORFLOW and learns:
        case.check_gradients()
    if learns:
        case.check_training_step(devices)


class LayerCase:
    """A layer, its inputs, its outputs, and the functional model around it."""

    def __init__(self, layer_class, arguments, input_shapes, output_shape, call_arguments, dtypes, noise):
        self.layer_class, self.arguments = layer_class, arguments
        self.single = not isinstance(input_shapes, dict)
        self.shapes = {SINGLE: tuple(input_shapes)} if self.single else dict(input_shapes)
        self.dtypes = {name: (dtypes or {}).get(name, "float32") for name in self.shapes}
        self.output_shape = output_shape
        self.random = np.random.default_rng(7)
        self.inputs = {
            name: self._draw((BATCH, *shape), self.dtypes[name]) for name, shape in self.shapes.items()
        }
        self.call_arguments, self.places = {}, {}
        for argument, value in (call_arguments or {}).items():
            parts = value.items() if isinstance(value, dict) else [(None, value)]
            for key, x in parts:
                name = argument if key is None else f"{argument}_{key}"
                self.call_arguments[name], self.places[name] = np.asarray(x), (argument, key)
        self.layer = layer_class(**arguments)
        self._apply(self.layer, self._tensors())
        for weight in self.layer.trainable_weights:  # Zeros and ones would hide an exchange of modalities.
            drawn = self.random.normal(scale=noise, size=weight.shape)
            weight.assign(keras.ops.convert_to_numpy(weight) + drawn)
        self.outputs = self._numpy(self._apply(self.layer, self._tensors()))

    def check_registration(self):
        name = keras.saving.get_registered_name(self.layer_class)
        found = keras.saving.get_registered_object(name)
        assert found is self.layer_class, f"{self._name} is not registered for serialisation"
        assert name.startswith("mm_keras>"), f"{self._name} is registered as {name}, not under mm_keras"

    def check_config(self):
        config = self.layer.get_config()
        parameters = inspect.signature(self.layer_class.__init__).parameters.values()
        named = [p.name for p in parameters if p.kind is not p.VAR_KEYWORD and p.name != "self"]
        missing = [name for name in dict.fromkeys([*named, *self.arguments]) if name not in config]
        assert not missing, f"get_config of {self._name} lacks {missing}"
        for name, value in self.arguments.items():
            if isinstance(value, (bool, int, float, str, list, tuple, type(None))):
                same = json.loads(json.dumps(config[name])) == json.loads(json.dumps(value))
                assert same, f"get_config of {self._name} gives {name}={config[name]!r}, not {value!r}"
        written = _as_json(self.layer)
        clone = keras.saving.deserialize_keras_object(json.loads(written))
        same = json.loads(_as_json(clone))["config"] == json.loads(written)["config"]
        assert same, f"the configuration of {self._name} changes when it is reloaded"
        self._compare(self._with_same_weights(clone, self._tensors()), 1e-6, "rebuilt from its configuration")

    def check_shapes(self):
        symbolic = self._apply(self.layer, self._symbols())
        wanted = self.output_shape if isinstance(self.output_shape, dict) else {"output": self.output_shape}
        for name, tensor in self._named(symbolic).items():
            shape = tuple(tensor.shape)
            assert shape == (None, *wanted[name]), f"{self._name} has the symbolic shape {shape} of {name}"
        assert self.outputs.keys() == wanted.keys(), f"{self._name} returns {sorted(self.outputs)}"
        for name, array in self.outputs.items():
            assert array.shape == (BATCH, *wanted[name]), f"{self._name} has shape {array.shape} of {name}"
            assert np.isfinite(array).all(), f"{self._name} gives a value of {name} that is not finite"

    def check_order(self):
        """Feeds the modalities in reverse, to the built layer, past Keras's own sorting, and to a new one."""
        if self.single:
            return
        tensors = self._tensors()
        shuffled = {name: keras.ops.convert_to_tensor(tensors[name]) for name in reversed(list(tensors))}
        self._compare(self._apply(self.layer, shuffled), 1e-6, "fed in another order")
        self._compare(self._apply(self.layer.call, shuffled), 1e-6, "called in another order")
        clone = self.layer_class.from_config(self.layer.get_config())
        self._compare(self._with_same_weights(clone, shuffled), 1e-6, "built in another order")

    def check_precision(self):
        keras.config.set_dtype_policy("mixed_bfloat16")
        try:
            layer = self.layer_class(**self.arguments)
            self._apply(layer, self._tensors())
            layer.set_weights(self.layer.get_weights())
            outputs = self._numpy(self._apply(layer, self._tensors()))
        finally:
            keras.config.set_dtype_policy("float32")
        for name, array in outputs.items():
            finite = np.isfinite(array.astype("float32")).all()
            assert finite, f"{self._name} in mixed_bfloat16 gives a value of {name} that is not finite"

    def check_gradients(self):
        tensors = {name: tf.constant(x) for name, x in self._tensors().items()}
        watched = {name: tensors[name] for name in self.shapes if tensors[name].dtype.is_floating}
        weights = self.layer.trainable_weights
        with tf.GradientTape() as tape:
            tape.watch(list(watched.values()))
            outputs = self._named(self._apply(self.layer, tensors))
            loss = sum(tf.reduce_sum(y * self._draw(y.shape, "float32")) for y in outputs.values())
        gradients = tape.gradient(loss, [*watched.values(), *(weight.value for weight in weights)])
        for name, gradient in zip([*watched, *(w.path for w in weights)], gradients, strict=True):
            reached = gradient is not None and np.abs(tf.convert_to_tensor(gradient)).max() > 0
            assert reached, f"no gradient of {self._name} reaches {name}"

    def check_keras_file(self, tmp_path):
        path = tmp_path / "layer.keras"
        self._model().save(path)
        self._compare(keras.saving.load_model(path)(self._tensors()), 1e-6, "reloaded from .keras")

    def check_written_files(self, tmp_path):
        folder = str(tmp_path / "saved_model")
        model = self._model()
        archive = keras.export.ExportArchive()  # Without `track`, as the package writes it.
        for endpoint, batch in (("serve", None), ("one", 1)):
            signature = [
                {
                    name: tf.TensorSpec((batch, *x.shape[1:]), x.dtype, name)
                    for name, x in self._tensors().items()
                }
            ]
            call = functools.partial(model, training=False)
            # Saving builds the graph of an endpoint twice: this way only that of one node.
            graph = tf.function(call, input_signature=signature, autograph=False).get_concrete_function()
            archive.add_endpoint(endpoint, tf.function(graph, input_signature=signature, autograph=False))
        archive.write_out(folder, verbose=False)
        serve = tf.saved_model.load(folder).signatures["serve"]
        outputs = serve(**{name: tf.constant(x) for name, x in self._tensors().items()})
        self._compare(outputs, 1e-5, "reloaded from its SavedModel")
        self._check_tflite(folder)

    def check_training_step(self, devices):
        if ON_TENSORFLOW and devices > 1:
            with two_devices().scope():
                model = self._model()
                self._compile(model)
        else:
            model = self._model()
            self._compile(model)
            if ON_TENSORFLOW:
                build_for_fit(model, tf.data.Dataset.from_tensors((self._tensors(), self.outputs)))
        before = [keras.ops.convert_to_numpy(weight) for weight in model.trainable_weights]
        targets = {name: self._draw(array.shape, "float32") for name, array in self.outputs.items()}
        history = model.fit(self._tensors(), targets, batch_size=BATCH, epochs=1, verbose=0)
        loss = history.history["loss"][0]
        assert math.isfinite(loss), f"a training step of {self._name} gives a loss of {loss}"
        after = [keras.ops.convert_to_numpy(weight) for weight in model.trainable_weights]
        moved = [not np.array_equal(x, y) for x, y in zip(before, after, strict=True)]
        assert any(moved) or not moved, f"a training step of {self._name} changes no weight"

    def _check_tflite(self, folder):
        content = tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=["one"]).convert()
        runner = tf.lite.Interpreter(model_content=content).get_signature_runner("one")
        rows = [runner(**{k: x[i : i + 1] for k, x in self._tensors().items()}) for i in range(BATCH)]
        outputs = {name: np.concatenate([row[name] for row in rows]) for name in rows[0]}
        self._compare(outputs, 1e-5, "converted to TFLite")

    def _model(self):
        """Returns a functional model of a copy of the layer, with the same weights."""
        clone = self.layer_class.from_config(self.layer.get_config())
        symbols = self._symbols()
        model = keras.Model(symbols, self._named(self._apply(clone, symbols)))
        clone.set_weights(self.layer.get_weights())
        return model

    def _compile(self, model):
        losses = dict.fromkeys(self.outputs, "mse")
        model.compile(keras.optimizers.SGD(0.01), loss=losses, jit_compile=False)

    def _with_same_weights(self, layer, tensors):
        self._apply(layer, tensors)
        layer.set_weights(self.layer.get_weights())
        return self._apply(layer, tensors)

    def _apply(self, function, tensors):
        """Calls a layer on the tensors, those that `call` names by keyword."""
        parameters = inspect.signature(self.layer_class.call).parameters
        inputs, further = {}, {}
        for name, x in tensors.items():
            argument, key = self.places.get(name, (name, None))
            if name not in self.places or argument not in parameters:
                inputs[name] = x
            elif key is None:
                further[argument] = x
            else:
                further.setdefault(argument, {})[key] = x
        return function(inputs[SINGLE] if self.single else inputs, **further)

    def _tensors(self):
        return {**self.inputs, **self.call_arguments}

    def _symbols(self):
        return {
            name: keras.Input(x.shape[1:], dtype=x.dtype.name, name=name)
            for name, x in self._tensors().items()
        }

    def _draw(self, shape, dtype):
        if np.issubdtype(np.dtype(dtype), np.integer):
            return self.random.integers(1, 5, shape).astype(dtype)
        return self.random.normal(size=shape).astype(dtype)

    def _compare(self, outputs, tolerance, how):
        outputs = self._numpy(outputs)
        assert outputs.keys() == self.outputs.keys(), f"{self._name} {how} returns {sorted(outputs)}"
        for name, array in self.outputs.items():
            np.testing.assert_allclose(
                outputs[name], array, tolerance, tolerance, err_msg=f"{self._name} {how} differs in {name}"
            )

    def _numpy(self, outputs):
        return {name: np.array(keras.ops.convert_to_numpy(x)) for name, x in self._named(outputs).items()}

    def _named(self, outputs):
        return outputs if isinstance(outputs, dict) else {"output": outputs}

    @property
    def _name(self):
        return f"`{self.layer_class.__name__}`"


def _as_json(layer):
    return json.dumps(keras.saving.serialize_keras_object(layer))


def randomised(layer, seed=7):
    """Draws a layer's trainable weights; returns all its weights, path below the layer -> float64 array."""
    random = np.random.default_rng(seed)
    for weight in layer.trainable_weights:
        weight.assign(random.normal(scale=0.5, size=weight.shape))
    return {
        weight.path.split("/", 1)[1]: np.array(keras.ops.convert_to_numpy(weight), "float64")
        for weight in layer.weights
    }


def two_devices():
    """Returns the strategy over the two logical devices that conftest.py makes."""
    return make_strategy("mirrored")
