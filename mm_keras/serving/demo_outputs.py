"""The answers of the demo page: labels with scores, numbers, texts, sounds, and modalities rebuilt."""

import io
from dataclasses import dataclass
from html import escape
from itertools import combinations

import gradio as gr
import numpy as np
from PIL import Image

from mm_keras.serving.demo_inputs import picture_classes
from mm_keras.serving.demo_subsets import read_numbers

MOST_CLASSES = 5
WRITTEN = ("caption", "autoencoder")


@dataclass(frozen=True)
class Panel:
    """What the page shows of an answer.

    Args:
        component: gradio component.
        read: callable, dict of answers -> the component's value, None where there is none.
    """

    component: object
    read: object


def asks_generate(description):
    """Tells whether the model writes what only the signature `generate` gives."""
    return any(output["kind"] in WRITTEN for output in description["outputs"].values())


def make_panels(description):
    """Adds the answers of a model to the page, but for what autoencoders rebuild.

    Args:
        description: dict of `Client.describe`.

    Returns: list of Panel. Their answers are those of `predict`, and of `generate` after `generated_keys`.
    """
    return [
        panel
        for name, output in description["outputs"].items()
        if output["kind"] != "autoencoder"
        for panel in MAKERS[output["kind"]](name, output, description)
    ]


def make_copies(description):
    """Adds what autoencoders rebuild to the page; as `make_panels`."""
    rebuilt = [
        (f"{name}_{modality}", modality)
        for name, output in description["outputs"].items()
        if output["kind"] == "autoencoder"
        for modality in description["modalities"]
        if modality in output["modalities"]
    ]
    if not rebuilt:
        return []
    gr.HTML("<h2>Rebuilt from what was given</h2>")
    with gr.Row():
        return [_make_copy(key, name, description["modalities"][name]) for key, name in rebuilt]


def generated_key(name):
    """Returns the key of an answer of `generate`, beside those of `predict`."""
    return f"generate:{name}"


def read_panels(panels, answers, generated):
    """Returns the values of the panels.

    Args:
        answers: dict of `Client.predict`.
        generated: dict of `Client.generate`, or {}.
    """
    merged = answers | {generated_key(name): value for name, value in generated.items()}
    return [panel.read(merged) for panel in panels]


def _make_classification(name, output, description):
    labels = description["labels"][name]
    several = output.get("multi_label", False)
    scores = gr.Label(
        num_top_classes=min(MOST_CLASSES, len(labels)),
        label=name,
        show_heading=not several,
        elem_id=f"answer-{name}",
    )

    def read(answers):
        return {label: float(score) for label, score in zip(labels, answers[f"{name}_scores"], strict=True)}

    if not several:
        return [Panel(scores, read)]
    given = gr.Textbox(label=f"{name}: labels that are given", interactive=False)
    return [Panel(scores, read), Panel(given, lambda answers: str(answers[name]) or "none")]


def _make_regression(name, output, description):
    table = gr.HTML(label=name, show_label=True, container=True, elem_id=f"answer-{name}")
    return [Panel(table, lambda answers: pairs_html(read_numbers(output, answers[name])))]


def _make_caption(name, output, description):
    table = gr.HTML(label=name, show_label=True, container=True, elem_id=f"answer-{name}")

    def read(answers):
        texts = np.ravel(answers[generated_key(name)])
        scores = np.ravel(answers[generated_key(f"{name}_scores")])
        return texts_html(texts, scores)

    return [Panel(table, read)]


def _make_speech(name, output, description):
    return [Panel(_player(name, f"answer-{name}"), lambda answers: _sound(answers, name))]


def _make_contrastive(name, output, description):
    table = gr.HTML(
        label=f"{name}: how alike (cosine)", show_label=True, container=True, elem_id=f"answer-{name}"
    )

    def read(answers):
        vectors = {modality: answers[f"{name}_{modality}"] for modality in output["modalities"]}
        here = {modality: vector for modality, vector in vectors.items() if np.any(vector)}
        return pairs_html(
            [(f"{a} ~ {b}", f"{float(np.dot(here[a], here[b])):.3f}") for a, b in combinations(here, 2)]
        )

    return [Panel(table, read)]


def _make_copy(key, name, modality):
    whole, elem_id = generated_key(key), f"rebuilt-{name}"
    if modality["kind"] == "image":
        picture = gr.Image(
            label=name,
            interactive=False,
            type="pil",
            height=180,
            format="png",
            buttons=[],
            elem_id=elem_id,
            elem_classes=picture_classes(modality),
            min_width=180,
        )
        return Panel(picture, lambda answers: Image.open(io.BytesIO(answers[whole])))
    if modality["kind"] == "audio":
        return Panel(_player(name, elem_id), lambda answers: _sound(answers, whole))
    if modality["kind"] == "text":
        text = gr.Textbox(label=name, interactive=False, min_width=180, elem_id=elem_id)
        return Panel(text, lambda answers: str(answers[whole]))
    table = gr.HTML(label=name, show_label=True, container=True, min_width=180, elem_id=elem_id)
    if modality["kind"] == "numbers":
        return Panel(table, lambda answers: pairs_html(read_numbers(modality, answers[whole])))
    return Panel(table, lambda answers: pairs_html(_summary(answers[whole])))


def _player(label, elem_id):
    return gr.Audio(
        label=label, interactive=False, type="numpy", format="wav", buttons=[], elem_id=elem_id, min_width=220
    )


def _sound(answers, key):
    count, rate = int(answers[f"{key}_samples"]), int(answers[f"{key}_rate"])
    return (rate, np.asarray(answers[key], np.int16)[:count]) if count else None


def _summary(features):
    array = np.asarray(features)
    shape = " × ".join(map(str, array.shape))
    return [("shape", shape), ("mean", f"{array.mean():.4g}"), ("deviation", f"{array.std():.4g}")]


def pairs_html(pairs):
    """Returns pairs of texts as an HTML table."""
    if not pairs:
        return "<p class='dim'>Nothing to compare.</p>"
    rows = "".join(f"<tr><th>{escape(name)}</th><td>{escape(value)}</td></tr>" for name, value in pairs)
    return f"<table class='pairs'>{rows}</table>"


def texts_html(texts, scores):
    """Returns texts, best first, as HTML, with the probability of each.

    Args:
        texts: array `(K,)` of str.
        scores: float array `(K,)`. Log-probabilities (nats).
    """
    rows = [
        f"<li>{escape(str(text)) or '<i>nothing</i>'} <span class='dim'>{np.exp(score):.2g}</span></li>"
        for text, score in zip(texts, scores, strict=True)
        if np.isfinite(score)
    ]
    return f"<ol class='texts'>{''.join(rows)}</ol>"


MAKERS = {
    "classification": _make_classification,
    "regression": _make_regression,
    "caption": _make_caption,
    "speech": _make_speech,
    "contrastive": _make_contrastive,
}
