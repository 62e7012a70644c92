"""How the demo page looks: the colours of gradio's theme, fonts of the system, and some rules of its own."""

import gradio as gr

FONT = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "sans-serif")
FIXED = ("ui-monospace", "Menlo", "Consolas", "monospace")
STYLE = """
.gradio-container { max-width: 1240px !important; margin: 0 auto !important; padding: 1rem !important; }
.gradio-container h1 { font-size: 1.45rem; margin: 0; }
.gradio-container h2 { font-size: 1.05rem !important; font-weight: 600; margin: .4rem 0 0 !important; }
.dim { color: var(--neutral-600); font-size: .86rem; margin: 0; }
.dark .dim { color: var(--neutral-400); }
.modality { border: 1px solid var(--border-color-primary); }
.modality .switch { padding: .55rem .8rem !important; font-weight: 600; }
.modality, .modality .styler { background: var(--block-background-fill) !important; }
.modality .switch { border-bottom: 1px solid var(--border-color-primary) !important; }
.modality .body { padding: .7rem .8rem; gap: .6rem; }
.modality .body .block { border: 1px solid var(--border-color-primary) !important;
  border-radius: var(--radius-md) !important; }
.modality .body .block.html-container, .modality .body .block:has(> .html-container), .modality .source,
.modality .inverted { border: 0 !important; padding: 0 !important; }
.gradio-container .html-container { padding: 0 !important; }
.modality .inverted { padding-top: .2rem !important; }
.picture img { object-fit: contain !important; }
.picture.small img { width: 100% !important; height: 100% !important; image-rendering: pixelated; }
.modality:has(.switch input:not(:checked)) .body { display: none; }
.problem { background: #fdecea; color: #8c1d18; border: 1px solid #f2b8b5; border-radius: 8px;
  padding: .7rem .9rem; overflow-wrap: anywhere; }
.dark .problem { background: #3b1512; color: #ffb4ab; border-color: #8c1d18; }
.wide { overflow-x: auto; }
.subsets table, table.pairs { width: 100%; border-collapse: collapse; font-size: .92rem; }
.subsets th, .subsets td, table.pairs th, table.pairs td { text-align: left; padding: .32rem .7rem .32rem 0;
  border: 0 !important; border-bottom: 1px solid var(--border-color-primary) !important;
  vertical-align: top; }
.subsets :is(table, thead, tbody, tr), table.pairs, table.pairs tr { border: 0 !important; }
.subsets table, table.pairs { margin: 0 !important; }
.subsets th, table.pairs th { font-weight: 500 !important; color: var(--neutral-600) !important; }
.dark .subsets th, .dark table.pairs th { color: var(--neutral-400) !important; }
.subsets tr.whole td { font-weight: 700; }
.subsets td div { display: flex; align-items: center; gap: .6rem; }
.subsets td span:first-child { min-width: 2.5rem; overflow-wrap: anywhere; }
.subsets .differs { color: var(--error-text-color, #b3261e); }
.subsets .bar { flex: 1; min-width: 3rem; max-width: 14rem; height: .5rem; border-radius: .25rem;
  background: var(--border-color-primary); overflow: hidden; }
.subsets .bar i { display: block; height: 100%; background: var(--color-accent); }
.subsets .share { font-variant-numeric: tabular-nums; min-width: 3.4rem; text-align: right; }
ol.texts { margin: 0; padding-left: 1.4rem; }
"""


def make_theme():
    """Returns gradio's theme, with the system's fonts: none is fetched."""
    return gr.themes.Default(
        primary_hue="blue", secondary_hue="blue", neutral_hue="slate", font=FONT, font_mono=FIXED
    )
