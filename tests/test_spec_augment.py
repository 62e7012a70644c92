import pytest

from mm_keras.spec_file import SpecError, load_spec, make_spec, save_spec

PARTS = {"image": {"kind": "image"}, "audio": {"kind": "audio"}, "text": {"kind": "text"}}


def mapping(training=None, **augment):
    parts = {
        name: {**part, "augment": augment[name]} if name in augment else part for name, part in PARTS.items()
    }
    return {
        "name": "x",
        "data": {"manifest": "m.csv"},
        "modalities": parts,
        "outputs": {"label": {"kind": "classification"}},
        "training": training or {},
    }


def error_of(content):
    with pytest.raises(SpecError) as caught:
        make_spec(content)
    return str(caught.value)


def test_nothing_is_augmented_unless_it_is_asked_for():
    spec = make_spec(mapping())
    assert [modality.augment for modality in spec.modalities.values()] == [None] * 3
    assert spec.training.mixup == 0


def test_every_key_is_read():
    noise = {"folder": "noise", "snr": [0, 20], "share": 0.5}
    image = {"flip": "horizontal", "crop": 0.1, "brightness": 0.2, "contrast": 0.2, "saturation": 0.2}
    image |= {"hue": 0.02, "rotation": 10, "rand_augment": {"layers": 3, "magnitude": 0.5}}
    image |= {"noise": 0.05, "mask": {"share": 0.3, "patch": 2}}
    audio = {"gain_db": 6, "shift": 0.1, "noise": noise, "time_mask": 10, "frequency_mask": 4, "masks": 2}
    text = {"token_dropout": 0.1, "typos": 0.05}
    spec = make_spec(mapping({"mixup": 0.2}, image=image, audio=audio, text=text))
    assert spec.modalities["image"].augment.model_dump() == image
    assert spec.modalities["audio"].augment.model_dump() == {**audio, "noise": {**noise, "snr": (0, 20)}}
    assert spec.modalities["text"].augment.model_dump() == text
    assert spec.training.mixup == 0.2


@pytest.mark.parametrize(
    ("name", "augment", "words"),
    [
        (
            "image",
            {"flip": "sideways"},
            "`modalities.image.augment.flip` expects one of `none`, `horizontal`",
        ),
        (
            "image",
            {"rotation": 181},
            "`modalities.image.augment.rotation` expects a number of at least 0 and",
        ),
        (
            "image",
            {"crop": 0.95},
            "augment.crop` expects a number of at least 0 and at most 0.9 (largest share",
        ),
        ("image", {"brightness": 1}, "augment.brightness` expects a number of at least 0 and below 1"),
        ("image", {"contrast": -0.1}, "augment.contrast` expects"),
        ("image", {"saturation": 1.5}, "augment.saturation` expects"),
        ("image", {"hue": 0.6}, "augment.hue` expects a number of at least 0 and at most 0.5"),
        (
            "image",
            {"rand_augment": {"magnitude": 0}},
            "augment.rand_augment.magnitude` expects a number above 0",
        ),
        ("image", {"rand_augment": {"layers": 0}}, "augment.rand_augment.layers` expects a whole number"),
        (
            "image",
            {"flipp": "both"},
            "`modalities.image.augment` expects the keys `flip`, `rotation`, `crop`",
        ),
        ("image", {"flipp": "both"}, "Received: `flipp`. Did you mean `flip`?"),
        ("audio", {"gain_db": -3}, "`modalities.audio.augment.gain_db` expects a number of at least 0"),
        ("audio", {"shift": 1.0}, "augment.shift` expects less than `seconds` (1.0). Received: shift=1.0."),
        ("audio", {"time_mask": 101}, "augment.time_mask` expects less than the 101 frames of the sound."),
        (
            "audio",
            {"frequency_mask": 40},
            "augment.frequency_mask` expects less than `encoder.mel_bins` (40).",
        ),
        ("audio", {"time_mask": 1.5}, "augment.time_mask` expects a whole number of at least 0"),
        ("audio", {"masks": 0}, "augment.masks` expects a whole number of at least 1"),
        (
            "audio",
            {"noise": {}},
            "augment.noise` expects the key `folder` (folder of sounds; relative to the",
        ),
        (
            "audio",
            {"noise": "noise"},
            "augment.noise` expects a mapping with keys among `folder`, `snr`, `share`",
        ),
        ("audio", {"noise": {"folder": "a", "snr": 5}}, "augment.noise.snr` expects a list of 2 numbers"),
        (
            "audio",
            {"noise": {"folder": "a", "snr": [9, 2]}},
            "Received: snr=[9.0, 2.0]. Write `snr: [2, 9]`.",
        ),
        ("audio", {"noise": {"folder": "a", "share": 0}}, "augment.noise.share` expects a number above 0"),
        (
            "text",
            {"token_dropout": 1.0},
            "`modalities.text.augment.token_dropout` expects a number of at least",
        ),
        (
            "text",
            {"typos": "few"},
            "`modalities.text.augment.typos` expects a number of at least 0 and below 1",
        ),
    ],
)
def test_a_value_out_of_range_is_named_with_its_path(name, augment, words):
    assert words in error_of(mapping(**{name: augment}))


@pytest.mark.parametrize("value", [-1, 101, "a", float("nan")])
def test_mixup_is_a_number_from_0(value):
    words = "`training.mixup` expects a number of at least 0 and at most 100 (alpha of the Beta"
    assert words in error_of(mapping({"mixup": value}))


@pytest.mark.parametrize(("key", "value"), [("saturation", 0.1), ("hue", 0.1), ("rand_augment", {})])
def test_grey_images_have_no_colours_to_change(key, value):
    content = mapping(image={key: value})
    content["modalities"]["image"]["channels"] = 1
    words = f"`modalities.image.augment.{key}` expects no change of colours where `channels` is 1. Received: "
    assert words in error_of(content)


def test_grey_images_may_be_flipped_and_brightened():
    content = mapping(image={"flip": "both", "brightness": 0.1, "contrast": 0.1, "saturation": 0.0})
    content["modalities"]["image"]["channels"] = 1
    assert make_spec(content).modalities["image"].augment.flip == "both"


TEXT = """\
name: x
data: {manifest: m.csv}
modalities:
  audio:
    kind: audio
    augment:
      noise:
        folder: lärm
        snr: [5, 2]
outputs: {label: {kind: classification}}
"""


def test_an_error_names_its_line(tmp_path):
    path = tmp_path / "spec.yaml"
    path.write_text(TEXT, encoding="utf-8")
    with pytest.raises(SpecError, match="line 9: `modalities.audio.augment.noise.snr` expects"):
        load_spec(path)


def test_the_folder_of_noise_is_found_beside_the_spec_and_saved_so(tmp_path):
    path = tmp_path / "spec.yaml"
    path.write_text(TEXT.replace("[5, 2]", "[2, 5]"), encoding="utf-8")
    spec = load_spec(path)
    noise = spec.modalities["audio"].augment.noise
    assert noise.folder == str(tmp_path / "lärm")
    save_spec(spec, tmp_path / "same.yaml")
    assert "folder: lärm\n" in (tmp_path / "same.yaml").read_text(encoding="utf-8")
    assert load_spec(tmp_path / "same.yaml") == spec
    save_spec(spec, tmp_path / "below" / "spec.yaml")
    assert f"folder: {tmp_path / 'lärm'}" in (tmp_path / "below" / "spec.yaml").read_text(encoding="utf-8")
    assert load_spec(tmp_path / "below" / "spec.yaml").modalities["audio"].augment.noise == noise
    assert noise.folder == str(tmp_path / "lärm")  # Saving leaves the spec as it was.
