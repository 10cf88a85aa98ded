"""Loads the chat when a client connects, or when the domain has a message for it.

Its ports are bound from the start. Clients that connect before it is loaded wait in their backlog. A sandbox that is
only used over REST never loads it.
"""

from __future__ import annotations

import asyncio
from importlib import import_module
from typing import TYPE_CHECKING

from ..bus import ConnectionsToDrop, DialogChanged, DialogDeleted, Emptied, Signal, UserDeleted

if TYPE_CHECKING:
    from ..core import Core
    from .listeners import ChatAddress
    from .server import XmppServer

__all__ = ["ChatStartError", "LateChat"]

OF_CONNECTIONS = (ConnectionsToDrop, DialogChanged, DialogDeleted, Emptied, UserDeleted)
"""Signals that don't matter to a chat without connections."""


class ChatStartError(Exception):
    """The chat was needed but could not be started, which ended the sandbox. The cause says why."""


class LateChat:
    """The chat service of a sandbox, which loads when it is first needed.

    :param address: where it listens.
    """

    def __init__(self, core: Core, address: ChatAddress) -> None:
        self._core = core
        self._address = address
        self._watched: list[int] = []
        self._opening: asyncio.Task[None] | None = None
        self._server: XmppServer | None = None

    async def start(self) -> None:
        """Wait for the first connection or the first signal that matters."""
        loop = asyncio.get_running_loop()
        self._core.bus.waker = self._signalled
        try:
            for sock in self._address.sockets.values():
                loop.add_reader(sock, self._knocked)
                self._watched.append(sock.fileno())
        except NotImplementedError:
            # Windows has loops that can't watch a socket.
            await self._open()

    async def stop(self) -> None:
        """Close all connections and ports, and wait for it."""
        self._unwatch()
        self._core.bus.waker = None
        if self._opening is not None:
            await self._opening
        if self._server is not None:
            await self._server.stop()
        self._address.close()

    def _signalled(self, signal: Signal) -> None:
        if not isinstance(signal, OF_CONNECTIONS):
            try:
                self._make()
            except Exception as error:
                self._fail(error)

    def _knocked(self) -> None:
        self._unwatch()
        self._opening = asyncio.get_running_loop().create_task(self._open())

    def _unwatch(self) -> None:
        loop = asyncio.get_running_loop()
        for number in self._watched:
            loop.remove_reader(number)
        self._watched.clear()

    async def _open(self) -> None:
        try:
            await asyncio.to_thread(self._load)
            await self._make().start()
            self._core.loaded()
        except Exception as error:
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        failure = ChatStartError(f"the chat could not be started: {type(error).__name__}: {error}")
        failure.__cause__ = error
        self._core.failed(failure)

    def _load(self) -> None:
        """Do what takes long, on another thread."""
        import_module(".server", __package__)
        _ = self._address.certificates

    def _make(self) -> XmppServer:
        """Build the chat, which from now on receives all signals."""
        self._core.bus.waker = None
        if self._server is None:
            from .server import XmppServer

            self._server = XmppServer(self._core, self._address)
        return self._server
