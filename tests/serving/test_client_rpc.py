"""The client over gRPC, against TensorFlow Serving's own servicers."""

import asyncio
import time
from concurrent import futures

import grpc
import numpy as np
import pytest
import tensorflow as tf
from fake_server import DESCRIPTION, STATUS, Refusal, answer, metadata
from google.protobuf import json_format
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from mm_keras.serving import AsyncClient, Client, ServingError

PNG = b"\x89PNG\r\n\x1a\n\x00\xff"


class Services(
    prediction_service_pb2_grpc.PredictionServiceServicer, model_service_pb2_grpc.ModelServiceServicer
):
    """The fake model's servicers: `faults` answer the next predict requests, `seen` holds what came."""

    def __init__(self):
        self.faults, self.seen = [], []

    def Predict(self, request, context):
        self._see(request, context)
        try:
            if self.faults and request.model_spec.signature_name != "describe":
                fault = self.faults.pop(0)
                raise fault if isinstance(fault, Refusal) else fault()
            inputs = {name: tf.make_ndarray(tensor) for name, tensor in request.inputs.items()}
            found = answer(request.model_spec.signature_name, inputs)
        except Refusal as refusal:
            if refusal.wait is not None:
                context.set_trailing_metadata((("retry-after", str(refusal.wait)),))
            context.abort(getattr(grpc.StatusCode, refusal.code), refusal.text)
        response = predict_pb2.PredictResponse()
        for name, values in found.items():
            response.outputs[name].CopyFrom(tf.make_tensor_proto(values))
        return response

    def GetModelMetadata(self, request, context):
        self._see(request, context)
        signatures = get_model_metadata_pb2.SignatureDefMap()
        json_format.ParseDict({"signature_def": metadata()}, signatures)
        response = get_model_metadata_pb2.GetModelMetadataResponse()
        response.metadata["signature_def"].Pack(signatures)
        return response

    def GetModelStatus(self, request, context):
        self._see(request, context)
        return json_format.ParseDict(STATUS, get_model_status_pb2.GetModelStatusResponse())

    def _see(self, request, context):
        self.seen.append((request, dict(context.invocation_metadata()), context.time_remaining()))


@pytest.fixture(scope="module")
def running():
    services = Services()
    server = grpc.server(futures.ThreadPoolExecutor(8))
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(services, server)
    model_service_pb2_grpc.add_ModelServiceServicer_to_server(services, server)
    services.url = f"grpc://127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    yield services
    server.stop(None).wait()


@pytest.fixture
def services(running):
    running.faults, running.seen = [], []
    return running


def ask(services, question, is_async, **settings):
    """Returns what `question(client)` gives, over a Client or awaited over an AsyncClient."""
    if not is_async:
        with Client(services.url, "fake", **settings) as client:
            return question(client)

    async def wait():
        async with AsyncClient(services.url, "fake", **settings) as client:
            return await question(client)

    return asyncio.run(wait())


both = pytest.mark.parametrize("is_async", [False, True], ids=["asked", "awaited"])


@both
def test_one_example_is_answered_without_a_batch_axis(services, is_async):
    values = {"image": PNG, "text": "thrée", "weights": [1.5, None], "motion": np.ones((2, 2))}
    found = ask(services, lambda client: client.predict(**values), is_async)
    assert found["label"] == "thrée"
    assert found["label_scores"].tolist() == [len(PNG), 0]
    assert found["total"] == np.float32(5.5)
    assert found["label_scores"].dtype == np.float32


@both
def test_a_batch_is_answered_in_order(services, is_async):
    rows = [{"text": f"{index}", "weights": [index, 1]} for index in range(5)]
    found = ask(services, lambda client: client.predict_batch(rows, batch_size=2), is_async)
    assert found["label"].tolist() == ["0", "1", "2", "3", "4"]
    np.testing.assert_array_equal(found["total"], np.arange(1, 6, dtype=np.float32))


@both
def test_bytes_types_and_further_inputs_arrive_as_they_are(services, is_async):
    found = ask(services, lambda client: client.generate(image=PNG, audio=np.zeros(5)), is_async)
    assert found["copy_image"] == PNG
    assert found["said"].dtype == np.int16
    assert found["said"].tolist() == [-32768, 0, 54]
    found = ask(services, lambda client: client.ask("sample", [{"text": "a"}], {"seed": [7]}), is_async)
    assert found["drawn"].tolist() == [["a", "é"]]
    assert found["seed"].tolist() == [7]


def test_what_is_told_of_the_model_is_as_over_rest(services):
    with Client(services.url, "fake") as client:
        assert client.describe() == DESCRIPTION
        assert client.metadata()["sample"]["inputs"]["seed"] == {"dtype": "int32", "shape": [None]}
        assert client.metadata()["embed"]["outputs"] == {
            "embedding": {"dtype": "float32", "shape": [None, 2]}
        }
        versions = [(entry["version"], entry["state"], entry["code"]) for entry in client.status()]
    assert versions == [(2, "AVAILABLE", "OK"), (1, "END", "OK")]


def test_numbers_are_sent_as_bytes_and_texts_as_strings(services):
    with Client(services.url, "fake", version=3, api_key="secret", timeout=7.0) as client:
        client.predict(text="é", weights=[1, 2])
    request, headers, remaining = services.seen[-1]
    assert request.inputs["weights"].tensor_content == np.array([1, 2], np.float32).tobytes()
    assert list(request.inputs["text"].string_val) == ["é".encode()]
    assert (request.model_spec.name, request.model_spec.version.value) == ("fake", 3)
    assert headers["authorization"] == "Bearer secret"
    assert 3.0 < remaining < 8.0  # gRPC rounds, and learning the model took of it.


def test_a_label_chooses_the_version(services):
    with Client(services.url, "fake", label="canary") as client:
        client.status()
    assert services.seen[-1][0].model_spec.version_label == "canary"


@both
def test_a_busy_server_is_asked_again(services, is_async):
    services.faults = [
        Refusal(503, "UNAVAILABLE", "full", wait=0),
        Refusal(503, "RESOURCE_EXHAUSTED", "full"),
    ]
    assert ask(services, lambda client: client.predict(text="a"), is_async)["label"] == "a"
    services.faults = [Refusal(503, "RESOURCE_EXHAUSTED", "full", wait=40)] * 2
    with pytest.raises(ServingError, match="full") as caught:
        ask(services, lambda client: client.predict(text="a"), is_async)
    assert (caught.value.code, caught.value.retry_after) == ("RESOURCE_EXHAUSTED", 40)
    assert len(services.faults) == 1


@both
def test_a_refusal_has_its_code_and_names_the_file(services, is_async, tmp_path):
    (tmp_path / "b.png").write_bytes(b"broken")
    rows = [{"text": "a"}, {"image": tmp_path / "b.png"}]
    with pytest.raises(ServingError, match=r"^row 2: .*b\.png: `decode_image` expects") as caught:
        ask(services, lambda client: client.predict_batch(rows), is_async)
    assert (caught.value.code, caught.value.http_status) == ("INVALID_ARGUMENT", 400)


@both
def test_a_server_that_is_not_there_is_named(is_async):
    class Nowhere:
        url = "grpc://127.0.0.1:9"

    with pytest.raises(ServingError, match="grpc://127.0.0.1:9") as caught:
        ask(Nowhere, lambda client: client.predict(text="a"), is_async, retries=1)
    assert caught.value.code == "UNAVAILABLE"
    assert "mm-keras serve" in str(caught.value)


@both
def test_a_slow_server_is_given_up_in_time(services, is_async):
    services.faults = [lambda: time.sleep(0.8) or Refusal(503, "UNAVAILABLE", "late")]
    with pytest.raises(ServingError, match="in time") as caught:
        ask(services, lambda client: client.predict(text="a"), is_async, timeout=0.3)
    assert caught.value.code == "DEADLINE_EXCEEDED"


def test_a_certificate_is_not_left_unchecked():
    with pytest.raises(ValueError, match="Received: False"):
        Client("grpcs://localhost", "fake", verify=False)
    with pytest.raises(ValueError, match="'lost.pem', which is none"):
        Client("grpcs://localhost", "fake", verify="lost.pem")
