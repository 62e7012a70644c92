"""The part of a spec on balance between modalities: what it refuses, and that it survives the file."""

import pytest

from mm_keras.spec_file import SpecError, load_spec, make_spec, save_spec


def mapping(balance, names=("image", "text"), output="classification", split="split", **training):
    return {
        "name": "x",
        "data": {"manifest": "m.csv", "split": split},
        "modalities": {name: {"kind": "numbers"} for name in names},
        "outputs": {"answer": {"kind": output}},
        "training": {"balance": balance, **training},
    }


def fault_of(balance, **changes):
    with pytest.raises(SpecError) as error:
        make_spec(mapping(balance, **changes))
    return str(error.value)


def test_no_balance_is_the_default():
    spec = make_spec({**mapping(None), "training": {}})
    assert spec.training.balance is None


def test_one_weight_is_that_of_every_modality():
    spec = make_spec(mapping({"kind": "auxiliary"}))
    assert spec.training.balance.weights(spec.modality_names) == {"image": 0.5, "text": 0.5}
    spec = make_spec(mapping({"kind": "auxiliary", "weight": {"text": 2.0}}))
    assert spec.training.balance.weights(spec.modality_names) == {"text": 2.0}


@pytest.mark.parametrize(
    "balance",
    [
        {"kind": "auxiliary"},
        {"kind": "auxiliary", "weight": {"text": 0.25}},
        {"kind": "ogm_ge", "alpha": 0.1, "noise": False},
        {"kind": "gradient_blending", "epochs": 2},
    ],
)
def test_a_written_spec_reads_the_same(balance, tmp_path):
    spec = make_spec(mapping(balance))
    save_spec(spec, tmp_path / "spec.yaml")
    assert load_spec(tmp_path / "spec.yaml").training == spec.training


@pytest.mark.parametrize(
    ("balance", "changes", "words"),
    [
        ({"kind": "auxiliary"}, {"names": ["text"]}, ["training.balance", "at least 2 modalities", "Take"]),
        ({"kind": "auxiliary"}, {"output": "autoencoder"}, ["a classification or regression", "autoencoder"]),
        (
            {"kind": "auxiliary", "weight": {"txt": 1.0}},
            {},
            ["weight.txt", "`image`, `text`", "Did you mean `text`?"],
        ),
        ({"kind": "auxiliary", "weight": 0.0}, {}, ["training.balance.weight", "above 0", "weight=0.0"]),
        ({"kind": "auxiliary", "weights": 1.0}, {}, ["`weights`. Did you mean `weight`?"]),
        ({"kind": "auxiliary"}, {"names": ["fused", "text"]}, ["modalities.fused", "Choose another name"]),
        ({"kind": "other"}, {}, ["training.balance.kind", "`auxiliary`", "`ogm_ge`", "`gradient_blending`"]),
        (
            {"kind": "gradient_blending", "epochs": 3},
            {"epochs": 3},
            ["training.balance.epochs", "`epochs: 1`"],
        ),
        ({"kind": "gradient_blending"}, {"split": {"validation": 0, "test": 0.2}}, ["data.split.validation"]),
        (
            {"kind": "ogm_ge"},
            {"output": "regression"},
            ["a classification among the outputs", "`regression`"],
        ),
        ({"kind": "ogm_ge", "alpha": 0.0}, {}, ["training.balance.alpha", "above 0"]),
    ],
)
def test_what_cannot_be_balanced_is_refused(balance, changes, words):
    fault = fault_of(balance, **changes)
    assert [word for word in words if word not in fault] == [], fault
