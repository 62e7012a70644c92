"""The report of an evaluation as a page: figures, pictures, and sounds to hear."""

import base64
import os
import tempfile
from html import escape
from pathlib import Path

from mm_keras.html_page import make_page, make_table

TYPES = {".png": "image/png", ".wav": "audio/wav"}


def write_page(result, paths, folder):
    """Writes what `evaluate` returned, and the pictures and sounds about it, as `evaluation.html`.

    Args:
        result: dict of `evaluate`.
        paths: list of the files of `write_report`, `draw_captions`, `draw_rebuilt` and `draw_sounds`; they
            are put into the page.
        folder: path. Where they lie.

    Returns: the page's path.
    """
    title = f"Evaluation: {result['rows']:,} {result['split']} rows"
    parts = [f"<h1>{escape(title)}</h1>", f"<p>Loss {result['loss']:.4g}</p>"]
    parts += [f'<p class="warning">{escape(sentence)}</p>' for sentence in result.get("warnings", ())]
    lines = [
        (escape(name), escape(measure.replace("_", " ")), f"{value:.4g}")
        for name, output in result["outputs"].items()
        for measure, value in output.items()
        if isinstance(value, (int, float))
    ]
    parts += ["<h2>Outputs</h2>", make_table(("Output", "Measure", ""), lines, (2,))]
    parts += _subsets(result["subsets"])
    for name, output in result["outputs"].items():
        if "examples" in output:
            parts += _texts(name, output["examples"])
    pictures = [path for path in paths if path.suffix == ".png"]
    parts += ["<h2>Pictures</h2>"] if pictures else []
    for path in pictures:
        picture = f'<img src="{_embed(path)}" alt="{escape(path.stem)}">'
        parts.append(f"<figure><figcaption>{escape(path.stem)}</figcaption>{picture}</figure>")
    parts += _sounds([path for path in paths if path.suffix == ".wav"])
    page = Path(folder) / "evaluation.html"
    _replace(page, make_page(title, parts))
    return page


def _subsets(subsets):
    if not any(subsets.values()):
        return []
    names = list(next(iter(subsets.values())))
    rows = [
        (
            escape(subset.replace("+", " + ")),
            *("" if scores[name] is None else f"{scores[name]:.4g}" for name in names),
        )
        for subset, scores in subsets.items()
    ]
    words = (
        "Accuracy; of numbers R2, of texts ROUGE-L, of sounds the mel-cepstral distortion in decibels; "
        "of what is rebuilt the pixel error, the share of right tokens or the loss."
    )
    titles = ("Modalities present", *map(escape, names))
    table = make_table(titles, rows, range(1, len(titles)))
    return ["<h2>With each subset of the modalities</h2>", f'<p class="dim">{words}</p>', table]


def _texts(name, examples):
    rows = [(escape(text), escape(" | ".join(references))) for references, text in examples]
    return [f"<h2>Texts of {escape(name)}</h2>", make_table(("Written", "Reference"), rows)]


def _sounds(paths):
    """Returns players, the generated sound of a row beside the true one."""
    made = [path for path in paths if not path.stem.endswith("_true")]
    rows = []
    for path in made:
        true = path.with_stem(f"{path.stem}_true")
        cells = [escape(path.parent.name), escape(path.stem), _player(path)]
        rows.append((*cells, _player(true) if true in paths else ""))
    if not rows:
        return []
    return ["<h2>Sounds</h2>", make_table(("", "Line", "Generated", "True"), rows, (1,))]


def _player(path):
    return f'<audio controls preload="none" src="{_embed(path)}"></audio>'


def _embed(path):
    content = base64.b64encode(path.read_bytes()).decode("ascii")
    return f"data:{TYPES[path.suffix]};base64,{content}"


def _replace(path, text):
    """Writes a file whole or not at all."""
    handle, draft = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    with open(handle, "w", encoding="utf-8") as file:
        file.write(text)
    os.chmod(draft, 0o644)
    os.replace(draft, path)
