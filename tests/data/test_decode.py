import io
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
import tensorflow as tf
from PIL import Image

from mm_keras.data import decode, transforms

# Runs without this package: what is read back may only use what TensorFlow itself registers.
LOAD = """
import sys
import numpy as np
import pytest
import tensorflow as tf

folder = sys.argv[1]
inputs = np.load(folder + "/inputs.npz", allow_pickle=True)
serve = tf.saved_model.load(folder + "/model").signatures["serving_default"]
outputs = serve(**{name: tf.constant(list(inputs[name])) for name in inputs})
assert not any(name.startswith(("mm_keras", "tensorflow_io")) for name in sys.modules)
np.savez(folder + "/outputs.npz", **{name: value.numpy() for name, value in outputs.items()})
"""


def decode_all(image, audio, features):
    return {
        "image": tf.map_fn(
            lambda c: decode.decode_image(c, 8, 9, 3, 1000), image, fn_output_signature=tf.uint8
        ),
        "audio": tf.map_fn(lambda c: decode.decode_wav(c, 16000, 800), audio, fn_output_signature=tf.float32),
        "features": tf.map_fn(
            lambda c: decode.decode_features(c, [3, 2]), features, fn_output_signature=tf.float32
        ),
    }


def make_inputs():
    random = np.random.default_rng(7)
    inputs = {"image": [], "audio": [], "features": []}
    image = Image.fromarray(random.integers(0, 256, (12, 10, 3), dtype=np.uint8))
    for container in ("PNG", "JPEG", "GIF", "BMP"):
        file = io.BytesIO()
        image.save(file, container)
        inputs["image"].append(file.getvalue())
    for rate, subtype in ((16000, "PCM_16"), (44100, "PCM_24"), (8000, "FLOAT"), (16000, "PCM_U8")):
        file = io.BytesIO()
        soundfile.write(file, random.uniform(-1, 1, rate // 30), rate, format="WAV", subtype=subtype)
        inputs["audio"].append(file.getvalue())
    for length in range(1, 5):
        file = io.BytesIO()
        np.save(file, random.normal(size=(length, 2)))
        inputs["features"].append(file.getvalue())
    return inputs


@pytest.mark.slow
def test_a_saved_model_decodes_in_a_process_that_has_only_tensorflow(tmp_path):
    inputs = make_inputs()
    signature = [tf.TensorSpec([None], tf.string, name=name) for name in inputs]
    module = tf.Module()
    module.serve = tf.function(decode_all, input_signature=signature)
    tf.saved_model.save(module, str(tmp_path / "model"), signatures=module.serve)
    np.savez(tmp_path / "inputs.npz", **{name: np.array(files, object) for name, files in inputs.items()})
    command = [sys.executable, "-c", LOAD, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    expected = decode_all(**{name: tf.constant(files) for name, files in inputs.items()})
    with np.load(tmp_path / "outputs.npz") as outputs:
        for name, value in expected.items():
            # Fused multiplications of the graph round otherwise than single ones.
            np.testing.assert_allclose(outputs[name], value, atol=1e-6, err_msg=name)


@pytest.mark.parametrize("served", [True, False])
def test_a_cell_with_more_samples_than_allowed_is_refused(served):
    contents = make_inputs()["audio"][0]  # 533 samples.
    modality = SimpleNamespace(kind="audio", rate=16000, samples=10, example_shape=(10,))
    assert transforms.decode_cell(tf.constant(contents), modality, 1, served, 533).shape == (10,)
    with pytest.raises(tf.errors.InvalidArgumentError, match="a sound of at most 532 samples"):
        transforms.decode_cell(tf.constant(contents), modality, 1, served, 532)


def test_all_names_are_there():
    assert all(callable(getattr(decode, name)) for name in decode.__all__)
