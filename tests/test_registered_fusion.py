"""A fusion layer of the user, named in the spec as Keras knows it: from the spec to the exported files."""

import subprocess
import sys
import types

import keras
import numpy as np
import pytest
from keras import ops
from tiny import quick_spec

from mm_keras.exporting import export
from mm_keras.fusion import FUSIONS
from mm_keras.model import FUSED, build_model, embedding_model, make_fusion
from mm_keras.run_folder import load_run
from mm_keras.spec_file import load_spec, save_spec
from mm_keras.training import train

pytestmark = pytest.mark.tensorflow
package = keras.saving.register_keras_serializable(package="fusion_tests")


@package
class LargestFusion(keras.layers.Layer):
    """Takes the largest of the projected modalities, unit by unit, times `scale`."""

    def __init__(self, units, scale=1.0, **kwargs):
        super().__init__(**kwargs)
        self.units, self.scale = units, scale

    def build(self, input_shape):
        self.names = sorted(input_shape)
        self.kernels = [
            self.add_weight(name=name, shape=(input_shape[name][-1], self.units)) for name in self.names
        ]

    def call(self, inputs):
        pairs = zip(self.names, self.kernels, strict=True)
        return self.scale * ops.max(ops.stack([ops.matmul(inputs[n], k) for n, k in pairs]), axis=0)

    def compute_output_shape(self, input_shape):
        return (next(iter(input_shape.values()))[0], self.units)

    def get_config(self):
        return {**super().get_config(), "units": self.units, "scale": self.scale}


@package
class SequenceFusion(LargestFusion):
    def call(self, inputs):
        return super().call(inputs)[:, None, :]

    def compute_output_shape(self, input_shape):
        return (None, 1, self.units)


@package
def not_a_layer():
    return None


def registered(name="LargestFusion", **settings):
    return {"kind": "registered", "layer": f"fusion_tests>{name}", "settings": {"units": 6, **settings}}


def spec_of(manifest, fusion):
    """A spec of the tiny data, whose own fusion has `units`, which `registered` has not."""
    spec = quick_spec(manifest)
    mapping = spec.model_dump(mode="json", exclude_unset=True)
    return type(spec)(**{**mapping, "fusion": fusion})


@pytest.mark.slow
def test_a_registered_layer_goes_from_the_spec_to_every_artefact(tiny_manifest, tmp_path):
    save_spec(spec_of(tiny_manifest, registered(scale=0.5)), tmp_path / "spec.yaml")
    run, data = train(load_spec(tmp_path / "spec.yaml"), tmp_path / "runs")
    again = load_run(run.folder)
    layer = again.model.get_layer(FUSED)
    assert type(layer) is LargestFusion and (layer.units, layer.scale) == (6, 0.5)
    inputs, *_ = next(iter(data.test))  # Targets and weights follow.
    np.testing.assert_array_equal(again.model(inputs)["label"], run.model(inputs)["label"])
    assert embedding_model(again.model)(inputs)["embedding"].shape[1:] == (6,)
    report = export(again.model, again.spec, data, tmp_path / "saved_models")
    for kind in ("saved_model", "tflite"):  # Run in processes that do not know the layer.
        assert report[kind]["parity"]["equal_labels"] == 1.0


def built(manifest, fusion):
    widths = {"numbers": 2, "vec": 6}
    statistics = {name: {"mean": [0.0] * n, "variance": [1.0] * n} for name, n in widths.items()}
    labels = {name: ["a", "b"] for name in ("label", "tags")}
    fitted = types.SimpleNamespace(labels=labels, statistics=statistics)
    return build_model(spec_of(manifest, fusion), fitted)


def fault_of(manifest, fusion):
    with pytest.raises(ValueError) as error:
        built(manifest, fusion)
    return str(error.value)


def test_a_layer_of_the_package_may_be_named_so_too():
    assert keras.saving.get_registered_object("mm_keras>GatedFusion") is FUSIONS["gated"]


def test_a_name_that_keras_does_not_know_is_refused_with_the_closest(tiny_manifest):
    assert fault_of(tiny_manifest, registered("LargestFusoin")) == (
        "`fusion.layer` expects the name of a layer that is registered with Keras. "
        "Received: `fusion_tests>LargestFusoin`. Did you mean `fusion_tests>LargestFusion`? "
        "Name its module as `fusion.module`, or import it before, with "
        '`@keras.saving.register_keras_serializable(package="fusion_tests")` on its class.'
    )


def test_a_registered_function_is_refused(tiny_manifest):
    text = fault_of(tiny_manifest, registered("not_a_layer"))
    assert text.startswith("`fusion.layer` expects the name of a layer that is registered with Keras.")


def test_settings_that_the_layer_does_not_take_are_refused(tiny_manifest):
    text = fault_of(tiny_manifest, registered(rank=3))
    assert text.startswith(
        "`fusion.settings` expects arguments that `fusion_tests>LargestFusion` takes, beside"
    )
    assert "Received: {'units': 6, 'rank': 3}. The layer says: " in text and "rank" in text.split("says")[1]


def test_a_layer_that_gives_a_sequence_is_refused(tiny_manifest):
    text = fault_of(tiny_manifest, registered("SequenceFusion"))
    assert text.startswith(
        "`build_model` expects the fusion layer to return one tensor (B, D) of a known width"
    )
    assert "Received: a tensor of shape (None, 1, 6)." in text


MODULE = """
import keras
from keras import ops


@keras.saving.register_keras_serializable(package="from_module")
class SumFusion(keras.layers.Layer):
    def build(self, input_shape):
        shapes = {name: (shape[-1], 4) for name, shape in sorted(input_shape.items())}
        self.kernels = {name: self.add_weight(name=name, shape=shape) for name, shape in shapes.items()}

    def call(self, inputs):
        return sum(ops.matmul(inputs[name], kernel) for name, kernel in self.kernels.items())

    def compute_output_shape(self, input_shape):
        return (None, 4)

    def get_config(self):
        return super().get_config()
"""


@pytest.mark.slow
def test_the_command_line_finds_a_layer_by_its_module(tiny_manifest, tmp_path):
    (tmp_path / "my_layers.py").write_text(MODULE, encoding="utf-8")
    fusion = {"kind": "registered", "module": "my_layers", "layer": "from_module>SumFusion"}
    save_spec(spec_of(tiny_manifest, fusion), tmp_path / "spec.yaml")
    for command in (["train", "spec.yaml", "--epochs", "1"], ["evaluate", "runs/tiny"]):
        code = f"import sys; sys.path.pop(0); from mm_keras.cli import main; sys.argv[1:] = {command}; main()"
        done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr


def test_a_module_that_is_not_there_is_named(tiny_manifest):
    fusion = spec_of(tiny_manifest, {**registered(), "module": "no_such_layers"}).fusion
    with pytest.raises(
        ValueError, match="`fusion.module` expects a module.*no_such_layers.*Run in the folder"
    ):
        make_fusion(fusion)
