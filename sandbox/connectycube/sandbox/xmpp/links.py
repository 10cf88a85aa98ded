"""Connections: TCP with or without TLS, and WebSocket. They carry text for a stream.

Writing never waits. The data for a client that reads slowly is kept up to a limit, then its connection is dropped.
"""

from __future__ import annotations

import asyncio
import ssl
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final, Protocol
from xml.sax.saxutils import quoteattr

from websockets.frames import CloseCode, Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import CONNECTING, OPEN
from websockets.server import ServerProtocol
from websockets.typing import Origin, Subprotocol

from connectycube.stanzas import Close, Open, raw

from ..config import Limits
from ..faults import Faults
from .xmlstream import CLIENT, STREAMS, Event, Header, StreamClosed, StreamFault, XmlStream

__all__ = ["Link", "Receiver", "TcpLink", "WebSocketLink"]

LINGER: Final = 2.0
"""How many seconds the other side has to close too."""
FRAMING: Final = "urn:ietf:params:xml:ns:xmpp-framing"


class Receiver(Protocol):
    """The stream on a link."""

    def handle(self, event: Event) -> None:
        """Handle what the client sent."""

    def drained(self) -> None:
        """Send more, if more waits and there is room."""

    def lost(self) -> None:
        """Handle the loss of the connection, which is the last call."""


class Link(asyncio.Protocol, ABC):
    """A connection.

    :param receiver: creates the receiver of the link, once it is connected.
    :param links: the open links, to which this one adds itself.
    """

    def __init__(self, receiver: Callable[[Link], Receiver], links: set[Link], limits: Limits, faults: Faults) -> None:
        self._make_receiver = receiver
        self._links = links
        self._limits = limits
        self._faults = faults
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._out: list[bytes] = []
        """Written together at the next iteration of the loop, because a system call for each stanza is expensive."""
        self._out_bytes = 0
        self._late: deque[bytes] = deque()
        """Written when its time comes, one for each timer that is set."""
        self._late_bytes = 0
        self._due = 0.0
        self._lingering: asyncio.TimerHandle | None = None
        self._closing = False
        """Whether sending and reading have ended."""
        self.gone = asyncio.Event()
        self.start_tls: Callable[[], None] | None = None
        """Starts TLS, if the client may ask for it. A handshake that fails ends the connection."""

    # -- asyncio's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        if self not in self._links:
            self._links.add(self)
            self._receiver = self._make_receiver(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._closing = True
        self._late.clear()
        if self._lingering is not None:
            self._lingering.cancel()
        if not self.gone.is_set():
            self.gone.set()
            self._links.discard(self)
            self._receiver.lost()

    def resume_writing(self) -> None:
        self._receiver.drained()

    @property
    def secure(self) -> bool:
        """Whether the connection uses TLS."""
        return self._transport is not None and self._transport.get_extra_info("ssl_object") is not None

    @property
    def open(self) -> bool:
        """Whether data sent now may still arrive."""
        return self._transport is not None and not (self._closing or self._transport.is_closing())

    # -- the stream's side

    @property
    def has_room(self) -> bool:
        """Whether the client has read most of what it was sent."""
        return self.open and self._waiting_bytes < self._limits.write_buffer_bytes // 2

    @abstractmethod
    def send(self, xml: str) -> None:
        """Send an element."""

    @abstractmethod
    def send_header(self, host: str, stream_id: str) -> str:
        """Open the server's side of the stream.

        :returns: the XML that was sent.
        """

    @abstractmethod
    def restart(self) -> None:
        """Expect a new header on the same connection."""

    @abstractmethod
    def close(self) -> None:
        """End the stream, and the connection once everything is written."""

    def abort(self) -> None:
        """Break the connection without closing the stream."""
        self._closing = True
        self._late.clear()
        self._out.clear()
        self._out_bytes = 0
        if self._transport is not None:
            self._transport.abort()

    # -- writing

    def _write(self, data: bytes) -> None:
        delay = self._faults.chat.delay
        if delay > 0 or self._late:
            # A delay that a test lowers must not change the order.
            self._due = max(self._loop.time() + delay, self._due)
            self._late.append(data)
            self._late_bytes += len(data)
            self._loop.call_at(self._due, self._write_late)
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
                self._receiver.drained()

    def _write_late(self) -> None:
        if self._late:
            data = self._late.popleft()
            self._late_bytes -= len(data)
            self._write_soon(data)
            if self._closing and not self._late:
                self._write_out()
                self._finish()

    @property
    def _waiting_bytes(self) -> int:
        written = 0 if self._transport is None else self._transport.get_write_buffer_size()
        return self._late_bytes + self._out_bytes + written

    def _check_buffer(self) -> None:
        if self._waiting_bytes > self._limits.write_buffer_bytes:
            self.abort()

    def _end(self) -> None:
        """Close once everything is written."""
        self._closing = True
        if not self._late:
            self._write_out()
            self._finish()

    def _finish(self) -> None:
        """Wait until the other side closes too, because closing first could lose data on its way to it."""
        if self._transport is None or self._transport.is_closing():
            return
        if self._transport.can_write_eof():
            self._transport.write_eof()
            if self._lingering is None:
                self._lingering = self._loop.call_later(LINGER, self._transport.abort)
        else:
            self._transport.close()


class TcpLink(Link):
    """A stream over TCP: one long XML document (RFC 6120).

    :param tls: for STARTTLS.
    """

    def __init__(
        self,
        receiver: Callable[[Link], Receiver],
        links: set[Link],
        limits: Limits,
        faults: Faults,
        tls: ssl.SSLContext,
    ) -> None:
        super().__init__(receiver, links, limits, faults)
        self.start_tls = partial(self._begin_tls, tls)
        self._tasks: set[asyncio.Task[None]] = set()
        self._xml: XmlStream | None = self._new_stream()
        self._early: list[bytes] | None = None
        """Decrypted data that arrived before asyncio reported the end of the handshake."""

    def _new_stream(self) -> XmlStream:
        return XmlStream(self._limits.stanza_bytes)

    def data_received(self, data: bytes) -> None:
        if self._early is not None:
            self._early.append(data)
            return
        xml = self._xml
        if xml is None or self._closing:
            return
        for event in xml.feed(data):
            # After a restart or a fault, the rest of the data belongs to no stream (RFC 6120 section 5.4.3.3).
            if self._xml is not xml or self._closing:
                break
            if isinstance(event, (StreamClosed, StreamFault)):
                self._xml = None
            self._receiver.handle(event)

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
        # Nothing that arrives unencrypted from now on may be read.
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


class WebSocketLink(Link):
    """A stream over WebSocket: a frame for each stanza (RFC 7395).

    :param origins: origins of the web pages that may connect.
    """

    def __init__(
        self,
        receiver: Callable[[Link], Receiver],
        links: set[Link],
        limits: Limits,
        faults: Faults,
        origins: Sequence[str],
    ) -> None:
        super().__init__(receiver, links, limits, faults)
        limit = limits.stanza_bytes
        self._protocol = ServerProtocol(
            # Browsers always name the page's origin, other programs need not.
            origins=[None, *map(Origin, origins)],
            subprotocols=[Subprotocol("xmpp")],
            # A frame slightly over the limit is answered with a stream error. One far over it is not even read.
            max_size=4 * limit,
        )
        self._xml = XmlStream.framed(limit)
        self._limit = limit
        self._parts: list[bytes] = []
        self._closed = False

    def data_received(self, data: bytes) -> None:
        # Line by line until the request is answered: frames that came with it would otherwise be answered first.
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
            self._protocol.fail(CloseCode.UNSUPPORTED_DATA, "XMPP uses text frames")

    def _text(self, data: bytes) -> None:
        event = self._event(data)
        self._closed = isinstance(event, (StreamClosed, StreamFault))
        self._receiver.handle(event)

    def _event(self, data: bytes) -> Event:
        if len(data) > self._limit:
            return StreamFault("policy-violation", f"a stanza has at most {self._limit} bytes")
        try:
            element = self._xml.frame(data)
        except StreamFault as fault:
            return fault
        if element.tag == f"{{{FRAMING}}}open":
            return Header(raw(element), element.get("to"), element.get("version"))
        if element.tag == f"{{{FRAMING}}}close":
            return StreamClosed()
        if element.tag == f"{{{STREAMS}}}stream":
            return Header(raw(element), None, None, "invalid-namespace")
        return element

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
        """Do nothing: every frame is parsed separately."""

    def close(self) -> None:
        self._closed = True
        if self.open:
            self.send(Close().to_xml())
            self._protocol.send_close(CloseCode.NORMAL_CLOSURE)
            self._flush()
            self._lingering = self._loop.call_later(LINGER, self.abort)
