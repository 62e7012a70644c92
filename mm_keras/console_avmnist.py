"""How AV-MNIST-R looks on a terminal, once it is built."""

import shlex

from mm_keras.console import make_list, percent, show_commands, show_paths, size


def show_built(out, result):
    """Prints what `write_avmnist` returned, and what to type next."""
    recipe, folder = result["recipe"], result["folder"]
    splits = ("train", "validation", "test")
    grid = make_list()
    grid.add_row("Rows", ", ".join(f"{recipe[split]:,} {split}" for split in splits))
    kept = f"{recipe['preset']} principal components, {percent(recipe['kept_variance'])} of the variance"
    grid.add_row("Images", kept)
    grid.add_row("Recordings", ", ".join(f"{recipe['recordings'][split]:,} {split}" for split in splits))
    grid.add_row("Noises", ", ".join(f"{recipe['noises'][split]:,} {split}" for split in splits))
    grid.add_row("Files", f"{result['files']:,}, {size(result['bytes'])}, compared with their sources")
    grid.add_row("SHA-256", result["digest"])
    out.print(grid)
    show_paths(out, "Folder", [folder])
    manifest = shlex.quote(str(folder / "manifest.csv"))
    show_commands(out, [f"mm-keras init {manifest}", "mm-keras train spec.yaml"])


def show_checked(out, result):
    """Prints what `check_avmnist` returned."""
    words = f"{result['files']:,} files, {size(result['bytes'])}, SHA-256 {result['digest']}"
    out.print(f"As it was written: {words}.", style="green")
