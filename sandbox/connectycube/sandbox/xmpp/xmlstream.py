"""An XML stream, split into its top-level elements as bytes arrive (RFC 6120 sections 4 and 11).

What a stream must not contain - DTDs, comments, processing instructions - ends it at once, and so does an element that
is too large or too deep, before it uses up memory.
"""

from __future__ import annotations

from collections.abc import Mapping
from xml.etree.ElementTree import Element as XMLElement
from xml.etree.ElementTree import TreeBuilder
from xml.parsers import expat
from xml.sax.saxutils import quoteattr

from attrs import frozen

__all__ = ["CLIENT", "STREAMS", "Event", "Header", "StreamClosed", "StreamFault", "XmlStream"]

CLIENT = "jabber:client"
STREAMS = "http://etherx.jabber.org/streams"
MAX_DEPTH = 100


@frozen
class Header:
    """How a client opens a stream.

    :ivar xml: for the journal.
    :ivar fault: the condition of the stream error that it deserves, if any.
    """

    xml: str
    to: str | None
    version: str | None
    fault: str | None = None


@frozen
class StreamClosed:
    """The other side's closing tag."""


@frozen
class StreamFault(Exception):
    """Input that ends the stream.

    :ivar condition: of RFC 6120 section 4.9.3.
    """

    condition: str
    text: str | None = None


Event = Header | XMLElement | StreamClosed | StreamFault


class XmlStream:
    """Reads one stream.

    :param max_size: the most bytes that one element may have.
    """

    def __init__(self, max_size: int) -> None:
        self._max_size = max_size
        parser = expat.ParserCreate(namespace_separator="}")
        parser.buffer_text = True
        if hasattr(parser, "SetReparseDeferralEnabled"):
            # Otherwise a stanza that arrived in pieces may wait until more data comes.
            parser.SetReparseDeferralEnabled(False)
        parser.XmlDeclHandler = self._declaration
        parser.StartNamespaceDeclHandler = self._namespace
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text
        parser.StartDoctypeDeclHandler = self._restricted
        parser.ProcessingInstructionHandler = self._restricted
        parser.CommentHandler = self._restricted
        self._parser = parser
        self._builder = TreeBuilder()
        self._events: list[Event] = []
        self._depth = 0
        self._content: str | None = None
        self._open = False
        self._read = 0
        self._begun = 0
        """Where the current element begins."""

    @classmethod
    def framed(cls, max_size: int) -> XmlStream:
        """Create one for WebSocket, where each frame is a separate element and there is no header (RFC 7395)."""
        stream = cls(max_size)
        stream.feed(f'<frames xmlns="{CLIENT}">'.encode())
        return stream

    def feed(self, data: bytes) -> list[Event]:
        """Return the events in the data that arrived. A fault is the last one."""
        try:
            self._feed(data)
        except StreamFault as fault:
            self._events.append(fault)
        events, self._events = self._events, []
        return events

    def frame(self, data: bytes) -> XMLElement:
        """Return the element in a frame.

        :raises StreamFault: if the frame is not exactly one element.
        """
        events = self.feed(data)
        for event in events:
            if isinstance(event, StreamFault):
                raise event
        if len(events) != 1 or not isinstance(events[0], XMLElement) or self._depth:
            raise StreamFault("not-well-formed", "a frame holds one whole element")
        return events[0]

    def _feed(self, data: bytes) -> None:
        self._read += len(data)
        if not self._open and b"\0" in data:
            # UTF-16, which expat would accept.
            raise StreamFault("unsupported-encoding")
        try:
            self._parser.Parse(data, False)
        except expat.ExpatError as error:
            unbound = error.code == expat.errors.codes[expat.errors.XML_ERROR_UNBOUND_PREFIX]
            raise StreamFault("bad-namespace-prefix" if unbound else "not-well-formed") from None
        self._check_size(self._read)

    def _check_size(self, end: int) -> None:
        if end - self._begun > self._max_size:
            raise StreamFault("policy-violation", f"a stanza has at most {self._max_size} bytes")

    # -- expat's handlers

    def _declaration(self, version: str, encoding: str | None, standalone: int) -> None:
        if encoding is not None and encoding.lower() not in ("utf-8", "utf8", "us-ascii"):
            raise StreamFault("unsupported-encoding")

    def _namespace(self, prefix: str | None, uri: str) -> None:
        if not self._open and not prefix:
            self._content = uri

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        tag = _tag(name)
        found = {_tag(key): value for key, value in attributes.items()}
        if not self._open:
            self._open = True
            self._events.append(_header(tag, found, self._content))
            self._begun = self._read
            return
        if not self._depth:
            self._begun = self._parser.CurrentByteIndex
        if self._depth >= MAX_DEPTH:
            raise StreamFault("policy-violation", f"elements nest at most {MAX_DEPTH} deep")
        self._depth += 1
        self._builder.start(tag, found)

    def _end(self, name: str) -> None:
        if not self._depth:
            self._events.append(StreamClosed())
            return
        self._depth -= 1
        self._builder.end(_tag(name))
        if not self._depth:
            self._check_size(self._parser.CurrentByteIndex)
            self._begun = self._parser.CurrentByteIndex
            self._events.append(self._builder.close())
            self._builder = TreeBuilder()

    def _text(self, text: str) -> None:
        if self._depth:
            self._builder.data(text)
            return
        if text.strip():
            raise StreamFault("bad-format", "there is text between the stanzas")
        self._begun = self._parser.CurrentByteIndex

    def _restricted(self, *found: object) -> None:
        raise StreamFault("restricted-xml", "a stream has no DTD, processing instructions or comments")


def _tag(name: str) -> str:
    return f"{{{name}" if "}" in name else name


def _header(tag: str, attributes: Mapping[str, str], content: str | None) -> Header:
    fault = None
    if tag != f"{{{STREAMS}}}stream":
        fault = "invalid-namespace" if tag.rpartition("}")[2] == "stream" else "bad-format"
    elif content != CLIENT:
        fault = "invalid-namespace"
    shown = "".join(f" {key}={quoteattr(value)}" for key, value in attributes.items() if key[0] != "{")
    xml = f"<stream:stream xmlns:stream={quoteattr(STREAMS)}{shown}>"
    return Header(xml, attributes.get("to"), attributes.get("version"), fault)
