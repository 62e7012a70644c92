"""TensorFlow Serving's files: read by its own protos, with numbers that suit the model."""

from pathlib import Path

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format, wrappers_pb2
from tensorflow_serving.config import model_server_config_pb2

from mm_keras.serving.kit_configs import MONITORING, batch_sizes, batching_parameters, models_config
from mm_keras.serving.kit_models import KitModel
from mm_keras.serving.model_settings import ModelSettings, settings_of_config

FIELD = descriptor_pb2.FieldDescriptorProto
WRAPPED = ("max_batch_size", "batch_timeout_micros", "max_enqueued_batches", "num_batch_threads")


def message_of(name, fields):
    """Returns the class of a message of TensorFlow Serving that its Python package leaves out: fields are
    (name, number, type, label, name of the message type)."""
    file = descriptor_pb2.FileDescriptorProto(name=f"{name}.proto", package="kit", syntax="proto3")
    file.dependency.append(wrappers_pb2.DESCRIPTOR.name)
    message = file.message_type.add(name=name)
    for field, number, kind, label, type_name in fields:
        message.field.add(name=field, number=number, type=kind, label=label, type_name=type_name)
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(wrappers_pb2.DESCRIPTOR.serialized_pb)
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"kit.{name}"))


def read_batching(text):
    """Reads a BatchingParameters of session_bundle_config.proto."""
    wrapped = ".google.protobuf.Int64Value"
    fields = [
        (name, number, FIELD.TYPE_MESSAGE, FIELD.LABEL_OPTIONAL, wrapped)
        for number, name in enumerate(WRAPPED, 1)
    ]
    fields.append(("allowed_batch_sizes", 6, FIELD.TYPE_INT64, FIELD.LABEL_REPEATED, None))
    return text_format.Parse(text, message_of("BatchingParameters", fields)())


def model(latency_ms, name="keypad", warm_up_rows=16, **settings):
    return KitModel(name, settings.get("versions", ()), settings.get("labels", {}), latency_ms, warm_up_rows)


@pytest.mark.parametrize(
    "latency_ms,cpus,wanted",
    [(0.5, 4, (128, 200, 62, 4)), (4.0, 2, (64, 1000, 7, 2)), (500.0, 2, (64, 5000, 2, 2))],
)
def test_batches_suit_the_model_and_the_processors(latency_ms, cpus, wanted):
    parameters = read_batching(batching_parameters([model(0.1, "quick"), model(latency_ms)], cpus))
    assert tuple(getattr(parameters, name).value for name in WRAPPED) == wanted
    sizes = list(parameters.allowed_batch_sizes)
    assert sizes == sorted(sizes) and sizes[0] == 1 and sizes[-1] == parameters.max_batch_size.value


def test_a_batch_holds_the_warm_up_requests():
    assert read_batching(batching_parameters([model(900.0, warm_up_rows=100)], 1)).max_batch_size.value == 128


def test_batches_are_filled_up_by_less_than_a_third():
    assert batch_sizes(16) == [1, 2, 3, 4, 6, 8, 12, 16]
    sizes = batch_sizes(128)
    for rows in range(1, 129):
        size = next(size for size in sizes if size >= rows)
        assert (size - rows) / size < 1 / 3


def test_models_config_tells_versions_and_labels():
    labelled = model(1.0, versions=(1, 2), labels={"stable": 1, "canary": 2})
    config = text_format.Parse(
        models_config([labelled, model(1.0, "other")]), model_server_config_pb2.ModelServerConfig()
    )
    first, second = config.model_config_list.config
    assert (first.name, first.base_path, first.model_platform) == ("keypad", "/models/keypad", "tensorflow")
    assert list(first.model_version_policy.specific.versions) == [1, 2]
    assert dict(first.version_labels) == {"stable": 1, "canary": 2}
    assert second.model_version_policy.WhichOneof("policy_choice") == "latest" and not second.version_labels


def test_settings_of_the_server_are_written_and_read_again(tmp_path):
    settings = [
        ModelSettings("all", tmp_path, latest=0),
        ModelSettings("three", tmp_path, latest=3),
        ModelSettings("two", tmp_path, versions=(2, 1), labels={"stable": 1}),
    ]
    path = tmp_path / "models.config"
    path.write_text(models_config(settings, lambda model: str(model.folder)))
    read = settings_of_config(path)
    assert [(each.name, Path(each.folder), each.versions, each.labels) for each in read] == [
        ("all", tmp_path, (), {}),
        ("three", tmp_path, (), {}),
        ("two", tmp_path, (2, 1), {"stable": 1}),
    ]
    assert [each.latest for each in read[:2]] == [0, 3]


def test_monitoring_config_opens_the_metrics():
    fields = [
        ("enable", 1, FIELD.TYPE_BOOL, FIELD.LABEL_OPTIONAL, None),
        ("path", 2, FIELD.TYPE_STRING, FIELD.LABEL_OPTIONAL, None),
    ]
    body = MONITORING.split("prometheus_config {")[1].rsplit("}", 1)[0]
    read = text_format.Parse(body, message_of("PrometheusConfig", fields)())
    assert read.enable and read.path == "/monitoring/prometheus/metrics"
