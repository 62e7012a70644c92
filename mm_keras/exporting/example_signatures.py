"""The signatures `classify` and `regress`: TensorFlow Serving's own form, of rows that are tf.Example."""

import numpy as np
import tensorflow as tf

METHODS = {
    "classify": tf.saved_model.CLASSIFY_METHOD_NAME,
    "regress": tf.saved_model.REGRESS_METHOD_NAME,
}


def example_outputs(preprocessor):
    """Returns what the signatures answer, "classify" -> name of the first classification output that gives
    one label, "regress" -> of the first regression output of one number; without those that there are not."""
    labels = [name for name, part in preprocessor.of_kind("classification").items() if not part.multi_label]
    numbers = [name for name, part in preprocessor.of_kind("regression").items() if len(part.columns) == 1]
    return {signature: names[0] for signature, names in zip(METHODS, (labels, numbers), strict=True) if names}


def example_endpoints(preprocessor, prepare, run):
    """Returns the signatures that read rows as serialized tf.Example, `inputs`, string `(B,)`.

    A row's features carry the names of the modalities: the bytes of an image, sound or text, the floats of
    numbers or features; a modality without its feature is missing.

    Args:
        preprocessor: Preprocessor.
        prepare: callable, dict of raw inputs -> dict of the model's inputs.
        run: callable, the latter -> dict of the model's outputs.

    Returns: dict, name -> (function of a dict of inputs, their TensorSpecs). "classify" gives `classes`, the
        names of all labels, string `(B, C)`, and `scores`, float32 `(B, C)`; "regress" `outputs`, float32
        `(B, 1)`.
    """
    features = _features(preprocessor)

    def answer(inputs):
        return run(prepare(tf.io.parse_example(inputs["inputs"], features)))

    def classifier(name):
        def classify(inputs):
            scores = answer(inputs)[name]
            classes = tf.constant([preprocessor.labels[name]])
            return {"classes": tf.tile(classes, [tf.shape(scores)[0], 1]), "scores": scores}

        return classify

    def regressor(name):
        return lambda inputs: {"outputs": answer(inputs)[name]}

    makers = {"classify": classifier, "regress": regressor}
    inputs = {"inputs": tf.TensorSpec([None], tf.string, "inputs")}
    return {
        signature: (makers[signature](name), inputs)
        for signature, name in example_outputs(preprocessor).items()
    }


def set_methods(preprocessor, folder):
    """Writes into a SavedModel which of its signatures TensorFlow Serving's Classify and Regress may call:
    Keras names the method of each Predict, which then still calls them all."""
    names = example_outputs(preprocessor)
    if names:
        updater = tf.compat.v1.saved_model.signature_def_utils.MethodNameUpdater(str(folder))
        for name in names:
            updater.replace_method_name(name, METHODS[name])
        updater.save()


def examples_of(raw):
    """Returns raw rows as serialized tf.Example, bytes object `(B,)`, without what is missing in them.

    Args:
        raw: dict, modality -> bytes object `(B,)` or float array `(B, ...)`.
    """
    rows = []
    for row in range(len(next(iter(raw.values())))):
        features = {}
        for name, values in raw.items():
            value = values[row]
            if values.dtype == object and value:
                features[name] = tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))
            elif values.dtype != object and not np.isnan(value).all():
                features[name] = tf.train.Feature(float_list=tf.train.FloatList(value=value.ravel()))
        example = tf.train.Example(features=tf.train.Features(feature=features))
        rows.append(example.SerializeToString())
    return np.array(rows, object)


def _features(preprocessor):
    features = {}
    for name, spec in preprocessor.raw_spec().items():
        shape = spec.shape[1:].as_list()
        missing = "" if spec.dtype == tf.string else np.full(shape, np.nan, np.float32)
        features[name] = tf.io.FixedLenFeature(shape, spec.dtype, missing)
    return features
