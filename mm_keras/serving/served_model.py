"""One version of a model, loaded as TensorFlow Serving loads it: a graph, a session, signatures."""

import threading
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import tensorflow as tf
import tensorflow_text  # noqa: F401  registers the operators of a SavedModel's tokenizer
from tensorflow.core.protobuf import config_pb2, meta_graph_pb2, saved_model_pb2
from tensorflow_serving.apis import prediction_log_pb2

from mm_keras.checks import listing, message
from mm_keras.data.transforms import reason_of
from mm_keras.serving.errors import ServingError, refuse, shown

METHODS = {
    "tensorflow/serving/predict": "predict",
    "tensorflow/serving/classify": "classify",
    "tensorflow/serving/regress": "regress",
}
DEFAULT_SIGNATURE = "serving_default"
WARM_UP = Path("assets.extra") / "tf_serving_warmup_requests"
INITIALISER = "__saved_model_init_op"
ATTEMPTS = 3
STATUS = {
    tf.errors.InvalidArgumentError: "INVALID_ARGUMENT",
    tf.errors.DeadlineExceededError: "DEADLINE_EXCEEDED",
    tf.errors.NotFoundError: "NOT_FOUND",
    tf.errors.OutOfRangeError: "OUT_OF_RANGE",
    tf.errors.ResourceExhaustedError: "RESOURCE_EXHAUSTED",
    tf.errors.FailedPreconditionError: "FAILED_PRECONDITION",
    tf.errors.UnimplementedError: "UNIMPLEMENTED",
    tf.errors.UnavailableError: "UNAVAILABLE",
}


@dataclass(frozen=True)
class Place:
    """An input or output of a signature.

    Args:
        tensor: str. Name in the graph.
        dtype: tf.DType.
        shape: tuple of int or None, with the batch axis; None where the rank is not known.
    """

    tensor: str
    dtype: tf.DType
    shape: tuple | None

    @cached_property
    def enum(self):
        return self.dtype.as_datatype_enum

    @property
    def batched(self):
        return bool(self.shape) and self.shape[0] is None

    def blank(self):
        """Returns a row of nothing: empty strings, zeros."""
        shape = [axis or 1 for axis in self.shape]
        return (
            np.full(shape, b"", object)
            if self.dtype == tf.string
            else np.zeros(shape, self.dtype.as_numpy_dtype)
        )


@dataclass(frozen=True)
class Signature:
    """What can be asked of a model.

    Args:
        name: str.
        method: str. "predict", "classify" or "regress".
        inputs, outputs: dict, name -> Place.
    """

    name: str
    method: str
    inputs: dict
    outputs: dict

    @cached_property
    def batched(self):
        """Whether rows of several requests can be asked at once."""
        return all(place.batched for place in (*self.inputs.values(), *self.outputs.values()))


class ServedModel:
    """A version of a model, ready to answer.

    Args:
        folder: path. Of a SavedModel.
        threads: int > 0. Threads of one operator. With 1 all operators run in the thread that asks, so that
            as many batches run at once as threads ask.
        seconds: float > 0 or None. What takes longer is ended, so that no input keeps a thread for ever.

    Raises: ValueError, if the folder holds no SavedModel that can be loaded and answers its warm-up requests.
    """

    def __init__(self, folder, threads=1, seconds=None):
        self.folder = Path(folder)
        self._milliseconds = round(1000 * seconds) if seconds else 0
        self.meta_graph = read_meta_graph(self.folder)
        self.signatures = {
            name: _signature(name, proto)
            for name, proto in self.meta_graph.signature_def.items()
            if not name.startswith("__") and proto.method_name in METHODS
        }
        self._callables, self._lock = {}, threading.Lock()
        settings = config_pb2.ConfigProto(
            intra_op_parallelism_threads=threads,
            inter_op_parallelism_threads=-1 if threads == 1 else 0,
            use_per_session_threads=True,
        )
        with tf.Graph().as_default() as graph:
            self._session = tf.compat.v1.Session(graph=graph, config=settings)
            try:
                tf.compat.v1.saved_model.loader.load(self._session, ["serve"], str(self.folder))
                self.warmed_up = self._warm_up()
            except Exception as error:
                self._session.close()
                reason = error if isinstance(error, ServingError) else reason_of(error)
                fix = "Export it again, or remove the folder; what was served before stays."
                raise ValueError(
                    message("serve", "a SavedModel that runs", f"{self.folder}: {reason}", fix)
                ) from error

    def signature(self, name, *methods):
        """Returns the Signature of a name. "" is the only one of these methods, else serving_default.

        Raises: ServingError, if there is none, or it is of none of these methods.
        """
        names = [other.name for other in self.signatures.values() if other.method in methods]
        if not name:
            name = names[0] if len(names) == 1 else DEFAULT_SIGNATURE
        if name not in self.signatures:
            fix = "Name one of them as the signature's name."
            raise refuse("signature_name", listing(self.signatures), shown(name), fix)
        found = self.signatures[name]
        if methods and found.method not in methods:
            fix = f"Such signatures: {listing(names)}." if names else "The model has none."
            expected = f"a signature of the method {listing(methods)}"
            received = f"{name!r}, whose method is `{found.method}`"
            raise refuse("signature_name", expected, received, fix)
        return found

    def run(self, signature, inputs):
        """Answers a batch. May be called from several threads at once.

        Args:
            signature: Signature.
            inputs: dict, name -> NumPy array.

        Returns: dict, name -> NumPy array, bytes as object, of every output: to leave some out would take
            seconds, since TensorFlow optimises the graph for each choice.
        Raises: ServingError with the graph's own words.
        """
        call = self._callables.get(signature.name) or self._make_callable(signature)
        for attempt in range(ATTEMPTS):
            try:
                values = call(*(inputs[name] for name in signature.inputs))
                return dict(zip(signature.outputs, values, strict=True))
            except tf.errors.CancelledError as error:
                # An operator failed, and its neighbour was faster to tell that it was ended for it.
                if attempt == ATTEMPTS - 1:
                    raise ServingError("INVALID_ARGUMENT", reason_of(error)) from error
            except tf.errors.OpError as error:
                raise ServingError(STATUS.get(type(error), "INTERNAL"), reason_of(error)) from error

    def close(self):
        self._callables.clear()
        self._session.close()

    def _make_callable(self, signature):
        with self._lock:  # The graph is optimised, which takes seconds: once.
            if signature.name not in self._callables:
                options = config_pb2.CallableOptions(
                    feed=[place.tensor for place in signature.inputs.values()],
                    fetch=[place.tensor for place in signature.outputs.values()],
                    run_options=config_pb2.RunOptions(timeout_in_ms=self._milliseconds),
                )
                # What `Session.make_callable` makes, for feeds too.
                self._callables[signature.name] = self._session._make_callable_from_options(options)
            return self._callables[signature.name]

    def _warm_up(self):
        """Answers the requests that were exported with the model, or a row of nothing: the first answer takes
        seconds. Returns how many."""
        path = self.folder / WARM_UP
        if not path.is_file():
            return self._answer_nothing()
        count = 0
        for record in tf.compat.v1.io.tf_record_iterator(str(path)):
            request = prediction_log_pb2.PredictionLog.FromString(record).predict_log.request
            if not request.inputs:
                continue
            signature = self.signature(request.model_spec.signature_name, "predict")
            self.run(signature, {name: tf.make_ndarray(x) for name, x in request.inputs.items()})
            count += 1
        return count

    def _answer_nothing(self):
        signature = self.signatures.get(DEFAULT_SIGNATURE)
        if signature is None or signature.method != "predict" or not signature.batched:
            return 0
        try:
            self.run(signature, {name: place.blank() for name, place in signature.inputs.items()})
        except ServingError as error:
            if error.code != "INVALID_ARGUMENT":  # It may want something.
                raise
        return 1


def read_meta_graph(folder):
    """Returns the MetaGraphDef for serving of a SavedModel.

    Raises: ValueError, if there is none.
    """
    path = Path(folder) / "saved_model.pb"
    try:
        saved = saved_model_pb2.SavedModel.FromString(path.read_bytes())
    except Exception as error:  # protobuf's class of it differs between releases
        fix = "Copy the whole folder, or export it again."
        raise ValueError(message("serve", "a SavedModel", f"{path}: {error}", fix)) from error
    for meta in saved.meta_graphs:
        if "serve" in meta.meta_info_def.tags:
            return meta
    fix = "Export it again, or serve another one."
    raise ValueError(message("serve", 'a SavedModel with the tag "serve"', f"{path}, which has none", fix))


def metadata_of(meta_graph):
    """Returns the SignatureDefMap that a server tells, without the signatures that are its own business."""
    from_graph = {
        name: proto for name, proto in meta_graph.signature_def.items() if not name.startswith("__")
    }
    signatures = meta_graph_pb2.MetaGraphDef()
    for name, proto in from_graph.items():
        signatures.signature_def[name].CopyFrom(proto)
    return signatures.signature_def


def _signature(name, proto):
    return Signature(
        name,
        METHODS[proto.method_name],
        {key: _place(proto.inputs[key]) for key in sorted(proto.inputs)},
        {key: _place(proto.outputs[key]) for key in sorted(proto.outputs)},
    )


def _place(info):
    shape = info.tensor_shape
    known = not shape.unknown_rank
    axes = tuple(None if axis.size < 0 else axis.size for axis in shape.dim) if known else None
    return Place(info.name, tf.as_dtype(info.dtype), axes)


def rows_of(inputs):
    """Returns the number of rows of a batch of NumPy arrays.

    Raises: ServingError, if they differ.
    """
    counts = {name: len(x) if np.ndim(x) else 0 for name, x in inputs.items()}
    if len(set(counts.values())) != 1 or not min(counts.values()):
        fix = "Send as many values of each input; a modality that is missing is an empty string, or NaN."
        raise refuse("inputs", "as many rows > 0 of each", f"{counts}", fix)
    return next(iter(counts.values()))
