"""Figures of a whole data set: splits, classes, numbers, and how long and large its examples are."""

import numpy as np
import pandas as pd

from mm_keras.data.numbers import wrong_numbers

BINS = 24
SKEWED = 20  # Largest number over the median from which on bins grow by a factor.
RARE = 5
FENCE = 3.0  # Interquartile ranges beyond the quartiles: the outer fence of Tukey 1977.


def describe_data(manifest, spec, files):
    """Returns the figures of a manifest's good rows, of JSON's types alone.

    Args:
        manifest: Manifest. Rows with an error are in no split.
        spec: Spec.
        files: dict, modality name -> Files, of `examine_files`.

    Returns: dict with `rows`, `good_rows`, `splits`, `modalities` and `outputs`. Each modality has its share
        of rows without it (`missing`: of all and of each split) and its `distributions`; see `distribution`.
    """
    splits = {name: rows for name, rows in manifest.splits.items() if len(rows)}
    good = np.sort(np.concatenate(list(manifest.splits.values())))
    names = sorted(spec.modalities)
    modalities = {}
    for index, name in enumerate(names):
        there = manifest.present[:, index] > 0
        modality = spec.modalities[name]
        modalities[name] = {
            "kind": modality.kind,
            "missing": {
                split: float(1 - there[rows].mean()) if len(rows) else 0.0
                for split, rows in {"all": good, **splits}.items()
            },
            **_describe_modality(manifest, name, modality, good[there[good]], files.get(name)),
        }
    return {
        "rows": manifest.rows_in_all,
        "good_rows": len(good),
        "splits": {split: len(rows) for split, rows in splits.items()},
        "modalities": modalities,
        "outputs": {
            name: _describe_output(manifest, name, output, splits, files.get(name))
            for name, output in spec.outputs.items()
            if name in manifest.targets
        },
    }


def distribution(values):
    """Returns count, smallest, median, mean and largest of numbers, and a histogram; None of no numbers.

    Args:
        values: array `(n,)`. NaN is left out.

    Returns: dict. `edges` has one number more than `counts`; they grow by a factor where few numbers are far
        larger than most.
    """
    values = np.asarray(values, np.float64)
    values = values[np.isfinite(values)]
    if not len(values):
        return None
    low, high, median = values.min(), values.max(), np.median(values)
    if low > 0 and high > SKEWED * median:
        edges = np.geomspace(low, high, BINS + 1)
        edges[0], edges[-1] = low, high
    else:
        whole = np.equal(values, np.round(values)).all() and 0 < high - low < BINS
        edges = np.arange(low, high + 2) - 0.5 if whole else np.linspace(low, high, BINS + 1)
    counts, edges = (
        (np.array([len(values)]), np.array([low, low])) if low == high else np.histogram(values, edges)
    )
    return {
        "count": len(values),
        "min": float(low),
        "median": float(median),
        "mean": float(values.mean()),
        "max": float(high),
        "edges": [float(f"{edge:.6g}") for edge in edges],
        "counts": counts.tolist(),
    }


def _describe_modality(manifest, name, modality, rows, files):
    """Returns the distributions of a modality, and what else is known of it."""
    if modality.kind == "text":
        texts = pd.Series(manifest.cells[name], copy=False).iloc[rows]
        words = texts.str.count(r"\S+").to_numpy("int64")
        found = {"characters": texts.str.len().to_numpy("int64"), "words": words}
        # A word is at least one token; two more mark beginning and end.
        more = {"distinct": int(texts.nunique()), "cut": _share(words > modality.length - 2)}
    elif modality.kind == "numbers":
        columns = manifest.cells[name][rows].T
        found = dict(zip(modality.columns, columns, strict=True))
        more = {"outliers": {column: _count_outliers(values) for column, values in found.items()}}
    else:
        return _describe_files(files, files.of_row[rows], modality)
    return _told(found, more)


def _describe_files(files, numbers, part):
    """Returns the same of files, by their numbers in rows, which a part of the spec reads."""
    kept = np.unique(numbers)
    measures = {key: files.measures[key][kept] for key in files.measures}
    found = {"bytes": measures["bytes"]}
    more = {"files": len(kept), "distinct": len(np.unique(measures["content"]))}
    if part.kind == "image":
        found |= {key: measures[key][measures[key] > 0] for key in ("width", "height")}
    elif part.kind == "audio":
        found |= {key: measures[key] for key in ("seconds", "peak", "rms")}
        more["cut"] = _share(measures["seconds"] > part.seconds + 0.5 / part.rate)
    return _told(found, more)


def _told(found, more):
    found = {key: distribution(values) for key, values in found.items()}
    return {"distributions": {key: value for key, value in found.items() if value}, **more}


def _share(mask):
    return float(mask.mean()) if len(mask) else 0.0


def _count_outliers(values):
    values = values[np.isfinite(values)]
    if not len(values):
        return 0
    low, high = np.percentile(values, [25, 75])
    fence = FENCE * (high - low)
    return int(((values < low - fence) | (values > high + fence)).sum()) if fence else 0


def _describe_output(manifest, name, output, splits, files=None):
    weights, values = manifest.target_weights[name], manifest.targets[name]
    missing = {split: int((weights[rows] == 0).sum()) for split, rows in splits.items()}
    if output.kind == "regression":
        found = {}
        for column in output.columns:
            numbers, _ = wrong_numbers(manifest.table[column].array)
            found[column] = distribution(numbers[np.concatenate(list(splits.values()))] if splits else [])
        return {"kind": output.kind, "unlabelled": missing, "distributions": found}
    used = np.concatenate(list(splits.values())) if splits else np.zeros(0, int)
    if output.kind == "speech":
        more = _describe_files(files, files.of_row[used[weights[used] > 0]], output.sound)
        return {"kind": output.kind, "unlabelled": missing, **more}
    if output.kind == "caption":
        texts = [text for cell in values[used] for text in output.captions_of(cell)]
        words = np.array([len(text.split()) for text in texts])
        found = {"words": distribution(words)}
        # A word is at least one token; two more mark beginning and end.
        cut = _share(words > output.length - 2)
        return {"kind": output.kind, "unlabelled": missing, "distributions": found, "cut": cut}
    labels, counts = manifest.labels[name], {}
    for split, rows in splits.items():
        known = values[rows][weights[rows] > 0]
        counts[split] = known.sum(axis=0) if output.multi_label else np.bincount(known, minlength=len(labels))
    classes = {
        label: {split: int(counts[split][index]) for split in splits} for index, label in enumerate(labels)
    }
    sizes = [found.get("train", 0) for found in classes.values()]
    return {
        "kind": output.kind,
        "unlabelled": missing,
        "classes": classes,
        "rare": [label for label, size in zip(labels, sizes, strict=True) if size < RARE],
        "imbalance": max(sizes) / max(min(sizes), 1) if sizes else 1.0,
    }
