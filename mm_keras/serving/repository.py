"""The versions of models that are served: loaded beside the old ones, exchanged, and unloaded when unused."""

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mm_keras.checks import closest, listing, message
from mm_keras.serving.errors import ServingError
from mm_keras.serving.model_settings import versions_in
from mm_keras.serving.served_model import ServedModel

logger = logging.getLogger(__name__)


@dataclass
class VersionState:
    """Where a version stands.

    Args:
        state: str. START, LOADING, AVAILABLE, UNLOADING or END, as TensorFlow Serving names them.
        error: str. Why it could not be loaded; "" if nothing is wrong.
        files: tuple. Names, sizes and times of its files when it was loaded: a broken one is tried again
            when they change.
        folder: path or None. Where it was loaded from.
        served: ServedModel or None.
        references: int. Requests that it answers now; it stays loaded as long.
    """

    state: str = "START"
    error: str = ""
    files: tuple = ()
    folder: Path | None = None
    served: ServedModel | None = None
    references: int = 0


class Repository:
    """Models and their versions. All methods are called in the event loop.

    Args:
        settings: list of ModelSettings.
        threads: int. As of ServedModel.
        poll_seconds: float > 0. How often folders are looked at.
        seconds: float or None. As of ServedModel.
    """

    def __init__(self, settings, threads=1, poll_seconds=1.0, seconds=None):
        self.settings = {model.name: model for model in settings}
        self.states = {name: {} for name in self.settings}  # Model -> version -> VersionState.
        self._load_arguments, self._poll_seconds = (threads, seconds), poll_seconds
        self._loader = ThreadPoolExecutor(1, "load")
        self._lock = asyncio.Lock()
        self._told = {}  # Model -> why its folder could not be looked at.

    @property
    def ready(self):
        """Whether every model has a version that answers."""
        return all(self._available(name) for name in self.settings)

    async def watch(self):
        """Looks at the folders again and again; ends when it is cancelled."""
        while True:
            await asyncio.sleep(self._poll_seconds)
            await self.poll()

    async def poll(self):
        """Loads what is new and unloads what is no longer wanted."""
        async with self._lock:
            for name in list(self.settings):
                try:
                    await self._poll_model(self.settings[name])
                    self._told.pop(name, None)
                except Exception as error:  # Such as a folder that cannot be read.
                    self._tell(name, f"{type(error).__name__}: {error}")
            for name in self.states.keys() - self.settings.keys():
                for state in self._available(name).values():
                    self._retire(name, state)
                if all(state.state == "END" for state in self.states[name].values()):
                    del self.states[name]

    def _tell(self, name, error):
        if self._told.get(name) != error:
            self._told[name] = error
            about = {"model": name, "error": error}
            logger.warning("The folder of a model could not be looked at", extra=about)

    async def reconfigure(self, settings):
        """Serves these models, in place of those before."""
        async with self._lock:
            self.settings = {model.name: model for model in settings}
            for name in self.settings:
                self.states.setdefault(name, {})
        await self.poll()

    def choose(self, name, version=None, label=None):
        """Returns (version, VersionState) of a request.

        Raises: ServingError, if there is no such model, version or label.
        """
        if name not in self.settings:
            fix = f"{closest(name, self.settings)}Name a model that is served."
            raise ServingError("NOT_FOUND", message("model", listing(self.settings), f"{name!r}", fix))
        available = self._available(name)
        if label is not None:
            labels = self.settings[name].labels
            if label not in labels:
                fix = "Name one of them, or a version."
                expected = f"a label of `{name}`, {listing(labels) or 'which has none'}"
                raise ServingError("NOT_FOUND", message("label", expected, f"{label!r}", fix))
            version = labels[label]
        if version is None or self._means_newest(name, version):
            version = max(available, default=None)
        if version not in available:
            received = "none" if version is None else f"version {version}"
            fix = "The status of the model tells why a version cannot be served."
            known = version is None or version in self.states[name]
            code = "UNAVAILABLE" if known and not available else "NOT_FOUND"
            expected = f"an available version of `{name}`: {listing(available) or 'none is'}"
            raise ServingError(code, message("version", expected, received, fix))
        return version, available[version]

    @contextmanager
    def using(self, name, version=None, label=None):
        """Gives (version, ServedModel), which stays loaded until the block ends."""
        version, state = self.choose(name, version, label)
        state.references += 1
        try:
            yield version, state.served
        finally:
            state.references -= 1
            if state.state == "UNLOADING":
                self._unload(name, state)

    def status(self, name, version=None, label=None):
        """Returns the states of a model's versions, newest first, number -> VersionState.

        Raises: ServingError, if there is no such model, version or label.
        """
        if name not in self.settings:
            self.choose(name)
        states = self.states[name]
        if label is not None:
            version = self.choose(name, label=label)[0]
        elif version is not None and self._means_newest(name, version):
            version = None
        if version is not None:
            if version not in states:
                self.choose(name, version)
            return {version: states[version]}
        return dict(sorted(states.items(), reverse=True))

    async def close(self):
        async with self._lock:
            for name in self.states:
                for state in self._available(name).values():
                    self._retire(name, state)
        await asyncio.to_thread(self._loader.shutdown)

    def _means_newest(self, name, version):
        """Clients of protobuf's older days, ovmsclient among them, name version 0 where they mean none."""
        return version == 0 and 0 not in self.states[name]

    def _available(self, name):
        states = self.states.get(name, {})
        return {version: state for version, state in states.items() if state.state == "AVAILABLE"}

    async def _poll_model(self, model):
        found = versions_in(model.folder)
        order, count = model.wanted(found)
        kept = []
        for version in order:
            if len(kept) < count and await self._load(model.name, version, found[version]):
                kept.append(version)
        for version, state in self._available(model.name).items():
            if kept and version not in kept:
                self._retire(model.name, state)

    async def _load(self, name, version, folder):
        """Returns whether the version answers; loads it, if it is new."""
        before = self.states[name].get(version) or VersionState()
        answers = before.state == "AVAILABLE"
        if answers and before.folder == folder:
            before.error = ""  # Of another folder, which was to take its place.
            return True
        files = _files_of(folder)
        if before.state == "UNLOADING" or (before.error and before.files == files):
            return answers
        state = VersionState("LOADING", files=files, folder=folder)
        if not answers:
            self.states[name][version] = state
        about = {"model": name, "version": version, "folder": str(folder)}
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            state.served = await loop.run_in_executor(
                self._loader, ServedModel, folder, *self._load_arguments
            )
        except Exception as error:
            state.state, state.error = "END", str(error)
            logger.error("A version could not be loaded", extra={**about, "error": str(error)})
            if answers:
                before.error, before.files = state.error, files
            return answers
        state.state = "AVAILABLE"
        self.states[name][version] = state
        if answers:  # The same version of another folder.
            self._retire(name, before)
        seconds = round(loop.time() - began, 3)
        logger.info(
            "A version is served", extra={**about, "seconds": seconds, "warmed_up": state.served.warmed_up}
        )
        return True

    def _retire(self, name, state):
        state.state = "UNLOADING"
        self._unload(name, state)

    def _unload(self, name, state):
        if state.references:
            return
        state.served.close()
        state.served, state.state, state.error = None, "END", ""
        about = {"model": name, "version": int(state.folder.name), "folder": str(state.folder)}
        logger.info("A version is unloaded", extra=about)


def _files_of(folder):
    """Returns (name, size, time of change) of each file of a version."""
    stats = [(path, path.stat()) for path in sorted(Path(folder).rglob("*")) if path.is_file()]
    return tuple((str(path), stat.st_size, stat.st_mtime_ns) for path, stat in stats)
