"""Where a server is: the URL that a user gives, read."""

import ssl
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from mm_keras.checks import closest, listing, message
from mm_keras.serving.errors import ServingError

SCHEMES = ("http", "https", "grpc", "grpcs")
LOCAL = ("localhost", "127.0.0.1", "::1", "0.0.0.0")
EXAMPLE = 'Such as "http://localhost:8501" or "grpc://localhost:8500".'


@dataclass(frozen=True)
class Place:
    """The address of a server.

    Args:
        scheme: str. "http", "https", "grpc" or "grpcs".
        host: str.
        port: int.
        url: str. As it is asked and named in errors.
    """

    scheme: str
    host: str
    port: int
    url: str

    @property
    def is_rpc(self):
        return self.scheme.startswith("grpc")

    @property
    def is_encrypted(self):
        return self.scheme in ("https", "grpcs")

    @property
    def is_local(self):
        return self.host in LOCAL

    @property
    def target(self):
        """The address as gRPC writes it."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def tls_context(self, verify):
        """Returns what httpx takes as `verify`."""
        if isinstance(verify, bool):
            return verify
        return ssl.create_default_context(cafile=str(check_certificate(verify)))


def read_place(url):
    """Reads a URL.

    Returns: Place.
    Raises: ValueError.
    """
    try:
        parts = urlsplit(str(url).rstrip("/"))
        port = parts.port
    except ValueError as error:
        raise ValueError(message("Client", "the URL of a server", f"{url!r} ({error})", EXAMPLE)) from error
    if parts.scheme not in SCHEMES or not parts.hostname:
        near = closest(parts.scheme, SCHEMES) if parts.scheme else ""
        received = f"{url!r}"
        raise ValueError(message("Client", f"a URL of {listing(SCHEMES)}", received, f"{near}{EXAMPLE}"))
    usual = {"http": 80, "https": 443}.get(parts.scheme, 8500)
    return Place(parts.scheme, parts.hostname, port or usual, parts.geturl())


def check_certificate(path):
    if not Path(path).is_file():
        fix = "Check the path."
        raise ValueError(
            message("verify", "True, False or a file of certificates (PEM)", f"{path!r}, which is none", fix)
        )
    return path


def unreachable(place, reason):
    fix = "Start one, such as `mm-keras serve saved_models/NAME`, or correct the URL."
    if "CERTIFICATE_VERIFY_FAILED" in reason:
        fix = "Pass the path of the certificate (PEM) that signed the server's as `verify`."
    text = message("Client", f"a server at {place.url}", reason.strip(" ."), fix)
    return ServingError("UNAVAILABLE", text)
