"""What both interfaces of a server do with a request: find the model, batch the rows, count the answer."""

import asyncio
import logging
import time
from concurrent.futures import ThreadPoolExecutor

from mm_keras.serving.batcher import Batcher, late
from mm_keras.serving.errors import ServingError
from mm_keras.serving.metrics import Metrics
from mm_keras.serving.repository import Repository
from mm_keras.serving.request_body import HeldBodies
from mm_keras.serving.served_model import rows_of

LONG = 2**20  # Bytes.
logger = logging.getLogger(__name__)


class Engine:
    """Answers requests of any interface.

    Args:
        settings: ServerSettings.
    """

    def __init__(self, settings):
        self.settings = settings
        self.metrics = Metrics()
        self.repository = Repository(
            settings.models, settings.threads, settings.poll_seconds, settings.timeout
        )
        self.batcher = Batcher(
            settings.most_rows, settings.most_waiting, settings.workers, self.metrics.observe_batch
        )
        self.held = HeldBodies(settings.most_bytes, settings.timeout)
        self.stopping = False
        self._reader = ThreadPoolExecutor(1, "read")

    @property
    def ready(self):
        return not self.stopping and self.repository.ready

    async def answer(self, place, read, size=0, seconds=None):
        """Answers a request.

        Args:
            place: (model, version or None, label or None).
            read: callable, ServedModel -> (Signature, dict of arrays).
            size: int. Bytes of the request. One that is long is read in a thread, one at a time, so that the
                others do not wait for it.
            seconds: float or None. What time there is for it.

        Returns: (version, Signature, dict of arrays).
        Raises: ServingError.
        """
        seconds = self.settings.timeout if seconds is None else min(seconds, self.settings.timeout)
        deadline = time.monotonic() + seconds
        with self.repository.using(*place) as (version, served):
            signature, inputs = await self._read(read, served, seconds) if size > LONG else read(served)
            rows = rows_of(inputs) if signature.batched else 1
            answers = await self.batcher.ask(served, signature, inputs, rows, deadline)
        return version, signature, answers

    async def _read(self, read, served, seconds):
        try:
            async with asyncio.timeout(seconds):
                return await asyncio.get_running_loop().run_in_executor(self._reader, read, served)
        except TimeoutError:
            raise late() from None

    def count(self, model, api, method, code, began):
        known = model if model in self.repository.settings else ""
        self.metrics.count(known, api, method, code, time.perf_counter() - began)


def as_serving_error(error):
    """Returns the error itself, or INTERNAL in place of what nobody foresaw, which is logged."""
    if isinstance(error, ServingError):
        return error
    if isinstance(error, asyncio.CancelledError):
        return ServingError("UNAVAILABLE", "The server stops. Ask again later.", retry_after=1)
    logger.error("A request failed", exc_info=error)
    return ServingError("INTERNAL", f"{type(error).__name__}: the server's log says more.")
