"""From the bytes of a stream to its stanzas, in bounded memory whatever the server sends.

The parser is C code that builds the elements of a stanza at once. Python sees whole stanzas only.
"""

from __future__ import annotations

import re
from copy import copy
from typing import Any, Final, NoReturn
from xml.etree import ElementTree as ET
from xml.parsers import expat

from connectycube.stanzas import StanzaError

__all__ = ["MOST_BYTES", "StreamParser", "readable_part"]

MESSAGE: Final = "{jabber:client}message"

MOST_BYTES: Final = 512 * 1024
"""Bytes of the largest stanza. Servers allow users half of that (ejabberd and Prosody: 256 KiB)."""

MOST_TAGS: Final = 128 * 1024
"""Tags of the largest stanza. An element takes some 300 bytes, however short its tag is."""

MOST_HEADER: Final = 16 * 1024
"""Bytes up to the end of the stream's opening tag."""

RENEWAL: Final = 256 * 1024
"""Bytes after which a parser is replaced. It keeps each name that it has met, and strangers can make up names."""

# Since version 2.6, expat defers an element that arrives in pieces until more data comes: the last stanza would wait
# for the next one. `flush` ends that. It is new in Python 3.13, and in bug fix releases of older versions.
DEFERS: Final = expat.version_info >= (2, 6) and not hasattr(ET.XMLParser, "flush")

PIECE: Final = MOST_BYTES if DEFERS else 512
"""Bytes that expat gets at a time. Its buffer keeps twice the size of the largest piece until the stream ends."""

LARGE: Final = 16 * 1024
"""Bytes of an incomplete stanza after which expat gets all at once: it reads an unfinished tag anew with each piece."""

_opening = re.compile(
    rb"(?:\xef\xbb\xbf)?\s*(?:<\?xml\s[^>]*\?>\s*)?<[^<>!?\"'](?:[^<>\"']|\"[^\"]*\"|'[^']*')*>"
).match
_whole_tag = re.compile(rb"<(?:[^<>\"']|\"[^\"]*\"|'[^']*')*>").fullmatch


class _Restricted(Exception):
    """A comment or a processing instruction."""


class StreamParser:
    """Reads one stream. Its document ends with the stream, or with the first fault.

    :ivar root: the stream's element, without its stanzas; `None` until it is open.
    :ivar fault: the stream error for what the server did wrong; empty if it did nothing wrong.
    :ivar ended: whether the server has closed the stream.
    """

    __slots__ = ("_age", "_bytes", "_ends", "_feed", "_flush", "_header", "_last", "_tags", "ended", "fault", "root")

    def __init__(self) -> None:
        self.root: Any = None
        self.fault = ""
        self.ended = False
        self._header = b""
        self._last = ""
        self._bytes = self._tags = 0
        """The size of the incomplete stanza, as far as it has arrived."""
        self._start()

    def _start(self) -> Any:
        builder = ET.TreeBuilder(comment_factory=_refuse, pi_factory=_refuse)
        parser: Any = ET.XMLParser(target=builder)
        self._ends: list[tuple[str, ET.Element]] = []
        """The elements that ended during the current call."""
        parser._setevents(
            self._ends, ("end", "pi")
        )  # As XMLPullParser does, whose generator costs more than the parsing.
        self._feed = parser.feed
        self._flush = getattr(parser, "flush", None)
        self._age = 0
        return builder

    def feed(self, data: bytes) -> list[ET.Element]:
        """Return the stanzas that are complete with this data.

        Those before a fault or the end of the stream are complete, too.
        """
        if self.root is None:
            return self._open(data)
        self._age += len(data)
        if self._age > RENEWAL and (cut := self._boundary(data)):
            stanzas = self._take(data[:cut])
            if not (self._bytes or self.fault or self.ended):
                self._renew()
            rest = data[cut:]
            return stanzas + self._take(rest) if rest and not (self.fault or self.ended) else stanzas
        return self._take(data)

    def _open(self, data: bytes) -> list[ET.Element]:
        self._header += data
        self.fault = _refused(self._header)
        match = None if self.fault else _opening(self._header)
        if match is None:
            if len(self._header) > MOST_HEADER:
                self.fault = "policy-violation"
            elif self._header.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] not in (b"", b"<"):
                self.fault = self.fault or "not-well-formed"
            return []
        self._header, rest = self._header[: match.end()], self._header[match.end() :]
        self._renew()
        return self._take(rest) if rest and not (self.fault or self.ended) else []

    def _renew(self) -> None:
        """Open the stream once more in a new parser."""
        builder = self._start()
        try:
            self._feed(self._header)
            if self._flush is not None:
                self._flush()
        except ET.ParseError:
            self.fault = "not-well-formed"
            return
        self.root = builder.close()
        self.ended = bool(self._ends)
        self._ends.clear()

    def _boundary(self, data: bytes) -> int:
        """Return where a stanza seems to end in the data; 0 if nowhere."""
        end = self._last.rpartition("}")[2].encode() + b">"
        cut = data.rfind(end) + len(end)
        if cut < len(end):
            cut = data.rfind(b"/>") + 2
        # An attribute may hold what looks like the end of a tag, but never "<".
        return cut if _whole_tag(data[data.rfind(b"<", 0, cut) : cut]) else 0

    def _take(self, data: bytes) -> list[ET.Element]:
        root, ends = self.root, self._ends
        try:
            piece = PIECE if self._bytes < LARGE else MOST_BYTES
            for start in range(0, len(data), piece):
                self._feed(data[start : start + piece])
            if self._flush is not None:
                self._flush()
        except ET.ParseError:
            self.fault = "not-well-formed"
        except _Restricted:
            self.fault = "restricted-xml"
        last = ends[-1][1] if ends else None
        ends.clear()
        stanzas: list[ET.Element] = root[:]
        if last is not None and stanzas and last is stanzas[-1]:
            root.clear()
            self._last = last.tag
            self._bytes = self._tags = 0
        elif last is root:
            self.ended, self.fault = True, ""  # What follows the end does not belong to the stream.
        else:
            if stanzas:
                del stanzas[-1], root[:-1]  # The last one is incomplete.
                if stanzas:
                    self._bytes = self._tags = 0
            self._bytes += len(data)
            self._tags += data.count(b"<")
            if self._bytes > MOST_BYTES or self._tags > MOST_TAGS or self._age > RENEWAL + 4 * MOST_BYTES:
                self.fault = self.fault or "policy-violation"
        return stanzas


def _refuse(*_: object) -> NoReturn:
    raise _Restricted


def _refused(prolog: bytes) -> str:
    """Return the stream error for what precedes the stream's opening tag; empty if it is acceptable.

    A document type could declare entities that expand without bound or read files (RFC 6120 section 11.1). In an
    encoding other than UTF-8 it would go unnoticed (section 11.6).
    """
    if prolog[:2] in (b"\xff\xfe", b"\xfe\xff") or b"\0" in prolog[:4]:
        return "unsupported-encoding"
    rest = prolog.removeprefix(b"\xef\xbb\xbf").lstrip()
    if rest[:5] == b"<?xml" and rest[5:6].isspace():
        rest = rest.partition(b"?>")[2].lstrip()
    # While a processing instruction is incomplete, it may still be the XML declaration, which is allowed.
    if rest[:2] == b"<!" or (rest[:2] == b"<?" and not b"<?xml".startswith(rest[:6])):
        return "restricted-xml"
    return ""


def readable_part(element: ET.Element, error: StanzaError) -> ET.Element | None:
    """Return a message without the children that can't be read; `None` if it is something else.

    Other clients show the text of such a message, so its sender must not be able to hide it from this one.
    """
    if element.tag != MESSAGE or len(error.path) < 2:
        return None
    readable = copy(element)
    readable[:] = [child for child in element if child.tag.rpartition("}")[2] != error.path[1]]
    return readable if len(readable) < len(element) else None
