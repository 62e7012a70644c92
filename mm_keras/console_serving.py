"""How servers look on a terminal."""

import shlex

from mm_keras.console import make_list, show_commands, show_paths


def show_server(out, server):
    """Says what is served, where, and how to ask."""
    settings, repository = server.settings, server.engine.repository
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    scheme = "https" if settings.certificate else "http"
    grid = make_list()
    for name in repository.settings:
        states = repository.status(name)
        versions = [str(version) for version, state in states.items() if state.state == "AVAILABLE"]
        labels = [f"{label} = {version}" for label, version in repository.settings[name].labels.items()]
        words = f"{name}, version {', '.join(versions)}" + (f" ({', '.join(labels)})" if labels else "")
        grid.add_row("Model", words)
        for version, state in states.items():
            if state.error:
                grid.add_row("Left out", f"version {version}: {state.error}")
    commands = []
    if server.rest_port is not None:
        url = f"{scheme}://{host}:{server.rest_port}"
        grid.add_row("REST", f"{url}/v1/models")
        commands += [f"curl {url}/v1/models/{name}" for name in repository.settings]
    if server.grpc_port is not None:
        grid.add_row("gRPC", f"{host}:{server.grpc_port}")
    out.print(grid)
    if commands:
        show_commands(out, commands)


def show_kit(out, written):
    """Says what a kit holds, and what to do with it."""
    grid = make_list()
    for model in written["models"]:
        labels = [f"{label} = {version}" for label, version in model["labels"].items()]
        versions = ", ".join(map(str, model["versions"]))
        grid.add_row(
            "Model", f"{model['name']}, version {versions}" + (f" ({', '.join(labels)})" if labels else "")
        )
    out.print(grid)
    show_paths(out, "Written", [f"{written['folder']}/{name}" for name in written["files"]])
    folder = shlex.quote(written["folder"])
    show_commands(
        out,
        [
            f"docker compose --file {folder}/docker-compose.yaml up --detach",
            f"python {folder}/load.py --requests 2000 --concurrency 32",
            f"less {folder}/README.md",
        ],
    )


def show_demo(out, page):
    """Says where the page is."""
    show_paths(out, "Page", [page.url])
    out.print("Ctrl-C ends it.", style="dim")
