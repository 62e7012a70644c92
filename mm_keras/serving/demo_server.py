"""A server of one exported model, in a thread of this process."""

import asyncio
import contextlib
import threading
from dataclasses import dataclass
from pathlib import Path

from mm_keras.serving.model_settings import settings_of_folders, versions_in
from mm_keras.serving.server import ServerSettings, serve


@dataclass(frozen=True)
class Running:
    """A model that is served.

    Args:
        url: str. Of its REST interface.
        name: str. As in the path of a request.
        version: path. Folder of the newest version.
    """

    url: str
    name: str
    version: Path


@contextlib.contextmanager
def running_server(folder, grace_seconds=5.0):
    """Serves `saved_models/NAME` on a free port of 127.0.0.1, and stops on leaving.

    Args:
        folder: path.
        grace_seconds: float >= 0. How long the stop waits for answers.

    Yields: Running.
    Raises: ValueError, if no version of the model can be loaded.
    """
    models = settings_of_folders([folder])
    settings = ServerSettings(models, rest_port=0, grpc_port=None, grace_seconds=grace_seconds)
    ready, places, faults = threading.Event(), [], []

    def started(server):
        places.extend([server, asyncio.get_running_loop()])
        ready.set()

    def work():
        try:
            serve(settings, started)
        except Exception as error:  # Is raised in the thread that waits.
            faults.append(error)
        finally:
            ready.set()

    thread = threading.Thread(target=work, name="server", daemon=True)
    thread.start()
    ready.wait()
    if faults:
        raise faults[0]
    server, loop = places
    found = versions_in(models[0].folder)
    try:
        yield Running(f"http://127.0.0.1:{server.rest_port}", models[0].name, found[max(found)])
    finally:
        with contextlib.suppress(RuntimeError):  # It has ended by itself.
            loop.call_soon_threadsafe(server.stop)
        thread.join(grace_seconds + 5)
