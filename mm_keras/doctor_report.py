"""The report of a diagnosis: a JSON file, the list of bad cells, and one self-contained HTML page."""

import json
from html import escape
from pathlib import Path

from mm_keras.data.findings import CODES, ERROR, write_quarantine
from mm_keras.html_page import make_page, make_table

MOST_FINDINGS = 200
MOST_CLASSES = 40
WIDTH, HEIGHT = 320, 110  # Of a histogram, in pixels.
UNITS = {"bytes": "bytes", "width": "pixels", "height": "pixels", "seconds": "seconds"}


def write_diagnosis(diagnosis, folder):
    """Writes `doctor.json`, `quarantine.csv` and `doctor.html` into a folder, which is made.

    Args:
        diagnosis: Diagnosis.
        folder: str or path.

    Returns: list of the paths written.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / "doctor.json", folder / "quarantine.csv", folder / "doctor.html"]
    content = diagnosis.as_json()
    # ASCII: a cell may hold what no UTF-8 file can.
    paths[0].write_text(json.dumps(content, indent=2, allow_nan=False) + "\n", encoding="utf-8")
    write_quarantine(paths[1], diagnosis.findings)
    page = render_page(content)
    paths[2].write_text(page, encoding="utf-8", errors="replace")
    return paths


def shorten(number):
    """Returns a number in few characters, such as 0.0123, 45.6, 12,345 or 1.2e+09."""
    return f"{number:,.0f}" if 1000 <= abs(number) < 1e9 else f"{number:.4g}"


def render_page(content):
    """Returns `Diagnosis.as_json` as an HTML page: no network, no script."""
    title = f"Doctor: {Path(content['manifest']).name}"
    data = content["data"]
    parts = [
        f"<h1>{escape(title)}</h1>",
        f'<p class="dim">{escape(content["manifest"])}</p>',
        _verdict(content),
        "<h2>What was found</h2>",
        _counts_table(content["counts"], data["rows"]),
        "<h2>Rows</h2>",
        _splits_table(data),
        "<h2>Inputs</h2>",
        *(part for name, found in data["modalities"].items() for part in _modality(name, found)),
        *(["<h2>Outputs</h2>"] if data["outputs"] else []),
        *(part for name, found in data["outputs"].items() for part in _output(name, found)),
        *_findings_table(content["findings"]),
        *_assumed(content["inferred_spec"]),
    ]
    return make_page(title, parts)


def _verdict(content):
    rows, bad = content["data"]["rows"], content["bad_rows"]
    if bad:
        words = f"{bad:,} of {rows:,} rows cannot be used as they are"
        words += "; training would stop." if content["training_would_stop"] else "."
        kind = "error"
    elif content["counts"]:
        words, kind = f"All {rows:,} rows can be used; look at the warnings.", "warning"
    else:
        words, kind = f"All {rows:,} rows are good.", "good"
    checked = f"{content['files']:,} files were decoded in {content['seconds']:.1f} seconds."
    return f'<p class="verdict {kind}">{words}</p><p class="dim">{checked}</p>'


def _counts_table(counts, rows):
    if not counts:
        return "<p>Nothing.</p>"
    lines = [
        (
            _severity(found["severity"]),
            escape(found["title"]),
            f"<code>{code}</code>",
            f"{found['rows']:,}",
            share,
        )
        for code, found in counts.items()
        for share in [f"{100 * found['rows'] / max(rows, 1):.2g}%"]
    ]
    return make_table(("", "", "Code", "Rows", "Share"), lines, (3, 4))


def _severity(severity):
    return f'<span class="{severity}">{severity}</span>'


def _findings_table(findings):
    """Returns the first findings, errors first."""
    if not findings:
        return []
    ordered = sorted(findings, key=lambda finding: finding["severity"] != ERROR)
    lines = [
        (
            f"{finding['line']}",
            escape(finding["column"]),
            escape(finding["path"][:300]),
            f'<span class="{finding["severity"]}">{escape(CODES[finding["code"]][2])}</span>',
            escape(finding["reason"]),
        )
        for finding in ordered[:MOST_FINDINGS]
    ]
    parts = ["<h2>Findings</h2>", make_table(("Line", "Column", "Cell", "What", "Why"), lines, (0,))]
    if len(findings) > MOST_FINDINGS:
        words = f"The first {MOST_FINDINGS}; more are in doctor.json, all errors in quarantine.csv."
        parts.append(f'<p class="dim">{words}</p>')
    return parts


def _splits_table(data):
    lines = [("all", f"{data['rows']:,}"), ("good", f"{data['good_rows']:,}")]
    lines += [(split, f"{count:,}") for split, count in data["splits"].items()]
    return make_table(("", "Rows"), lines, (1,))


def _modality(name, found):
    facts = [f"missing in {100 * found['missing']['all']:.3g}% of the good rows"]
    if "files" in found:
        facts.append(f"{found['files']:,} files, {found['distinct']:,} different")
    elif "distinct" in found:
        facts.append(f"{found['distinct']:,} different texts")
    if found.get("cut"):
        facts.append(f"{100 * found['cut']:.3g}% longer than the model reads")
    facts += [
        f"{count:,} outliers in {column}" for column, count in found.get("outliers", {}).items() if count
    ]
    unequal = {
        f"{split} {100 * share:.3g}%" for split, share in found["missing"].items() if split != "all" and share
    }
    if unequal:
        facts.append(f"missing by split: {', '.join(sorted(unequal))}")
    yield _heading(name, found["kind"], "; ".join(facts))
    yield _histograms(found["distributions"])


def _heading(name, more, words):
    return f'<h3>{escape(name)} <span class="dim">({escape(more)})</span></h3><p>{escape(words)}</p>'


def _output(name, found):
    unlabelled = ", ".join(f"{count:,} {split}" for split, count in found["unlabelled"].items() if count)
    words = f"without a target: {unlabelled}" if unlabelled else "a target in every good row"
    if "distributions" in found:
        if found.get("cut"):
            words += f"; {100 * found['cut']:.3g}% longer than the model writes"
        yield _heading(name, found["kind"], words)
        yield _histograms({column: part for column, part in found["distributions"].items() if part})
        return
    words += f"; the largest class of train has {found['imbalance']:.3g} times the rows of the smallest"
    if found["rare"]:
        words += f"; {len(found['rare']):,} with fewer than 5 rows"
    yield _heading(name, f"{len(found['classes']):,} classes", words)
    splits = list(found["unlabelled"])
    shown = sorted(found["classes"].items(), key=lambda item: -sum(item[1].values()))
    most = max((sum(counts.values()) for _, counts in shown), default=0) or 1
    lines = [
        (
            escape(label),
            f'<meter value="{sum(counts.values())}" max="{most}"></meter>',
            *(f"{counts[split]:,}" for split in splits),
        )
        for label, counts in shown[:MOST_CLASSES]
    ]
    yield make_table(("Class", "", *splits), lines, range(2, 2 + len(splits)))
    if len(shown) > MOST_CLASSES:
        yield f'<p class="dim">The {MOST_CLASSES} largest of {len(shown):,}.</p>'


def _histograms(distributions):
    figures = "".join(_histogram(name, found) for name, found in distributions.items())
    return f'<div class="cards">{figures}</div>'


def _histogram(name, found):
    """Returns a distribution as a picture of bars, whose tips tell their numbers."""
    counts, edges = found["counts"], found["edges"]
    wide, most = WIDTH / len(counts), max(counts)
    bars = []
    for index, count in enumerate(counts):
        # A bar of few is still seen.
        high = max(HEIGHT * count / most, 1.5) if count else 0
        tip = f"{shorten(edges[index])} to {shorten(edges[index + 1])}: {count:,}"
        place = f'x="{index * wide:.1f}" y="{HEIGHT - high:.1f}" width="{max(wide - 1, 1):.1f}"'
        place += f' height="{high:.1f}"'
        bars.append(f"<rect {place}><title>{tip}</title></rect>")
    unit = f" ({UNITS[name]})" if name in UNITS and name != UNITS[name] else ""
    ends = f'<text x="0" y="{HEIGHT + 14}">{shorten(edges[0])}</text>'
    ends += f'<text x="{WIDTH}" y="{HEIGHT + 14}" text-anchor="end">{shorten(edges[-1])}</text>'
    told = f"median {shorten(found['median'])}, mean {shorten(found['mean'])}"
    told += f", {shorten(found['min'])} to {shorten(found['max'])}"
    picture = (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT + 18}" width="{WIDTH}" role="img">{"".join(bars)}{ends}</svg>'
    )
    return f'<figure><figcaption>{escape(name)}{unit}</figcaption>{picture}<p class="dim">{told}</p></figure>'


def _assumed(text):
    if not text:
        return []
    words = "No spec was given: the table was read as this one, inferred from its columns."
    return [f"<h2>Spec</h2><p>{words}</p><pre>{escape(text)}</pre>"]
