"""The messages in which TensorFlow Serving tells the state and the signatures of a model."""

from tensorflow_serving.apis import get_model_metadata_pb2, get_model_status_pb2

from mm_keras.serving.served_model import metadata_of

UNKNOWN = 2  # gRPC's code of an error without one of its own.


def status_message(repository, model, version=None, label=None):
    """Returns the GetModelStatusResponse of a model.

    Raises: ServingError, if there is no such model, version or label.
    """
    answer = get_model_status_pb2.GetModelStatusResponse()
    for number, state in repository.status(model, version, label).items():
        entry = answer.model_version_status.add(
            version=number, state=get_model_status_pb2.ModelVersionStatus.State.Value(state.state)
        )
        entry.status.error_code = UNKNOWN if state.error else 0
        entry.status.error_message = state.error
    return answer


def metadata_message(repository, model, version=None, label=None):
    """Returns the GetModelMetadataResponse of a model, with its signatures."""
    version, state = repository.choose(model, version, label)
    answer = get_model_metadata_pb2.GetModelMetadataResponse()
    answer.model_spec.name = model
    answer.model_spec.version.value = version
    signatures = get_model_metadata_pb2.SignatureDefMap()
    for name, proto in metadata_of(state.served.meta_graph).items():
        signatures.signature_def[name].CopyFrom(proto)
    answer.metadata["signature_def"].Pack(signatures)
    return answer
