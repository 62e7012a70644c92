"""How measurements look on a terminal."""

from mm_keras.console import make_table, number, percent, show_table


def show_input(out, found):
    """Prints what `measure_input` returned: the stages, which one limits training, and what to change."""
    table = make_table("Stage<", "Examples/s", "Share of an epoch's input")
    for stage in found["stages"]:
        share = found["shares"].get(stage["name"])
        table.add_row(
            stage["name"], number(stage["examples_per_second"], 3), "" if share is None else percent(share)
        )
    if "read the cache" in found["shares"]:
        table.add_row("read the cache", "", percent(found["shares"]["read the cache"]))
    show_table(out, table, f"Input, each stage alone, over {found['sample']:,} of {found['rows']:,} rows")
    first, *others = found["advice"]
    out.print(f"\n{first}", style="bold")
    for line in others:
        out.print(line)
