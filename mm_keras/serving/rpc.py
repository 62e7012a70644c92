"""TensorFlow Serving's gRPC services, and gRPC's own of health."""

import asyncio
import functools
import logging
import time

import grpc
from google.protobuf import wrappers_pb2
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from tensorflow_serving.apis import (
    classification_pb2,
    inference_pb2,
    model_management_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
    regression_pb2,
)

from mm_keras.checks import message
from mm_keras.serving.engine import as_serving_error
from mm_keras.serving.errors import ServingError, refuse, shown
from mm_keras.serving.examples import classes_of, rows_of_input, values_of
from mm_keras.serving.model_settings import settings_of_config
from mm_keras.serving.model_status import metadata_message, status_message
from mm_keras.serving.proto_tensors import choose_outputs, read_inputs, write_tensor
from mm_keras.serving.rest import is_known_key

MOST_TASKS = 16  # Of one MultiInference.
logger = logging.getLogger("mm_keras.serving.access")


def add_services(server, engine):
    """Adds the services of an Engine to a grpc.aio server; returns the servicer of health."""
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(_Prediction(engine), server)
    model_service_pb2_grpc.add_ModelServiceServicer_to_server(_Models(engine), server)
    servicer = health.aio.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    return servicer


SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


class _Service:
    def __init__(self, engine):
        self._engine = engine

    async def _answer(self, context, model, method, answer):
        """Returns what the coroutine `answer` gives; its errors are told as gRPC's statuses."""
        began, code = time.perf_counter(), "OK"
        try:
            keys = self._engine.settings.api_keys
            if keys and not is_known_key(_headers(context), keys):
                fix = "Send the metadata `authorization: Bearer KEY`."
                raise ServingError("UNAUTHENTICATED", message("request", "an API key", "none known", fix))
            return await answer
        except asyncio.CancelledError:
            code = "CANCELLED"
            raise
        except Exception as error:
            error = as_serving_error(error)
            code = error.code
            wait = (("retry-after", f"{error.retry_after:g}"),) if error.retry_after else ()
            await context.abort(getattr(grpc.StatusCode, code), str(error), wait)
        finally:
            answer.close()
            self._engine.count(model, "gRPC", method, code, began)
            if self._engine.settings.access_log:
                milliseconds = round(1000 * (time.perf_counter() - began), 2)
                about = {"method": method, "model": model, "status": code}
                logger.info("Request", extra={**about, "milliseconds": milliseconds})


class _Prediction(_Service, prediction_service_pb2_grpc.PredictionServiceServicer):
    async def Predict(self, request, context):
        return await self._answer(
            context, request.model_spec.name, "predict", self._predict(request, context)
        )

    async def _predict(self, request, context):
        spec, wanted = request.model_spec, []

        def read(served):
            signature = served.signature(spec.signature_name, "predict")
            wanted.extend(choose_outputs(request.output_filter, signature))
            return signature, read_inputs(request, signature, self._engine.settings.most_waiting)

        version, signature, outputs = await self._ask(request, spec, read, context.time_remaining())
        answer = predict_pb2.PredictResponse()
        _name(answer.model_spec, spec, version, signature)
        for name in wanted:
            write_tensor(answer.outputs[name], outputs[name])
        return answer

    async def _ask(self, request, spec, read, seconds):
        """Returns what `Engine.answer` does, while the bytes of the request count as held."""
        size = request.ByteSize()
        with self._engine.held.whole(size):
            return await self._engine.answer(place_of(spec), read, size, seconds)

    async def Classify(self, request, context):
        return await self._answer(
            context, request.model_spec.name, "classify", self._classify(request, context)
        )

    async def _classify(self, request, context):
        answer = classification_pb2.ClassificationResponse()
        rows = self._rows_of(request)
        await self._fill(request, rows, "classify", answer.result, answer, context.time_remaining())
        return answer

    async def Regress(self, request, context):
        return await self._answer(
            context, request.model_spec.name, "regress", self._regress(request, context)
        )

    async def _regress(self, request, context):
        answer = regression_pb2.RegressionResponse()
        rows = self._rows_of(request)
        await self._fill(request, rows, "regress", answer.result, answer, context.time_remaining())
        return answer

    def _rows_of(self, request):
        """Returns what reads the rows of a request, at the first call."""
        return functools.cache(lambda: rows_of_input(request.input, self._engine.settings.most_waiting))

    async def _fill(self, request, rows, method, result, named, seconds, spec=None):
        """Answers the rows of a request into a `result`, and says in `named` what answered."""
        spec = spec or request.model_spec

        def read(served):
            signature = served.signature(spec.signature_name, method)
            return signature, dict.fromkeys(signature.inputs, rows())

        version, signature, outputs = await self._ask(request, spec, read, seconds)
        _name(named.model_spec, spec, version, signature)
        fill_result(result, method, outputs)

    async def MultiInference(self, request, context):
        tasks = request.tasks
        model = tasks[0].model_spec.name if tasks else ""
        return await self._answer(context, model, "multi_inference", self._infer(request, context))

    async def _infer(self, request, context):
        answer, seconds = inference_pb2.MultiInferenceResponse(), context.time_remaining()
        end = time.monotonic() + (self._engine.settings.timeout if seconds is None else seconds)
        if len(request.tasks) > MOST_TASKS:
            fix = "Send them in several requests."
            raise refuse("tasks", f"at most {MOST_TASKS}", f"{len(request.tasks)}", fix)
        asked = [(task.model_spec.SerializeToString(), task.method_name) for task in request.tasks]
        if len(set(asked)) != len(asked):
            raise refuse("tasks", "each once", "one of them twice", "Remove what is there twice.")
        rows = self._rows_of(request)
        for task in request.tasks:
            method = task.method_name.rpartition("/")[2]
            if method not in ("classify", "regress"):
                expected = "tensorflow/serving/classify or tensorflow/serving/regress"
                text = message("method_name", expected, shown(task.method_name), "Name one of them.")
                raise ServingError("UNIMPLEMENTED", text)
            result = answer.results.add()
            part = result.classification_result if method == "classify" else result.regression_result
            await self._fill(request, rows, method, part, result, end - time.monotonic(), task.model_spec)
        return answer

    async def GetModelMetadata(self, request, context):
        return await self._answer(context, request.model_spec.name, "metadata", self._metadata(request))

    async def _metadata(self, request):
        if list(request.metadata_field) != ["signature_def"]:
            fix = 'Set metadata_field to ["signature_def"].'
            raise refuse("metadata_field", "signature_def", shown(list(request.metadata_field)), fix)
        return metadata_message(self._engine.repository, *place_of(request.model_spec))


class _Models(_Service, model_service_pb2_grpc.ModelServiceServicer):
    async def GetModelStatus(self, request, context):
        return await self._answer(context, request.model_spec.name, "status", self._status(request))

    async def _status(self, request):
        return status_message(self._engine.repository, *place_of(request.model_spec))

    async def HandleReloadConfigRequest(self, request, context):
        return await self._answer(context, "", "reload", self._reload(request))

    async def _reload(self, request):
        if not self._engine.settings.allow_reload:
            fix = (
                "Start the server with --allow-reload: then clients may have it load any folder it can read."
            )
            raise ServingError(
                "PERMISSION_DENIED", message("serve", "leave to load other models", "none", fix)
            )
        try:
            settings = settings_of_config(request.config)
        except ValueError as error:
            raise ServingError("INVALID_ARGUMENT", str(error)) from error
        await self._engine.repository.reconfigure(settings)
        return model_management_pb2.ReloadConfigResponse()


def place_of(spec):
    """Returns (model, version or None, label or None) of a ModelSpec."""
    kind = spec.WhichOneof("version_choice")
    return (
        spec.name,
        spec.version.value if kind == "version" else None,
        spec.version_label if kind == "version_label" else None,
    )


def _name(answer, spec, version, signature):
    answer.name = spec.name
    answer.version.CopyFrom(wrappers_pb2.Int64Value(value=version))
    answer.signature_name = signature.name


def fill_result(result, method, outputs):
    """Writes the outputs of a classify or regress signature into a ClassificationResult or
    RegressionResult."""
    if method == "regress":
        for value in values_of(outputs):
            result.regressions.add(value=value)
        return
    for labels, scores in zip(*(x.tolist() for x in classes_of(outputs)), strict=True):
        entry = result.classifications.add()
        for label, score in zip(labels, scores, strict=True):
            entry.classes.add(label=label.decode("utf-8", "replace"), score=score)


def _headers(context):
    pairs = context.invocation_metadata() or ()
    return {key.encode(): value.encode() if isinstance(value, str) else value for key, value in pairs}
