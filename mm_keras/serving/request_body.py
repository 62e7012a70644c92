"""Bodies of requests: a server holds only so many bytes at once, and waits only so long for them."""

import asyncio
from contextlib import contextmanager

from mm_keras.checks import message
from mm_keras.serving.errors import ServingError

AT_ONCE = 8  # Bodies of the greatest size that are held at the same time.


class HeldBodies:
    """What is held of all bodies.

    Args:
        most_bytes: int > 0. Of one body.
        seconds: float > 0. In which a body has to come.
    """

    def __init__(self, most_bytes, seconds):
        self.most_bytes, self.seconds, self.held = most_bytes, seconds, 0

    @contextmanager
    def whole(self, size):
        """Counts the bytes of a request that has come as a whole, until the block ends.

        Raises: ServingError, RESOURCE_EXHAUSTED, if too much is held already.
        """
        self.held += size
        try:
            self.check_held()
            yield
        finally:
            self.held -= size

    def check_held(self):
        most = AT_ONCE * self.most_bytes
        if self.held > most:
            expected = f"requests of at most {most:,} bytes at once"
            text = message("serve", expected, "more", "Ask again later.")
            raise ServingError("RESOURCE_EXHAUSTED", text, retry_after=1)

    @contextmanager
    def body(self):
        """Gives a Body, whose bytes count until the block ends."""
        body = Body(self)
        try:
            yield body
        finally:
            self.held -= body.size


class Body:
    """The body of one request. `size` are the bytes that came."""

    def __init__(self, bodies):
        self.size = 0
        self._bodies, self._parts = bodies, []

    async def read(self, scope, receive):
        """Reads it to its end.

        Raises: ServingError: status 413, if it is longer than allowed, as soon as that is known; 408, if it
            does not come in time; 503, if too much is held already.
        """
        said = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
        if said.isdigit():
            self._check_size(int(said))
        try:
            async with asyncio.timeout(self._bodies.seconds):
                await self._read(receive)
        except TimeoutError:
            fix = "Send it faster, or start the server with a larger --timeout."
            expected = f"its body within {self._bodies.seconds:g} s"
            text = message("request", expected, f"{self.size:,} bytes of it", fix)
            raise ServingError("DEADLINE_EXCEEDED", text, http_status=408) from None

    def take(self):
        """Returns the bytes, once: what was read out of them takes their place."""
        parts, self._parts = self._parts, []
        return parts[0] if len(parts) == 1 else b"".join(parts)

    async def _read(self, receive):
        more = True
        while more:
            event = await receive()
            if event["type"] == "http.disconnect":
                raise ServingError("CANCELLED", "The client has gone.")
            part, more = event.get("body", b""), event.get("more_body")
            self.size += len(part)
            self._bodies.held += len(part)
            self._check_size(self.size)
            self._bodies.check_held()
            self._parts.append(part)

    def _check_size(self, size):
        most = self._bodies.most_bytes
        if size > most:
            fix = "Send fewer rows, or start the server with a larger --most-bytes."
            text = message("request", f"a body of at most {most:,} bytes", f"{size:,} bytes", fix)
            raise ServingError("INVALID_ARGUMENT", text, http_status=413)
