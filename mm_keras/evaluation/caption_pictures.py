"""Pictures of what was written about images, and of where each word looked."""

import numpy as np
from matplotlib.figure import Figure

from mm_keras.answering_model import answering_model, caption_decoders, memory_model
from mm_keras.balance import plain_model
from mm_keras.evaluation.example_rows import choose_rows, inputs_of

MOST_TOKENS = 12
SIDE = 1.6  # Inches of a picture.


def draw_captions(model, spec, data, split, folder):
    """Draws images of a split beside the texts that a model writes, into `captions_<output>.png`.

    Of an image encoder that gives places there is a picture for each token, with how much it attended to each
    of them; brighter is more.

    Args:
        model: keras.Model of `build_model` or `balance_model`.
        spec: Spec.
        data: Datasets.
        split: str.
        folder: path.

    Returns: list of the paths written: none without an image or a caption output.
    """
    model = plain_model(model)
    decoders, images = caption_decoders(model), list(spec.of_kind("image"))
    if not decoders or not images:
        return []
    rows = choose_rows(data, split, has=images[0])
    if not len(rows):
        return []
    inputs, _ = inputs_of(data, rows)
    written = answering_model(model)(inputs, training=False)
    pixels, paths = inputs[images[0]].numpy().astype("uint8"), []
    for name, decoder in decoders.items():
        ids = written[name]
        attention = decoder.attention(memory_model(model, name)(inputs), ids)
        texts = [text.decode() for text in data.preprocessor.caption_strings(name, ids).numpy()]
        tokens = [[data.preprocessor.vocabularies[name][i] for i in row if i] for row in ids.numpy()]
        looked = maps_of(attention[images[0]].numpy(), pixels.shape[1:3])
        paths.append(folder / f"captions_{name}.png")
        _draw(pixels, texts, tokens, looked, paths[-1])
    return paths


def maps_of(attention, size):
    """Returns attention to places `(B, T, places)` as maps `(B, T, h, w)` of about the shape of `size`, line
    by line; None of one place."""
    places = attention.shape[-1]
    if places == 1:
        return None
    wanted = np.log(size[0] / size[1])
    shapes = [(high, places // high) for high in range(1, places + 1) if places % high == 0]
    high, wide = min(shapes, key=lambda shape: abs(np.log(shape[0] / shape[1]) - wanted))
    return attention.reshape(*attention.shape[:2], high, wide)


def _draw(pixels, texts, tokens, looked, path):
    most = 0 if looked is None else min(MOST_TOKENS, max(map(len, tokens)))
    figure = Figure((SIDE * (2 + most), 1.25 * SIDE * len(texts)), layout="constrained")
    squares = figure.subplots(len(texts), 1 + most, squeeze=False, width_ratios=[2] + [1] * most)
    for row, line in enumerate(squares):
        _show(line[0], pixels[row])
        line[0].set_title(texts[row].replace("$", r"\$") or "no text", fontsize=9, wrap=True)
        for place, axes in enumerate(line[1:]):
            if place >= len(tokens[row]):
                axes.axis("off")
                continue
            _show(axes, pixels[row])
            high, wide = pixels.shape[1:3]
            extent = (-0.5, wide - 0.5, high - 0.5, -0.5)
            axes.imshow(
                looked[row, place], cmap="inferno", alpha=0.65, extent=extent, interpolation="bilinear"
            )
            axes.set_title(tokens[row][place].replace("$", r"\$"), fontsize=9)
    figure.savefig(path, dpi=110)


def _show(axes, image):
    axes.imshow(image[..., 0] if image.shape[-1] == 1 else image, cmap="gray", vmin=0, vmax=255)
    axes.axis("off")
