"""The diagnosis of a data set: what is wrong with its rows, and what is in it."""

import os
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mm_keras.data.duplicates import MOST_NAMED, RowComparison
from mm_keras.data.examine import SILENT, examine_files
from mm_keras.data.facts import describe_data
from mm_keras.data.findings import CODES, ERROR, Finding
from mm_keras.data.infer import infer_spec
from mm_keras.data.manifest import load_manifest
from mm_keras.spec_file import load_spec

VERSION = 1
SPEC_ENDINGS = (".yaml", ".yml")


@dataclass
class Diagnosis:
    """What `diagnose` found.

    Args:
        spec: Spec. What the table was read as.
        findings: list of Finding, by line. Every error; of each warning the first 1000.
        counts: dict, code of a finding -> rows in all, the most serious and the most frequent first.
        facts: dict, of `describe_data`.
        files: int. Distinct files that were decoded.
        seconds: float. How long it took.
        assumed: str. The spec in YAML if it was inferred from the table, else "".
    """

    spec: object
    findings: list
    counts: dict
    facts: dict
    files: int
    seconds: float
    assumed: str = ""

    @property
    def errors(self):
        return [finding for finding in self.findings if finding.severity == ERROR]

    @property
    def bad_rows(self):
        """Rows with at least one error."""
        return len({finding.line for finding in self.errors})

    @property
    def too_many(self):
        """Whether training would stop: more bad rows than `data.max_bad` allows, or any under `fail`."""
        share = self.bad_rows / max(self.facts["rows"], 1)
        return bool(self.bad_rows) and (self.spec.data.on_bad == "fail" or share > self.spec.data.max_bad)

    def as_json(self):
        """Returns all of it as a dict of JSON's types."""
        return {
            "format": "mm_keras doctor",
            "version": VERSION,
            "manifest": str(self.spec.data.manifest),
            "inferred_spec": self.assumed,
            "files": self.files,
            "seconds": round(self.seconds, 3),
            "bad_rows": self.bad_rows,
            "training_would_stop": self.too_many,
            "counts": {
                code: {"severity": CODES[code][0], "title": CODES[code][2], "rows": rows}
                for code, rows in self.counts.items()
            },
            "findings": [
                {
                    "line": finding.line,
                    "column": finding.column,
                    "path": finding.path,
                    "severity": finding.severity,
                    "code": finding.code,
                    "reason": finding.reason,
                }
                for finding in self.findings
            ],
            "data": self.facts,
        }


def diagnose(source, progress=None):
    """Reads a table as training would, decodes every file of it, and compares its rows.

    Args:
        source: str, path or Spec. A spec, or a manifest, whose spec is then inferred as `mm-keras init` does.
        progress: callable or None, called with (files done, files in all).

    Returns: Diagnosis.
    Raises: SpecError or ManifestError, if the spec or the table as a whole cannot be used.
    """
    began = time.perf_counter()
    spec, assumed = _open_spec(source)
    manifest = load_manifest(spec, tolerant=True)
    data = spec.data
    files = examine_files(manifest, spec.files, data.max_pixels, data.max_samples, progress)
    manifest.hide([f for name in files for f in _file_faults(manifest, name, spec.files[name], files[name])])
    manifest.drop_bad(data.on_bad)
    warnings, counts = _file_warnings(manifest, spec.files, files)
    repeated, repetitions = RowComparison(manifest, spec.modalities, files).run()
    counts |= repetitions | Counter(finding.code for finding in manifest.findings)
    findings = sorted([*manifest.findings, *warnings, *repeated], key=lambda f: (f.line, f.column))
    order = sorted(
        (code for code in counts if counts[code]), key=lambda c: (CODES[c][0] != ERROR, -counts[c])
    )
    return Diagnosis(
        spec,
        findings,
        {code: counts[code] for code in order},
        describe_data(manifest, spec, files),
        sum(len(part.paths) for part in files.values()),
        time.perf_counter() - began,
        assumed,
    )


def _open_spec(source):
    """Returns the Spec, and its text if it had to be inferred."""
    if not isinstance(source, (str, os.PathLike)):
        return source, ""
    if Path(source).suffix.lower() in SPEC_ENDINGS:
        return load_spec(source), ""
    text = infer_spec(source)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "spec.yaml")
        path.write_text(text, encoding="utf-8")
        spec = load_spec(path)
    spec.data.manifest = os.path.abspath(source)
    return spec, text


def _file_faults(manifest, name, modality, files):
    """Returns a Finding for each row whose file cannot be decoded."""
    faults = files.faults
    bad = files.rows_of(~files.decoded).nonzero()[0].tolist() if faults else []
    return [_finding(manifest, row, name, modality, *faults[int(files.of_row[row])]) for row in bad]


def _file_warnings(manifest, parts, files):
    """Returns (findings, counts) of blank images, silence, and names that end unlike the contents."""
    found, counts = [], {}
    for name, part in files.items():
        modality = parts[name]
        for code, reasons in _odd_files(part, modality.kind):
            rows = part.rows_of(reasons != "").nonzero()[0]
            named = counts.get(code, 0)
            counts[code] = named + len(rows)
            for row in rows[: max(MOST_NAMED - named, 0)].tolist():
                found.append(_finding(manifest, row, name, modality, code, reasons[part.of_row[row]]))
    return found, counts


def _odd_files(files, kind):
    """Yields code and reasons `(F,)`, "" = there is none."""
    measures = files.measures
    yield "ending_differs", measures["ending"]
    if kind == "image":
        yield "blank", np.where(files.decoded & measures["blank"], "all pixels have one colour", "")
    elif kind == "audio":
        quiet = f"the loudest sample is below {SILENT:g}, where 1 is full scale"
        yield "silence", np.where(files.decoded & (measures["peak"] < SILENT), quiet, "")


def _finding(manifest, row, name, modality, code, reason):
    cell = str(manifest.table[modality.column].array[row])
    return Finding(code, int(manifest.lines[row]), modality.column, cell, str(reason), row, name)
