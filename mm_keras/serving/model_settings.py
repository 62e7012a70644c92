"""Which models and versions are served: told by folders, or by TensorFlow Serving's models.config."""

import re
from dataclasses import dataclass, field
from pathlib import Path

from google.protobuf import text_format
from tensorflow_serving.config import model_server_config_pb2

from mm_keras.checks import message

SERVING = "serving"
NAME = re.compile(r"[^/:\s]+")


@dataclass(frozen=True)
class ModelSettings:
    """A model that is served.

    Args:
        name: str. As in the path of a request.
        folder: path. Holds a SavedModel for each version, in folders named 1, 2, ...
        latest: int >= 0. So many of the newest versions are served; 0 is all.
        versions: tuple of int. In place of the latest ones.
        labels: dict, label -> version.
    """

    name: str
    folder: Path
    latest: int = 1
    versions: tuple = ()
    labels: dict = field(default_factory=dict)

    def __post_init__(self):
        if not NAME.fullmatch(self.name):
            fix = "Rename the model's folder, or name it in a models.config."
            raise ValueError(message("serve", "a name without /, : and white space", f"{self.name!r}", fix))
        if not self.folder.is_dir():
            fix = "Give what `mm-keras export` wrote, such as saved_models/NAME."
            raise ValueError(message("serve", "a folder of versions", f"{self.folder}, which is none", fix))

    def wanted(self, found):
        """Returns the versions to serve of those found, in the order in which they are tried, and how many
        of them."""
        if self.versions:
            return [version for version in self.versions if version in found], len(self.versions)
        return sorted(found, reverse=True), self.latest or len(found)


def settings_of_folders(folders, labels=None, versions=()):
    """Returns the ModelSettings of `saved_models/NAME`, or `saved_models/NAME/serving`: named NAME.

    Args:
        folders: list of paths.
        labels: dict or None, label -> version; of one model alone.
        versions: tuple of int. In place of the latest one; those of labels are served too.

    Raises: ValueError, if a folder holds no version, or a name comes twice.
    """
    settings = []
    for folder in map(Path, folders):
        base = folder / SERVING if (folder / SERVING).is_dir() else folder
        named = base.resolve()
        name = named.parent.name if named.name == SERVING else named.name
        chosen = tuple(sorted({*versions, *(labels or {}).values()}, reverse=True))
        settings.append(ModelSettings(name, base, versions=chosen, labels=dict(labels or {})))
        if not versions_in(base):
            fix = "Give what `mm-keras export` wrote, such as saved_models/NAME."
            received = f"{folder}, which has none"
            raise ValueError(
                message("serve", "a folder with a SavedModel in a folder 1, 2, ...", received, fix)
            )
    return _each_once(settings)


def settings_of_config(config):
    """Returns the ModelSettings of a ModelServerConfig.

    Args:
        config: ModelServerConfig, or the path of a file that holds one as text.

    Raises: ValueError, if it cannot be read, or asks for what this server does not do.
    """
    if not isinstance(config, model_server_config_pb2.ModelServerConfig):
        path, config = config, model_server_config_pb2.ModelServerConfig()
        try:
            text_format.Parse(Path(path).read_text(encoding="utf-8"), config)
        except (OSError, text_format.ParseError, UnicodeDecodeError) as error:
            fix = "`mm-keras kit` writes one."
            raise ValueError(
                message("models.config", "a ModelServerConfig", f"{path}: {error}", fix)
            ) from error
    models = config.model_config_list.config
    if not models:
        fix = "Such as model_config_list { config { name: ... base_path: ... } }."
        raise ValueError(message("models.config", "a model_config_list", "none", fix))
    return _each_once([_settings_of(model) for model in models])


def _settings_of(model):
    if model.model_platform not in ("", "tensorflow"):
        raise ValueError(
            message("model_platform", "`tensorflow`", repr(model.model_platform), "Export a SavedModel.")
        )
    policy = model.model_version_policy
    kind = policy.WhichOneof("policy_choice")
    latest = {"all": 0, "latest": policy.latest.num_versions or 1}.get(kind, 1)
    versions = tuple(sorted(policy.specific.versions, reverse=True))
    return ModelSettings(model.name, Path(model.base_path), latest, versions, dict(model.version_labels))


def _each_once(settings):
    names = [model.name for model in settings]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(message("serve", "each model once", f"two of {name!r}", "Rename one of them."))
    return settings


def versions_in(folder):
    """Returns the versions in a folder, number -> path, of those whose `saved_model.pb` is there."""
    found = {}
    for child in Path(folder).iterdir() if Path(folder).is_dir() else ():
        if child.name.isascii() and child.name.isdigit() and int(child.name) < 2**63:
            if (child / "saved_model.pb").is_file():
                found[int(child.name)] = child
    return found
