"""What a server answers instead of an answer: a status of gRPC, and its status of HTTP."""

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
        text: str. What was expected, what was received, how to mend it.
        http_status: int or None. None: the status that belongs to the code.
        retry_after: float or None. Seconds after which to ask again.
    """

    def __init__(self, code, text, http_status=None, retry_after=None):
        super().__init__(text)
        self.code = code
        self.http_status = http_status or HTTP_STATUS.get(code, 500)
        self.retry_after = retry_after
