"""Every public layer of the package, with the arguments and shapes that the cross-cutting tests use."""

import dataclasses

import keras
import numpy as np

from mm_keras import (
    attention_block,
    encoders,
    frame_mask,
    fusion,
    griffin_lim,
    heads,
    log_mel,
    mel_power,
    pcen,
    sequence_pooling,
    speech_frames,
    vocoder,
)

VECTORS = {"image": (8,), "text": (5,), "audio": (3,)}
SEQUENCES = {"text": (3, 5), "audio": (4, 3)}
# Numbers, as Keras averages a batch over devices (keras-team/keras#20585) and booleans have no mean.
MASKS = {
    "text": np.array([[1, 1, 0], [1, 0, 0]], "float32"),
    "audio": np.array([[0, 1, 1, 0], [0, 0, 0, 0]], "float32"),
}
FRAMES = (np.arange(9) < np.array([[9], [4]])).astype("float32")
MEMORY_STEPS = np.array([[1, 1, 1, 0], [1, 0, 0, 1]], "float32")
PRESENT = np.array([[1, 0], [1, 1]], "float32")
CONTEXT = np.random.default_rng(7).normal(size=(2, 4, 3)).astype("float32")
STATISTICS = {"mean": [1.0, -2.0], "variance": [4.0, 0.25]}
HUB = {"pooling": "mean_max", "trainable": True, "dropout": 0.1}
LOG_MEL = {"rate": 1000, "mel_bins": 6, "window": 0.032, "hop": 0.016}
SPEECH = {**LOG_MEL, "reduction": 3}  # 100 samples are 7 frames, in 3 groups of 18 numbers.


@dataclasses.dataclass(frozen=True)
class Row:
    """One case of a layer: what `assert_layer` is called with. A slow one takes longer than 2 s.

    A layer that does not learn gives booleans, through which no gradient passes. `noise` is the deviation of
    what is added to each weight: a deep network takes little of it.
    """

    layer: type
    arguments: dict
    inputs: dict | tuple
    outputs: dict | tuple
    call_arguments: dict | None = None
    dtypes: dict | None = None
    slow: bool = False
    learns: bool = True
    noise: float = 0.3


def _recurrent(cell, bidirectional, pooling="last"):
    return {
        "units": 3,
        "cell": cell,
        "bidirectional": bidirectional,
        "dropout": 0.1,
        "pooling": pooling,
    }


def _map_backbone():
    pixels = keras.Input((None, None, 3), name="images")
    return keras.Model(pixels, keras.layers.Conv2D(4, 3, strides=2, name="map")(pixels))


def _text_backbone():
    """Returns what reads the inputs of KerasHub's BERT, and gives outputs of the same names."""
    names = ("token_ids", "segment_ids", "padding_mask")
    inputs = {name: keras.Input((None,), dtype="int32", name=name) for name in names}
    steps = keras.layers.Embedding(5, 4, name="tokens")(inputs["token_ids"])
    seen = keras.layers.Embedding(2, 4, name="seen")(inputs["padding_mask"])
    steps = keras.layers.Add(name="steps")([steps, seen])
    return keras.Model(inputs, {"sequence_output": steps, "pooled_output": steps[:, 0]})


ROWS = [
    # Encoders.
    Row(
        encoders.ApplicationEncoder,
        {"model": "MobileNetV3Small", "weights": None, "trainable": True, "dropout": 0.1},
        (32, 32, 1),
        (576,),
        slow=True,
        noise=0.01,
    ),
    Row(encoders.ConvStages, {"filters": [4, 3]}, (5, 6, 2), (2, 2, 3)),
    Row(
        encoders.ConvStages, {"filters": [4, 3], "halving": "stride"}, (9, 6, 2), (3, 2, 3), {"mask": FRAMES}
    ),
    Row(encoders.DenseEncoder, {"units": 5, "layers": 2, "dropout": 0.1}, (6,), (5,)),
    Row(encoders.DenseEncoder, {"units": 5, "layers": 2, "dropout": 0.1}, (3, 2), (5,)),
    Row(encoders.HalvedMask, {"times": 2}, (5,), (2,), dtypes={"inputs": "bool"}, learns=False),
    Row(
        encoders.HubImageEncoder,
        {"backbone": _map_backbone(), "scale": [0.5, 1.0, 2.0], "offset": -1.0, **HUB},
        (6, 5, 1),
        (8,),
        slow=True,
    ),
    Row(
        encoders.HubTextEncoder,
        {"backbone": _text_backbone(), "token_ids": [3, 0, 1, 2, 4], **HUB},
        (3,),
        (8,),
        dtypes={"inputs": "int32"},
        slow=True,
    ),
    Row(encoders.ImageEncoder, {"filters": [4, 3], "units": 5, "dropout": 0.1}, (6, 5, 3), (5,)),
    Row(encoders.ImageEncoder, {"filters": [4, 3], "units": 5, "pooling": "none"}, (6, 5, 3), (4, 5)),
    Row(
        encoders.ImageEncoder,
        {"filters": [4, 3], "units": 9, "dropout": 0.1, "halving": "stride"},
        (6, 5, 3),
        (9,),
    ),
    *(
        Row(
            encoders.ResidualBlock,
            {"filters": filters, "halve": halve, "dropout": 0.1},
            (9, 6, 2),
            shape,
            {"mask": mask} if mask is not None else None,
        )
        for filters, halve, shape, mask in ((3, True, (5, 3, 3), FRAMES), (2, False, (9, 6, 2), None))
    ),
    Row(
        encoders.ResidualImageEncoder,
        {"filters": [4, 3], "blocks": 2, "units": 5, "dropout": 0.1},
        (6, 5, 3),
        (5,),
        slow=True,
    ),
    Row(
        encoders.ResidualSpectrogramEncoder,
        {"filters": [2, 3], "blocks": 1, "units": 5, "dropout": 0.1, "pooling": "mean_max"},
        (9, 5),
        (10,),
        {"mask": FRAMES},
        slow=True,
    ),
    Row(
        encoders.ResidualImageEncoder,
        {"filters": [4], "units": 5, "pooling": "none"},
        (6, 5, 3),
        (9, 5),
        slow=True,
    ),
    Row(encoders.ResidualStages, {"filters": [4, 3], "blocks": 2, "dropout": 0.1}, (5, 6, 2), (2, 2, 3)),
    *(
        Row(encoders.SequenceEncoder, _recurrent(*kind), (4, 2), (width,), slow=True)
        for *kind, width in (("gru", False, 3), ("lstm", False, "mean", 3), ("lstm", True, 6))
    ),
    *(
        Row(
            encoders.SpectrogramEncoder, {"filters": [2, 3], **_recurrent(*kind)}, (9, 5), (width,), slow=True
        )
        for *kind, width in (
            ("gru", False, "mean_max", 6),
            ("lstm", False, "last", 3),
            ("gru", True, "mean_max", 12),
        )
    ),
    *(
        Row(
            encoders.SpectrogramEncoder,
            {"filters": [2, 3], **_recurrent("gru", True, "mean_max"), "halving": halving},
            (9, 5),
            (12,),
            {"mask": FRAMES},
            slow=True,
        )
        for halving in ("pool", "stride")
    ),
    Row(
        encoders.SpectrogramMask,
        {"time_mask": 3, "frequency_mask": 2, "masks": 2, "seed": 7},
        (6, 5),
        (6, 5),
    ),
    Row(encoders.StandardizedFeatures, STATISTICS, (2,), (2,)),
    Row(encoders.StandardizedFeatures, STATISTICS, (3, 2), (3, 2)),
    Row(encoders.StandardizedNumbers, STATISTICS, (2,), (4,)),
    Row(encoders.StepMask, {}, (3, 2), (3,), learns=False),
    Row(encoders.TokenMask, {}, (4,), (4,), dtypes={"inputs": "int32"}, learns=False),
    Row(
        encoders.SequenceTransformerEncoder,
        {"units": 4, "num_heads": 2, "layers": 1, "dropout": 0.1, "pooling": "mean"},
        (4, 3),
        (4,),
        slow=True,
    ),
    Row(
        encoders.TextCnnEncoder,
        {
            "vocabulary_size": 5,
            "units": 3,
            "embedding": 4,
            "windows": [2, 3],
            "dropout": 0.1,
            "pooling": "max",
        },
        (4,),
        (6,),
        dtypes={"inputs": "int32"},
        slow=True,
    ),
    Row(
        encoders.TextTransformerEncoder,
        {
            "vocabulary_size": 5,
            "units": 4,
            "embedding": 3,
            "num_heads": 2,
            "layers": 1,
            "dropout": 0.1,
            "pooling": "mean",
        },
        (4,),
        (4,),
        dtypes={"inputs": "int32"},
        slow=True,
    ),
    Row(
        encoders.TransformerBlocks,
        {"units": 4, "num_heads": 2, "layers": 2, "dropout": 0.1},
        (4, 3),
        (4, 4),
        {"mask": MASKS["audio"]},
        slow=True,
    ),
    *(
        Row(
            encoders.TextEncoder,
            {"vocabulary_size": 5, "embedding": 4, **_recurrent(*kind)},
            (4,),
            (width,),
            dtypes={"inputs": "int32"},
            slow=True,
        )
        for *kind, width in (("gru", False, 3), ("lstm", False, "attention", 3), ("gru", True, 6))
    ),
    Row(
        encoders.WaveformEncoder,
        {"kernel_size": 5, "stride": 2, "filters": [3, 2], "units": 4, "dropout": 0.1, "pooling": "mean_max"},
        (45,),
        (8,),
        slow=True,
    ),
    # Fusion.
    Row(
        fusion.BottleneckFusion,
        {"units": 4, "num_heads": 2, "layers": 2, "fusion_layer": 1, "bottlenecks": 2, "block_dropout": 0.1},
        {"numbers": (3,), "text": (3, 5)},
        (4,),
        slow=True,
    ),
    Row(
        fusion.BottleneckFusion,
        {"units": 4, "num_heads": 2, "layers": 1, "fusion_layer": 0},
        SEQUENCES,
        (4,),
        {"mask": MASKS},
        slow=True,
    ),
    Row(fusion.CentralFusion, {"units": 4, "hidden": [5, 3]}, VECTORS, (4,)),
    Row(
        fusion.CompactBilinearFusion,
        {"units": 4, "sketch": 16, "signed_sqrt": True, "l2": True, "seed": 3},
        VECTORS,
        (4,),
    ),
    Row(
        fusion.CompactBilinearFusion,
        {"units": 4, "sketch": 8, "signed_sqrt": False, "l2": False, "seed": None},
        VECTORS,
        (4,),
    ),
    Row(fusion.ConcatenateFusion, {"units": 4}, VECTORS, (4,)),
    Row(
        fusion.CrossAttentionFusion,
        {"units": 4, "num_heads": 2, "layers": 2, "self_layers": 1, "block_dropout": 0.1},
        {"image": (4,), "text": (3, 5)},
        (4,),
        slow=True,
    ),
    Row(
        fusion.CrossAttentionFusion,
        {"units": 4, "num_heads": 2},
        SEQUENCES,
        (4,),
        {"mask": MASKS},
        slow=True,
    ),
    Row(
        fusion.FactorizedBilinearFusion,
        {"units": 4, "factor": 2, "product_dropout": 0.1, "signed_sqrt": True, "l2": True},
        VECTORS,
        (4,),
    ),
    Row(
        fusion.FactorizedBilinearFusion,
        {"units": 4, "factor": 1, "signed_sqrt": False, "l2": False},
        VECTORS,
        (4,),
    ),
    Row(fusion.FilmFusion, {"units": 4}, VECTORS, (4,)),
    Row(fusion.FilmFusion, {"units": 4, "conditioned": "image"}, VECTORS, (4,)),
    Row(fusion.GatedFusion, {"units": 4}, VECTORS, (4,)),
    Row(fusion.GatedUnitFusion, {"units": 4}, VECTORS, (4,)),
    Row(fusion.LowRankFusion, {"units": 4, "rank": 3}, VECTORS, (4,)),
    Row(fusion.MatrixProductFusion, {"units": 4, "rank": 2}, VECTORS, (4,)),
    Row(
        fusion.MissingModality,
        {},
        {"image": (4,), "text": (3, 2), "audio": (3,)},
        {"image": (4,), "text": (3, 2), "audio": (3,)},
        {"present": np.array([[1, 0, 1], [0, 1, 0]], "float32")},
    ),
    *(
        Row(
            fusion.ModalityDropout,
            arguments,
            {"image": (4,), "text": (3, 2), "present": (2,)},
            {"image": (4,), "text": (3, 2), "present": (2,)},
        )
        for arguments in ({"rate": 0.5, "seed": 3}, {"rate": {"text": 0.3}, "seed": None})
    ),
    Row(
        fusion.SequenceMask, {}, (3, 2), (3,), {"mask": np.array([[1, 1, 0], [1, 0, 0]], bool)}, learns=False
    ),
    Row(fusion.ShownSteps, {"place": 1}, (3, 2), (3,), {"present": PRESENT}, learns=False),
    Row(fusion.MutanFusion, {"units": 4, "width": 3, "rank": 2}, VECTORS, (4,)),
    Row(fusion.TensorFusion, {"units": 4, "width": 2}, VECTORS, (4,)),
    *(
        Row(
            fusion.WeightedSumFusion,
            {"units": 4, "weights": weights, "activation": activation},
            VECTORS,
            (4,),
        )
        for weights, activation in (("scalar", "sigmoid"), ("vector", "tanh"), ("vector", "linear"))
    ),
    # Heads.
    Row(heads.AudioDecoder, {"frames": 5, "log_mel": LOG_MEL, "filters": [4, 3]}, (4,), (5, 6)),
    *(
        Row(
            heads.Classifier,
            {"num_classes": 3, "multi_label": multi_label, "label_smoothing": 0.1},
            (4,),
            (3,),
        )
        for multi_label in (False, True)
    ),
    Row(
        heads.ImageDecoder,
        {"height": 5, "width": 6, "channels": 3, "filters": [4, 3]},
        (4,),
        (5, 6, 3),
    ),
    *(
        Row(
            heads.Latent,
            {"units": 3, "experts": experts, "variational": variational, "seed": 1},
            {"image": (4,), "text": (3,)},
            {"code": (3,), "divergence": (1,)},
            {"present": PRESENT} if present else None,
        )
        for experts, variational, present in (
            ("product", True, True),
            ("mixture", True, True),
            ("mixture", False, False),
        )
    ),
    *(
        Row(
            heads.Matcher,
            {"modalities": names, "units": 5, "temperature": temperature},
            {"image": (4,), "text": (3,), "audio": (2,)},
            (len(names), 5),
            {"present": np.ones((2, 3), "float32")},
        )
        for names, temperature in ((["text", "audio", "image"], 0.07),)
    ),
    Row(heads.Painter, {"height": 5, "width": 6, "channels": 2, "filters": [4, 3]}, (4,), (5, 6, 2)),
    *(Row(heads.Regressor, {**STATISTICS, "error": error}, (4,), (2,)) for error in ("huber", "mae")),
    *(
        Row(
            heads.CaptionDecoder,
            {
                "length": 5,
                "vocabulary_size": 9,
                "kind": kind,
                "units": 4,
                "layers": layers,
                "num_heads": 2,
                "dropout": 0.1,
                "label_smoothing": 0.1,
                "scheduled_sampling": sampling,
                "seed": 7,
            },
            {"fused": (4,), "image": (6,), "text": (3, 5), **({"given": (4,)} if forced else {})},
            {"logits": (4, 9), "score": ()} if forced else {"ids": (4,), "score": ()},
            {"text.steps": MASKS["text"]},
            {"given": "int32"} if forced else None,
            learns=forced,
        )
        for kind, layers, sampling, forced in (
            ("gru", 2, 0.3, True),
            ("lstm", 1, 0.0, True),
            ("transformer", 2, 0.3, True),
            ("gru", 1, 0.0, False),
            ("lstm", 2, 0.0, False),
            ("transformer", 1, 0.0, False),
        )
    ),
    *(
        Row(
            heads.SpeechDecoder,
            {
                "samples": 100,
                "frames": SPEECH,
                "kind": kind,
                "units": 4,
                "layers": layers,
                "num_heads": 2,
                "dropout": 0.1,
                "prenet_dropout": 0.5,
                "parallel": parallel,
                "guided_attention": {"modality": "text", "weight": 0.5, "width": 0.2} if guided else None,
                "iterations": 2,
            },
            {"fused": (4,), "image": (6,), "text": (3, 5), **({"given": (2, 19)} if forced else {})},
            (2 if forced else 3, 19),
            {"text.steps": MASKS["text"]},
            learns=forced and not parallel,
        )
        for kind, layers, parallel, guided, forced in (
            ("gru", 2, False, False, True),
            ("lstm", 1, False, True, True),
            ("transformer", 2, False, True, True),
            ("gru", 1, True, True, True),
            ("gru", 1, False, False, False),
            ("lstm", 2, False, False, False),
            ("transformer", 1, False, False, False),
            ("transformer", 1, True, False, False),
        )
    ),
    Row(
        heads.Memory,
        {"units": 4},
        {"fused": (4,), "image": (6,), "text": (3, 5)},
        {"memory": (5, 4), "steps": (5,), "fused": (4,)},
        {"text.steps": MASKS["text"]},
    ),
    *(
        Row(
            heads.RecurrentSteps,
            {"units": 4, "cell": cell, "layers": layers, "dropout": 0.1},
            {"tokens": (3, 5), "fused": (2,), "memory": (4, 4)},
            (3, 4),
            {"steps": MEMORY_STEPS},
        )
        for cell, layers in (("gru", 2), ("lstm", 1))
    ),
    Row(
        heads.TransformerSteps,
        {"units": 4, "num_heads": 2, "layers": 2, "dropout": 0.1},
        {"tokens": (3, 4), "memory": (4, 4)},
        (3, 4),
        {"steps": MEMORY_STEPS},
    ),
    Row(heads.TextDecoder, {"length": 3, "vocabulary_size": 7, "units": 5}, (4,), (3, 7)),
    *(
        Row(heads.VectorDecoder, {"shape": shape, **STATISTICS, "units": 5}, (4,), tuple(shape))
        for shape in ([2], [3, 2])
    ),
    Row(attention_block.AttentionBlock, {"units": 4, "num_heads": 2, "dropout": 0.1}, (3, 4), (3, 4)),
    Row(
        attention_block.AttentionBlock,
        {"units": 4, "num_heads": 1, "dropout": 0.0},
        (3, 4),
        (3, 4),
        {"context": CONTEXT, "mask": MASKS["audio"]},
    ),
    Row(
        griffin_lim.GriffinLim,
        {**LOG_MEL, "samples": 100, "iterations": 2, "momentum": 0.5},
        (9, 6),
        (100,),
        learns=False,
        slow=True,
    ),
    Row(speech_frames.SpeechFrames, SPEECH, (100,), (3, 19), slow=True),
    Row(
        vocoder.Vocoder,
        {"samples": 100, "frames": SPEECH, "iterations": 2},
        (3, 19),
        {"sound": (100,), "samples": (), "frames": (7, 6)},
        learns=False,
        slow=True,
    ),
    Row(frame_mask.FrameMask, {"stride": 16}, (100,), (7,), learns=False),
    Row(log_mel.LogMel, LOG_MEL, (100,), (7, 6), slow=True),
    Row(mel_power.MelPower, LOG_MEL, (100,), (7, 6), slow=True),
    Row(pcen.Pcen, {"smoothing": 0.1}, (70, 2), (70, 2)),
    *(
        Row(
            sequence_pooling.SequencePooling,
            {"pooling": pooling},
            (4, 3),
            {"mean_max": (6,), "none": (4, 3)}.get(pooling, (3,)),
            {"mask": mask} if mask is not None else None,
        )
        for pooling, mask in (
            ("none", MASKS["audio"]),
            ("last", MASKS["audio"]),
            ("mean", None),
            ("mean_max", MASKS["audio"]),
            ("attention", MASKS["audio"]),
        )
    ),
]
