"""The demo page as an application, and the server of it."""

from dataclasses import dataclass
from pathlib import Path

import fastapi
import gradio as gr
import uvicorn

from mm_keras.serving.demo_style import STYLE, make_theme

MOST_BYTES = 20 * 2**20
GRACE = 3
# The page fetches nothing from elsewhere, whatever gradio's own files ask for.
POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; worker-src 'self' blob:; "
    "style-src 'self' 'unsafe-inline'; font-src 'self' data:; img-src 'self' data: blob:; "
    "media-src 'self' data: blob:; connect-src 'self' data: blob:; frame-ancestors 'self'; form-action 'self'"
)
HEADERS = [
    (b"content-security-policy", POLICY.encode()),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
]


class _Policy:
    """Adds HEADERS to every answer of an ASGI application."""

    def __init__(self, app):
        self.app = app

    async def __call__(self, scope, receive, send):
        async def send_more(part):
            if part["type"] == "http.response.start":
                part = {**part, "headers": [*part.get("headers", ()), *HEADERS]}
            await send(part)

        await self.app(scope, receive, send_more if scope["type"] == "http" else send)


def make_app(page, most_bytes=MOST_BYTES, files=()):
    """Returns the ASGI application of a page.

    Args:
        page: gradio.Blocks.
        most_bytes: int > 0. Of a file that is uploaded; larger ones are refused.
        files: sequence of path. Those of its examples: what else lies on this machine, nobody can ask for.
    """
    # Without this, gradio takes any path that a request names: it checks only pages that it starts itself.
    page.has_launched = True
    app = fastapi.FastAPI(openapi_url=None)
    app.add_middleware(_Policy)
    return gr.mount_gradio_app(
        app,
        page,
        path="",
        footer_links=[],
        run_history=False,
        show_error=True,
        max_file_size=most_bytes,
        allowed_paths=[str(Path(file).resolve()) for file in files],
        ssr_mode=False,
        pwa=False,
        theme=make_theme(),
        css=STYLE,
    )


@dataclass(frozen=True)
class Page:
    """A page that is served.

    Args:
        url: str.
        stop: callable. Ends it; may be called in any thread.
    """

    url: str
    stop: object


def serve_page(app, listening, started=None):
    """Serves a page in this thread until a signal or `Page.stop` ends it.

    Args:
        app: of `make_app`.
        listening: socket that is bound, as of `open_socket`.
        started: callable or None. Called with the Page once it listens.
    """
    config = uvicorn.Config(
        app, log_level="warning", access_log=False, server_header=False, timeout_graceful_shutdown=GRACE
    )
    host, port = listening.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    server = _Server(config, started, f"http://{shown}:{port}")
    server.run(sockets=[listening])


class _Server(uvicorn.Server):
    def __init__(self, config, started, url):
        super().__init__(config)
        self._tell = started
        self._page = Page(url, self.end)

    def end(self):
        self.should_exit = True

    async def startup(self, sockets=None):
        await super().startup(sockets=sockets)
        if self.started and self._tell:
            self._tell(self._page)

    def handle_exit(self, sig, frame):
        """Ends, and at a second signal at once; the signal is not raised again, so that callers end too."""
        self.force_exit = self.should_exit
        self.should_exit = True
