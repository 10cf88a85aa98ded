"""Reading stanzas of any class. The classes of a root element are loaded when its first stanza arrives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final
from xml.etree.ElementTree import Element as XMLElement

from ._xml import MAX_SIZE, Stanza, StanzaError, check_depth, local, read

Reader = Callable[[XMLElement], Stanza]

# Filled by the package with the table of `_families`. An import of that table would close a circle: it imports the
# classes, and those that hold other stanzas import this module.
FAMILIES: Final[dict[str, Callable[[], Reader]]] = {}
"""By tag, the function that loads the classes of a root element and returns their reader."""

_readers: Final[dict[str, Reader]] = {}
"""The readers that are loaded."""


def parse(xml: str | bytes | XMLElement, *, max_size: int = MAX_SIZE) -> Stanza:
    """Read a stanza.

    An element without a namespace is read as one of `jabber:client`, as it is on a stream.

    :param xml: text, UTF-8 bytes, or an element made by ElementTree or slixmpp.
    :param max_size: the size limit, in bytes, or in characters of a text.
    :raises StanzaError: if the XML is invalid, forbidden by RFC 6120, too large, too deep, or fits no class.
    """
    return read_root(read(xml, max_size))


def read_inner(element: XMLElement) -> Stanza:
    """Read a stanza inside another one."""
    check_depth(element)
    return read_root(element)


def read_root(element: XMLElement) -> Stanza:
    """Read a stanza of any class.

    :raises StanzaError: if no class fits.
    """
    reader = _readers.get(element.tag)
    if reader is None:
        load = FAMILIES.get(element.tag)
        if load is None:
            raise StanzaError(f"no stanza is called {element.tag}", local(element.tag))
        reader = _readers[element.tag] = load()
    return reader(element)
