"""Writes a first spec.yaml for a manifest: looks at the cells and files, and says why it chose what."""

import os
import re

import pandas as pd

from mm_keras.checks import message
from mm_keras.data import infer_media as media
from mm_keras.data.cells import leaves_folder
from mm_keras.data.infer_columns import make_plan, quote, sample
from mm_keras.data.reading import read_table
from mm_keras.data.splits import WORDS
from mm_keras.data.table import ManifestError
from mm_keras.spec import RESERVED


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
    plan = make_plan(table.frame)
    described = _describe_modalities(table.frame, plan, root)
    if not described:
        fix = "Add a column of file paths, texts or numbers besides the one to learn."
        received = "; ".join(f"{quote(column)}: {why}" for column, why in plan.left_out.items()) or "none"
        raise ManifestError(message(str(table.path), "a column to learn from", received, fix))
    taken = set(RESERVED)
    names = {key: _free_name(key, taken, kind) for key, (kind, _) in described.items()}
    answer = _free_name(plan.answer, taken, "label") if plan.answer else None
    here = os.path.abspath(folder or root)
    lines = _write_head(table, plan, here)
    lines += ["", "modalities:"]
    for key, (_, written) in described.items():
        lines += written(names[key])
    lines += _write_left_out(plan)
    lines += _write_fusion(table.frame, plan, len(names))
    lines += _write_outputs(table.frame, plan, answer, names, taken)
    lines += _write_training(table.frame, plan)
    return "\n".join(lines) + "\n"


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
            why += f"\n  # Careful: it decides {quote(plan.answer)} in each row: is that known in use?"
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
            "  # No column says train, validation, test: rows are split at random"
            + (", the classes alike." if plan.label else "."),
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
    lines = ["", "# How modalities are joined; the README lists the other kinds."]
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


def _write_outputs(frame, plan, answer, names, taken):
    reconstruction = "reconstruction"
    while any(name.startswith(reconstruction) for name in taken):
        reconstruction += "_of"
    autoencoder = f"{reconstruction}: {{kind: autoencoder"
    lines = ["", "outputs:"]
    if answer is None:
        return [
            *lines,
            "  # No column of labels was found, so the model learns to rebuild its inputs. To learn classes,",
            "  # add a column of them and the line:  label: {kind: classification, column: my_column}",
            "  # To learn numbers:  price: {kind: regression, columns: [my_column]}",
            f"  {autoencoder}}}",
        ]
    return [
        *lines,
        *(_write_classes if plan.label else _write_numbers)(frame, plan, answer),
        "  # Learn also to rebuild the inputs (an autoencoder), for embeddings or rows without an answer:",
        f"  # {autoencoder}, modalities: [{', '.join(map(quote, sorted(names.values())))}], weight: 0.1}}",
    ]


def _write_classes(frame, plan, answer):
    cells = frame[plan.label][frame[plan.label] != ""]
    named = f", column: {quote(plan.label)}" if answer != plan.label else ""
    lines = []
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
    return [*lines, f"  {quote(answer)}: {{kind: classification{named}}}"]


def _write_numbers(frame, plan, answer):
    cells = frame[plan.target][frame[plan.target] != ""]
    values = pd.to_numeric(cells).to_numpy("float64")
    named = f", columns: [{quote(plan.target)}]" if answer != plan.target else ""
    return [
        f"  # Numbers from {values.min():g} to {values.max():g}, {cells.nunique()} different ones.",
        "  # `loss` may be huber, which wild values disturb little, mse or mae.",
        f"  {quote(answer)}: {{kind: regression{named}, loss: huber}}",
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
