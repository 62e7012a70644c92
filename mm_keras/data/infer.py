"""Writes a first spec.yaml for a manifest: looks at the cells and files, and says why it chose what."""

import json
import os
import re
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from mm_keras.checks import message
from mm_keras.data import infer_media as media
from mm_keras.data.cells import leaves_folder
from mm_keras.data.splits import WORDS
from mm_keras.data.table import ManifestError, read_table
from mm_keras.spec import RESERVED

ENDINGS = {
    "image": (".png", ".jpg", ".jpeg", ".gif", ".bmp"),
    "audio": (".wav", ".flac", ".ogg", ".mp3"),
    "features": (".npy",),
}
LABEL_NAMES = ("label", "labels", "class", "target", "y", "category", "tags")
MOST_CLASSES = 1000
PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_./-]*( [A-Za-z0-9_./-]+)*")
KEYWORDS = ("true", "false", "null", "yes", "no", "on", "off", "y", "n")


@dataclass
class Plan:
    """What becomes of each column."""

    split: str | None = None
    label: str | None = None
    separator: str | None = None
    media: dict = field(default_factory=dict)  # column -> image, audio or features
    texts: list = field(default_factory=list)
    numbers: list = field(default_factory=list)
    left_out: dict = field(default_factory=dict)  # column -> why
    deciding: list = field(default_factory=list)  # columns whose value decides the label


def infer_spec(manifest_path, folder=None):
    """Writes a commented spec for a manifest, to be read and edited by a person.

    Args:
        manifest_path: str or path. The CSV file.
        folder: str or path. Where the spec will lie; default: the manifest's folder.

    Returns: str. YAML that `load_spec` reads.
    Raises: ManifestError, if the table cannot be read or no column can be an input.
    """
    table = read_table(manifest_path)
    root = os.path.abspath(table.path.parent)
    plan = _plan(table.frame)
    described = _describe_modalities(table.frame, plan, root)
    if not described:
        fix = "Add a column of file paths, texts or numbers besides the label."
        received = "; ".join(f"{quote(column)}: {why}" for column, why in plan.left_out.items()) or "none"
        raise ManifestError(message(str(table.path), "a column to learn from", received, fix))
    taken = set(RESERVED)
    names = {key: _free_name(key, taken, kind) for key, (kind, _) in described.items()}
    label = _free_name(plan.label, taken, "label") if plan.label else None
    here = os.path.abspath(folder or root)
    lines = _write_head(table, plan, here)
    lines += ["", "modalities:"]
    for key, (_, written) in described.items():
        lines += written(names[key])
    lines += _write_left_out(plan)
    lines += _write_fusion(table.frame, plan, len(names))
    lines += _write_outputs(table.frame, plan, label, names, taken)
    lines += _write_training(table.frame, plan)
    return "\n".join(lines) + "\n"


def quote(text):
    """Returns a text as YAML: plain where that is safe, else in double quotes."""
    if PLAIN.fullmatch(text) and text.lower() not in KEYWORDS:
        return text
    quoted = json.dumps(text, ensure_ascii=False)
    return "".join(c if c.isprintable() else f"\\U{ord(c):08x}" for c in quoted)


def _plan(frame):
    plan, rest = Plan(), []
    for column in frame.columns:
        cells = frame[column][frame[column] != ""]
        if cells.empty:
            plan.left_out[column] = "empty"
        elif plan.split is None and _is_split(cells):
            plan.split = column
        elif kind := _media_kind(cells):
            plan.media[column] = kind
        elif cells.nunique() == 1 and len(cells) == len(frame):
            plan.left_out[column] = "the same in each row"
        elif _is_id(column, cells):
            plan.left_out[column] = "differs in each row, like a row's number or name"
        else:
            rest.append(column)
    plan.label = _find_label(frame, rest)
    if plan.label:
        plan.separator = _find_separator(frame[plan.label])
    for column in rest:
        if column != plan.label:
            _place(frame, column, plan)
    if not (plan.media or plan.texts or plan.numbers):
        _take_back(frame, plan)
    return plan


def _is_split(cells):
    words = set(cells.str.lower().unique())
    return "train" in words and len(words) > 1 and words <= set(WORDS)


def _media_kind(cells):
    lowered = sample(cells, 500).str.lower()
    for kind, endings in ENDINGS.items():
        if lowered.str.endswith(endings).mean() > 0.9:
            return kind
    return None


def _is_id(column, cells):
    if cells.nunique() < len(cells) or len(cells) < 3:
        return False
    if not _is_numeric(cells):
        return not cells.str.contains(r"\s").any()
    values = np.sort(pd.to_numeric(cells).to_numpy("float64"))
    named = re.search(r"(?:^|[_ ])(?:id|index|nr|no|key)$|^column_\d+$", column.lower())
    return bool(named) or bool((np.diff(values) == 1).all())


def _is_numeric(cells):
    return bool(np.isfinite(pd.to_numeric(cells, errors="coerce")).all())


def _find_label(frame, columns):
    """Returns the column of labels: by its name, else the last with few values, words before numbers."""
    for word in LABEL_NAMES:
        for column in columns:
            if column.lower() == word and _is_label(frame[column], repeats=1.01):
                return column
    fitting = [column for column in columns if _is_label(frame[column], repeats=3)]
    words = [column for column in fitting if not _is_numeric(frame[column][frame[column] != ""])]
    last = words or fitting
    return last[-1] if last else None


def _is_label(cells, repeats):
    """Returns whether cells look like classes that come back `repeats` times or more, on average."""
    cells = cells[cells != ""]
    classes = cells.nunique()
    if not 2 <= classes <= min(MOST_CLASSES, len(cells) / repeats):
        return False
    values = pd.to_numeric(cells, errors="coerce")
    if values.notna().all():
        return classes <= 100 and bool((values % 1 == 0).all())
    return bool(sample(cells, 500).str.len().mean() < 40)


def _find_separator(cells):
    for separator in ("|", ";"):
        if sample(cells[cells != ""], 500).str.contains(separator, regex=False).mean() > 0.1:
            return separator
    return None


def _place(frame, column, plan):
    cells = frame[column][frame[column] != ""]
    decides = plan.label is not None and _decides(frame, column, plan.label)
    category = not cells.str.contains(r"\s").any() or sample(cells, 500).str.len().mean() < 20
    if decides and category:
        plan.deciding.append(column)
        plan.left_out[column] = f"decides {quote(plan.label)} in each row: perhaps another label"
    elif _is_numeric(cells):
        plan.numbers.append(column)
    else:
        plan.texts.append(column)
        plan.deciding += [column] if decides else []


def _take_back(frame, plan):
    """Makes inputs of the columns that decide the label: there are no others."""
    for column in plan.deciding:
        del plan.left_out[column]
        (plan.numbers if _is_numeric(frame[column][frame[column] != ""]) else plan.texts).append(column)


def _decides(frame, column, label):
    """Returns whether each value, in three rows on average, comes with one label alone."""
    pairs = frame[[column, label]][(frame[column] != "") & (frame[label] != "")]
    distinct = pairs[column].nunique()
    return bool(distinct * 3 <= len(pairs) and len(pairs.drop_duplicates()) == distinct)


def sample(cells, most):
    """Returns at most `most` cells, evenly over the table."""
    return cells.iloc[np.unique(np.linspace(0, len(cells) - 1, most).astype(int))] if len(cells) else cells


def _describe_modalities(frame, plan, root):
    """Returns column (or "numbers") -> (kind, function of the modality's name that writes its lines)."""
    described = {}
    for column, kind in plan.media.items():
        local = [path for path in sample(frame[column][frame[column] != ""], 64) if not leaves_folder(path)]
        found = media.DESCRIBE[kind]([os.path.join(root, path) for path in local])
        if found is None:
            plan.left_out[column] = "no .npy file of one or two axes could be read"
        else:
            described[column] = (kind, _writer(column, *found))
    for column in plan.texts:
        written, why = media.describe_text(sample(frame[column][frame[column] != ""], 20_000))
        if column in plan.deciding:
            why += f"\n  # Careful: it decides {quote(plan.label)} in each row: is that known in use?"
        described[column] = ("text", _writer(column, written, why))
    if plan.numbers:
        key = "numbers" if len(plan.numbers) > 1 else plan.numbers[0]
        while key in described:
            key += "_2"
        written = f"kind: numbers, columns: [{', '.join(map(quote, plan.numbers))}]"
        described[key] = ("numbers", _writer(None, written, "scaled by mean and deviation of train"))
    return described


def _writer(column, settings, why):
    def write(name):
        named = f", column: {quote(column)}" if column not in (None, name) else ""
        kind, _, others = settings.partition(", ")
        return [
            *f"  # {why}".splitlines(),
            f"  {quote(name)}: {{{kind}{named}{', ' + others if others else ''}}}",
        ]

    return write


def _free_name(text, taken, kind):
    """Returns a name for a modality or output that is not in `taken`, and puts it there."""
    cleaned = re.sub(r"[^A-Za-z0-9]+", "_", text).strip("_")[:40]
    cleaned = cleaned if cleaned[:1].isalpha() else f"{kind}_{cleaned}".rstrip("_")
    cleaned = text if re.fullmatch(r"[A-Za-z][A-Za-z0-9_]{0,39}", text) else cleaned
    name, count = cleaned, 2
    while name in taken:
        name, count = f"{cleaned}_{count}", count + 1
    taken.add(name)
    return name


def _write_head(table, plan, here):
    folder = os.path.basename(os.path.abspath(table.path.parent))
    name = re.sub(r"[^A-Za-z0-9_.-]+", "_", folder).strip("_.-")[:64] or "my_model"
    manifest = os.path.relpath(os.path.abspath(table.path), here)
    lines = [
        f"# Written by `mm-keras init` from {len(table.frame)} rows. Edit it, then run `mm-keras train`.",
        f"name: {quote(name)}",
        "",
        "data:",
        f"  manifest: {quote(manifest)}  # relative to this file",
    ]
    if plan.split is None:
        lines += [
            "  # No column says train, validation, test: rows are split at random, the classes alike.",
            "  split: {validation: 0.1, test: 0.2, seed: 7}",
        ]
        return lines
    codes = table.frame[plan.split].str.lower().map(WORDS)
    counts = [int((codes == code).sum()) for code in range(3)]
    lines.append(f"  # {counts[0]} rows train, {counts[1]} validation, {counts[2]} test.")
    if not counts[1]:
        lines.append("  # Without validation rows training cannot stop early: write val in some train rows.")
    return [*lines, f"  split: {quote(plan.split)}"]


def _write_left_out(plan):
    if not plan.left_out:
        return []
    return ["  # Left out:"] + [f"  #   {quote(column)}: {why}" for column, why in plan.left_out.items()]


def _write_fusion(frame, plan, count):
    asks = any(
        sample(frame[column][frame[column] != ""], 500).str.endswith("?").mean() > 0.5
        for column in plan.texts
    )
    lines = ["", "# How modalities are joined: concatenate, weighted_sum, matrix_product or gated."]
    if count == 1:
        return [
            *lines,
            "fusion: {kind: concatenate, units: 128, modality_dropout: 0.0}  # one modality: nothing to join",
        ]
    if asks:
        return [
            *lines,
            "# The texts ask questions: matrix_product relates each modality to the others.",
            "fusion: {kind: matrix_product, units: 128}",
        ]
    return [
        *lines,
        "# gated weighs the modalities in each row; matrix_product suits questions about another modality.",
        "fusion: {kind: gated, units: 128}",
    ]


def _write_outputs(frame, plan, label, names, taken):
    reconstruction = "reconstruction"
    while any(name.startswith(reconstruction) for name in taken):
        reconstruction += "_of"
    autoencoder = f"{reconstruction}: {{kind: autoencoder"
    lines = ["", "outputs:"]
    if label is None:
        return [
            *lines,
            "  # No column of labels was found, so the model learns to rebuild its inputs. To learn classes,",
            "  # add a column of them and the line:  label: {kind: classification, column: my_column}",
            f"  {autoencoder}}}",
        ]
    cells = frame[plan.label][frame[plan.label] != ""]
    named = f", column: {quote(plan.label)}" if label != plan.label else ""
    if plan.separator:
        named += f', multi_label: true, separator: "{plan.separator}"'
        several = cells[cells.str.contains(plan.separator, regex=False)].iloc[0]
        lines.append(f"  # Cells such as {quote(several)} hold several labels.")
    else:
        counts = cells.value_counts()
        lines.append(f"  # {len(counts)} classes, {counts.iloc[-1]} to {counts.iloc[0]} rows each.")
        if counts.iloc[0] > 5 * counts.iloc[-1]:
            lines.append(
                "  # Add class_weights: balanced if the rare classes matter as much as the frequent ones."
            )
    return [
        *lines,
        f"  {quote(label)}: {{kind: classification{named}}}",
        "  # Learn also to rebuild the inputs (an autoencoder), for embeddings or from rows without a label:",
        f"  # {autoencoder}, modalities: [{', '.join(map(quote, sorted(names.values())))}], weight: 0.1}}",
    ]


def _write_training(frame, plan):
    rows = len(frame)
    if plan.split is not None:
        rows = int((frame[plan.split].str.lower() == "train").sum())
    batch = next((size for most, size in ((500, 16), (2000, 32), (50_000, 64)) if rows < most), 128)
    epochs = next((count for most, count in ((2000, 60), (20_000, 40), (100_000, 20)) if rows < most), 10)
    return [
        "",
        f"# For {rows} rows to learn from. Training stops after `patience` epochs without a better val_loss.",
        f"training: {{epochs: {epochs}, batch_size: {batch}, learning_rate: 0.001, patience: 10, seed: 7}}",
        "",
        "export: {formats: [saved_model, tflite]}  # for a server and for a phone",
    ]
