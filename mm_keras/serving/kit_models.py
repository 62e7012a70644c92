"""What a production kit has to know of each exported model."""

import base64
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from mm_keras.checks import listing, message
from mm_keras.exporting.warm_up import MOST_ROWS, read_warm_up
from mm_keras.serving.model_settings import settings_of_folders, versions_in

SAVED_MODELS = Path("saved_models")
STABLE, CANARY = "stable", "canary"
FILES = ("image", "audio")
USUAL_MS = 10.0  # Of a row of a model that does not tell.


@dataclass(frozen=True)
class KitModel:
    """A model of a kit.

    Args:
        name: str.
        versions: tuple of int. Those to serve, the newest last; () is whichever is the newest.
        labels: dict, label -> version.
        latency_ms: float > 0. Milliseconds that `serving_default` took for one row when it was exported.
        warm_up_rows: int > 0. Rows of the largest warm-up request, which a batch must hold.
        size: int. Bytes of the largest version.
        tensorflow: str. The newest TensorFlow that wrote a version.
        request: dict. A REST request with a real row.
    """

    name: str
    versions: tuple
    labels: dict
    latency_ms: float
    warm_up_rows: int = MOST_ROWS
    size: int = 0
    tensorflow: str = ""
    request: dict = field(default_factory=dict)

    def facts(self):
        """Returns what kit.json tells of it, all but the request."""
        return {key: value for key, value in asdict(self).items() if key != "request"}


def read_models(models, labels=None, versions=()):
    """Reads what `mm-keras export` wrote.

    Args:
        models: list of path or name. `saved_models/NAME`; NAME alone stands for that.
        labels: dict, label -> version, of one model alone; None labels the newest version of each model
            `canary` and the one before `stable`, {} none.
        versions: list of int. Further versions to serve, of one model alone.

    Returns: list of KitModel.
    Raises: ValueError, if there is no such model or version, or it was exported by an earlier release.
    """
    if (labels or versions) and len(models) != 1:
        fix = "Write a kit of one model, or edit models.config."
        raise ValueError(message("kit", "one model with labels or versions", f"{len(models)}", fix))
    folders = [_folder_of(model) for model in models]
    return [_read_model(each, labels, versions) for each in settings_of_folders(folders)]


def _folder_of(model):
    path = Path(model)
    named = SAVED_MODELS / path
    # A bare name means the export, whatever else has it: the data set lies beside it often.
    return named if path.name == str(model) and named.is_dir() else path


def _read_model(settings, labels, versions):
    found = versions_in(settings.folder)
    order = sorted(found)
    if labels is None:
        labels = {STABLE: order[-2:][0], CANARY: order[-1]}
    served = tuple(sorted({*labels.values(), *versions}))
    for version in served:
        if version not in found:
            fix = "Export it, or name another one."
            raise ValueError(
                message("kit", f"versions of `{settings.name}` among {listing(order)}", f"{version}", fix)
            )
    folders = [found[version] for version in served or order[-1:]]
    newest = folders[-1]
    requests = read_warm_up(newest)
    if not requests:
        fix = "It was exported by an earlier release: export the run again."
        raise ValueError(message("kit", "a version with warm-up requests", str(newest), fix))
    return KitModel(
        settings.name,
        served,
        labels,
        _latency_of(_extra(newest, "parity.json")),
        max(_warm_up_rows(folder) for folder in folders),
        max(_size_of(folder) for folder in folders),
        max((_tensorflow_of(folder) for folder in folders), key=numbers_of),
        _request_of(requests[0], newest),
    )


def read_version(settings):
    """Reads as much of the version that is served of any model as batches depend on.

    Args:
        settings: ModelSettings.

    Returns: KitModel.
    Raises: ValueError, if there is no version.
    """
    found = versions_in(settings.folder)
    wanted, _ = settings.wanted(found)
    if not wanted:
        fix = "Export the model, or name another folder."
        raise ValueError(message("serve", "a version to serve", f"none in {settings.folder}", fix))
    folder = found[wanted[0]]
    parity = folder / "assets.extra" / "parity.json"
    latency_ms = _latency_of(parity) if parity.is_file() else USUAL_MS
    return KitModel(settings.name, (), {}, latency_ms, max(_warm_up_rows(folder), 1))


def _latency_of(parity):
    told = json.loads(parity.read_text(encoding="utf-8"))
    return round(told["latency_ms"]["serving_default"], 2)


def _warm_up_rows(folder):
    return max((rows_of(request) for request in read_warm_up(folder)), default=0)


def rows_of(request):
    """Returns the rows of a PredictRequest."""
    return max((proto.tensor_shape.dim[0].size for proto in request.inputs.values()), default=0)


def numbers_of(version):
    """Returns the numbers of a version such as "2.17.1", to compare it with others."""
    return tuple(int(part) for part in version.split(".") if part.isdigit())


def _request_of(request, folder):
    """Returns a PredictRequest as the REST API's JSON, in column form; files are base64."""
    modalities = json.loads(_extra(folder, "preprocess.json").read_text(encoding="utf-8"))["modalities"]
    inputs = {}
    for name in sorted(request.inputs):
        values = tf.make_ndarray(request.inputs[name]).tolist()
        if modalities[name]["kind"] in FILES:
            inputs[name] = [{"b64": base64.b64encode(value).decode()} for value in values]
        else:
            inputs[name] = [value.decode() if isinstance(value, bytes) else value for value in values]
    return {"signature_name": request.model_spec.signature_name, "inputs": inputs}


def _extra(folder, name):
    path = folder / "assets.extra" / name
    if not path.is_file():
        fix = "Give what `mm-keras export` wrote, whole."
        raise ValueError(message("kit", f"a version with assets.extra/{name}", f"{folder}", fix))
    return path


def _size_of(folder):
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _tensorflow_of(folder):
    proto = saved_model_pb2.SavedModel.FromString((folder / "saved_model.pb").read_bytes())
    return proto.meta_graphs[0].meta_info_def.tensorflow_version
