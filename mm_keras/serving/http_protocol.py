"""HTTP/1.1 of uvicorn, with an end to the size and the time of what comes before a body."""

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MOST_HEAD = 2**19  # Bytes: twice what a socket is read by at once, which may hold the end of a body too.


class LimitedProtocol(HttpToolsProtocol):
    """A connection that is closed when the head of a request, its first line and headers, has no end.

    Args:
        head_seconds: float > 0. In which a head has to come, from the connection or its first byte on.
        settings: as uvicorn gives them.
    """

    def __init__(self, *, head_seconds, **settings):
        super().__init__(**settings)
        self._head_seconds, self._head_bytes = head_seconds, 0
        self._in_head, self._timer = True, None

    def connection_made(self, transport):
        super().connection_made(transport)
        self._watch()

    def connection_lost(self, exc):
        self._in_head = False
        self._watch()
        super().connection_lost(exc)

    def on_message_begin(self):
        self._in_head = True
        super().on_message_begin()

    def on_headers_complete(self):
        self._in_head = False
        super().on_headers_complete()

    def data_received(self, data):
        super().data_received(data)
        self._head_bytes = self._head_bytes + len(data) if self._in_head else 0
        if self._head_bytes > MOST_HEAD and not self.transport.is_closing():
            self.send_400_response("The head of the request is too long.")
        self._watch()

    def _watch(self):
        """Lets the time run while a head is awaited."""
        if self._in_head and self._timer is None:
            self._timer = self.loop.call_later(self._head_seconds, self.transport.close)
        elif not self._in_head and self._timer is not None:
            self._timer.cancel()
            self._timer = None
