"""Pages of reports: one file each, without network and script."""

from html import escape

STYLE = """
:root { color-scheme: light dark; --ink: #1c2733; --dim: #5c6b7a; --paper: #ffffff; --card: #f4f6f8;
  --line: #dfe4e9; --bar: #2f74c0; --error: #b3261e; --warning: #8a5a00; --good: #1b6e3c; }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e9ee; --dim: #9aa8b5; --paper: #14191f;
  --card: #1d242c; --line: #323c47; --bar: #6aa9ec; --error: #ff8a80; --warning: #f0b95a; --good: #7fd6a0; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 72rem; padding: 1.5rem; background: var(--paper); color: var(--ink);
  font: 15px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.5rem; margin: 0; } h2 { font-size: 1.15rem; margin: 2.2rem 0 .6rem; }
h3 { font-size: 1rem; margin: 1.2rem 0 .4rem; } p { margin: .3rem 0; } .dim { color: var(--dim); }
.verdict { font-size: 1.1rem; font-weight: 600; } .error { color: var(--error); }
.warning { color: var(--warning); } .good { color: var(--good); }
.wide { overflow-x: auto; } table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: .3rem .7rem .3rem 0;
  border-bottom: 1px solid var(--line); overflow-wrap: anywhere; } th { color: var(--dim); font-weight: 500; }
.number { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
.cards { display: flex; flex-wrap: wrap; gap: 1rem; }
figure { margin: 0; padding: .8rem; background: var(--card); border-radius: .5rem; max-width: 100%; }
figcaption { font-weight: 500; } svg { display: block; max-width: 100%; height: auto; }
rect { fill: var(--bar); } text { fill: var(--dim); font-size: 11px; }
meter { width: 8rem; } img { max-width: 100%; height: auto; } audio { width: 14rem; }
.sounds { display: flex; flex-wrap: wrap; gap: .4rem 1.5rem; }
pre { background: var(--card); padding: .8rem; border-radius: .5rem; overflow-x: auto; }
"""
PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
{body}
</body>
</html>
"""


def make_page(title, parts):
    """Returns a page of parts that are HTML already."""
    return PAGE.format(title=escape(title), style=STYLE, body="\n".join(parts))


def make_table(titles, rows, numbers=()):
    """Returns a table of cells that are HTML already; `numbers` are places of columns of numbers."""
    classes = [' class="number"' if place in numbers else "" for place in range(len(titles))]
    head = "".join(f"<th{kind}>{title}</th>" for kind, title in zip(classes, titles, strict=True))
    body = "\n".join(
        "<tr>" + "".join(f"<td{kind}>{cell}</td>" for kind, cell in zip(classes, row, strict=True)) + "</tr>"
        for row in rows
    )
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>\n{body}\n</tbody></table></div>'
