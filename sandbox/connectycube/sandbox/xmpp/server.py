"""The chat's listeners: TCP, TCP with TLS, WebSocket with and without TLS."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from ..server import listening_socket
from .bridge import Bridge
from .certificates import Certificates
from .chat import Chat
from .links import Link, TcpLink, WebSocketLink
from .stream import Stream

if TYPE_CHECKING:
    from ..core import Core

__all__ = ["ChatAddress", "XmppServer"]

TLS_SECONDS = 10.0
"""Seconds that a client has for the TLS handshake."""
GRACE = 0.25
"""Seconds that clients have to hear of the end."""


Listener = Literal["plain", "tls", "websocket", "secure_websocket"]
LISTENERS: tuple[Listener, ...] = ("plain", "tls", "websocket", "secure_websocket")


class ChatAddress:
    """Where the chat of a sandbox listens: TCP, TCP with TLS, WebSocket, WebSocket with TLS.

    The ports are taken at once, so that one that is in use is told of where the sandbox is started.

    :param host: address to listen on.
    :param ports: of each, in the order above; 0 takes a free one.
    :param names: host names for the certificate beside the usual ones of the own machine.
    :raises OSError: if a port is taken.
    """

    def __init__(self, host: str, ports: Sequence[int], names: Sequence[str]) -> None:
        self._host = host
        self.sockets: dict[Listener, socket.socket] = {}
        self.certificates = Certificates(*names, host, "localhost", "127.0.0.1", "::1")
        try:
            for listener, port in zip(LISTENERS, ports, strict=True):
                self.sockets[listener] = listening_socket(host, port)
        except OSError:
            self.close()
            raise
        self._ports = {name: int(one.getsockname()[1]) for name, one in self.sockets.items()}

    def port(self, listener: Listener) -> int:
        """The port of a listener."""
        return self._ports[listener]

    def url(self, scheme: str, listener: Listener) -> str:
        """The address of a listener for WebSocket."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"{scheme}://{host}:{self.port(listener)}"

    def close(self) -> None:
        """Give the ports back, and delete the certificate."""
        for one in self.sockets.values():
            one.close()
        self.certificates.close()


class XmppServer:
    """The chat service of a sandbox.

    PLAIN is offered without TLS too, and nothing asks for TLS: this is for the loopback interface.

    :param address: where it listens.
    """

    def __init__(self, core: Core, address: ChatAddress) -> None:
        self._core = core
        self._address = address
        self._context = address.certificates.server
        self._servers: list[asyncio.Server] = []
        self._bridge: Bridge | None = None
        self._links: set[Link] = set()
        self.chat: Chat | None = None

    async def start(self) -> None:
        """Listen."""
        chat = self.chat = Chat(self._core)
        self._bridge = Bridge(chat)
        loop = asyncio.get_running_loop()

        def tcp() -> Link:
            return TcpLink(self._core, self._links, lambda link: Stream(chat, link, self._context))

        def websocket() -> Link:
            return WebSocketLink(self._core, self._links, lambda link: Stream(chat, link, None))

        factories = {"plain": tcp, "tls": tcp, "websocket": websocket, "secure_websocket": websocket}
        for name, sock in self._address.sockets.items():
            context = self._context if name in ("tls", "secure_websocket") else None
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
        if self._bridge is not None:
            self._bridge.close()
        if self.chat is not None:
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
