"""The fusion part of a spec: what each kind asks of the modalities and of its own values."""

import typing

import keras
import pytest
from pydantic import ValidationError

from mm_keras.fusion import FUSIONS
from mm_keras.model import make_fusion
from mm_keras.spec import Spec
from mm_keras.spec_file import SpecError, load_spec, make_spec, save_spec
from mm_keras.spec_fusion import AnyFusion, Fusion, RegisteredFusion

pytestmark = pytest.mark.core
PARTS = [part for part in typing.get_args(typing.get_args(AnyFusion)[0]) if part is not RegisteredFusion]


def kind_of(part):
    return typing.get_args(part.model_fields["kind"].annotation)[0]


def mapping(fusion, names=("image", "text")):
    return {
        "name": "x",
        "data": {"manifest": "m.csv"},
        "modalities": {name: {"kind": "numbers"} for name in names},
        "outputs": {"label": {"kind": "classification"}},
        "fusion": fusion,
    }


def fault_of(fusion, names=("image", "text")):
    with pytest.raises(SpecError) as error:
        make_spec(mapping(fusion, names))
    return str(error.value)


def test_every_kind_is_a_layer():
    assert sorted(map(kind_of, PARTS)) == sorted(FUSIONS)


@pytest.mark.parametrize("part", PARTS)
def test_every_value_of_a_part_is_an_argument_of_its_layer(part):
    fusion = part(kind=kind_of(part))
    layer = make_fusion(fusion)
    assert type(layer) is FUSIONS[fusion.kind]
    config = layer.get_config()
    own = set(part.model_fields) - set(Fusion.model_fields) - {"kind"}
    assert own == config.keys() - keras.layers.Layer().get_config().keys()
    assert {key: config[key] for key in own} == {key: getattr(fusion, key) for key in own}
    missing = [key for key in own - {"weights", "activation"} if not part.model_fields[key].description]
    assert missing == []


@pytest.mark.parametrize("part", PARTS)
def test_the_spec_refuses_one_modality_where_the_layer_does(part):
    layer = make_fusion(part(kind=kind_of(part)))
    least = 1
    try:
        layer.build({"image": (None, 4)})
    except ValueError as error:
        assert "at least 2 modalities" in str(error)
        least = 2
    assert part.least_modalities == least
    if least == 2:
        text = fault_of({"kind": kind_of(part)}, ["image"])
        words = f"spec: `fusion.kind` expects at least 2 modalities for the kind `{kind_of(part)}`. "
        assert text == (
            f"{words}Received: only `image`. Add a modality, or choose a kind that takes one, such as "
            "`concatenate`."
        )
    else:
        assert make_spec(mapping({"kind": kind_of(part)}, ["image"])).fusion.kind == kind_of(part)


@pytest.mark.parametrize(
    ("fusion", "words"),
    [
        (
            {"kind": "film", "conditioned": "imag"},
            "`fusion.conditioned` expects a name among `image`, `text`. Received: `imag`. "
            "Did you mean `image`? Name a modality of this spec.",
        ),
        (
            {"kind": "compact_bilinear", "sketch": 1000},
            "`fusion.sketch` expects a power of two. Received: sketch=1000. Such as `sketch: 512`.",
        ),
        (
            {"kind": "cross_attention", "units": 6},
            "`fusion.num_heads` expects a divisor of `units`. Received: num_heads=4, units=6. Change one",
        ),
        (
            {"kind": "bottleneck", "layers": 3, "fusion_layer": 2},
            "`fusion.fusion_layer` expects at most `layers` - 2: what one block writes of a modality the "
            "next reads in another. Received: fusion_layer=2, layers=3. "
            "Such as `fusion_layer: 0` and `layers: 3`.",
        ),
        (
            {"kind": "bottleneck", "layers": 3, "fusion_layer": 3},
            "`fusion.fusion_layer` expects at most `layers` - 2",
        ),
        (
            {"kind": "bottleneck", "layers": 1},
            "Received: fusion_layer=0, layers=1. Such as `fusion_layer: 0` and `layers: 2`.",
        ),
        (
            {"kind": "gated", "modality_dropout": {"image": 0.3, "txt": 0.1}},
            "`fusion.modality_dropout.txt` expects a name among `image`, `text`. Received: `txt`. "
            "Did you mean `text`? Name modalities of this spec.",
        ),
        (
            {"kind": "registered", "layer": "a>B", "modality_dropout": {"sound": 0.1}},
            "`fusion.modality_dropout.sound` expects a name among `image`, `text`.",
        ),
        (
            {"kind": "gated", "modality_dropout": {"image": 1.0}},
            "`fusion.modality_dropout.image` expects a number of at least 0 and below 1. "
            "Received: image=1.0.",
        ),
        ({"kind": "gated", "modality_dropout": "much"}, "`fusion.modality_dropout` expects a number"),
        (
            {"kind": "central", "hidden": []},
            "`fusion.hidden` expects a list of at least 1 whole numbers",
        ),
        (
            {"kind": "gated", "rank": 3},
            "`rank`. Only the kinds `matrix_product`, `low_rank`, `mutan` have it.",
        ),
        ({"kind": "gated", "sketch": 8}, "`sketch`. Only the kind `compact_bilinear` has it."),
        ({"kind": "low-rank"}, "Received: kind='low-rank'. Did you mean `low_rank`?"),
        (
            {"kind": "mine>MyFusion"},
            "Received: kind='mine>MyFusion'. Write `kind: registered` and `layer: mine>MyFusion`.",
        ),
        (
            {"kind": "registered", "layer": "MyFusion"},
            "`fusion.layer` expects text (the name under which Keras knows your layer, package>Class). "
            "Received: layer='MyFusion'. Such as `layer: my_package>MyFusion`.",
        ),
        ({"kind": "registered"}, "`fusion` expects the key `layer`"),
        ({"kind": "registered", "layer": "a>B", "units": 8}, "Received: `units`. Put it under `settings`."),
        (
            {"kind": "registered", "layer": "a>B", "settings": 3},
            "`fusion.settings` expects a mapping, name: value (arguments of the layer). "
            "Received: settings=3.",
        ),
    ],
)
def test_each_fault_is_told_with_its_path_and_remedy(fusion, words):
    assert words in fault_of(fusion)


def test_the_size_of_an_outer_product_depends_on_the_modalities():
    fusion = {"kind": "tensor", "width": 64}
    assert make_spec(mapping(fusion, "ab")).fusion.width == 64
    words = (
        "spec: `fusion.width` expects an outer product of at most 262144 numbers, which are "
        "(width + 1) ** 3 for 3 modalities. Received: width=64. Lower `width` to 63 or less."
    )
    assert fault_of(fusion, "abc").startswith(words)


def test_a_modality_may_be_named_by_the_others():
    assert make_spec(mapping({"kind": "film", "conditioned": "text"})).fusion.conditioned == "text"


def test_settings_of_a_registered_layer_survive_saving(tmp_path):
    settings = {"units": 4, "names": ["a", "no"], "nested": {"on": True, "rate": None}, "none": None}
    spec = make_spec(mapping({"kind": "registered", "layer": "mine>MyFusion", "settings": settings}))
    assert spec.fusion.settings == settings
    spec.data.manifest, spec.data.cache_folder = str(tmp_path / "m.csv"), str(tmp_path / "cache")
    save_spec(spec, tmp_path / "spec.yaml")
    assert load_spec(tmp_path / "spec.yaml") == spec


def test_a_dict_is_refused_as_a_file_is():
    with pytest.raises(ValidationError, match="at least 2 modalities for the kind `mutan`"):
        Spec(**mapping({"kind": "mutan"}, ["image"]))
