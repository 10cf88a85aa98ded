"""Listening sockets, for REST and the chat."""

from __future__ import annotations

import socket

__all__ = ["listening_socket"]


def listening_socket(host: str, port: int) -> socket.socket:
    """Return a TCP socket that listens; port 0 takes a free one.

    :raises OSError: if it can't listen there; the message names host and port.
    :raises ValueError: if the host is empty, which would mean every interface.
    """
    if not host:
        raise ValueError("the host to listen on is empty")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio switches Nagle's algorithm off only for sockets made with an explicit protocol.
    found = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind((host.encode("idna").decode(), port))
        found.listen(512)
        found.setblocking(False)
    except OSError as error:
        found.close()
        raise OSError(error.errno, f"can't listen on port {port} of {host}: {error.strerror}") from error
    except BaseException:
        found.close()
        raise
    return found
