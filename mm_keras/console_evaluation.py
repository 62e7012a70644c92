"""How an evaluation looks on a terminal. Imports no TensorFlow."""

from mm_keras.console import make_table, number, percent, show_table, show_warnings

MOST_CLASSES = 30
MOST_TEXTS = 6
TITLES = {"macro_f1": "macro F1", "mae": "MAE", "rmse": "RMSE", "r2": "R2", "rouge_l": "ROUGE-L"}
TITLES |= {"mel_error": "mel error (dB)", "mel_cepstral_distortion": "mel-cepstral distortion (dB)"}
TITLES |= {"cider": "CIDEr", **{f"bleu_{order}": f"BLEU-{order}" for order in range(1, 5)}}


def show_evaluation(out, result, classes=True):
    """Prints what `evaluate` returned."""
    title = f"{result['rows']:,} {result['split']} rows, loss {result['loss']:.4f}"
    show_table(out, _outputs_table(result["outputs"]), title)
    for name, output in result["outputs"].items():
        if classes and "classes" in output:
            _show_classes(out, name, output)
        if classes and "retrieval" in output:
            _show_retrieval(out, name, output["retrieval"])
        if classes and "examples" in output:
            _show_texts(out, name, output["examples"])
        if classes and len(output.get("columns", ())) > 1:
            _show_columns(out, name, output["columns"])
    if any(result["subsets"].values()):
        table = _subsets_table(result["subsets"], result["outputs"])
        show_table(out, table, "With each subset of the modalities")
    show_warnings(out, result.get("warnings", ()))


def _outputs_table(outputs):
    table = make_table("Output<", "Loss", "Measures<")
    for name, output in outputs.items():
        shown = [
            f"{TITLES.get(metric, metric.replace('_', ' '))} {_measure(metric, value)}"
            for metric, value in output.items()
            if metric != "loss" and isinstance(value, (int, float))
        ]
        table.add_row(name, f"{output['loss']:.4f}", ", ".join(shown))
    return table


def _measure(metric, value):
    shares = metric.endswith(("accuracy", "f1", "match", "rouge_l")) or metric.startswith(
        ("recall@", "bleu_")
    )
    return percent(value) if shares else number(value)


def _show_classes(out, name, output):
    """Prints the table of the classes; of many, those that are told worst."""
    rows = [(label, output["classes"][label]) for label in output["labels"]]
    title = f"Classes of {name}"
    if len(rows) > MOST_CLASSES:
        title += f": the {MOST_CLASSES} lowest F1 of {len(rows)}"
        rows = sorted(rows, key=lambda row: row[1]["f1-score"])[:MOST_CLASSES]
    table = make_table("Class<", "Precision", "Recall", "F1", "Rows")
    for label, scores in rows:
        shares = [percent(scores[key]) for key in ("precision", "recall", "f1-score")]
        table.add_row(label, *shares, f"{scores['support']:,.0f}")
    show_table(out, table, title)


def _show_columns(out, name, columns):
    """Prints the table of a regression's columns."""
    table = make_table("Column<", "MAE", "RMSE", "R2")
    for column, scores in columns.items():
        table.add_row(column, *[_score(scores[measure]) for measure in ("mae", "rmse", "r2")])
    show_table(out, table, f"Columns of {name}")


def _show_retrieval(out, name, directions):
    """Prints how often each modality finds its own row by another one."""
    depths = [key for key in next(iter(directions.values())) if key.startswith("recall@")]
    table = make_table("From<", "To<", *[depth.capitalize() for depth in depths], "Median rank", "Rows")
    for direction, scores in directions.items():
        shares = ["-" if scores[key] is None else percent(scores[key]) for key in depths]
        rank = _score(scores["median_rank"])
        table.add_row(*direction.split(">"), *shares, rank, f"{scores['rows']:,}")
    show_table(out, table, f"Retrieval of {name}")


def _show_texts(out, name, examples):
    """Prints some texts beside those that people wrote, of which the first is shown."""
    table = make_table("Written<", "Reference<")
    for references, text in examples[:MOST_TEXTS]:
        table.add_row(text or "no text", references[0] if references else "")
    show_table(out, table, f"Texts of {name}")


def _score(value):
    return "-" if value is None else number(value)


def _measure_of(output):
    """Returns what a subset of the modalities is told by, (title, function value -> text)."""
    if "mae" in output:
        return "R2", _score
    if "mel_cepstral_distortion" in output:
        return "distortion (dB)", _score
    if "pixel_error" in output:
        return "pixel error", _score
    if "token_accuracy" in output and "rouge_l" not in output:
        return "token accuracy", percent
    if output.keys() == {"loss"}:
        return "loss", _score
    return ("ROUGE-L" if "rouge_l" in output else "Accuracy"), percent


def _subsets_table(subsets, outputs):
    """Returns a table of how well each output is told with each subset of the modalities."""
    names = list(next(iter(subsets.values())))
    measures = {name: _measure_of(outputs[name]) for name in names}
    titles = [name if title == "Accuracy" else f"{name} {title}" for name, (title, _) in measures.items()]
    if len(names) == 1:
        titles = [measures[names[0]][0]]
    table = make_table("Modalities present<", *titles)
    for subset, scores in subsets.items():
        cells = [show(scores[name]) for name, (_, show) in measures.items()]
        table.add_row(subset.replace("+", " + "), *cells)
    return table
