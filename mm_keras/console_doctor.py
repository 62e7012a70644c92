"""How a diagnosis looks on a terminal."""

import shlex
from contextlib import contextmanager

from rich.text import Text

from mm_keras.console import make_list, make_table, percent, show_commands, show_paths, show_spec, show_table
from mm_keras.data.findings import CODES, ERROR
from mm_keras.doctor_report import shorten
from mm_keras.progress import make_bar

MOST_FINDINGS = 12
MOST_CELL = 60
COLOURS = {"error": "bold red", "warning": "yellow"}


@contextmanager
def decoding(out):
    """Shows a bar, and gives a function of (files done, files in all) that moves it."""
    bar, task = make_bar(out, "Decoding", status="files")
    with bar:
        yield lambda done, total: bar.update(task, completed=done, total=total)


def show_diagnosis(out, diagnosis, paths):
    """Prints what a `Diagnosis` says, and the files that hold all of it."""
    facts = diagnosis.facts
    if diagnosis.assumed:
        out.print("No spec was given; read as `mm-keras init` would write it:", style="dim")
    show_spec(out, diagnosis.spec, facts["splits"])
    if diagnosis.counts:
        _show_counts(out, diagnosis)
        _show_first(out, diagnosis)
    _show_inputs(out, facts)
    _show_outputs(out, facts)
    out.print()
    out.print(_verdict(diagnosis))
    rate = diagnosis.files / max(diagnosis.seconds, 1e-9)
    words = f"{diagnosis.files:,} files decoded in {diagnosis.seconds:.1f} s, {rate:,.0f} a second."
    out.print(words, style="dim")
    for title, path in zip(("Everything", "Bad cells", "To look at"), paths, strict=True):
        show_paths(out, f"{title:10}", [path])
    if diagnosis.assumed:
        show_commands(out, [f"mm-keras init {shlex.quote(str(diagnosis.spec.data.manifest))}"])


def _show_counts(out, diagnosis):
    table = make_table("<", "Rows", "Share", "Found<")
    for code, rows in diagnosis.counts.items():
        severity, _, title = CODES[code]
        share = percent(rows / max(diagnosis.facts["rows"], 1))
        table.add_row(Text(severity, COLOURS[severity]), f"{rows:,}", share, title)
    show_table(out, table, "Found")


def _show_first(out, diagnosis):
    """Prints the first findings, errors first."""
    ordered = sorted(diagnosis.findings, key=lambda finding: finding.severity != ERROR)
    table = make_table("Line", "Column<", "Cell<", "Why<")
    for finding in ordered[:MOST_FINDINGS]:
        cell = finding.path if len(finding.path) <= MOST_CELL else f"{finding.path[:MOST_CELL]}..."
        why = Text(f"{CODES[finding.code][2]}: {finding.reason}", COLOURS[finding.severity])
        table.add_row(str(finding.line), finding.column, cell, why)
    total = sum(diagnosis.counts.values())
    title = "Where" if total <= MOST_FINDINGS else f"Where: the first {MOST_FINDINGS} of {total:,}"
    show_table(out, table, title)


def _show_inputs(out, facts):
    table = make_table("Input<", "Missing", "Of each<")
    for name, found in facts["modalities"].items():
        shown = [
            f"{key} {shorten(part['min'])} to {shorten(part['max'])} (median {shorten(part['median'])})"
            for key, part in found["distributions"].items()
        ]
        if found.get("cut"):
            shown.append(f"{percent(found['cut'])} longer than the model reads")
        outliers = sum(found.get("outliers", {}).values())
        if outliers:
            shown.append(f"{outliers:,} outliers")
        table.add_row(name, percent(found["missing"]["all"]), ", ".join(shown))
    show_table(out, table, "Inputs of the good rows")


def _show_outputs(out, facts):
    grid = make_list()
    for name, found in facts["outputs"].items():
        unlabelled = sum(found["unlabelled"].values())
        words = [f"{unlabelled:,} rows without a target"] if unlabelled else []
        if found["kind"] == "classification":
            words.append(f"{len(found['classes']):,} classes")
            words.append(f"largest {found['imbalance']:.3g} times the smallest")
            if found["rare"]:
                words.append(f"{len(found['rare']):,} with fewer than 5 rows to learn from")
        else:
            words += [
                f"{column} {shorten(part['min'])} to {shorten(part['max'])}"
                for column, part in found["distributions"].items()
                if part
            ]
            if found.get("cut"):
                words.append(f"{percent(found['cut'])} longer than the model writes")
        grid.add_row(f"Output {name}", ", ".join(words))
    if facts["outputs"]:
        out.print()
        out.print(grid)


def _verdict(diagnosis):
    rows, bad = diagnosis.facts["rows"], diagnosis.bad_rows
    if not bad:
        words = f"All {rows:,} rows can be used."
        return Text(words if diagnosis.counts else f"All {rows:,} rows are good.", "bold green")
    words = f"{bad:,} of {rows:,} rows cannot be used as they are. "
    data = diagnosis.spec.data
    if diagnosis.too_many:
        words += f"Training would stop (data.on_bad: {data.on_bad}, data.max_bad: {percent(data.max_bad)})."
    elif data.on_bad == "missing":
        words += "Training takes such inputs as missing."
    else:
        words += "Training leaves these rows out."
    return Text(words, "bold red")
