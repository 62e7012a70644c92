"""TensorFlow Serving's gRPC services, asked with the stubs of tensorflow-serving-api."""

import grpc
import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import text_format
from grpc_health.v1 import health_pb2, health_pb2_grpc
from small_models import serving, write_model
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    inference_pb2,
    model_management_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
    regression_pb2,
)


@pytest.fixture(scope="module")
def channel(server):
    with grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as opened:
        yield opened


@pytest.fixture
def stub(channel):
    return prediction_service_pb2_grpc.PredictionServiceStub(channel)


def predict_request(texts=("a",), pairs=((1, 2),), model="small", **inputs):
    request = predict_pb2.PredictRequest()
    request.model_spec.name = model
    if texts is not None:
        request.inputs["text"].CopyFrom(tf.make_tensor_proto(list(texts)))
    if pairs is not None:
        request.inputs["pair"].CopyFrom(tf.make_tensor_proto(np.asarray(pairs, np.float32)))
    for name, proto in inputs.items():
        request.inputs[name].CopyFrom(proto)
    return request


def refusal(call, request, **arguments):
    """Returns (status, words) of a call that fails."""
    with pytest.raises(grpc.RpcError) as caught:
        call(request, timeout=20, **arguments)
    return caught.value.code().name, caught.value.details()


def test_predict_answers_with_the_model_that_it_asked(stub):
    answer = stub.Predict(predict_request(["a", "b"], [[1, 2], [3, 4]]), timeout=20)
    assert (answer.model_spec.name, answer.model_spec.version.value) == ("small", 1)
    assert answer.model_spec.signature_name == "serving_default"
    assert list(answer.outputs["said"].string_val) == [b"first a", b"first b"]
    assert list(answer.outputs["sum"].float_val) == [3.0, 7.0]  # As older clients read it.
    assert tf.make_ndarray(answer.outputs["rows"]).tolist() == [2, 2]


def test_version_0_means_the_newest_as_ovmsclient_says_it(channel, stub):
    request = predict_request()
    request.model_spec.version.value = 0
    assert stub.Predict(request, timeout=20).model_spec.version.value == 1
    request = get_model_status_pb2.GetModelStatusRequest(model_spec=request.model_spec)
    models = model_service_pb2_grpc.ModelServiceStub(channel)
    assert len(models.GetModelStatus(request, timeout=20).model_version_status) == 1
    request.model_spec.version.value = 5
    assert refusal(models.GetModelStatus, request)[0] == "NOT_FOUND"


def test_values_in_their_own_field_are_read_as_those_in_bytes_are(stub):
    proto = tensor("dtype: DT_FLOAT tensor_shape { dim { size: 1 } dim { size: 2 } } float_val: [1.5, 2]")
    request = predict_request(pairs=None, pair=proto)
    assert list(stub.Predict(request, timeout=20).outputs["sum"].float_val) == [3.5]


def test_only_the_outputs_asked_for_are_given(stub):
    request = predict_request()
    request.output_filter.extend(["sum"])
    assert list(stub.Predict(request, timeout=20).outputs) == ["sum"]
    request.output_filter.extend(["sum"] * 3)
    assert "at most 3 names" in refusal(stub.Predict, request)[1]
    request.output_filter[1:] = ["sums"]
    assert "Did you mean `sum`?" in refusal(stub.Predict, request)[1]


def tensor(text):
    return text_format.Parse(text, tf.make_tensor_proto(0).__class__())


@pytest.mark.parametrize(
    ("request_", "code", "words"),
    [
        (predict_request(model="\U0001f600" * 3000), "NOT_FOUND", "`model` expects `small`"),
        (predict_request(model="other"), "NOT_FOUND", "`model` expects `small`"),
        (predict_request(texts=None), "INVALID_ARGUMENT", "none for `text`"),
        (predict_request(texto=tf.make_tensor_proto("a")), "INVALID_ARGUMENT", "Did you mean `text`?"),
        (predict_request(["a", "b"]), "INVALID_ARGUMENT", "as many rows"),
        (predict_request(pairs=[1, 2]), "INVALID_ARGUMENT", "shape (B, 2)"),
        (predict_request(["bad"]), "INVALID_ARGUMENT", "`text` expects a good text"),
        (
            predict_request(None, text=tensor("dtype: DT_INT32 int_val: 1")),
            "INVALID_ARGUMENT",
            "`text` expects a tensor of string. Received: int32",
        ),
        (
            predict_request(
                None, text=tensor("dtype: DT_STRING tensor_shape { dim { size: 3 } } string_val: 'a'")
            ),
            "INVALID_ARGUMENT",
            "3 strings in string_val. Received: 1",
        ),
        (
            predict_request(
                pairs=None, pair=tensor("dtype: DT_FLOAT tensor_shape { dim { size: 1000000000000 } }")
            ),
            "INVALID_ARGUMENT",
            "`pair` expects at most 256 rows",
        ),
        (
            predict_request(
                pairs=None, pair=tensor(f"dtype: DT_FLOAT tensor_shape {{ {8 * 'dim { size: 99 } '} }}")
            ),
            "INVALID_ARGUMENT",
            "shape (B, 2)",
        ),
        (
            predict_request(pairs=None, pair=tensor("dtype: DT_FLOAT tensor_shape { dim { size: -1 } }")),
            "INVALID_ARGUMENT",
            "a known shape",
        ),
        (
            predict_request(
                pairs=None,
                pair=tensor(
                    "dtype: DT_FLOAT tensor_shape { dim { size: 1 } dim { size: 2 } } tensor_content: 'abc'"
                ),
            ),
            "INVALID_ARGUMENT",
            "`pair` expects 2 values",
        ),
    ],
)
def test_what_does_not_fit_is_named(stub, request_, code, words):
    got, text = refusal(stub.Predict, request_)
    assert got == code
    assert words in text


def examples(*texts):
    rows = []
    for text in texts:
        feature = tf.train.Feature(bytes_list=tf.train.BytesList(value=[text]))
        rows.append(tf.train.Example(features=tf.train.Features(feature={"text": feature})))
    return rows


def test_classify_regress_and_both_at_once(stub):
    request = classification_pb2.ClassificationRequest()
    request.model_spec.name = "small"
    request.input.example_list.examples.extend(examples(b"abc", b"a"))
    first, second = stub.Classify(request, timeout=20).result.classifications
    assert [(entry.label, entry.score) for entry in first.classes] == [("long", 3.0), ("short", -3.0)]
    assert second.classes[0].score == 1.0
    request = regression_pb2.RegressionRequest()
    request.model_spec.name = "small"
    request.input.example_list_with_context.examples.extend([tf.train.Example()] * 2)
    request.input.example_list_with_context.context.features.feature["x"].float_list.value.append(4)
    assert [entry.value for entry in stub.Regress(request, timeout=20).result.regressions] == [8.0, 8.0]
    both = inference_pb2.MultiInferenceRequest(input=request.input)
    for method in ("classify", "regress"):
        task = both.tasks.add(method_name=f"tensorflow/serving/{method}")
        task.model_spec.name = "small"
    results = stub.MultiInference(both, timeout=20).results
    assert results[1].regression_result.regressions[0].value == 8.0
    assert results[0].classification_result.classifications[0].classes[0].label == "long"
    many = inference_pb2.MultiInferenceRequest(input=request.input)
    many.tasks.extend([inference_pb2.InferenceTask()] * 17)
    assert "at most 16" in refusal(stub.MultiInference, many)[1]
    both.tasks.append(both.tasks[0])
    assert refusal(stub.MultiInference, both) == (
        "INVALID_ARGUMENT",
        "`tasks` expects each once. Received: one of them twice. Remove what is there twice.",
    )
    request = classification_pb2.ClassificationRequest()
    request.model_spec.name = "small"
    assert refusal(stub.Classify, request)[0] == "INVALID_ARGUMENT"


def test_status_metadata_and_health(channel, stub):
    models = model_service_pb2_grpc.ModelServiceStub(channel)
    request = get_model_status_pb2.GetModelStatusRequest()
    request.model_spec.name = "small"
    (state,) = models.GetModelStatus(request, timeout=20).model_version_status
    assert (state.version, state.state) == (1, get_model_status_pb2.ModelVersionStatus.AVAILABLE)
    request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
    request.model_spec.name = "small"
    signatures = get_model_metadata_pb2.SignatureDefMap()
    assert stub.GetModelMetadata(request, timeout=20).metadata["signature_def"].Unpack(signatures)
    assert signatures.signature_def["serving_default"].inputs["text"].dtype == 7
    request.metadata_field[:] = ["other"]
    assert refusal(stub.GetModelMetadata, request)[0] == "INVALID_ARGUMENT"
    health = health_pb2_grpc.HealthStub(channel)
    assert health.Check(health_pb2.HealthCheckRequest(), timeout=20).status == 1


def test_a_deadline_that_passes_ends_the_request_and_the_server_goes_on(stub):
    slow = predict_pb2.PredictRequest()
    slow.model_spec.name, slow.model_spec.signature_name = "small", "slow"
    slow.inputs["count"].CopyFrom(tf.make_tensor_proto([300_000]))
    with pytest.raises(grpc.RpcError) as caught:
        stub.Predict(slow, timeout=0.05)
    assert caught.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
    assert stub.Predict(predict_request(), timeout=20).outputs["sum"].float_val[0] == 3.0


def test_keys_and_sizes_are_asked_for(small_model):
    with serving(small_model, api_keys=(b"one",), most_bytes=2000, rest_port=None) as server:
        with grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as channel:
            stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
            assert refusal(stub.Predict, predict_request())[0] == "UNAUTHENTICATED"
            key = [("authorization", "Bearer one")]
            assert stub.Predict(predict_request(), timeout=20, metadata=key).outputs
            long = predict_request(["a" * 3000])
            assert refusal(stub.Predict, long, metadata=key)[0] == "RESOURCE_EXHAUSTED"


def test_only_so_many_bytes_are_held_at_once(small_model):
    with (
        serving(small_model, workers=1, most_bytes=2**20) as server,
        grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as channel,
    ):
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        slow = predict_pb2.PredictRequest()
        slow.model_spec.name, slow.model_spec.signature_name = "small", "slow"
        slow.inputs["count"].CopyFrom(tf.make_tensor_proto([200_000]))
        calls = [stub.Predict.future(slow, timeout=60)]
        long = predict_request(["a" * (2**20 - 1000)])
        calls += [stub.Predict.future(long, timeout=60) for _ in range(12)]
        codes = [call.code().name for call in calls]
        assert set(codes) == {"OK", "RESOURCE_EXHAUSTED"}
        assert codes.count("OK") == 9
        assert stub.Predict(long, timeout=20).outputs["sum"].float_val[0] == 3.0


@pytest.fixture
def reload_request(tmp_path):
    """A request for version 3 of another model in place of the one that is served."""
    write_model(tmp_path / "other", 3)
    request = model_management_pb2.ReloadConfigRequest()
    entry = request.config.model_config_list.config.add(name="new", base_path=str(tmp_path / "other"))
    entry.version_labels["stable"] = 3
    return request


def test_another_configuration_is_taken_while_it_runs(small_model, reload_request, tmp_path):
    with (
        serving(small_model, allow_reload=True) as server,
        grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as channel,
    ):
        models = model_service_pb2_grpc.ModelServiceStub(channel)
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        models.HandleReloadConfigRequest(reload_request, timeout=60)
        asked = predict_request(model="new")
        asked.model_spec.version_label = "stable"
        assert stub.Predict(asked, timeout=20).model_spec.version.value == 3
        assert refusal(stub.Predict, predict_request())[0] == "NOT_FOUND"
        status = get_model_status_pb2.GetModelStatusRequest()
        status.model_spec.name = "small"
        assert refusal(models.GetModelStatus, status)[0] == "NOT_FOUND"
        entry = reload_request.config.model_config_list.config[0]
        entry.base_path = str(write_model(tmp_path / "moved", 3, "moved").parent)
        models.HandleReloadConfigRequest(reload_request, timeout=60)
        assert stub.Predict(asked, timeout=20).outputs["said"].string_val == [b"moved a"]
        entry.base_path = str(tmp_path / "nowhere")
        code, words = refusal(models.HandleReloadConfigRequest, reload_request)
        assert code == "INVALID_ARGUMENT"
        assert "nowhere" in words


def test_other_folders_are_loaded_only_where_that_is_allowed(channel, stub, reload_request):
    models = model_service_pb2_grpc.ModelServiceStub(channel)
    code, words = refusal(models.HandleReloadConfigRequest, reload_request)
    assert code == "PERMISSION_DENIED"
    assert "--allow-reload" in words
    assert refusal(stub.Predict, predict_request(model="new"))[0] == "NOT_FOUND"
