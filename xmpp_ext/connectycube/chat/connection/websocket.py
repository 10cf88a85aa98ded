"""A stream over WebSocket (RFC 7395), which the stream itself takes for TCP.

The WebSocket is the protocol of a TCP or TLS transport, and the transport of the stream. It turns the one long document
that the stream writes into a frame for each element, and the frames of the server into such a document.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from typing import Any, Final
from xml.etree import ElementTree
from xml.parsers import expat
from xml.sax.saxutils import quoteattr

from websockets.client import ClientProtocol
from websockets.exceptions import InvalidHandshake, InvalidStatus
from websockets.frames import CloseCode, Frame, Opcode
from websockets.http11 import Response
from websockets.protocol import OPEN
from websockets.typing import Subprotocol
from websockets.uri import parse_uri

from ..machines.connection import Reason
from .stream import FOOTER, MOST_AT_ONCE, STREAMS, Refusal, Stream, StreamBroken

__all__ = ["WebSocket"]

FRAMING: Final = "urn:ietf:params:xml:ns:xmpp-framing"
MOST_BYTES: Final = 16 * 1024 * 1024
"""Bytes of a message that is read at all. How large a stanza may be is the stream's business."""

# The library logs what it sends and receives, passwords included, if DEBUG is enabled.
_logger = logging.getLogger("connectycube.chat.websocket")
_logger.setLevel(logging.INFO)


class WebSocket(asyncio.Protocol):
    """The WebSocket between a transport and a stream.

    :ivar opened: done when the stream can be used.
    """

    def __init__(self, stream: Stream, url: str) -> None:
        self.opened: asyncio.Future[None] = stream.loop.create_future()
        self._stream = stream
        self._websocket = ClientProtocol(
            parse_uri(url), subprotocols=[Subprotocol("xmpp")], max_size=MOST_BYTES, logger=_logger
        )
        self._transport: Any = None
        self._parts: list[bytes] = []

    # -- the transport's side

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        transport.max_size = MOST_AT_ONCE  # As the stream does, which takes this object for the transport.
        self._websocket.send_request(self._websocket.connect())
        self._flush()

    def data_received(self, data: bytes) -> None:
        self._websocket.receive_data(data)
        for event in self._websocket.events_received():
            if isinstance(event, Response):
                self._answered()
            elif isinstance(event, Frame):
                self._frame(event)
        self._flush()
        if self._websocket.close_expected() and self._transport is not None:
            self._stream.eof_received()
            self._transport.close()

    def eof_received(self) -> None:
        self._stream.eof_received()

    def connection_lost(self, exc: BaseException | None) -> None:
        self._transport = None
        if not self.opened.done():
            self.opened.set_exception(StreamBroken("the connection is lost before the WebSocket was open"))
        else:
            self._stream.connection_lost(exc)

    def pause_writing(self) -> None:
        self._stream.pause_writing()

    def resume_writing(self) -> None:
        self._stream.resume_writing()

    def _answered(self) -> None:
        """Process the answer to the request to open the WebSocket."""
        error = self._websocket.handshake_exc
        if error is None and self._websocket.subprotocol != "xmpp":
            error = InvalidHandshake("the server does not offer the subprotocol xmpp")
        if self.opened.done():
            return
        if error is None:
            self._stream.connection_made(self)
            self.opened.set_result(None)
            return
        status = error.response.status_code if isinstance(error, InvalidStatus) else 0
        reason = Reason.NETWORK if status == 429 or status >= 500 else Reason.PROTOCOL
        self.opened.set_exception(Refusal(reason, f"the server did not open a WebSocket: {error}"))

    def _frame(self, frame: Frame) -> None:
        if frame.opcode in (Opcode.TEXT, Opcode.CONT):
            self._parts.append(bytes(frame.data))
            if frame.fin:
                data = b"".join(self._parts)
                self._parts.clear()
                self._message(data)
        elif frame.opcode is Opcode.BINARY:
            self._websocket.fail(CloseCode.UNSUPPORTED_DATA, "XMPP uses text frames")

    def _message(self, data: bytes) -> None:
        # The opening and the end of a stream have elements of their own (RFC 7395 section 3.3). They are short, and a
        # message that only mentions their namespace is passed on.
        if FRAMING.encode() in data[:500] and b"<!" not in data:
            try:
                element = ElementTree.fromstring(data)
            except ElementTree.ParseError:
                element = None
            if element is not None and element.tag == f"{{{FRAMING}}}open":
                data = (
                    f"<stream:stream xmlns='jabber:client' xmlns:stream='{STREAMS}' version='1.0' "
                    f"from={quoteattr(element.get('from', ''))} id={quoteattr(element.get('id', ''))}>"
                ).encode()
            elif element is not None and element.tag == f"{{{FRAMING}}}close":
                data = FOOTER.encode()
        self._stream.data_received(data)

    # -- the stream's side: what it needs of a transport

    def write(self, data: bytes) -> None:
        if self._websocket.state is not OPEN:
            return
        for message in _messages(data.decode(), self._stream.domain):
            self._websocket.send_text(message.encode())
        self._flush()

    def close(self) -> None:
        if self._websocket.state is OPEN:
            self._websocket.send_close(CloseCode.NORMAL_CLOSURE)
            self._flush()
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def is_closing(self) -> bool:
        return self._transport is None or self._transport.is_closing()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return default if self._transport is None else self._transport.get_extra_info(name, default)

    def get_write_buffer_size(self) -> int:
        return 0 if self._transport is None else int(self._transport.get_write_buffer_size())

    def pause_reading(self) -> None:
        if self._transport is not None:
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        if self._transport is not None:
            self._transport.resume_reading()

    def _flush(self) -> None:
        data = b"".join(self._websocket.data_to_send())
        if not data or self.is_closing():
            return
        if self._stream.may_write():
            self._transport.write(data)
        else:
            self._transport.abort()


def _messages(text: str, domain: str) -> Iterator[str]:
    """Return a message for each element of a piece of a stream."""
    if text.startswith("<?xml"):
        yield f"<open xmlns='{FRAMING}' to={quoteattr(domain)} version='1.0'/>"
        return
    body = text.removesuffix(FOOTER)
    for name, namespace, element in _elements(body):
        # On the stream, its opening tag declares these two.
        if name in ("iq", "message", "presence") and namespace is None:
            yield f"<{name} xmlns='jabber:client'{element[len(name) + 1 :]}"
        elif name == "stream:error":
            yield f"<{name} xmlns:stream='{STREAMS}'{element[len(name) + 1 :]}"
        else:
            yield element
    if body != text:
        yield f"<close xmlns='{FRAMING}'/>"


def _elements(text: str) -> Iterator[tuple[str, str | None, str]]:
    """Split a text into its top-level elements: their names, namespaces if declared, and texts."""
    data = text.encode()
    starts: list[tuple[int, str, str | None]] = []
    depth = 0
    parser = expat.ParserCreate()

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        if depth == 1:
            starts.append((parser.CurrentByteIndex - len("<x>"), name, attributes.get("xmlns")))
        depth += 1

    def end(_: str) -> None:
        nonlocal depth
        depth -= 1

    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.Parse(b"<x>" + data + b"</x>", True)
    ends = [first for first, _, _ in starts[1:]]
    for (first, name, namespace), following in zip(starts, [*ends, len(data)], strict=False):
        yield name, namespace, data[first:following].decode()
