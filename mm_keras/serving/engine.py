"""What both interfaces of a server do with a request: find the model, batch the rows, count the answer."""

import logging
import time

from mm_keras.serving.batcher import Batcher
from mm_keras.serving.errors import ServingError
from mm_keras.serving.metrics import Metrics
from mm_keras.serving.repository import Repository
from mm_keras.serving.served_model import rows_of

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
        self.stopping = False

    @property
    def ready(self):
        return not self.stopping and self.repository.ready

    async def predict(self, place, signature_name, read, seconds=None, outputs=None):
        """Answers a predict request.

        Args:
            place: (model, version or None, label or None).
            signature_name: str.
            read: callable, Signature -> dict of arrays.
            seconds: float or None. What time there is for it.
            outputs: callable or None, Signature -> tuple of the outputs wanted, or None.

        Returns: (version, Signature, dict of arrays).
        Raises: ServingError.
        """
        with self.repository.using(*place) as (version, served):
            signature = served.signature(signature_name, "predict")
            inputs = read(signature)
            wanted = outputs(signature) if outputs else None
            answers = await self._ask(served, signature, inputs, seconds, wanted)
        return version, signature, answers

    async def answer_examples(self, place, signature_name, method, rows, seconds=None):
        """Answers a classify or regress request.

        Args:
            place, signature_name, seconds: as of `predict`.
            method: str. "classify" or "regress".
            rows: bytes array `(B,)` of serialized tf.Example.

        Returns: (version, Signature, dict of arrays).
        """
        with self.repository.using(*place) as (version, served):
            if not signature_name:
                signature_name = _only_of(served, method)
            signature = served.signature(signature_name, method)
            answers = await self._ask(served, signature, dict.fromkeys(signature.inputs, rows), seconds)
        return version, signature, answers

    async def _ask(self, served, signature, inputs, seconds, outputs=None):
        seconds = self.settings.timeout if seconds is None else min(seconds, self.settings.timeout)
        deadline = time.monotonic() + seconds
        rows = rows_of(inputs) if signature.batched else 1
        return await self.batcher.ask(served, signature, inputs, rows, deadline, outputs)

    def count(self, model, api, method, code, began):
        known = model if model in self.repository.settings else ""
        self.metrics.count(known, api, method, code, time.perf_counter() - began)


def _only_of(served, method):
    """Returns the name of the only signature of a method, for requests that name none; else ""."""
    names = [signature.name for signature in served.signatures.values() if signature.method == method]
    return names[0] if len(names) == 1 else ""


def as_serving_error(error):
    """Returns the error itself, or INTERNAL in place of what nobody foresaw, which is logged."""
    if isinstance(error, ServingError):
        return error
    logger.error("A request failed", exc_info=error)
    return ServingError("INTERNAL", f"{type(error).__name__}: the server's log says more.")
