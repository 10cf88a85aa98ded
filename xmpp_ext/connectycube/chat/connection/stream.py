"""The XML stream over slixmpp: bytes in, elements out, and back. It does not know what the elements mean.

Only the parser and the transport of slixmpp's stream are used. Its negotiation, plugins and reconnection are not: they
take most of the memory and time of a connection, and its reconnection delay would add to ours.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import Any, Final
from xml.etree.ElementTree import Element
from xml.sax.saxutils import quoteattr

from slixmpp.xmlstream.xmlstream import XMLStream

from connectycube.stanzas import Stanza, StanzaError, StreamError, parse

from ..machines.connection import Reason
from . import tls as _tls
from .parser import StreamParser

__all__ = ["Refusal", "Stream", "StreamBroken"]

STREAMS = "http://etherx.jabber.org/streams"
FOOTER = "</stream:stream>"
MOST_AT_ONCE: Final = 16 * 1024
"""Bytes that are read in one turn of the event loop."""
MOST_UNSENT: Final = 1024 * 1024
"""Unsent bytes from which nothing more is read."""


class StreamBroken(Exception):
    """The stream has ended, or can't continue.

    :ivar error: the stream error that ended it, if there was one.
    """

    def __init__(self, problem: str, error: StreamError | None = None) -> None:
        super().__init__(problem)
        self.error = error


class Refusal(Exception):
    """The server refused, at whatever step, or offers nothing that this client may use.

    :ivar reason: the kind of failure.
    :ivar condition: the server's error condition; empty without one.
    """

    def __init__(self, reason: Reason, problem: str, condition: str = "") -> None:
        super().__init__(problem)
        self.reason = reason
        self.condition = condition


class Stream(XMLStream):
    """One stream, from its TCP connection to its end. Each connection gets a new object.

    :ivar last_data: when data other than white space last came in, by the loop's clock.
    :ivar writable: whether the socket takes more data.
    :ivar on_writable: called when it does so again.
    :ivar refused: the condition of the server's stream error; empty without one.
    :ivar certified: the name in the server's certificate.
    :ivar secure: whether the connection uses TLS.
    :ivar may_write: asked before each write.
    :ivar deferred: elements that arrived during the negotiation and belong to the session.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, context: ssl.SSLContext | None, domain: str, certified: str
    ) -> None:
        # slixmpp creates a TLS context if it gets none, which costs 850 KiB. Without TLS it never looks at it.
        super().__init__(loop=loop, ssl_context=context or _NO_CONTEXT)
        del self.waiting_queue  # slixmpp's way of sending is not used, and its queue takes 3 KiB.
        self.domain = domain
        self.certified = certified
        self.secure = False
        self.stream_ns = STREAMS
        self.default_ns = "jabber:client"
        self.stream_header = (
            f"<?xml version='1.0'?><stream:stream to={quoteattr(domain)} version='1.0' "
            f"xmlns='jabber:client' xmlns:stream='{STREAMS}'>"
        )
        self.last_data = loop.time()
        self._parser: StreamParser | None = None
        self.writable = True
        self.may_write: Callable[[], bool] = _always
        self._holds: set[str] = set()
        self.on_writable: Callable[[], None] | None = None
        self.refused = ""
        self.deferred: list[Element] = []
        self._last: Element | None = None
        self._inbox: list[Element] = []
        self._waiter: asyncio.Future[None] | None = None
        self._handle: Callable[[Element], None] | None = None
        self._on_read: Callable[[], None] = _nothing
        self._on_end: Callable[[StreamBroken], None] | None = None
        self._broken: StreamBroken | None = None
        self._ended: asyncio.Future[None] = loop.create_future()
        self._error: StreamError | None = None
        self._closing = False

    # -- slixmpp's and asyncio's side

    def connection_made(self, transport: Any, send_event: bool = True) -> None:
        self.transport = transport
        self.secure = transport.get_extra_info("ssl_object") is not None
        # asyncio reads up to 256 KiB at a time, and thousands of stanzas in one go would hold up everything else.
        transport.max_size = MOST_AT_ONCE
        self.socket = transport.get_extra_info("ssl_object") or transport.get_extra_info("socket")
        self.restart()

    def data_received(self, data: Any) -> None:
        if not data.isspace():  # White space proves only that something keeps the connection open.
            self.last_data = self.loop.time()
        parser = self._parser
        if parser is None or self._broken is not None:
            return
        known = parser.root is not None
        stanzas = parser.feed(data)
        if not known and parser.root is not None:
            self._opened(parser.root)
        for element in stanzas:
            if self._broken is not None:
                return
            self._element(element)
        if stanzas:
            self._on_read()
        if parser.fault:
            self.fail(parser.fault)
        elif parser.ended:
            if not self._closing:
                self.send_raw(FOOTER)
            self._break("the server closed the stream")
        elif self.unsent > MOST_UNSENT and self.transport is not None:
            self.hold("unsent")  # What the chat answers would grow while the server does not read it.

    @property
    def unsent(self) -> int:
        """How many bytes wait for the socket."""
        return 0 if self.writable or self.transport is None else self.transport.get_write_buffer_size()

    def hold(self, reason: str) -> None:
        """Read nothing until every reason for it is gone."""
        if not self._holds and self.transport is not None:
            self.transport.pause_reading()
        self._holds.add(reason)

    def release(self, reason: str) -> None:
        """Read on, unless another reason remains."""
        if reason in self._holds:
            self._holds.remove(reason)
            if not self._holds and self.transport is not None and not self.transport.is_closing():
                self.transport.resume_reading()

    def pause_writing(self) -> None:
        self.writable = False

    def resume_writing(self) -> None:
        self.writable = True
        self.release("unsent")
        if self.on_writable is not None:
            self.on_writable()

    def eof_received(self) -> None:
        self._break("the server closed the connection")

    def connection_lost(self, exception: BaseException | None) -> None:
        self._parser = None
        self.transport = None
        self.socket = None
        self._break(f"the connection is lost: {exception}" if exception else "the connection is lost")
        if not self._ended.done():
            self._ended.set_result(None)

    def send_raw(self, data: str | bytes) -> None:
        """Write to the socket. slixmpp's own method would log everything, passwords included."""
        if self.transport is None or self.transport.is_closing():
            return
        if self.may_write():
            self.transport.write(data.encode() if isinstance(data, str) else data)
        else:
            self.transport.abort()

    def _opened(self, root: Element) -> None:
        if root.tag != f"{{{STREAMS}}}stream":
            self.fail("bad-format" if root.tag.endswith("}stream") else "invalid-namespace")

    def _element(self, element: Element) -> None:
        if element.tag == f"{{{STREAMS}}}error":
            self._read_error(element)
            return
        if self._handle is not None:
            self._handle(element)
            return
        self._inbox.append(element)
        self._wake()

    def _read_error(self, element: Element) -> None:
        try:
            stanza = parse(element)
        except StanzaError:
            stanza = None
        self._error = stanza if isinstance(stanza, StreamError) else StreamError(condition="undefined-condition")
        self.refused = str(self._error.condition or "")
        self._break("the server ended the stream with an error")

    def _break(self, problem: str) -> None:
        """End the stream. Only the first reason counts: what follows is its consequence."""
        if self._broken is not None:
            return
        self._broken = StreamBroken(problem, self._error)
        if self.transport is not None:
            self.transport.close()
        self._wake()
        if self._on_end is not None:
            self._on_end(self._broken)

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    # -- the chat's side

    def restart(self) -> None:
        """Open the stream: at first, after STARTTLS and after authentication (RFC 6120 section 4.3.3)."""
        self._parser = StreamParser()
        self.send_raw(self.stream_header)

    async def next(self) -> Stanza:
        """Wait for the next element during the negotiation.

        :raises StreamBroken: if the stream ends first.
        :raises StanzaError: if the element can't be read.
        """
        while not self._inbox:
            if self._broken is not None:
                raise self._broken
            self._waiter = self.loop.create_future()
            await self._waiter
        self._last = self._inbox.pop(0)
        return parse(self._last)

    @property
    def last_name(self) -> str:
        """The name of the last element, without its namespace, even if it could not be read."""
        return "" if self._last is None else self._last.tag.rpartition("}")[2]

    def put_back(self) -> None:
        """Keep the last element for the session: it is not part of the negotiation."""
        if self._last is not None:
            self.deferred.append(self._last)

    def take_over(
        self,
        handle: Callable[[Element], None],
        on_read: Callable[[], None],
        on_end: Callable[[StreamBroken], None],
    ) -> None:
        """Pass every element to `handle` from now on, those already waiting first, and the end to `on_end`.

        :param on_read: called after the elements that one read from the socket has completed.
        """
        self._handle, self._on_read, self._on_end = handle, on_read, on_end
        while self._inbox and self._broken is None:
            handle(self._inbox.pop(0))
        on_read()
        if self._broken is not None:
            on_end(self._broken)

    async def upgrade(self, context: ssl.SSLContext) -> None:
        """Do the TLS handshake of STARTTLS and restart the stream (RFC 6120 section 5.4.3.3).

        :raises OSError: if the handshake fails.
        """
        if self.transport is None:
            raise StreamBroken("the connection is lost")
        # Anyone could have injected what follows <proceed/> unencrypted, so it must not be read as if it were secure
        # (RFC 6120 section 5.3.3).
        if self._inbox:
            raise StreamBroken("the server sent unencrypted data before TLS, after it had agreed to it")
        self._parser = None
        await _tls.upgrade(self.loop, self.transport, self, self.certified, context)

    def fail(self, condition: str, more: str = "") -> None:
        """End the stream because the server violated the protocol (RFC 6120 section 4.9).

        :param more: the XML of an application-specific condition.
        """
        words = f"<{condition} xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>"
        self.send_raw(f"<stream:error>{words}{more}</stream:error>{FOOTER}")
        self._error = StreamError(condition=condition)
        self._break(f"the server violated the protocol of the stream: {condition}")

    def close(self) -> None:
        """Close the stream (RFC 6120 section 4.4). Anything that still comes in is ignored."""
        self._handle, self._on_read, self._on_end = _ignore, _nothing, None
        if self._broken is None:
            self._closing = True
            self.send_raw(FOOTER)

    async def closed(self, timeout: float) -> None:
        """Wait until the server has closed the stream, too.

        :param timeout: seconds to wait before the connection is cut.
        """
        if self.transport is not None:
            await asyncio.wait([self._ended], timeout=timeout)
        self.abort()
        if self.transport is not None:
            await self._ended

    def abort(self) -> None:
        """Cut the connection."""
        self._on_end = None
        if self.transport is not None:
            self.transport.abort()


def _ignore(_: Element) -> None:
    """Ignore an element that arrives after the stream was closed here."""


def _always() -> bool:
    """Allow every write: there is no fence."""
    return True


def _nothing() -> None:
    """Do nothing after a read: nobody has to know."""


_NO_CONTEXT: Any = object()
"""Passed to slixmpp instead of a TLS context where TLS is not used."""
