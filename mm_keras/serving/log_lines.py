"""What a server tells, as a line of JSON each."""

import logging
import sys

from pythonjsonlogger.json import JsonFormatter

NAMES = ("mm_keras.serving", "uvicorn.error")


def log_to_stderr():
    """Sends what a server tells to standard error: an object a line, with time, level, logger, message."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        JsonFormatter(
            "{asctime}{levelname}{name}{message}",
            style="{",
            rename_fields={"asctime": "time", "levelname": "level", "name": "logger"},
            datefmt="%Y-%m-%dT%H:%M:%S%z",
        )
    )
    for name in NAMES:
        logger = logging.getLogger(name)
        logger.handlers[:] = [handler]
        logger.propagate = False
    logging.getLogger("mm_keras").setLevel(logging.INFO)
    logging.getLogger("mm_keras.serving").setLevel(logging.INFO)
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
