"""What a model answers from each subset of the modalities that are given, as a table."""

from dataclasses import dataclass
from html import escape
from itertools import combinations

MOST_WHOLE = 4  # Modalities whose subsets are all asked: 15 rows.
COMPARED = ("classification", "regression", "caption")


@dataclass(frozen=True)
class Cell:
    """An answer as a table shows it.

    Args:
        text: str.
        score: float or None. Of the answer, 0..1.
    """

    text: str
    score: float | None = None


def subsets(names):
    """Returns the subsets to compare, smallest first and all names last: of up to four names every one, of
    more each name alone and all but each."""
    names = list(names)
    sizes = range(1, len(names) + 1) if len(names) <= MOST_WHOLE else (1, len(names) - 1, len(names))
    return [chosen for size in sizes for chosen in combinations(names, size)]


def ask_subsets(client, row):
    """Asks for the answers to all subsets of a row in one request.

    Args:
        client: Client.
        row: dict, modality -> value.

    Returns: list of (tuple of names, dict of answers without batch axis), all of the row's modalities last.
    """
    chosen = subsets(row)
    answers = client.predict_batch([{name: row[name] for name in names} for names in chosen])
    return [
        (names, {key: column[index] for key, column in answers.items()}) for index, names in enumerate(chosen)
    ]


def read_cell(name, output, answers):
    """Returns the Cell of an output.

    Args:
        name: str. Of the output.
        output: dict. What `Client.describe` says of it.
        answers: dict of one example.
    """
    if output["kind"] == "classification":
        if output.get("multi_label"):
            return Cell(str(answers[name]) or "none")
        return Cell(str(answers[name]), float(max(answers[f"{name}_scores"])))
    if output["kind"] == "regression":
        return Cell(", ".join(f"{title} {value}" for title, value in read_numbers(output, answers[name])))
    return Cell(str(answers[name]))


def read_numbers(output, values):
    """Returns list of (column, number as text) of a regression's answer `(n,)`."""
    return [(column, f"{float(value):.4g}") for column, value in zip(output["columns"], values, strict=True)]


def subsets_table(outputs, answered):
    """Writes what `ask_subsets` gave as HTML: a row for each subset, the answers that differ from that to all
    modalities marked.

    Args:
        outputs: dict, name -> what `Client.describe` says of the output.

    Returns: str. Empty, if the model has no output to compare.
    """
    compared = {name: output for name, output in outputs.items() if output["kind"] in COMPARED}
    whole = answered[-1]
    if not compared:
        return ""
    if len(answered) == 1:
        return "<p class='dim'>Give a second modality to see what each one adds.</p>"
    head = "".join(f"<th>{escape(name)}</th>" for name in compared)
    rows = []
    for names, answers in answered:
        cells = [_cell_html(name, output, answers, whole[1]) for name, output in compared.items()]
        kind = " class='whole'" if names == whole[0] else ""
        rows.append(f"<tr{kind}><td>{_names_html(names, whole[0])}</td>{''.join(cells)}</tr>")
    return (
        f"<div class='wide'><table><thead><tr><th>From</th>{head}</tr></thead>"
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def _names_html(names, whole):
    if len(whole) > MOST_WHOLE and len(names) == len(whole) - 1:
        lost = next(name for name in whole if name not in names)
        return f"all but {escape(lost)}"
    if len(whole) > MOST_WHOLE and names == whole:
        return "all"
    return " + ".join(escape(name) for name in names)


def _cell_html(name, output, answers, whole):
    cell = read_cell(name, output, answers)
    differs = output["kind"] == "classification" and cell.text != read_cell(name, output, whole).text
    text = f"<span class='{'differs' if differs else 'same'}'>{escape(cell.text)}</span>"
    if cell.score is not None:
        share = f"{100 * cell.score:.1f}%"
        text += f"<span class='bar'><i style='width:{share}'></i></span><span class='share'>{share}</span>"
    return f"<td class='{output['kind']}'><div>{text}</div></td>"
