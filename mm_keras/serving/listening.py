"""Where a server listens, found out before it does anything that takes time."""

import socket

from mm_keras.checks import message


def open_socket(host, port, option):
    """Returns a socket that is bound to an address.

    Args:
        host: str. A name or number of this machine.
        port: int. 0: any free one.
        option: str. What the port is called at the command line.

    Raises: ValueError, if the port is taken, or the host is none of this machine.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # TCP is named, so that asyncio sends what is written at once (TCP_NODELAY).
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
    except socket.gaierror as error:
        listening.close()
        fix = "Such as 127.0.0.1, or 0.0.0.0 for every one of the machine."
        received = f"{host}: {error.strerror}"
        raise ValueError(message("--host", "an address of this machine", received, fix)) from error
    except OSError as error:
        listening.close()
        raise not_free(option, port, host, error.strerror) from error
    return listening


def not_free(option, port, host, reason):
    """Returns the ValueError of a port that cannot be listened on."""
    fix = f"Stop what listens there, or choose another one: {option} 0 takes any."
    return ValueError(message(option, f"a free port of {host}", f"{port}: {reason}", fix))
