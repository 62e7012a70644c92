"""The production kit: what TensorFlow Serving needs to serve exported models, in one folder."""

import io
import json
import os
from pathlib import Path

from ruamel.yaml import YAML
from ruamel.yaml.scalarstring import LiteralScalarString

from mm_keras.checks import check_positive_int, message
from mm_keras.serving.kit_compose import CONFIGS, DOCKERFILE, compose, prometheus
from mm_keras.serving.kit_configs import MONITORING, batching_parameters, models_config
from mm_keras.serving.kit_kubernetes import loader, manifests
from mm_keras.serving.kit_models import read_models
from mm_keras.serving.kit_readme import readme


def write_kit(models, folder=None, labels=None, versions=(), cpus=None, force=False):
    """Writes a folder with all that TensorFlow Serving needs in production.

    models.config, batching_parameters.txt and monitoring.config for the server, docker-compose.yaml with
    Prometheus and the demo page, manifests for Kubernetes, real requests with a load script, and a README.md
    with the commands.

    Args:
        models: path, name or list of them. `saved_models/NAME`; NAME alone stands for that.
        folder: path or None. Where the kit is written; None is `deploy_NAME`.
        labels: dict, label -> version, of one model alone. None labels the newest version of each model
            `canary` and the one before `stable`; {} labels none, and always the newest version is served.
        versions: list of int. Further versions to serve, of one model alone.
        cpus: int > 0 or None. Processors of the server; None is as many as this machine has.
        force: bool. Write into a folder that holds something; other files in it stay.

    Returns: dict with "folder", its path; "files", the names of what was written, sorted; and "models", list
        of dict: name, versions, labels, tensorflow and others of each model, as kit.json has them.
    Raises: ValueError, if there is no such model or version, or the folder holds something.
    """
    models = read_models([models] if isinstance(models, (str, Path)) else list(models), labels, versions)
    cpus = check_positive_int("kit", "cpus", cpus if cpus is not None else os.cpu_count() or 1)
    folder = Path(folder) if folder is not None else Path(f"deploy_{models[0].name}")
    if folder.exists() and (not folder.is_dir() or (any(folder.iterdir()) and not force)):
        fix = "Name another folder, or write into it with --force."
        raise ValueError(message("kit", "a new or empty folder", str(folder), fix))
    files = kit_files(models, cpus)
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return {
        "folder": str(folder),
        "files": sorted(files),
        "models": [model.facts() for model in models],
    }


def kit_files(models, cpus):
    """Returns the files of a kit, path in its folder -> contents.

    Args:
        models: list of KitModel.
        cpus: int > 0. Processors of the server.
    """
    configs = config_files(models, cpus)
    facts = {"cpus": cpus, "models": [model.facts() for model in models]}
    files = {
        **configs,
        "docker-compose.yaml": yaml_text(compose(models, cpus)),
        "Dockerfile.demo": DOCKERFILE,
        "prometheus.yml": yaml_text(prometheus()),
        "load.py": Path(__file__).with_name("kit_load.py").read_text(encoding="utf-8"),
        "README.md": readme(models),
        "kit.json": json.dumps(facts, indent=2) + "\n",
    }
    files |= {
        f"kubernetes/{name}": yaml_text(data) for name, data in manifests(models, cpus, configs).items()
    }
    files["kubernetes/loader/pod.yaml"] = yaml_text(loader(models))
    for model in models:
        files[f"requests/{model.name}.json"] = json.dumps(model.request) + "\n"
    return files


def config_files(models, cpus):
    """Returns the files that TensorFlow Serving itself reads."""
    contents = (models_config(models), batching_parameters(models, cpus), MONITORING)
    return dict(zip(CONFIGS, contents, strict=True))


def yaml_text(data):
    yaml = YAML()
    yaml.width = 1000
    yaml.indent(mapping=2, sequence=4, offset=2)
    yaml.representer.ignore_aliases = lambda part: True
    out = io.StringIO()
    yaml.dump(_with_blocks(data), out)
    return out.getvalue()


def _with_blocks(data):
    """Returns the same data with texts of several lines marked to be written as they are."""
    if isinstance(data, dict):
        return {key: _with_blocks(value) for key, value in data.items()}
    if isinstance(data, list):
        return [_with_blocks(value) for value in data]
    return LiteralScalarString(data) if isinstance(data, str) and "\n" in data else data
