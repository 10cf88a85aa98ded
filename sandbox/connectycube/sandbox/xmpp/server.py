"""The chat as a service: TCP, TCP with TLS, and WebSocket with and without TLS."""

from __future__ import annotations

import asyncio
import contextlib
from functools import partial

from ..core import Core
from .alarms import Alarms
from .bridge import Bridge
from .chat import Chat
from .links import Link, TcpLink, WebSocketLink
from .listeners import ChatAddress
from .messages import Messages
from .presences import Presences
from .privacy_lists import PrivacyLists
from .requests import Requests
from .rooms import Rooms
from .roster import Roster
from .router import Router
from .sasl import Logins
from .stream import Stream

__all__ = ["XmppServer"]

TLS_SECONDS = 10.0
"""How many seconds a client has for the TLS handshake."""
GRACE = 0.25
"""How many seconds clients have to read that the server shuts down."""


class XmppServer:
    """The chat service of a sandbox.

    PLAIN is offered without TLS too, and TLS is optional, because this server is meant for the loopback interface. It
    receives the domain's signals as soon as it is built, and listens once it is started.

    :param address: where it listens.
    """

    def __init__(self, core: Core, address: ChatAddress) -> None:
        self._address = address
        self._servers: list[asyncio.Server] = []
        self._links: set[Link] = set()
        # Each part takes only parts built before it: a contract in pyproject.toml holds them to that order.
        settings, clock, addresses = core.settings, core.clock, core.addresses
        limits, accounts, contacts, online = settings.limits, core.accounts, core.contacts, core.presence
        router = Router(core.privacy)
        online.active_lists = router.active_lists
        messages = Messages(router, addresses, clock, accounts, online, core.chat)
        rooms = Rooms(router, addresses, clock, core.dialogs, core.chat, messages)
        presences = Presences(router, addresses, contacts, online, messages, rooms)
        roster = Roster(router, addresses, limits, accounts, contacts, presences)
        lists = PrivacyLists(router, core.privacy, contacts, presences)
        requests = Requests(router, addresses, clock, accounts, contacts, online, rooms, presences, roster, lists)
        self.chat = Chat(
            settings, clock, addresses, Alarms(clock), router, messages, rooms, presences, roster, requests
        )
        self._bridge = Bridge(core.bus, core.ids, addresses, self.chat, messages, rooms)
        logins = Logins(addresses, core.chat)
        stream = partial(Stream, self.chat, logins, addresses, limits, core.faults, core.journal)
        self._tcp = partial(TcpLink, stream, self._links, limits, core.faults)
        self._websocket = partial(WebSocketLink, stream, self._links, limits, core.faults, settings.origins)

    async def start(self) -> None:
        """Start listening."""
        certified = self._address.certificates.server
        loop = asyncio.get_running_loop()
        for name, sock in self._address.sockets.items():
            context = certified if name in ("tls", "secure_websocket") else None
            server = await loop.create_server(
                partial(self._tcp, certified) if name in ("plain", "tls") else self._websocket,
                sock=sock,
                ssl=context,
                ssl_handshake_timeout=None if context is None else TLS_SECONDS,
                ssl_shutdown_timeout=None if context is None else GRACE,
            )
            self._servers.append(server)

    async def stop(self) -> None:
        """Tell all clients that the server shuts down, and close (RFC 6120 section 4.9.3.20)."""
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
                # A client may still be in the middle of the TLS handshake, which could take long.
                await asyncio.wait_for(server.wait_closed(), GRACE)
