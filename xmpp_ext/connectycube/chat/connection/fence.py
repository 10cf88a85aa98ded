"""The fence: what stops a process from writing once it has lost the right to."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

__all__ = ["FencedSocket"]


class FencedSocket(socket.socket):
    """A socket that asks before each write.

    A process that is frozen can have data in the transport, and asyncio writes it as soon as the process goes on,
    before any of our code runs. TLS writes by itself, too. So the fence has to be at the socket. Event loops that do
    not use the socket's methods, such as those of Windows, have only the stream's own check.
    """

    def __init__(self, sock: socket.socket, may_write: Callable[[], bool]) -> None:
        """:param sock: the socket that this one replaces."""
        super().__init__(sock.family, sock.type, sock.proto, fileno=sock.detach())
        self._may_write = may_write

    def send(self, *arguments: Any) -> int:
        self._check()
        return super().send(*arguments)

    def sendmsg(self, *arguments: Any) -> int:
        self._check()
        return super().sendmsg(*arguments)

    def _check(self) -> None:
        if not self._may_write():
            raise ConnectionAbortedError("the fence is closed")
