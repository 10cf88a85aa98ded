"""The base classes of all stanzas, the XML parser behind them, and escaping."""

from __future__ import annotations

import atexit
import re
from collections import deque
from functools import lru_cache
from typing import Any, ClassVar, Final, Self
from xml.etree import ElementTree as ET

__all__ = ["MAX_DEPTH", "MAX_SIZE", "BuildError", "Element", "Stanza", "StanzaError"]

MAX_DEPTH: Final = 100
"""How deep elements may nest."""

MAX_SIZE: Final = 1_048_576
"""The default size limit of `parse`: bytes, or characters of a text."""

XML: Final = "http://www.w3.org/XML/1998/namespace"


class StanzaError(ValueError):
    """XML that doesn't match the spec.

    :ivar problem: what is wrong.
    :ivar path: the names of the elements that lead to the place, the stanza's own first.
    """

    def __init__(self, problem: str, *path: str) -> None:
        super().__init__(problem, *path)
        self.problem = problem
        self.path = path

    def inside(self, name: str) -> None:
        """Prepend the enclosing element to the path."""
        self.path = (name, *self.path)

    def __str__(self) -> str:
        return f"{'/'.join(self.path)}: {self.problem}" if self.path else self.problem


class BuildError(StanzaError):
    """A field holds a value that XML or the protocol can't carry; the last name of `path` is the field's."""


class Element:
    """The base of all classes of this package."""

    __slots__ = ()
    tag: ClassVar[str]
    """The element's name as ElementTree has it."""

    @classmethod
    def from_element(cls, element: ET.Element) -> Self:
        """Read an element.

        :raises StanzaError: if it is not of this class.
        """
        if element.tag != cls.tag:
            raise StanzaError(f"is {element.tag}, not {cls.tag}", local(str(element.tag)))
        found: Self = cls._reader(element)
        return found

    @staticmethod
    def _reader(element: ET.Element) -> Any:
        """Read an element whose name has been checked."""
        raise NotImplementedError

    @classmethod
    def parse(cls, xml: str | bytes | ET.Element, *, max_size: int = MAX_SIZE) -> Self:
        """Read XML text or an element as this class.

        :param max_size: the size limit, in bytes, or in characters of a text.
        :raises StanzaError: if the XML is invalid, too large, too deep or not of this class.
        """
        return cls.from_element(read(xml, max_size))

    def to_xml(self) -> str:
        """Write the element as XML text with its namespace.

        :raises BuildError: if a field can't be written.
        """
        return self._write("")

    def to_element(self) -> ET.Element:
        """Write the element as an ElementTree element.

        :raises BuildError: if a field can't be written.
        """
        return ET.fromstring(self._write(""))

    def _write(self, outer: str) -> str:
        """Write XML text for a place inside an element of the namespace `outer`."""
        raise NotImplementedError


class Stanza(Element):
    """The base of the classes that may stand alone."""

    __slots__ = ()


# -- text to elements


class _Stream:
    """An XML parser that reads one stanza after another, as on a stream, at half the cost of a new parser for each.

    Inside the stream's element there can be no DTD, no declaration and no encoding other than UTF-8, and a stanza
    without a namespace belongs to `jabber:client`.
    """

    __slots__ = ("feed", "left", "mark", "root")

    def __init__(self) -> None:
        builder = ET.TreeBuilder()
        parser = ET.XMLParser(target=builder)
        parser.feed(b'<stream xmlns="jabber:client"><mark/>')
        self.feed = parser.feed
        self.root: ET.Element = builder.close()
        self.mark = self.root[0]
        """The last element that was read. Text before the next one is its tail."""
        self.root.clear()
        self.left = 250
        """Stanzas until the parser is replaced: expat keeps every name that it has seen."""

    def read(self, text: bytes) -> ET.Element:
        root = self.root
        # A truncated element swallows the mark; a second element stands beside it.
        self.feed(text + b"<mark/>")
        if len(root) != 2 or root[1].tag != "{jabber:client}mark":
            raise StanzaError("invalid XML: expected one whole element")
        element = root[0]
        before = self.mark.tail
        if (element.tail and element.tail.strip()) or (before and before.strip()):
            raise StanzaError("invalid XML: unexpected text beside the element")
        element.tail = None
        self.mark = root[1]
        root.clear()
        self.left -= 1
        return element


TOO_DEEP: Final = MAX_DEPTH * len("<a></a>")
"""Bytes of the shortest text that nests too deep."""

_streams: deque[_Stream] = deque()
"""Idle parsers."""
# An early Python 3.12 crashes if it frees a parser as late as it frees modules (seen with 3.12.1).
atexit.register(_streams.clear)


def read(xml: str | bytes | ET.Element, max_size: int) -> ET.Element:
    """Parse text to one element, or take a given element, and check its limits."""
    if not isinstance(xml, bytes) and isinstance(xml, ET.Element):
        check_depth(xml)
        return xml
    if len(xml) > max_size:
        raise StanzaError(f"larger than {max_size}")
    try:
        text = xml if isinstance(xml, bytes) else _bytes(xml)
        if (33 in text or 63 in text) and (b"<!" in text or b"<?" in text):
            _check_declarations(text)
        try:
            stream = _streams.pop()
        except IndexError:
            stream = _Stream()
        element = stream.read(text)
    except (ET.ParseError, UnicodeError) as error:
        # Omit the position: it counts from the start of the stream.
        raise StanzaError(f"invalid XML: {str(error).partition(': line')[0]}") from error
    if stream.left:
        _streams.append(stream)
    # A shorter text, or one with fewer tags, can't nest too deep.
    if len(text) >= TOO_DEEP and text.count(b"<") >= 2 * MAX_DEPTH:
        check_depth(element)
    return element


def _bytes(xml: object) -> bytes:
    if isinstance(xml, str):
        return xml.encode()
    if isinstance(xml, (bytearray, memoryview)):
        return bytes(xml)
    raise TypeError(f"XML must be text, bytes or an element, not {type(xml).__name__}")


def _check_declarations(text: bytes) -> None:
    """Reject what RFC 6120 section 11.1 forbids: comments, processing instructions, DTDs, entities."""
    outside = re.sub(rb"<!\[CDATA\[.*?\]\]>", b"", text, flags=re.DOTALL)
    for mark, name in ((b"<?", "a processing instruction"), (b"<!--", "a comment"), (b"<!", "a DTD")):
        if mark in outside:
            raise StanzaError(f"holds {name}, which a stanza must not")


def check_depth(root: ET.Element) -> None:
    """Reject an element that nests too deep, without recursion."""
    if len(list(root.iter())) <= MAX_DEPTH:
        return  # So few can't.
    level, depth = [root], 0
    while level:
        depth += 1
        if depth > MAX_DEPTH:
            raise StanzaError(f"deeper than {MAX_DEPTH} elements")
        level = [child for element in level for child in element]


def local(tag: str) -> str:
    """Return the name of an element without its namespace."""
    return tag.rpartition("}")[2]


def text_at(element: ET.Element, *tags: str) -> str | None:
    """Return the text of a nested element, `None` if there is no such element."""
    found: ET.Element | None = element
    for tag in tags:
        element = element if found is None else found
        found = None if found is None else found.find(tag)
    if found is not None and len(found):  # A field does not read such an element either, but may read a later one.
        found = next((child for child in element.iterfind(tags[-1]) if not len(child)), None)
    return None if found is None else found.text or ""


def missing(what: str) -> StanzaError:
    return StanzaError(f"{what} is missing")


def wrong_class(value: object, what: str, wanted: str) -> BuildError:
    return BuildError(f"must be a {wanted}, not {type(value).__name__}", what)


# -- elements to text


def raw(element: ET.Element) -> str:
    """Write an unknown element as XML text that can stand anywhere."""
    check_depth(element)
    return _raw(element, None)


def _raw(element: ET.Element, outer: str | None) -> str:
    tag = element.tag
    namespace, name = (tag[1:].split("}", 1)) if tag[0] == "{" else ("", tag)
    if namespace == XML:  # It can't be the default namespace, nor have another prefix.
        name, namespace = f"xml:{name}", outer or ""
    out = [f"<{name}"]
    if namespace != outer:
        out.append(f' xmlns="{_attribute(namespace)}"')
    for number, (key, value) in enumerate(element.items()):
        out.append(raw_attribute(key, value, number))
    inner = _text(element.text or "") + "".join(_raw(child, namespace) + _text(child.tail or "") for child in element)
    out.append(f">{inner}</{name}>" if inner else "/>")
    return "".join(out)


def raw_attribute(key: str, value: str, number: int) -> str:
    """Write an attribute; `number` makes the prefix of its namespace unique in its element."""
    if key[0] != "{":
        return f' {key}="{_attribute(value)}"'
    namespace, name = key[1:].split("}", 1)
    if namespace == XML:
        return f' xml:{name}="{_attribute(value)}"'
    return f' xmlns:a{number}="{_attribute(namespace)}" a{number}:{name}="{_attribute(value)}"'


# -- escaping

# Sets of the odd characters: the complementary sets take ten times as long to compile.
_TEXT_ODD = re.compile("[\x00-\x08\x0b-\x1f&<>\ud800-\udfff\ufffe\uffff]").search
_ATTRIBUTE_ODD = re.compile('[\x00-\x1f"&<>\ud800-\udfff\ufffe\uffff]').search
ILLEGAL: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
"""Characters that XML can't carry."""
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9._-]*").fullmatch
LONG_NAME: Final = 256
"""Characters from which a name is not cached: strangers choose the names of parameters."""


def _text(text: str) -> str:
    if _TEXT_ODD(text) is None:
        return text
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("\r", "&#13;")


def _attribute(text: str) -> str:
    if _ATTRIBUTE_ODD(text) is None:
        return text
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")
    return text.replace("\t", "&#9;").replace("\n", "&#10;").replace("\r", "&#13;")


def escape_text(value: Any, what: str) -> str:
    """Escape a text for a place between tags."""
    if value.__class__ is not str and not isinstance(value, str):
        raise BuildError(f"must be text, not {type(value).__name__}", what)
    if _TEXT_ODD(value) is None:
        return value
    _check_characters(value, what)
    return _text(value)


def escape_attribute(value: Any, what: str) -> str:
    """Escape a text for a place between double quotes."""
    if value.__class__ is not str and not isinstance(value, str):
        raise BuildError(f"must be text, not {type(value).__name__}", what)
    if _ATTRIBUTE_ODD(value) is None:
        return value
    _check_characters(value, what)
    return _attribute(value)


def _check_characters(value: str, what: str) -> None:
    found = ILLEGAL.search(value)
    if found is not None:
        raise BuildError(f"holds U+{ord(found.group()):04X}, which XML can't carry", what)


def is_name(name: str) -> bool:
    """Tell whether a text can name an element."""
    return _is_name(name) if len(name) < LONG_NAME else _is_name.__wrapped__(name)


@lru_cache(maxsize=4096)
def _is_name(name: str) -> bool:
    """Tell whether a text can name an element. Beyond ASCII, only the parser knows."""
    if _NAME(name) is not None:
        return True
    if name.isascii() or not name.replace("-", "_").replace(".", "_").isprintable() or set(name) & set(" /<>&:"):
        return False
    try:
        return ET.fromstring(f"<{name}/>").tag == name
    except (ET.ParseError, UnicodeError):
        return False


def check_name(name: Any, what: str) -> str:
    """Return the name of an element if it is valid."""
    if not isinstance(name, str) or not is_name(name):
        raise BuildError(f"{name!r} is not an XML name", what)
    return name
