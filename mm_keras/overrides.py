"""Changes single values of a spec from the command line."""

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from mm_keras.checks import message
from mm_keras.spec_file import load_spec, make_spec

EXAMPLE = "Write it as in `--set training.batch_size=128`."


def override(path, settings):
    """Loads a spec and changes values of it.

    Args:
        path: path of the spec file.
        settings: list of str "key.path=value"; the value is read as YAML, as in the file.

    Returns: Spec, whole and valid.
    Raises: SpecError, if the spec or a value is not valid. ValueError, if a setting cannot be read.
    """
    spec = load_spec(path)
    if not settings:
        return spec
    # What the file does not say is left out, so that `fusion.kind` can change without the old kind's values.
    content = spec.model_dump(mode="json", exclude_unset=True)
    for setting in settings:
        _set(content, setting)
    return make_spec(content, source="--set")


def _set(content, setting):
    keys, equals, text = setting.partition("=")
    *parents, last = [key.strip() for key in keys.split(".")]
    if not equals or not last:
        raise ValueError(message("--set", "KEY.PATH=VALUE", setting, EXAMPLE))
    for key in parents:
        content = content.setdefault(key, {})
        if not isinstance(content, dict):
            fix = f"Set `{key}` itself."
            raise ValueError(message("--set", f"`{key}` in `{keys}` to hold keys", f"{content!r}", fix))
    content[last] = _read(text, setting)


def _read(text, setting):
    try:
        return YAML(typ="safe", pure=True).load(text)
    except YAMLError as error:
        fix = "Put text that YAML reads otherwise in quotes."
        raise ValueError(message("--set", "a value in YAML", setting, fix)) from error
