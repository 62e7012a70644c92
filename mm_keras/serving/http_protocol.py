"""HTTP/1.1 of uvicorn, with an end to what a connection holds, and to how long it asks for nothing."""

import re

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

# Bytes that are neither a body nor a whole head; a socket is read by half as many at once.
MOST_LOOSE = 2**19
MOST_PIPELINED = 64
UPGRADE = re.compile(rb"\r\nupgrade[ \t]*:", re.IGNORECASE)


class LimitedProtocol(HttpToolsProtocol):
    """A connection that is closed when it asks for nothing, or takes no answer.

    uvicorn keeps what comes before and behind a body, and requests that come before the last one is answered,
    without limit; and it waits without one where a client sends a little now and then, or does not read.

    Args:
        seconds: float > 0. In which a head has to come, and in which some of an answer has to be taken.
        settings: as uvicorn gives them.
    """

    def __init__(self, *, seconds, **settings):
        super().__init__(**settings)
        self._seconds, self._loose = seconds, 0
        self._in_head = self._went_on = False
        self._asking = self._taking = None  # Timers.

    def connection_made(self, transport):
        super().connection_made(transport)
        self._watch()

    def connection_lost(self, exc):
        for timer in (self._asking, self._taking):
            if timer is not None:
                timer.cancel()
        super().connection_lost(exc)
        # They hold each other, and would stay until Python looks through all that there is.
        self.pipeline.clear()
        self.cycle = self.headers = self.scope = None

    def on_message_begin(self):
        self._in_head = self._went_on = True
        if len(self.pipeline) >= MOST_PIPELINED:
            self.transport.abort()
            raise ValueError("Too many requests before an answer.")  # Ends the parser.
        super().on_message_begin()

    def on_header(self, name, value):
        if self._in_head:  # Else it is a trailer, which nobody reads.
            super().on_header(name, value)

    def on_headers_complete(self):
        self._in_head = False
        super().on_headers_complete()

    def on_body(self, body):
        self._went_on = True
        super().on_body(body)

    def on_message_complete(self):
        self._went_on = True
        super().on_message_complete()

    def data_received(self, data):
        self._went_on = False
        super().data_received(_without_upgrade(data))
        if self.transport.is_closing():
            return
        self._loose = 0 if self._went_on else self._loose + len(data)
        if self._loose > MOST_LOOSE:
            self.transport.abort()
        self._watch()

    def pause_writing(self):
        super().pause_writing()
        self._wait_for_taking()

    def resume_writing(self):
        super().resume_writing()
        if self._taking is not None:
            self._taking.cancel()
            self._taking = None

    def _watch(self):
        """Lets the time run while no request is answered; uvicorn closes those where nothing comes at all."""
        asked = self.cycle is not None and not self.cycle.response_complete
        if asked and self._asking is not None:
            self._asking.cancel()
            self._asking = None
        elif not asked and self._asking is None:
            self._asking = self.loop.call_later(self._seconds, self.transport.close)

    def _wait_for_taking(self, before=None):
        left = self.transport.get_write_buffer_size()
        if before is not None and left >= before:
            self.transport.abort()
        else:
            self._taking = self.loop.call_later(self._seconds, self._wait_for_taking, left)


def _without_upgrade(data):
    """Returns what came with the header `Upgrade` renamed, since its parser would leave out the body of a
    request that offers another protocol, as Java's client does; to stay with this one is allowed."""
    if b"pgrade" not in data and b"PGRADE" not in data:
        return data
    head, end, rest = data.partition(b"\r\n\r\n")
    return UPGRADE.sub(b"\r\nx-upgrade:", head) + end + rest
