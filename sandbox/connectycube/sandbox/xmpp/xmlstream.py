"""An XML stream, cut into its elements as bytes arrive (RFC 6120 sections 4 and 11).

What a stream must not hold - DTDs, comments, processing instructions - and what is too large or too deep ends it before
it costs anything.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from xml.etree.ElementTree import Element as XMLElement
from xml.parsers import expat
from xml.sax.saxutils import escape, quoteattr

from attrs import frozen

__all__ = ["CLIENT", "STREAMS", "ElementRead", "StreamClosed", "StreamFault", "StreamOpened", "XmlStream", "text_of"]

CLIENT = "jabber:client"
STREAMS = "http://etherx.jabber.org/streams"
MAX_DEPTH = 100
_XML = "http://www.w3.org/XML/1998/namespace"


@frozen
class StreamOpened:
    """The other side's header.

    :ivar tag: its name, as ElementTree has it.
    :ivar attributes: by ElementTree's names.
    :ivar content: the default namespace, that of the stanzas.
    """

    tag: str
    attributes: Mapping[str, str]
    content: str | None


@frozen
class ElementRead:
    """A whole element of the stream."""

    element: XMLElement


@frozen
class StreamClosed:
    """The other side's closing tag."""


@frozen
class StreamFault(Exception):
    """What ends the stream.

    :ivar condition: of RFC 6120 section 4.9.3.
    """

    condition: str
    text: str | None = None


Event = StreamOpened | ElementRead | StreamClosed | StreamFault


class XmlStream:
    """Reads one stream.

    :param max_size: most bytes of one element.
    """

    def __init__(self, max_size: int) -> None:
        self._max_size = max_size
        parser = expat.ParserCreate(namespace_separator="}")
        parser.buffer_text = True
        if hasattr(parser, "SetReparseDeferralEnabled"):
            # Otherwise a stanza that came in pieces may wait until more comes.
            parser.SetReparseDeferralEnabled(False)
        parser.XmlDeclHandler = self._declaration
        parser.StartNamespaceDeclHandler = self._namespace
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text
        parser.StartDoctypeDeclHandler = self._doctype
        parser.ProcessingInstructionHandler = self._instruction
        parser.CommentHandler = self._comment
        self._parser = parser
        self._events: list[Event] = []
        self._stack: list[XMLElement] = []
        self._content: str | None = None
        self._open = False
        self._read = 0
        self._begun = 0
        """Where the element that is being read begins."""

    @classmethod
    def framed(cls, max_size: int) -> XmlStream:
        """One for WebSocket, where each frame is an element of its own and there is no header (RFC 7395)."""
        stream = cls(max_size)
        stream._feed(f'<frames xmlns="{CLIENT}">'.encode())
        stream._events.clear()
        return stream

    def feed(self, data: bytes) -> Iterator[Event]:
        """The events in what has arrived. After a fault the stream is of no more use."""
        try:
            self._feed(data)
        except StreamFault as fault:
            self._events.append(fault)
        events, self._events = self._events, []
        yield from events

    def frame(self, data: bytes) -> XMLElement:
        """The one element of a frame.

        :raises StreamFault: if it is anything else.
        """
        events = list(self.feed(data))
        for event in events:
            if isinstance(event, StreamFault):
                raise event
        if len(events) != 1 or not isinstance(events[0], ElementRead) or self._stack:
            raise StreamFault("not-well-formed", "a frame holds one whole element")
        return events[0].element

    def _feed(self, data: bytes) -> None:
        self._read += len(data)
        if not self._open and b"\0" in data:
            # UTF-16, which expat would read by itself.
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

    # -- what expat finds

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
            self._events.append(StreamOpened(tag, found, self._content))
            self._begun = self._read
            return
        element = XMLElement(tag, found)
        if self._stack:
            if len(self._stack) >= MAX_DEPTH:
                raise StreamFault("policy-violation", f"elements nest at most {MAX_DEPTH} deep")
            self._stack[-1].append(element)
        else:
            self._begun = self._parser.CurrentByteIndex
        self._stack.append(element)

    def _end(self, name: str) -> None:
        if not self._stack:
            self._events.append(StreamClosed())
            return
        element = self._stack.pop()
        if not self._stack:
            self._check_size(self._parser.CurrentByteIndex)
            self._begun = self._parser.CurrentByteIndex
            self._events.append(ElementRead(element))

    def _text(self, text: str) -> None:
        if not self._stack:
            if text.strip():
                raise StreamFault("bad-format", "there is text between the stanzas")
            self._begun = self._parser.CurrentByteIndex
            return
        inside = self._stack[-1]
        if len(inside):
            last = inside[-1]
            last.tail = (last.tail or "") + text
        else:
            inside.text = (inside.text or "") + text

    def _doctype(self, name: str, system: str | None, public: str | None, internal: bool) -> None:
        raise StreamFault("restricted-xml", "a stream has no DTD")

    def _instruction(self, target: str, data: str) -> None:
        raise StreamFault("restricted-xml", "a stream has no processing instructions")

    def _comment(self, text: str) -> None:
        raise StreamFault("restricted-xml", "a stream has no comments")


def _tag(name: str) -> str:
    return f"{{{name}" if "}" in name else name


def text_of(element: XMLElement, outer: str = "") -> str:
    """An element as text with default namespaces only, as the journal shows it."""
    namespace, name = _split(element.tag)
    out = [f"<{name}"]
    if namespace != outer:
        out.append(f" xmlns={quoteattr(namespace)}")
    for number, (key, value) in enumerate(element.items()):
        inside, short = _split(key)
        if inside == _XML:
            short = f"xml:{short}"
        elif inside:
            out.append(f" xmlns:a{number}={quoteattr(inside)}")
            short = f"a{number}:{short}"
        out.append(f" {short}={quoteattr(value)}")
    inner = escape(element.text or "")
    inner += "".join(text_of(child, namespace) + escape(child.tail or "") for child in element)
    out.append(f">{inner}</{name}>" if inner else "/>")
    return "".join(out)


def _split(tag: str) -> tuple[str, str]:
    namespace, found, name = tag.rpartition("}")
    return (namespace[1:], name) if found else ("", tag)
