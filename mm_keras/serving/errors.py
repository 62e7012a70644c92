"""What a server answers instead of an answer: a status of gRPC, and its status of HTTP."""

import reprlib

from mm_keras.checks import message

MOST_BYTES = 1000  # Of an error's text: it may repeat what a request holds.
# As TensorFlow Serving maps them, but for a full queue, which is 503 here as its own full queue is.
HTTP_STATUS = {
    "CANCELLED": 499,
    "UNKNOWN": 500,
    "INVALID_ARGUMENT": 400,
    "DEADLINE_EXCEEDED": 504,
    "NOT_FOUND": 404,
    "ALREADY_EXISTS": 409,
    "PERMISSION_DENIED": 403,
    "UNAUTHENTICATED": 401,
    "RESOURCE_EXHAUSTED": 503,
    "FAILED_PRECONDITION": 400,
    "ABORTED": 409,
    "OUT_OF_RANGE": 400,
    "UNIMPLEMENTED": 501,
    "INTERNAL": 500,
    "UNAVAILABLE": 503,
    "DATA_LOSS": 500,
}
CODES = {413: "INVALID_ARGUMENT", 429: "RESOURCE_EXHAUSTED", 503: "UNAVAILABLE"}
CODES |= {status: code for code, status in reversed(HTTP_STATUS.items()) if status not in CODES}


class ServingError(RuntimeError):
    """A request was not answered.

    Args:
        code: str. Name of a gRPC status, such as "INVALID_ARGUMENT".
        text: str. What was expected, what was received, how to mend it; cut if it is very long.
        http_status: int or None. None: the status that belongs to the code.
        retry_after: float or None. Seconds after which to ask again.
    """

    def __init__(self, code, text, http_status=None, retry_after=None):
        # Half a character, which JSON can state, could not be sent back.
        whole = text.encode("utf-8", "backslashreplace")
        cut = whole[:MOST_BYTES].decode("utf-8", "ignore")
        super().__init__(cut if len(whole) <= MOST_BYTES else f"{cut} ...")
        self.code = code
        self.http_status = http_status or HTTP_STATUS.get(code, 500)
        self.retry_after = retry_after


def refuse(owner, expected, received, fix):
    """Returns the ServingError of a request that asks for what cannot be."""
    return ServingError("INVALID_ARGUMENT", message(owner, expected, received, fix))


def shown(value):
    """Returns a few characters of a value of any size, without looking through all of it."""
    return _SHORT.repr(value)[:80]


_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 80


def check_rows(owner, count, most):
    """Raises the ServingError of a request of more rows than a server takes at once."""
    if count > most:
        fix = "Send them in several requests, or start the server with a larger --most-waiting."
        raise refuse(owner, f"at most {most} rows", f"{count}", fix)
