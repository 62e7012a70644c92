"""A page to try a model: what a person fills in goes through the client to a server, and back its answers."""

import contextlib
import math
import tempfile
import textwrap
import threading
from html import escape
from pathlib import Path

import gradio as gr

from mm_keras.checks import listing, message
from mm_keras.serving.client import Client
from mm_keras.serving.demo_app import MOST_BYTES, make_app, serve_page
from mm_keras.serving.demo_examples import examples_of_export, examples_of_manifest, files_of, is_on_black
from mm_keras.serving.demo_inputs import PICTURE, make_input, read_row
from mm_keras.serving.demo_outputs import asks_generate, make_copies, make_panels, read_panels
from mm_keras.serving.demo_server import running_server
from mm_keras.serving.demo_subsets import ask_subsets, subsets_table
from mm_keras.serving.errors import ServingError
from mm_keras.serving.listening import open_socket

PORT = 7860
KEPT = (600, 3600)  # Seconds: how often uploads are looked at, and the age at which they are deleted.
AT_ONCE = 4
WAIT = 60.0
SHOWN = 30  # Letters of an example's text.


def make_demo(client, examples=(), title="mm_keras"):
    """Builds the page of a served model.

    Args:
        client: Client, or an object with its methods describe, predict_batch and generate.
        examples: list of dict, modality -> path, text or list of numbers. Rows to try.
        title: str. What the page is called, such as the model's name.

    Returns: gradio.Blocks. It fetches nothing from other hosts and reports nothing.
    """
    description = client.describe()
    modalities = dict(sorted(description["modalities"].items(), key=_place))
    description = {**description, "modalities": modalities}
    on_black = is_on_black(examples, modalities)
    with gr.Blocks(title=title, analytics_enabled=False, delete_cache=KEPT) as page:
        gr.HTML(_head_html(title, modalities, description["outputs"]))
        with gr.Row(equal_height=False):
            with gr.Column(scale=5, min_width=320):
                place = gr.Column()
                inputs = [make_input(name, part, on_black) for name, part in modalities.items()]
                button = gr.Button("Ask the model", variant="primary", elem_id="ask")
                problem = gr.HTML(elem_id="problem")
                with place:
                    offered = _make_examples(inputs, examples)
            with gr.Column(scale=6, min_width=320):
                gr.HTML("<h2>Answer</h2>")
                panels = make_panels(description)
                with gr.Column(visible=False) as added:
                    gr.HTML("<h2>What each modality adds</h2>")
                    table = gr.HTML(elem_id="subsets", elem_classes="subsets")
                panels += make_copies(description)
        _connect(client, description, inputs, (button, offered), (problem, added, table), panels)
    return page


def run_demo(
    folder=None,
    url=None,
    model=None,
    version=None,
    api_key=None,
    verify=True,
    examples=None,
    host="127.0.0.1",
    port=PORT,
    most_bytes=MOST_BYTES,
    started=None,
):
    """Serves the page of a model until a signal ends it.

    Args:
        folder: path or None. `saved_models/NAME`, which a server in this process then answers for.
        url: str or None. Of a server that runs, instead of `folder`.
        model, version, api_key, verify: as of `Client`; with `url`.
        examples: path or None. Manifest of rows to try; None: those of the export's warm-up requests.
        host, port: str, int. Where the page listens; port 0 is any free one.
        most_bytes: int > 0. Of a file that is uploaded.
        started: callable or None. Called with the Page, whose `url` it has, once it listens.

    Raises: ValueError for a wrong argument, ServingError, if the server does not answer within a minute.
    """
    if (folder is None) == (url is None):
        received = "neither" if url is None else "both"
        fix = "Name a folder such as saved_models/NAME, or the address of a server."
        raise ValueError(message("demo", "MODEL or --url", received, fix))
    with contextlib.ExitStack() as stack:
        listening = stack.enter_context(open_socket(host, port, "--port"))
        export = None
        if folder is not None:
            running = stack.enter_context(running_server(folder))
            url, model, export = running.url, running.name, running.version
        with Client(
            url, model, version=version, api_key=api_key, verify=verify, timeout=WAIT, retries=99
        ) as first:
            modalities = first.describe()["modalities"]
        client = stack.enter_context(Client(url, model, version=version, api_key=api_key, verify=verify))
        if examples is not None:
            offered = examples_of_manifest(examples, modalities)
        else:
            files = stack.enter_context(tempfile.TemporaryDirectory())
            offered = examples_of_export(export, modalities, files) if export else []
        page = make_demo(client, offered, model or "mm_keras")
        if export and offered:
            threading.Thread(target=_warm_up, args=(url, model, offered[0]), daemon=True).start()
        app = make_app(page, most_bytes, files_of(offered, modalities))
        serve_page(app, listening, started)


def _warm_up(url, model, row):
    """Asks what warm-up requests leave out, so that the first person does not wait for its graph."""
    with contextlib.suppress(ServingError, ValueError), Client(url, model, retries=0) as client:
        ask_subsets(client, row)
        if asks_generate(client.describe()):
            client.generate(**row)


def _place(entry):
    name, modality = entry
    return ("image", "audio", "text", "numbers", "features").index(modality["kind"]), name


def _head_html(title, modalities, outputs):
    reads = ", ".join(escape(name) for name in modalities)
    answers = ", ".join(escape(name) for name in outputs)
    return (
        f"<h1>{escape(title)}</h1><p class='dim'>The model reads {reads}: any of them. What is switched off "
        f"or left empty is missing to it. It answers {answers}.</p>"
    )


def _make_examples(inputs, examples):
    """Adds the rows to try; returns the gr.Examples, or None where there are none."""
    if not examples:
        return None
    shown = [part for part in inputs if any(part.name in row for row in examples)]
    return gr.Examples(
        [[cell for part in shown for cell in _example_cells(part, row)] for row in examples],
        [field for part in shown for field in part.examples],
        example_labels=_example_labels(inputs, examples),
        label="Try an example",
        elem_id="examples",
        api_visibility="private",
        examples_per_page=len(examples),
    )


def _example_labels(inputs, examples):
    """Returns such as "image + audio + “three”": of a text its beginning, and that alone where each row holds
    the same modalities."""
    alike = len({frozenset(row) for row in examples}) == 1
    labels = []
    for number, row in enumerate(examples, 1):
        texts = {
            part.name: f"“{textwrap.shorten(row[part.name], SHOWN, placeholder='…')}”"
            for part in inputs
            if part.kind == "text" and part.name in row
        }
        names = [part.name for part in inputs if part.name in row]
        if alike:
            labels.append(" + ".join(texts.values()) or f"Example {number}")
        else:
            labels.append(" + ".join(texts.get(name, name) for name in names))
    return labels


def _example_cells(part, row):
    value = row.get(part.name)
    if part.kind == "numbers":
        numbers = [math.nan] * len(part.examples) if value is None else value
        return ["" if math.isnan(number) else f"{number:.9g}" for number in numbers]
    return [value]


def _connect(client, description, inputs, triggers, places, panels):
    """Lets the button, Enter in a text and an example ask the model."""
    button, offered = triggers
    problem, added, table = places
    generates = asks_generate(description)
    fields = [component for part in inputs for component in part.components]
    shown = [problem, added, table, *(panel.component for panel in panels)]

    def answer(*values):
        row = {}
        try:
            row = read_row(inputs, values)
            if not row:
                names = listing(part.name for part in inputs)
                raise ValueError(
                    message("demo", f"at least one of {names}", "none", "Give one, switched on.")
                )
            answered = ask_subsets(client, row)
            generated = client.generate(**row) if generates else {}
        except (ServingError, ValueError) as error:
            text = _readable(error, description["modalities"], row)
            return [_problem_html(text), gr.update(visible=False), "", *([None] * len(panels))]
        content = subsets_table(description["outputs"], answered)
        values = read_panels(panels, answered[-1][1], generated)
        return ["", gr.update(visible=bool(content)), content, *values]

    asked = {"concurrency_limit": AT_ONCE, "api_visibility": "private", "show_progress": "minimal"}
    texts = [component.submit for part in inputs if part.kind == "text" for component in part.parts]
    gr.on([button.click, *texts], answer, fields, shown, **asked)
    if offered is not None:
        sources = [part.parts[0] for part in inputs if part.kind == "image"]
        filled = offered.load_input_event
        if sources:
            filled = filled.then(
                lambda: [PICTURE] * len(sources) if len(sources) > 1 else PICTURE,
                None,
                sources,
                show_progress="hidden",
                api_visibility="private",
            )
        filled.then(answer, fields, shown, **asked)


def _readable(error, modalities, row):
    """Returns what an error says, with the names of uploaded files in place of where they lie."""
    text = str(error)
    for name, value in row.items():
        if modalities[name]["kind"] != "text" and isinstance(value, (str, Path)):
            text = text.replace(str(value), Path(value).name)
    return text


def _problem_html(text):
    return f"<div class='problem' role='alert'>{escape(text)}</div>"
