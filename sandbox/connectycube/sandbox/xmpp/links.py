"""Connections: TCP with or without TLS, and WebSocket. They carry text; what it means is the stream's matter.

Writing never waits. What a client does not read is kept up to a bound; then its connection is broken.
"""

from __future__ import annotations

import asyncio
import ssl
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Final, Protocol
from xml.etree.ElementTree import Element as XMLElement
from xml.sax.saxutils import quoteattr

from attrs import frozen
from websockets.frames import CloseCode, Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import CONNECTING, OPEN
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

from connectycube.stanzas import Close, Open

from .xmlstream import (
    CLIENT,
    STREAMS,
    ElementRead,
    StreamClosed,
    StreamFault,
    StreamOpened,
    XmlStream,
    text_of,
)

if TYPE_CHECKING:
    from ..core import Core

__all__ = ["Header", "Link", "Receiver", "TcpLink", "WebSocketLink"]

LINGER: Final = 2.0
"""Seconds that the other side has for its part of the closing."""
FRAMING: Final = "urn:ietf:params:xml:ns:xmpp-framing"


@frozen
class Header:
    """How a side opens a stream.

    :ivar xml: as it came, more or less.
    :ivar fault: condition of what is wrong with it, if anything.
    """

    xml: str
    to: str | None
    version: str | None
    fault: str | None = None


class Receiver(Protocol):
    """What a link tells: the stream on it."""

    def opened(self, header: Header) -> None: ...

    def element(self, element: XMLElement) -> None: ...

    def closed(self) -> None:
        """The other side ended the stream."""

    def failed(self, fault: StreamFault) -> None:
        """The other side sent what is no stream."""

    def lost(self) -> None:
        """The connection is gone. This comes last, and once."""


class Link(asyncio.Protocol, ABC):
    """A connection.

    :param links: all that are there; this one adds itself, and takes itself out when it is gone.
    :param receiver: makes what listens to the link, once it is connected.
    """

    def __init__(self, core: Core, links: set[Link], receiver: Callable[[Link], Receiver]) -> None:
        self._core = core
        self._links = links
        self._make_receiver = receiver
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._out: list[bytes] = []
        """What goes out together when what happens now is done: a call of the system for each stanza costs most."""
        self._out_bytes = 0
        self._late: deque[tuple[float, bytes]] = deque()
        self._late_bytes = 0
        self._timer: asyncio.TimerHandle | None = None
        self._lingering: asyncio.TimerHandle | None = None
        self._closing = False
        """Nothing more is sent or read."""
        self.gone = asyncio.Event()
        self.start_tls: Callable[[], None] | None = None
        """Goes on with TLS, where that can be asked for; a handshake that fails ends the connection."""

    # -- asyncio's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        if self not in self._links:
            self._links.add(self)
            self._receiver = self._make_receiver(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._closing = True
        for timer in (self._timer, self._lingering):
            if timer is not None:
                timer.cancel()
        if not self.gone.is_set():
            self.gone.set()
            self._links.discard(self)
            self._receiver.lost()

    @property
    def secure(self) -> bool:
        """Whether TLS protects it."""
        return self._transport is not None and self._transport.get_extra_info("ssl_object") is not None

    @property
    def open(self) -> bool:
        """Whether anything sent now may still arrive."""
        return self._transport is not None and not (self._closing or self._transport.is_closing())

    # -- the stream's side

    @abstractmethod
    def send(self, xml: str) -> None:
        """Send an element."""

    @abstractmethod
    def send_header(self, host: str, stream_id: str) -> str:
        """Open the server's side of the stream.

        :returns: what was sent.
        """

    @abstractmethod
    def restart(self) -> None:
        """Expect a new header on the same connection."""

    @abstractmethod
    def close(self) -> None:
        """End the stream, and the connection once all that was sent has gone."""

    def abort(self) -> None:
        """Break the connection without a word."""
        self._closing = True
        self._late.clear()
        self._out.clear()
        self._out_bytes = 0
        if self._transport is not None:
            self._transport.abort()

    # -- writing

    def _write(self, data: bytes) -> None:
        delay = self._core.faults.chat.delay
        if delay > 0 or self._late:
            due = max(self._loop.time() + delay, self._late[-1][0] if self._late else 0.0)
            self._late.append((due, data))
            self._late_bytes += len(data)
            if self._timer is None:
                self._timer = self._loop.call_at(due, self._write_late)
        else:
            self._write_soon(data)
        self._check_buffer()

    def _write_soon(self, data: bytes) -> None:
        if not self._out:
            self._loop.call_soon(self._write_out)
        self._out.append(data)
        self._out_bytes += len(data)

    def _write_out(self) -> None:
        if self._out and self._transport is not None:
            data = b"".join(self._out)
            self._out.clear()
            self._out_bytes = 0
            if not self._transport.is_closing():
                self._transport.write(data)

    def _write_late(self) -> None:
        self._timer = None
        while self._late and self._late[0][0] <= self._loop.time() and self._transport is not None:
            _, data = self._late.popleft()
            self._late_bytes -= len(data)
            self._write_soon(data)
        if self._late:
            self._timer = self._loop.call_at(self._late[0][0], self._write_late)
        elif self._closing:
            self._write_out()
            self._finish()

    def _check_buffer(self) -> None:
        waiting = (
            self._late_bytes
            + self._out_bytes
            + (0 if self._transport is None else self._transport.get_write_buffer_size())
        )
        if waiting > self._core.settings.limits.write_buffer_bytes:
            self.abort()

    def _end(self) -> None:
        """Send nothing more, and close once all has gone."""
        self._closing = True
        if not self._late:
            self._write_out()
            self._finish()

    def _finish(self) -> None:
        """Wait until the other side closes too: before, what is on its way to it could be lost."""
        if self._transport is None or self._transport.is_closing() or self._lingering is not None:
            return
        if self._transport.can_write_eof():
            self._transport.write_eof()
            self._lingering = self._loop.call_later(LINGER, self._transport.abort)
        else:
            self._transport.close()


class TcpLink(Link):
    """A stream over TCP: one long XML document (RFC 6120).

    :param tls: for STARTTLS; `None` where it is not offered.
    """

    def __init__(
        self, core: Core, links: set[Link], receiver: Callable[[Link], Receiver], tls: ssl.SSLContext | None
    ) -> None:
        super().__init__(core, links, receiver)
        if tls is not None:
            self.start_tls = partial(self._begin_tls, tls)
        self._tasks: set[asyncio.Task[None]] = set()
        self._xml: XmlStream | None = self._new_stream()
        self._early: list[bytes] | None = None
        """What came through TLS before asyncio has told of it."""

    def _new_stream(self) -> XmlStream:
        return XmlStream(self._core.settings.limits.stanza_bytes)

    def data_received(self, data: bytes) -> None:
        if self._early is not None:
            self._early.append(data)
            return
        xml = self._xml
        if xml is None or self._closing:
            return
        for event in xml.feed(data):
            # After a restart or a fault, what else came with it belongs to nothing (RFC 6120 section 5.4.3.3).
            if self._xml is not xml or self._closing:
                break
            match event:
                case ElementRead(element):
                    self._receiver.element(element)
                case StreamOpened():
                    self._receiver.opened(_header(event))
                case StreamClosed():
                    self._xml = None
                    self._receiver.closed()
                case StreamFault():
                    self._xml = None
                    self._receiver.failed(event)

    def send(self, xml: str) -> None:
        if self.open:
            self._write(xml.encode())

    def send_header(self, host: str, stream_id: str) -> str:
        xml = (
            f"<?xml version='1.0'?><stream:stream xmlns={quoteattr(CLIENT)} xmlns:stream={quoteattr(STREAMS)}"
            f" from={quoteattr(host)} id={quoteattr(stream_id)} version='1.0' xml:lang='en'>"
        )
        self.send(xml)
        return xml

    def restart(self) -> None:
        self._xml = self._new_stream()

    def close(self) -> None:
        if self.open:
            self._write(b"</stream:stream>")
            self._end()

    def _begin_tls(self, context: ssl.SSLContext) -> None:
        assert self._transport is not None
        self._write_out()
        # Nothing that comes in the clear from now on is read.
        self._transport.pause_reading()
        self._xml = None
        self._early = []
        task = self._loop.create_task(self._start_tls(self._transport, context))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _start_tls(self, plain: asyncio.Transport, context: ssl.SSLContext) -> None:
        try:
            transport = await self._loop.start_tls(plain, self, context, server_side=True)
        except (TimeoutError, OSError):
            transport = None
        early, self._early = self._early, None
        if transport is None:
            plain.abort()
            self.connection_lost(None)
        elif not self.gone.is_set():
            self.connection_made(transport)
            self.restart()
            for data in early or ():
                self.data_received(data)


def _header(opened: StreamOpened) -> Header:
    fault = None
    if opened.tag != f"{{{STREAMS}}}stream":
        fault = "invalid-namespace" if opened.tag.rpartition("}")[2] == "stream" else "bad-format"
    elif opened.content != CLIENT:
        fault = "invalid-namespace"
    attributes = "".join(f" {key}={quoteattr(value)}" for key, value in opened.attributes.items() if key[0] != "{")
    xml = f"<stream:stream xmlns:stream={quoteattr(STREAMS)}{attributes}>"
    return Header(xml, opened.attributes.get("to"), opened.attributes.get("version"), fault)


class WebSocketLink(Link):
    """A stream over WebSocket: a frame for each stanza (RFC 7395)."""

    def __init__(self, core: Core, links: set[Link], receiver: Callable[[Link], Receiver]) -> None:
        super().__init__(core, links, receiver)
        limit = core.settings.limits.stanza_bytes
        # A frame a bit too large is told so in XMPP's own words, one far too large is not even read.
        self._protocol = ServerProtocol(subprotocols=[Subprotocol("xmpp")], max_size=4 * limit)
        self._xml = XmlStream.framed(limit)
        self._limit = limit
        self._parts: list[bytes] = []
        self._closed = False

    def data_received(self, data: bytes) -> None:
        # Line by line until the request is answered: what came with it would be answered before it, or not at all.
        for part in data.splitlines(keepends=True) if self._protocol.state is CONNECTING else (data,):
            if not self._closing:
                self._protocol.receive_data(part)
                self._events()

    def eof_received(self) -> bool:
        self._protocol.receive_eof()
        self._events()
        return False

    def _events(self) -> None:
        for event in self._protocol.events_received():
            if isinstance(event, Request):
                self._protocol.send_response(self._protocol.accept(event))
            elif isinstance(event, Frame):
                self._frame(event)
        self._flush()
        if self._transport is not None and self._protocol.close_expected():
            self._end()

    def _flush(self) -> None:
        for data in self._protocol.data_to_send():
            if data and self._transport is not None and not self._transport.is_closing():
                self._write(data)

    def _frame(self, frame: Frame) -> None:
        if frame.opcode in (Opcode.TEXT, Opcode.CONT):
            self._parts.append(bytes(frame.data))
            if frame.fin:
                data = b"".join(self._parts)
                self._parts.clear()
                if not self._closed:
                    self._text(data)
        elif frame.opcode is Opcode.BINARY:
            self._protocol.fail(CloseCode.UNSUPPORTED_DATA, "XMPP is text")

    def _text(self, data: bytes) -> None:
        try:
            if len(data) > self._limit:
                raise StreamFault("policy-violation", f"a stanza has at most {self._limit} bytes")
            element = self._xml.frame(data)
        except StreamFault as fault:
            self._closed = True
            self._receiver.failed(fault)
            return
        if element.tag == f"{{{FRAMING}}}open":
            self._receiver.opened(Header(text_of(element), element.get("to"), element.get("version")))
        elif element.tag == f"{{{FRAMING}}}close":
            self._closed = True
            self._receiver.closed()
        elif element.tag == f"{{{STREAMS}}}stream":
            self._receiver.opened(Header(text_of(element), None, None, "invalid-namespace"))
        else:
            self._receiver.element(element)

    @property
    def open(self) -> bool:
        return super().open and self._protocol.state is OPEN

    def send(self, xml: str) -> None:
        if self.open:
            self._protocol.send_text(xml.encode())
            self._flush()

    def send_header(self, host: str, stream_id: str) -> str:
        xml = Open(from_=host, id=stream_id, version="1.0", lang="en").to_xml()
        self.send(xml)
        return xml

    def restart(self) -> None:
        """Each frame stands alone: there is nothing to begin anew."""

    def close(self) -> None:
        self._closed = True
        if self.open:
            self.send(Close().to_xml())
            self._protocol.send_close(CloseCode.NORMAL_CLOSURE)
            self._flush()
            self._lingering = self._loop.call_later(LINGER, self.abort)

    def _finish(self) -> None:
        """The server closes first, once both sides have said so (RFC 6455 section 7.1.1)."""
        if self._transport is not None:
            self._transport.close()
