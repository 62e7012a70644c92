"""What the client does, as steps that it yields: `Client` takes them at once, `AsyncClient` awaits them."""

import asyncio
import json
import random
import time
from dataclasses import dataclass
from functools import partial

import numpy as np

from mm_keras.checks import check_positive_int, closest, listing, message
from mm_keras.serving.client_answers import join, readable
from mm_keras.serving.client_inputs import encode_rows, files_of, make_inputs
from mm_keras.serving.errors import ServingError

RETRIED = ("UNAVAILABLE", "RESOURCE_EXHAUSTED")
TOO_LARGE = "message larger than max"  # A size that gRPC refuses stays refused.
FIRST_DELAY, LONGEST_DELAY = 0.1, 5.0
DESCRIBE = "describe"


@dataclass(frozen=True)
class Send:
    """Step: a request is answered."""

    request: object
    timeout: float

    def take(self, transport):
        return transport.send(self.request, self.timeout)

    async def take_async(self, transport):
        try:
            async with asyncio.timeout(self.timeout):
                return await transport.send(self.request, self.timeout)
        except TimeoutError as error:
            fix = "Raise `timeout`, or send fewer rows at once."
            text = message("Client", "an answer in time", "none", fix)
            raise ServingError("DEADLINE_EXCEEDED", text) from error


@dataclass(frozen=True)
class Pause:
    """Step: time passes."""

    seconds: float

    def take(self, transport):
        time.sleep(self.seconds)

    async def take_async(self, transport):
        await asyncio.sleep(self.seconds)


@dataclass(frozen=True)
class Work:
    """Step: files are read and encoded, in a thread where others wait."""

    function: object

    def take(self, transport):
        return self.function()

    async def take_async(self, transport):
        return await asyncio.to_thread(self.function)


def delays(retries, draw=random.random):
    """Yields the seconds to wait before each further attempt: doubled each time, less a random part."""
    for attempt in range(retries):
        yield min(FIRST_DELAY * 2**attempt, LONGEST_DELAY) * (0.5 + draw() / 2)


class Dialogue:
    """Asks a server for answers; every method is a generator of steps that returns its result.

    Args:
        wire: RestWire or RpcWire.
        timeout: float > 0. Seconds until a request must be answered, its repetitions included.
        retries: int >= 0.
        modalities: dict or None. What a server that cannot describe its model serves.
        clock: callable. Gives seconds.
    """

    def __init__(self, wire, timeout, retries, modalities=None, clock=time.monotonic):
        self._wire, self._timeout, self._retries, self._clock = wire, timeout, retries, clock
        self._given = None if modalities is None else make_inputs(modalities)
        self._modalities = modalities
        self.forget()

    def forget(self):
        self._inputs, self._signatures, self._description = self._given, None, None

    def status(self):
        deadline = self._deadline()
        yield from self._find_model(deadline)
        return (yield from self._exchange(self._wire.status(), deadline))

    def metadata(self):
        deadline = self._deadline()
        yield from self._find_model(deadline)
        self._signatures = yield from self._exchange(self._wire.metadata(), deadline)
        return self._signatures

    def describe(self):
        if self._description is None:
            self._description = yield from self._describe(self._deadline())
        return self._description

    def modalities(self):
        """Returns what a spec says of the modalities: what a manifest is read with."""
        if self._modalities is not None:
            return self._modalities
        return (yield from self.describe())["modalities"]

    def one(self, signature, values):
        """Returns the answer to one example: name -> value without batch axis."""
        answers = yield from self.ask(signature, [values])
        return {name: column[0] for name, column in answers.items()}

    def many(self, signature, rows, extra=None, batch_size=64):
        """Returns the answers to rows, asked `batch_size` at once."""
        check_positive_int("Client", "batch_size", batch_size)
        rows = None if rows is None else list(rows)
        if rows is None:
            return (yield from self.ask(signature, None, extra))
        if not rows:
            raise ValueError(message("predict", "at least one row", "none", 'Such as [{"text": "three"}].'))
        parts = []
        for start in range(0, len(rows), batch_size):
            part = slice(start, start + batch_size)
            some = {name: np.asarray(column)[part] for name, column in (extra or {}).items()}
            places = [f"row {index + 1}" for index in range(len(rows))][part] if len(rows) > 1 else None
            parts.append((yield from self.ask(signature, rows[part], some, places)))
        return join(parts)

    def ask(self, signature, rows, extra=None, places=None):
        """Returns the answers to rows that are sent at once."""
        deadline = self._deadline()
        yield from self._learn(deadline)
        found = self._signature(signature)
        raw = {} if rows is None else (yield Work(partial(encode_rows, self._inputs, rows, places)))
        inputs = {**raw, **_typed(extra or {}, found["inputs"])}
        _check_inputs(signature, inputs, found["inputs"])
        try:
            call = self._wire.predict(signature, inputs, found["outputs"])
            answers = yield from self._exchange(call, deadline)
        except ServingError as error:
            if error.code not in ("INVALID_ARGUMENT", "FAILED_PRECONDITION", "NOT_FOUND"):
                raise
            self.forget()  # A new version may read other modalities.
            if rows is not None and error.code == "INVALID_ARGUMENT":
                yield from self._find_fault(signature, rows, extra, places, error)
            raise
        return readable(answers)

    def _find_fault(self, signature, rows, extra, places, error):
        """Raises the error of the row that the server refuses, with the row's files."""
        yield from self._learn(self._deadline())
        if len(rows) == 1:
            raise _named(error, files_of(self._inputs, rows[0]), places and places[0]) from error
        for index, row in enumerate(rows):
            some = {name: np.asarray(column)[index : index + 1] for name, column in (extra or {}).items()}
            place = places[index] if places else f"row {index + 1}"
            yield from self.ask(signature, [row], some, [place])

    def _find_model(self, deadline):
        """Takes the only model of a server that tells which it holds."""
        if self._wire.model is not None:
            return
        fix = 'Name the model, such as Client(url, "av_digits").'
        try:
            names = yield from self._exchange(self._wire.models(), deadline)
        except ServingError as error:
            if error.code != "NOT_FOUND" and error.http_status not in (400, 405):
                raise
            text = message("Client", "`model` of a server that does not tell its models", "none", fix)
            raise ValueError(text) from error
        if len(names) != 1:
            received = f"a server of {listing(names) or 'none'}"
            raise ValueError(message("Client", "`model`, or a server of one model", received, fix))
        self._wire.model = names[0]

    def _learn(self, deadline):
        yield from self._learn_signatures(deadline)
        if self._inputs is None:
            self._description = self._description or (yield from self._describe(deadline))
            self._inputs = make_inputs(self._description["modalities"])

    def _learn_signatures(self, deadline):
        if self._signatures is None:
            yield from self._find_model(deadline)
            self._signatures = yield from self._exchange(self._wire.metadata(), deadline)

    def _describe(self, deadline):
        yield from self._learn_signatures(deadline)
        if DESCRIBE not in self._signatures:
            fix = (
                "Export the run again with `mm-keras export`, or tell the client what the model reads, such "
                'as modalities={"image": "image", "audio": {"kind": "audio", "rate": 8000}}.'
            )
            received = f"one with {listing(self._signatures)}, of an earlier export"
            text = message("Client", "a model with the signature `describe`", received, fix)
            raise ServingError("FAILED_PRECONDITION", text)
        outputs = self._signatures[DESCRIBE]["outputs"]
        call = self._wire.predict(DESCRIBE, {"about": [""]}, outputs)
        answers = readable((yield from self._exchange(call, deadline)))
        return json.loads(answers["description"][0])

    def _signature(self, name):
        if name not in self._signatures:
            fix = f"{closest(name, self._signatures)}Name a signature of the model."
            raise ServingError(
                "INVALID_ARGUMENT", message("ask", listing(self._signatures), f"{name!r}", fix)
            )
        return self._signatures[name]

    def _deadline(self):
        return self._clock() + self._timeout

    def _exchange(self, call, deadline):
        """Sends a request, again where the server says or seems to be busy, and reads the answer."""
        request, read = call
        waits = delays(self._retries)
        while True:
            try:
                return read((yield Send(request, max(deadline - self._clock(), 0.001))))
            except ServingError as error:
                wait = next(waits, None)
                if wait is None or error.code not in RETRIED or TOO_LARGE in str(error):
                    raise
                wait = max(wait, error.retry_after or 0.0)
                if self._clock() + wait >= deadline:
                    raise
            yield Pause(wait)


def _named(error, files, place):
    """Returns the error with the row and those of its files that it may be about, if it names none."""
    reason = str(error)
    # A decoder is named after the kind that it reads.
    likely = [file for kind, file in files.items() if f"decode_{kind}" in reason] or list(files.values())
    if likely and not any(file in reason for file in likely):
        reason = f"{', '.join(likely)}: {reason}"
    if place:
        reason = f"{place}: {reason}"
    return ServingError(error.code, reason, error.http_status)


def _typed(extra, places):
    typed = {}
    for name, column in extra.items():
        dtype = places.get(name, {}).get("dtype")
        typed[name] = (
            list(column)
            if dtype == "string"
            else np.asarray(column, None if dtype in (None, "unknown") else dtype)
        )
    return typed


def _check_inputs(signature, inputs, places):
    for name in inputs:
        if name not in places:
            fix = f"{closest(name, places)}Name the inputs of the signature."
            raise ValueError(message(signature, listing(places), f"{name!r}", fix))
    lost = [name for name in places if name not in inputs]
    if lost:
        fix = f"Give them as `extra`, such as extra={{{lost[0]!r}: [...]}}, a value a row."
        raise ValueError(message(signature, listing(places), f"none for {listing(lost)}", fix))
