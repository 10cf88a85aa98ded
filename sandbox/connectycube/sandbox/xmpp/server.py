"""The chat as a service: TCP, TCP with TLS, WebSocket with and without TLS."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from .bridge import Bridge
from .chat import Chat
from .links import Link, TcpLink, WebSocketLink
from .listeners import ChatAddress
from .stream import Stream

if TYPE_CHECKING:
    from ..core import Core

__all__ = ["XmppServer"]

TLS_SECONDS = 10.0
"""Seconds that a client has for the TLS handshake."""
GRACE = 0.25
"""Seconds that clients have to hear of the end."""


class XmppServer:
    """The chat service of a sandbox.

    PLAIN is offered without TLS too, and nothing asks for TLS: this is for the loopback interface. It hears what
    the domain tells from the moment that it is made, and listens once it is started.

    :param address: where it listens.
    """

    def __init__(self, core: Core, address: ChatAddress) -> None:
        self._core = core
        self._address = address
        self._servers: list[asyncio.Server] = []
        self._links: set[Link] = set()
        self.chat = Chat(core)
        self._bridge = Bridge(self.chat)

    async def start(self) -> None:
        """Listen."""
        chat = self.chat
        certified = self._address.certificates.server
        loop = asyncio.get_running_loop()

        def tcp() -> Link:
            return TcpLink(self._core, self._links, lambda link: Stream(chat, link), certified)

        def websocket() -> Link:
            return WebSocketLink(self._core, self._links, lambda link: Stream(chat, link))

        factories = {"plain": tcp, "tls": tcp, "websocket": websocket, "secure_websocket": websocket}
        for name, sock in self._address.sockets.items():
            context = certified if name in ("tls", "secure_websocket") else None
            server = await loop.create_server(
                factories[name],
                sock=sock,
                ssl=context,
                ssl_handshake_timeout=None if context is None else TLS_SECONDS,
                ssl_shutdown_timeout=None if context is None else GRACE,
            )
            self._servers.append(server)

    async def stop(self) -> None:
        """Tell all clients that it is over, and close (RFC 6120 section 4.9.3.20)."""
        for server in self._servers:
            server.close()
        self._bridge.close()
        self.chat.shut_down()
        waiting = [asyncio.ensure_future(link.gone.wait()) for link in self._links]
        if waiting:
            await asyncio.wait(waiting, timeout=GRACE)
            for link in list(self._links):
                link.abort()
            await asyncio.wait(waiting)
        for server in self._servers:
            with contextlib.suppress(asyncio.TimeoutError):
                # A client in the middle of the TLS handshake is not waited for.
                await asyncio.wait_for(server.wait_closed(), GRACE)
