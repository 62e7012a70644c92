"""How answers to rows look on a terminal. Imports no TensorFlow."""

import numpy as np
from rich.measure import Measurement
from rich.text import Text

from mm_keras.console import make_table, number, percent, show_paths, show_table

MOST_ROWS = 20
BEST_CLASSES = 5
BAR = 30
WIDEST = 10_000  # Characters.


def show_example(out, answers, preprocessor):
    """Prints the answers to one example: of each classification the best classes, then the numbers."""
    for name, labels in preprocessor.labels.items():
        scores = answers[f"{name}_scores"][0]
        answer = str(answers[name][0])
        out.print(Text.assemble((f"{name}: ", "bold"), (answer or "none of the labels", "bold green")))
        mark = "\N{BOX DRAWINGS HEAVY HORIZONTAL}" if out.encoding.startswith("utf") else "#"
        table = make_table("Class<", "Score", "<")
        for index in np.argsort(-scores, kind="stable")[:BEST_CLASSES]:
            score = float(scores[index])
            table.add_row(labels[index], percent(score), Text(mark * round(BAR * score), "cyan"))
        show_table(out, table)
    for title, values in _numbers(answers, preprocessor):
        out.print(Text.assemble((f"{title}: ", "bold"), (number(values[0], 6), "bold green")))
    for name, part in preprocessor.outputs.items():
        if part.kind == "caption":
            score = f"  log-probability {number(answers[f'{name}_score'][0])}"
            text = (str(answers[name][0]) or "no text", "bold green")
            out.print(Text.assemble((f"{name}: ", "bold"), text, (score, "dim")))
        if part.kind == "speech":
            words = f"{_seconds(answers, name)[0]:.3g} s of sound; `mm-keras generate` writes it"
            out.print(Text.assemble((f"{name}: ", "bold"), words))
        for title in part.titles(name) if part.kind == "contrastive" else ():
            words = f"a vector of {answers[title].shape[1]} numbers; --output writes them"
            out.print(Text.assemble((f"{title}: ", "bold"), words))
    for key, values in answers.items():
        if key in preprocessor.copies:
            read = values[0] if values.dtype.kind in "OU" else f"{values.shape[1:]} values; Python gives them"
            out.print(Text.assemble((f"{key}: ", "bold"), str(read)))


def show_written(out, answers, preprocessor):
    """Prints the texts that `generate` wrote to one example, and the files of all else."""
    for name, part in preprocessor.outputs.items():
        if name not in answers:
            continue
        if part.kind == "caption":
            table = make_table(f"{name}<", "Score")
            for text, score in zip(answers[name][0], answers[f"{name}_scores"][0], strict=True):
                table.add_row(text or "no text", number(score))
            show_table(out, table)
        elif part.kind == "speech":
            heard, path = f"  {_seconds(answers, name)[0]:.3g} s", str(answers[name][0])
            line = Text.assemble((f"{name}: ", "bold"), (path, "bold green"), (heard, "dim"))
            out.print(line, soft_wrap=True)  # A path that is broken cannot be copied.
    for key, values in answers.items():
        modality = preprocessor.rebuilt(key)
        if modality is not None:
            numbers = ", ".join(f"{x:.6g}" for x in values[0]) if modality.kind == "numbers" else None
            told = numbers or str(values[0]) or "no text"
            out.print(Text.assemble((f"{key}: ", "bold"), (told, "bold green")), soft_wrap=True)


def _seconds(answers, name):
    """Returns how long the sounds of a speech output are, `(N,)`."""
    return answers[f"{name}_samples"] / answers[f"{name}_rate"]


def _numbers(answers, preprocessor):
    """Yields (title, numbers `(N,)`) of each column of each regression."""
    for name, part in preprocessor.outputs.items():
        if part.kind == "regression" and name in answers:
            yield from zip(part.titles(name), answers[name].T, strict=True)


def show_answers(out, part, preprocessor, count):
    """Prints the answers to the first rows of a manifest of `count` rows."""
    names = [name for name in preprocessor.labels if name in part.answers]
    texts = [name for name in preprocessor.of_kind("caption") if name in part.answers]
    texts += [key for key, x in part.answers.items() if key in preprocessor.copies and x.ndim == 1]
    titles = ["Line", *(["Id<"] if part.ids is not None else [])]
    titles += [title for name in names for title in (f"{name}<", "Score")]
    sounds = [name for name in preprocessor.of_kind("speech") if name in part.answers]
    texts += [name for name in sounds if part.answers[name].dtype == object]  # Paths of files.
    numbers = dict(_numbers(part.answers, preprocessor))
    for key, values in part.answers.items():
        modality = preprocessor.rebuilt(key)
        if modality is not None and modality.kind == "numbers":
            numbers |= {f"{key}:{column}": values[:, i] for i, column in enumerate(modality.columns)}
    numbers |= {f"{name} s": _seconds(part.answers, name) for name in sounds}
    table = make_table(*titles, *numbers, *[f"{key}<" for key in texts])
    several = {key for key in texts if part.answers[key].ndim > 1}  # Of which the best is shown.
    for row, line in enumerate(part.lines):
        cells = [str(line), *([str(part.ids[row])] if part.ids is not None else [])]
        for name in names:
            score = float(part.answers[f"{name}_scores"][row].max())
            cells += [str(part.answers[name][row]), percent(score)]
        cells += [number(values[row], 6) for values in numbers.values()]
        found = {key: part.answers[key][row] for key in texts}
        table.add_row(*cells, *[str(x[0] if key in several else x) for key, x in found.items()])
    show_table(out, table)
    shown = len(part.lines)
    if count > shown:
        out.print(f"The first {shown} of {count:,} rows. All of them: --output answers.csv", style="dim")


def show_imputed(out, result):
    """Prints what `impute` returned."""
    table = make_table("Modality<", "Rows filled in")
    for name, count in result["made"].items():
        table.add_row(name, f"{count:,}")
    show_table(out, table, f"{result['rows']:,} rows")
    show_paths(out, "Written", [path for path in (result["manifest"], result["folder"]) if path])


def show_sync(out, result):
    """Prints what `synchronise` returned."""
    offset = result["offset"]
    words = "in time" if offset == 0 else f"{abs(offset):.3f} s {'late' if offset > 0 else 'early'}"
    out.print(Text.assemble(("The sound is ", "bold"), (words, "bold green")))
    score, above = number(result["score"]), number(result["confidence"])
    told = f"{result['frames']:,} frames, {result['windows']:,} windows of sound"
    out.print(f"{told}; mean cosine {score}, {above} above the median of all offsets", style="dim")


def show_found(out, found, name):
    """Prints what `retrieve` returned."""
    ids = ["Id<"] if found and "id" in found[0] else []
    table = make_table("Rank", "Line", *ids, f"{name}<", "Cosine")
    for rank, row in enumerate(found, start=1):
        cell = row["cell"] if isinstance(row["cell"], str) else ", ".join(f"{x:g}" for x in row["cell"])
        table.add_row(str(rank), str(row["line"]), *([row["id"]] if ids else []), cell, f"{row['score']:.4f}")
    # As wide as it is: a path that is broken cannot be copied.
    table.width = Measurement.get(out, out.options.update(max_width=WIDEST), table).maximum
    out.print()
    out.print(table, crop=False)
