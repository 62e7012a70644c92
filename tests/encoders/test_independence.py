"""What an encoder gives for one example does not depend on the others in the batch."""

import numpy as np
import pytest

from helpers import randomised
from mm_keras import encoders

FLOAT = np.random.default_rng(7).normal(size=(4, 6, 5, 2)).astype("float32")
IDS = np.array([[2, 4, 3, 0], [2, 3, 0, 0], [0, 0, 0, 0], [2, 5, 4, 3]], "int32")
STATISTICS = {"mean": [0.5, -0.5], "variance": [2.0, 3.0]}
CASES = {
    "ConvStages": ({"filters": [4, 2]}, FLOAT),
    "DenseEncoder": ({"units": 4}, FLOAT[:, 0]),
    "ImageEncoder": ({"filters": [4, 2], "units": 3}, 100 * FLOAT),
    "ResidualBlock": ({"filters": 3, "halve": True}, FLOAT),
    "ResidualImageEncoder": ({"filters": [4, 2], "units": 3}, 100 * FLOAT),
    "ResidualSpectrogramEncoder": ({"filters": [4], "units": 3}, FLOAT[..., 0]),
    "ResidualStages": ({"filters": [4, 2]}, FLOAT),
    "SequenceEncoder": ({"units": 3}, FLOAT[:, :, 0]),
    "SequenceTransformerEncoder": ({"units": 4}, FLOAT[:, :, 0]),
    "SpectrogramEncoder": ({"filters": [4], "units": 3}, FLOAT[..., 0]),
    "StandardizedFeatures": (STATISTICS, FLOAT[:, :, 0]),
    "StandardizedNumbers": (STATISTICS, FLOAT[:, 0, 0]),
    "TextCnnEncoder": ({"vocabulary_size": 6, "units": 3, "embedding": 4}, IDS),
    "TextTransformerEncoder": ({"vocabulary_size": 6, "units": 4, "embedding": 3}, IDS),
    "TransformerBlocks": ({"units": 4}, FLOAT[:, :, 0]),
    "WaveformEncoder": ({"kernel_size": 5, "stride": 2, "filters": [4, 3], "units": 3}, FLOAT.reshape(4, 60)),
    "TextEncoder": ({"vocabulary_size": 6, "units": 3, "embedding": 4}, IDS),
}


def test_every_encoder_is_listed():
    masks = {"HalvedMask", "StepMask", "TokenMask"}
    drawn = {"SpectrogramMask"}  # At random in training, and the identity else.
    others = {"ApplicationEncoder", "HubImageEncoder", "HubTextEncoder"}  # May normalise over the batch.
    assert sorted(CASES) == sorted(set(encoders.__all__) - {"ENCODERS"} - masks - drawn - others)


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("name", CASES)
def test_an_example_gives_the_same_alone_and_beside_others(name, training):
    arguments, x = CASES[name]
    layer = getattr(encoders, name)(**arguments)
    layer(x)
    randomised(layer)  # A part that is off at first, such as a residual branch, is on then.
    keywords = {} if name.startswith(("Conv", "Standardized")) else {"training": training}
    together = np.array(layer(x, **keywords))
    beside_absent = np.array(layer(np.where(np.arange(4).reshape(-1, *[1] * (x.ndim - 1)) == 1, x, 0 * x)))
    np.testing.assert_allclose(beside_absent[1], together[1], rtol=1e-5, atol=1e-5)
    for i in range(len(x)):
        np.testing.assert_allclose(np.array(layer(x[i : i + 1]))[0], together[i], rtol=1e-5, atol=1e-5)
