"""XMPP by hand on a bare socket: for what a library would hide, and for peers that do as they are told."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import itertools
import ssl
from collections import deque
from types import TracebackType
from typing import Any, Self
from xml.etree import ElementTree as ET

from tests.integration.proxy import gone, reset
from tests.integration.server import HOST, User

BIND = "urn:ietf:params:xml:ns:xmpp-bind"
SASL = "urn:ietf:params:xml:ns:xmpp-sasl"
TLS = "urn:ietf:params:xml:ns:xmpp-tls"
SM = "urn:xmpp:sm:3"


def parser() -> Any:
    return ET.XMLPullParser(("start", "end"))


class Bare:
    """A client's side of a stream, as an async context manager.

    :ivar features: what the server offered last.
    :ivar unread: what came while something else was waited for.
    :ivar jid: the full address, once there is one.
    """

    def __init__(self, port: int, context: ssl.SSLContext | None = None) -> None:
        self._port = port
        self._context = context
        self._ids = itertools.count(1)
        self._ready: deque[ET.Element] = deque()
        self._parser = parser()
        self._depth = 0
        self.features = ET.Element("none")
        self.unread: list[ET.Element] = []
        self.jid = ""

    async def __aenter__(self) -> Self:
        """Connect, with TLS at once where there is a context, and open the stream."""
        self._reader, self._writer = await asyncio.open_connection(
            "127.0.0.1", self._port, ssl=self._context, server_hostname=HOST if self._context else None
        )
        try:
            await self.open()
        except BaseException:
            await self.drop()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._writer.is_closing():
            with contextlib.suppress(OSError):
                self.send("</stream:stream>")
            self._writer.close()
        await gone(self._writer)

    async def drop(self) -> None:
        """Vanish, as a client whose network is lost."""
        reset(self._writer)
        await gone(self._writer)

    async def open(self) -> None:
        """Open the stream, the first or the next one."""
        self._parser = parser()
        self._depth = 0
        self.send(
            f"<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' to='{HOST}'"
            " version='1.0'>"
        )
        self.features = await self.receive("{http://etherx.jabber.org/streams}features")

    async def start_tls(self, context: ssl.SSLContext) -> None:
        self.send(f"<starttls xmlns='{TLS}'/>")
        await self.receive(f"{{{TLS}}}proceed")
        await self._writer.start_tls(context, server_hostname=HOST)
        await self.open()

    @property
    def mechanisms(self) -> set[str | None]:
        return {found.text for found in self.features.iter(f"{{{SASL}}}mechanism")}

    async def authenticate(self, user: User) -> None:
        """Say who it is, and open the stream that is for that."""
        secret = base64.b64encode(f"\0{user.local}\0{user.password}".encode()).decode()
        self.send(f"<auth xmlns='{SASL}' mechanism='PLAIN'>{secret}</auth>")
        await self.receive(f"{{{SASL}}}success")
        await self.open()

    async def login(self, user: User, resource: str = "bare") -> None:
        """Authenticate, bind a resource, and be present."""
        await self.authenticate(user)
        answer = await self.ask("set", f"<bind xmlns='{BIND}'><resource>{resource}</resource></bind>")
        self.jid = answer.findtext(f"{{{BIND}}}bind/{{{BIND}}}jid", "")
        self.send("<presence/>")
        await self.receive("{jabber:client}presence", **{"from": self.jid})

    def send(self, xml: str) -> None:
        self._writer.write(xml.encode())

    async def ask(self, kind: str, payload: str, to: str | None = None) -> ET.Element:
        """Send an IQ; its answer, result or error."""
        id = f"bare-{next(self._ids)}"
        self.send(f"<iq type='{kind}' id='{id}'{f' to={to!r}' if to else ''}>{payload}</iq>")
        return await self.receive("{jabber:client}iq", id=id)

    async def receive(self, tag: str, **attributes: str) -> ET.Element:
        """The next element of that kind, of those too that are unread."""
        for found in self.unread:
            if found.tag == tag and attributes.items() <= found.attrib.items():
                self.unread.remove(found)
                return found
        while True:
            found = await self.next()
            if found.tag == tag and attributes.items() <= found.attrib.items():
                return found
            self.unread.append(found)

    async def drain(self, pattern: bytes, count: int) -> None:
        """Read and forget, unparsed, until a pattern has come so many times. The stream is of no other use then."""
        tail = b""
        while count > 0:
            if not (data := await self._reader.read(1 << 20)):
                raise EOFError("the connection has ended")
            data = tail + data
            count -= data.count(pattern)
            tail = data[max(data.rfind(pattern) + len(pattern), len(data) - len(pattern) + 1) :]

    async def next(self) -> ET.Element:
        """The next element from the wire; `EOFError` where the stream or the connection has ended."""
        while not self._ready:
            if not (data := await self._reader.read(65536)):
                raise EOFError("the connection has ended")
            self._parser.feed(data)
            for event, element in self._parser.read_events():
                self._depth += 1 if event == "start" else -1
                if event == "end" and self._depth == 1:
                    self._ready.append(element)
                elif event == "end" and self._depth == 0 and not self._ready:
                    raise EOFError("the stream has ended")
        return self._ready.popleft()
