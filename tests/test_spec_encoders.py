"""Kinds of encoder in a spec: which is taken where none is named, and how a wrong one is refused."""

import pytest

from mm_keras.spec_file import SpecError, make_spec


def spec_of(**modality):
    return make_spec(
        {
            "name": "a",
            "data": {"manifest": "m.csv"},
            "modalities": {"x": modality},
            "fusion": {"kind": "concatenate"},
            "outputs": {"y": {"kind": "classification"}},
        }
    )


@pytest.mark.parametrize(
    ("kind", "default"), [("image", "conv"), ("audio", "conv_recurrent"), ("text", "gru")]
)
def test_an_encoder_without_a_kind_is_the_usual_one(kind, default):
    assert spec_of(kind=kind, encoder={"dropout": 0.1}).modalities["x"].encoder.kind == default
    assert spec_of(kind=kind).modalities["x"].encoder.kind == default


def test_a_waveform_is_changed_and_rebuilt_as_one_of_another_encoder():
    changes = {"gain_db": 6.0, "shift": 0.01}
    audio = spec_of(kind="audio", seconds=0.02, encoder={"kind": "waveform"}, augment=changes).modalities["x"]
    assert audio.augment.gain_db == 6.0
    usual = audio.spectrogram
    assert (usual.mel_bins, usual.window, usual.hop, usual.filters) == (40, 0.02, 0.01, [16, 32, 64])
    residual = spec_of(kind="audio", encoder={"kind": "residual", "mel_bins": 30}).modalities["x"]
    assert residual.spectrogram is residual.encoder


@pytest.mark.parametrize(
    ("modality", "words"),
    [
        (
            {"kind": "image", "encoder": {"kind": "residul"}},
            "`modalities.x.encoder.kind` expects a kind in `conv`, `residual`, .*Did you mean `residual`",
        ),
        (
            {"kind": "image", "encoder": {"blocks": 2}},
            "keys of kind conv `kind`.*Received: `blocks`. Only the kind `residual` has it",
        ),
        (
            {"kind": "image", "size": [64, 70], "encoder": {"kind": "application", "model": "Xception"}},
            r"`modalities.x.size` expects at least \[71, 71\].*Received: size=\[64, 70\]",
        ),
        (
            {"kind": "image", "encoder": {"kind": "application", "model": "MobilNetV2"}},
            "Did you mean `MobileNetV2`",
        ),
        (
            {"kind": "image", "encoder": {"kind": "application", "trainable": False}},
            "`modalities.x.encoder.trainable` expects true where `weights` is null",
        ),
        (
            {"kind": "text", "encoder": {"kind": "transformer", "num_heads": 3}},
            "`modalities.x.encoder.num_heads` expects a divisor of `units`. Received: num_heads=3, units=64",
        ),
        (
            {"kind": "features", "shape": [3], "encoder": {"kind": "transformer"}},
            "`modalities.x.encoder.kind` expects `dense` where `shape` is one vector",
        ),
        (
            {"kind": "text", "encoder": {"pooling": "none"}},
            "`modalities.x.encoder.pooling` expects one vector of each modality for the fusion "
            "`concatenate`. Received: pooling='none'. Such as `pooling: mean`; or `cross_attention` or",
        ),
        ({"kind": "image", "encoder": {"filters": [0]}}, r"`modalities.x.encoder.filters\[0\]` expects"),
        (
            {"kind": "audio", "encoder": {"kind": "residual", "cell": "gru"}},
            "Received: `cell`. Only the kind `conv_recurrent` has it",
        ),
        (
            {"kind": "audio", "encoder": {"kind": "residual", "compression": "pce"}},
            "`modalities.x.encoder.compression` expects one of `log`, `pcen` .*Did you mean `pcen`",
        ),
        (
            {"kind": "audio", "encoder": {"kind": "waveform", "compression": "pcen"}},
            "Received: `compression`. Only the kinds `conv_recurrent`, `residual` have it",
        ),
        (
            {"kind": "audio", "encoder": {"kind": "waveform", "mel_bins": 40}},
            "Received: `mel_bins`. Only the kinds `conv_recurrent`, `residual` have it",
        ),
        *(
            (
                {"kind": "audio", "encoder": {"kind": "waveform"}, "augment": {key: 3}},
                f"`modalities.x.augment.{key}` expects 0 where `encoder.kind` is `waveform`, which makes no "
                f"spectrogram. Received: {key}=3. Remove it, or take the encoder `conv_recurrent`",
            )
            for key in ("time_mask", "frequency_mask")
        ),
        (
            {"kind": "audio", "seconds": 0.005, "encoder": {"kind": "waveform"}},
            r"`modalities.x.seconds` expects at least `encoder.window` \(0.01 seconds\)",
        ),
    ],
)
def test_a_wrong_encoder_is_refused(modality, words):
    with pytest.raises(SpecError, match=words):
        spec_of(**modality)
