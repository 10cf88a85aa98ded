"""The XML stream over slixmpp: bytes in, elements out, and back. It knows nothing of what the elements mean.

Of slixmpp's stream the parser, the transport and TLS are used. Its own negotiation, its plugins and its reconnecting
are not: they take most of the memory and the time of a connection, and its delay would add to ours.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from collections.abc import Callable
from typing import Any
from xml.etree.ElementTree import Element, ParseError
from xml.sax.saxutils import quoteattr

from slixmpp.xmlstream.xmlstream import XMLStream

from connectycube.stanzas import Stanza, StanzaError, StreamError, parse

from . import tls as _tls

__all__ = ["Stream", "StreamBroken"]

STREAMS = "http://etherx.jabber.org/streams"
FOOTER = "</stream:stream>"


class StreamBroken(Exception):
    """The stream is gone, or can't be gone on with.

    :ivar error: the server's last words, if it had any.
    """

    def __init__(self, problem: str, error: StreamError | None = None) -> None:
        super().__init__(problem)
        self.error = error


class Stream(XMLStream):
    """One stream, from its TCP connection to its end. A new connection is a new object.

    :ivar last_data: time of the loop's clock at which data came in last.
    :ivar deferred: elements that came in between and were put back.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, context: ssl.SSLContext | None, domain: str) -> None:
        # slixmpp makes a context of its own if it gets none, which costs 850 KiB; without TLS it is never looked at.
        super().__init__(loop=loop, ssl_context=context or _NO_CONTEXT)
        self.domain = domain
        self.stream_ns = STREAMS
        self.default_ns = "jabber:client"
        self.stream_header = (
            f"<?xml version='1.0'?><stream:stream to={quoteattr(domain)} version='1.0' "
            f"xmlns='jabber:client' xmlns:stream='{STREAMS}'>"
        )
        self.last_data = loop.time()
        self.deferred: list[Element] = []
        self._last: Element | None = None
        self._inbox: deque[Element] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self._handle: Callable[[Element], None] | None = None
        self._on_end: Callable[[StreamBroken], None] | None = None
        self._broken: StreamBroken | None = None
        self._ended: asyncio.Future[None] = loop.create_future()
        self._error: StreamError | None = None
        self._closing = False
        self._prolog = b""

    # -- slixmpp's and asyncio's side

    def connection_made(self, transport: Any, send_event: bool = True) -> None:
        self.transport = transport
        self.socket = transport.get_extra_info("ssl_object") or transport.get_extra_info("socket")
        self.restart()

    def data_received(self, data: Any) -> None:
        self.last_data = self.loop.time()
        if self.parser is None or self._broken is not None:
            return
        if self.xml_root is None:
            self._prolog += data
            if condition := _refused(self._prolog):
                self.fail(condition)
                return
        whole = _feed(self.parser, data)
        try:
            found: Any  # Pairs of what happened and the element.
            for found in self.parser.read_events():
                event, element = found
                if event == "start":
                    if self.xml_depth == 0:
                        self.xml_root = element
                        self._opened(element)
                    self.xml_depth += 1
                    continue
                self.xml_depth -= 1
                if self.xml_depth == 1:
                    if self.xml_root is not None:
                        self.xml_root.clear()
                    self._element(element)
                elif self.xml_depth == 0:
                    if not self._closing:
                        self.send_raw(FOOTER)
                    self._break("the server closed the stream")
                if self._broken is not None:
                    return
            if not whole:
                self.fail("not-well-formed")
        except ParseError:
            self.fail("not-well-formed")

    def eof_received(self) -> None:
        self._break("the server closed the connection")

    def connection_lost(self, exception: BaseException | None) -> None:
        self.parser = None
        self.transport = None
        self.socket = None
        self._break(f"the connection is lost: {exception}" if exception else "the connection is lost")
        if not self._ended.done():
            self._ended.set_result(None)

    def send_raw(self, data: str | bytes) -> None:
        """Write to the socket. slixmpp would log it, passwords included."""
        if self.transport is not None and not self.transport.is_closing():
            self.transport.write(data.encode() if isinstance(data, str) else data)

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
        self._break("the server ended the stream with an error")

    def _break(self, problem: str) -> None:
        """The stream is over, for whatever reason came first. The connection is closed if it is not yet."""
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
        """Begin a stream: at first, after STARTTLS and after authentication (RFC 6120 section 4.3.3)."""
        self.init_parser()
        self._prolog = b""
        self.send_raw(self.stream_header)

    async def next(self) -> Stanza:
        """The next element, while the stream is negotiated.

        :raises StreamBroken: if the stream ended before.
        :raises StanzaError: if the element can't be read.
        """
        while not self._inbox:
            if self._broken is not None:
                raise self._broken
            self._waiter = self.loop.create_future()
            await self._waiter
        self._last = self._inbox.popleft()
        return parse(self._last)

    def put_back(self) -> None:
        """Keep the last element for the session: it has nothing to do with the negotiation."""
        if self._last is not None:
            self.deferred.append(self._last)

    def take_over(self, handle: Callable[[Element], None], on_end: Callable[[StreamBroken], None]) -> None:
        """From now on hand every element to `handle` at once, those that wait first, and the end to `on_end`."""
        self._handle, self._on_end = handle, on_end
        while self._inbox and self._broken is None:
            handle(self._inbox.popleft())
        if self._broken is not None:
            on_end(self._broken)

    async def secure(self, context: ssl.SSLContext) -> None:
        """Do the TLS handshake of STARTTLS and begin the stream anew (RFC 6120 section 5.4.3.3).

        :raises OSError: if the handshake fails.
        """
        if self.transport is None:
            raise StreamBroken("the connection is lost")
        # What stands behind <proceed/> in clear could have been put there by anyone.
        if self._inbox:
            raise StreamBroken("the server sent more than it may before TLS")
        self.parser = None
        await _tls.upgrade(self.loop, self.transport, self, self.domain, context)

    def fail(self, condition: str, more: str = "") -> None:
        """End the stream because the server broke a rule (RFC 6120 section 4.9).

        :param more: XML of a further condition.
        """
        words = f"<{condition} xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>"
        self.send_raw(f"<stream:error>{words}{more}</stream:error>{FOOTER}")
        self._error = StreamError(condition=condition)
        self._break(f"the server broke the rules of the stream: {condition}")

    def close(self) -> None:
        """Close the stream (RFC 6120 section 4.4). What still comes in does not matter any more."""
        self._handle, self._on_end = _ignore, None
        if self._broken is None:
            self._closing = True
            self.send_raw(FOOTER)

    async def closed(self, timeout: float) -> None:
        """Wait until the server has closed the stream, too.

        :param timeout: seconds to wait; then the connection is cut.
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


def _refused(prolog: bytes) -> str:
    """Why what stands before the stream's opening tag is refused, if it is: a document type could declare entities that
    grow without end or read files (RFC 6120 section 11.1), and would not be seen in another encoding (section 11.6)."""
    if prolog[:2] in (b"\xff\xfe", b"\xfe\xff") or b"\0" in prolog[:4]:
        return "unsupported-encoding"
    rest = prolog.removeprefix(b"\xef\xbb\xbf").lstrip()
    if rest[:5] == b"<?xml" and rest[5:6].isspace():
        rest = rest.partition(b"?>")[2].lstrip()
    # An instruction may be the XML declaration as long as it is not there as a whole.
    if rest[:2] == b"<!" or (rest[:2] == b"<?" and not b"<?xml".startswith(rest[:6])):
        return "restricted-xml"
    return ""


def _feed(parser: Any, data: Any) -> bool:
    """Hand bytes to the parser and let it look at all of them.

    Since version 2.6 expat puts off what came in pieces until more is there: the last stanza would wait for the next.

    :returns: false if it is no XML, which else is told among the parser's events.
    """
    parser.feed(data)
    if hasattr(parser, "flush"):  # From Python 3.13 on, and in later releases of the older ones.
        try:
            parser.flush()
        except ParseError:
            return False
    return True


def _ignore(_: Element) -> None:
    """After the closing tag nothing that comes in matters any more."""


_NO_CONTEXT: Any = object()
"""What slixmpp gets in place of a TLS context where there is no TLS."""
