"""The life of a chat: from `connect` to `disconnect`."""

from __future__ import annotations

import asyncio
import warnings
from typing import Self

from ._bus import Bus
from ._settings import Credentials, Settings, checked_seconds
from ._signals import stopped_by
from .connection.driver import Driver
from .connection.traffic import Traffic
from .machines.connection import State
from .models import ChatState

__all__ = ["Connection"]


class Connection:
    """A chat's connection. `AsyncChat` creates its parts."""

    _bus: Bus
    _credentials: Credentials
    _driver: Driver
    _settings: Settings
    _traffic: Traffic
    _warns = True
    """Whether to warn about a chat that was never closed; the blocking chat does so itself."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._traffic.jid or self._settings.addresses.host} {self.state.name}>"

    async def connect(self, *, timeout: float | None = None) -> None:
        """Connect, log in and start a session. This does nothing if the chat is already connected.

        With `auto_reconnect`, network failures are retried until the timeout. Permanent failures raise an exception at
        once.

        :param timeout: seconds for the whole call; default: the chat's `timeout`.
        :raises InvalidArgument: if the timeout is invalid.
        :raises AuthenticationFailed: if the server refuses the user id, password or token.
        :raises TlsRefused: if the server's certificate is not trusted, or TLS fails.
        :raises StreamConflict: if another connection takes over the resource.
        :raises StreamRefused: if the server's policy or the protocol forbids the connection.
        :raises ConnectError: if the network fails.
        """
        if timeout is None:
            timeout = self._settings.timeout
        checked_seconds("timeout", timeout)
        await self._driver.connect(timeout)

    async def reconnect_now(self) -> None:
        """Reconnect without waiting, for example after the network has changed.

        A wait between two attempts ends at once. A connection that seems alive is checked with a ping, and replaced if
        nothing arrives within 5 seconds. An attempt in progress continues. `Reconnected` reports success.

        :raises NotConnected: if the chat is neither connected nor trying to connect.
        """
        await self._driver.reconnect_now()

    async def disconnect(self, *, timeout: float = 5.0) -> tuple[str, ...]:
        """Wait for outstanding acknowledgements and close the connection. Reconnecting stops at once.

        :param timeout: seconds to wait for acknowledgements, and then as long again for running handlers.
        :returns: ids of the messages that were not acknowledged; their `send` calls raise `MessageNotSent`.
        :raises InvalidArgument: if the timeout is invalid.
        """
        checked_seconds("timeout", timeout)
        left = await self._driver.disconnect(timeout)
        await self._bus.drain(timeout)
        return left

    async def wait_closed(self) -> None:
        """Wait until the chat is disconnected.

        :raises ConnectError: if the chat ends, or has ended, for good instead.
        :raises NotConnected: if the chat was never connected, or the process was forked.
        """
        await self._bus.wait_closed()

    async def run(self) -> None:
        """Connect, serve the handlers until SIGINT or SIGTERM, and disconnect.

        It also ends when the chat is disconnected by other code. Signals end it only in the main thread.

        :raises ConnectError: if the connection can't be established, or the chat ends for good.
        """
        loop, signalled = asyncio.get_running_loop(), asyncio.Event()
        with stopped_by(lambda: loop.call_soon_threadsafe(signalled.set)):
            waiting = [asyncio.ensure_future(wait) for wait in (self._serve(), signalled.wait())]
            try:
                await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                if waiting[0].done():
                    await waiting[0]
            finally:
                for task in waiting:
                    task.cancel()
                await asyncio.gather(*waiting, return_exceptions=True)
                await self.disconnect()

    async def _serve(self) -> None:
        await self.connect()
        await self.wait_closed()

    async def __aenter__(self) -> Self:
        await self.connect()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.disconnect()

    @property
    def state(self) -> ChatState:
        """The state of the connection, why it was lost, and when it will be retried."""
        return self._driver.state

    @property
    def online(self) -> bool:
        """Whether the chat is connected and can send."""
        return self._traffic.online

    @property
    def user_id(self) -> int:
        """The user's id."""
        return self._credentials.user_id

    @property
    def jid(self) -> str:
        """The full JID assigned by the server; empty before the first session."""
        return self._traffic.jid

    def __del__(self) -> None:
        # Without a driver, the constructor has failed.
        if self._warns and hasattr(self, "_driver") and self.state.name is not State.OFFLINE:
            warnings.warn(f"unclosed chat {self!r}: call disconnect()", ResourceWarning, stacklevel=2, source=self)

    def _forked(self) -> None:
        self._driver.forked()
