"""The inputs of the demo page: for each modality a switch, and what is typed, drawn, recorded or dropped."""

import math
from dataclasses import dataclass
from pathlib import Path

import gradio as gr
import numpy as np
from PIL import Image

from mm_keras.checks import message

PICTURE, DRAW = "Picture", "Draw"
CANVAS = 320  # Pixels of the longer side.
SMALL = 64
MOST_TEXT = 20_000


@dataclass(frozen=True)
class ModalityInput:
    """What the page shows for a modality.

    Args:
        name, kind: str.
        switch: gr.Checkbox.
        parts: list of components that hold the value.
        examples: list of components that an example fills in.
        read: callable, the values of `parts` -> what `Client.predict` takes, None where there is none.
    """

    name: str
    kind: str
    switch: gr.Checkbox
    parts: list
    examples: list
    read: object

    @property
    def components(self):
        return [self.switch, *self.parts]


def make_input(name, modality, on_black=False):
    """Adds the input of a modality to the page.

    Args:
        name: str.
        modality: dict. What `Client.describe` says of it.
        on_black: bool. Drawings are white on black at first.

    Returns: ModalityInput.
    """
    kind = modality["kind"]
    with gr.Group(elem_classes="modality"):
        switch = gr.Checkbox(True, label=name, elem_id=f"switch-{name}", elem_classes="switch")
        with gr.Column(elem_classes="body"):
            parts, examples, read = MAKERS[kind](name, modality, on_black)
    for part in parts:
        _refuse_addresses(part)
    return ModalityInput(name, kind, switch, parts, examples, read)


def read_row(inputs, values):
    """Returns the modalities that are switched on and given, name -> value.

    Args:
        inputs: list of ModalityInput.
        values: sequence. Of all their `components`, in order.
    """
    row, start = {}, 0
    for part in inputs:
        end = start + len(part.components)
        is_on, *given = values[start:end]
        value = part.read(*given) if is_on else None
        if value is not None:
            row[part.name] = value
        start = end
    return row


def _refuse_addresses(component):
    """Lets a component take uploads alone: of itself gradio also fetches an address that a request names."""
    move = component.async_move_resource_to_block_cache

    async def move_upload(path):
        if not Path(path or "").is_absolute():
            raise gr.Error(
                message("demo", "an upload", "an address", "Upload the file."), print_exception=False
            )
        return await move(path)

    component.async_move_resource_to_block_cache = move_upload


def _make_image(name, modality, on_black):
    source = gr.Radio(
        [PICTURE, DRAW], value=PICTURE, show_label=False, container=False, elem_classes="source"
    )
    picture = gr.Image(
        sources=["upload", "webcam", "clipboard"],
        type="filepath",
        image_mode=None,
        format="png",
        height=230,
        show_label=False,
        buttons=[],
        elem_id=f"picture-{name}",
        elem_classes=picture_classes(modality),
    )
    # The server decodes it, within its limits; a broken file is then an answer like any other.
    picture.preprocess = _path_of
    height, width = modality["size"]
    scale = CANVAS / max(height, width)
    paper = np.full((round(height * scale), round(width * scale), 3), 255, np.uint8)
    with gr.Column(visible=False) as drawing:
        canvas = gr.Sketchpad(
            {"background": paper, "layers": [], "composite": paper},  # With it the brush is taken up.
            canvas_size=paper.shape[1::-1],
            fixed_canvas=True,
            layers=False,
            transforms=(),
            type="numpy",
            format="png",
            show_label=False,
            brush=gr.Brush(default_size=CANVAS // 24, default_color="#000000", **_colors(modality)),
            buttons=[],
            elem_id=f"canvas-{name}",
        )
        inverted = gr.Checkbox(on_black, label="Send it as white on black", elem_classes="inverted")
    source.change(
        lambda chosen: [gr.update(visible=chosen == PICTURE), gr.update(visible=chosen == DRAW)],
        source,
        [picture, drawing],
        show_progress="hidden",
        queue=False,
        api_visibility="private",
    )
    return [source, picture, canvas, inverted], [picture], _read_image


def picture_classes(modality):
    """Returns the classes of a picture's style: small ones are shown enlarged."""
    return ["picture", "small"] if max(modality["size"]) <= SMALL else ["picture"]


def _colors(modality):
    if modality["channels"] == 1:
        return {"colors": ["#000000", "#808080"], "color_mode": "fixed"}
    return {}


def _path_of(payload):
    return None if payload is None else payload.path


def _read_image(source, picture, canvas, inverted):
    if source == DRAW:
        return read_drawing(canvas, inverted)
    return None if picture is None else read_picture(picture)


def read_picture(path):
    """Returns what is sent of an image file: its path, or of WebP, which TensorFlow does not decode, a
    PIL.Image.

    Raises: ValueError, if a WebP file cannot be read.
    """
    with open(path, "rb") as file:
        head = file.read(12)
    if head[:4] + head[8:] != b"RIFFWEBP":
        return path
    try:
        with Image.open(path) as image:
            image.load()
            return image.copy()
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        received = f"{Path(path).name}: {error}"
        raise ValueError(message("demo", "a readable image", received, "Send another one.")) from error


def read_drawing(canvas, inverted):
    """Returns the pixels of what was drawn, uint8 `(H, W, 3)`, or None where nothing was.

    Args:
        canvas: dict of a gr.Sketchpad, or None: "layers" of RGBA, and "composite", all of it on white, uint8
            `(H, W, 4)`.
        inverted: bool. What is drawn black becomes white on black.
    """
    if canvas is None or not any(np.any(layer[..., 3]) for layer in canvas["layers"]):
        return None
    pixels = np.asarray(canvas["composite"])[..., :3]
    return 255 - pixels if inverted else pixels


def _make_audio(name, modality, on_black):
    sound = gr.Audio(
        sources=["upload", "microphone"],
        type="filepath",
        show_label=False,
        buttons=[],
        elem_id=f"sound-{name}",
    )
    gr.HTML(f"<p class='dim'>The model hears the first {modality['seconds']:g} s.</p>")
    return [sound], [sound], lambda path: path


def _make_text(name, modality, on_black):
    text = gr.Textbox(
        show_label=False,
        container=False,
        placeholder="Type a text",
        lines=1,
        max_lines=8,
        max_length=MOST_TEXT,
        elem_id=f"text-{name}",
    )
    return [text], [text], lambda words: words if words and words.strip() else None


def _make_numbers(name, modality, on_black):
    # Texts, since a gr.Number that is left empty is 0.
    columns = modality["columns"]
    with gr.Row():
        fields = [
            gr.Textbox(label=column, placeholder="missing", min_width=110, elem_id=f"number-{name}-{index}")
            for index, column in enumerate(columns)
        ]
    return fields, fields, lambda *texts: read_numbers(columns, texts)


def read_numbers(columns, texts):
    """Returns numbers, NaN where nothing is written, or None where nothing is in all of them.

    Args:
        columns: list of str. Their names.
        texts: sequence of str or None.

    Raises: ValueError, if a text is no finite number.
    """
    numbers = [_read_number(*pair) for pair in zip(columns, texts, strict=True)]
    return None if all(map(math.isnan, numbers)) else numbers


def _read_number(column, text):
    if not (text or "").strip():
        return math.nan
    try:
        number = float(text)
    except ValueError:
        number = math.inf
    if not math.isfinite(number):
        fix = "Write it such as 2.5, or leave it empty."
        raise ValueError(message("demo", f"a number for `{column}`", f"{text!r}", fix))
    return number


def _make_features(name, modality, on_black):
    file = gr.File(file_types=[".npy"], type="filepath", show_label=False, height=120, elem_id=f"file-{name}")
    shape = " × ".join(map(str, modality["shape"]))
    gr.HTML(f"<p class='dim'>A NumPy file of shape {shape}.</p>")
    return [file], [file], lambda path: None if path is None else Path(path)


MAKERS = {
    "image": _make_image,
    "audio": _make_audio,
    "text": _make_text,
    "numbers": _make_numbers,
    "features": _make_features,
}
