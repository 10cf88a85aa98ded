"""Mutations that know XML. The XML parser rejects most mutated bytes, so the code behind it sees few of them."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from random import Random
from xml.etree import ElementTree as ET

TEXTS = [
    "",
    " ",
    "0",
    "-1",
    "1e999",
    "NaN",
    "[1,",
    '{"a":[1.0]}',
    "%7B%22a%22%3A1%7D",
    "%",
    "9" * 18,
    "9" * 20,
    "1770231600000",
    "true",
    "TRUE",
    "=",
    "QQ==",
    "2026-02-04T18:00:00Z",
    "0001-01-01T00:00:00+14:00",
    "9999-12-31T23:59:59-14:00",
    "]]>",
    "a\tb\nc\rd",
    "\u2028",
    "\ud7ff",
    "\ufffd",
    "\U0010ffff",
    "\u00e9",
    "\"&<>'",
    "81001-7001@chat.connectycube.com/phone",
    "muc.chat.connectycube.com/81002",
    "headline",
    "groupchat",
    "error",
    "WebRTCVideoChat",
    "SystemNotifications",
]
NAMES = ["a", "xmlns", "xml", "\u00e9", "x-1", "a.b", "_", "unknown", "body", "item"]
PIECES = [
    b"<!DOCTYPE a [<!ENTITY b 'c'>]>",
    b"&b;",
    b"&#0;",
    b"&#13;",
    b"&#xFFFE;",
    b"<!--c-->",
    b"<?p?>",
    b"<![CDATA[<c>]]>",
    b"]]>",
    b"\x00",
    b"\xff\xfe",
    b"\xef\xbb\xbf",
    b"\xed\xa0\x80",
    b"\xef\xbf\xbe",
    b"</stream>",
    b"<mark/>",
    b"<a>",
    b"</a>",
    b"<a/>",
    b' xmlns=""',
    b" xmlns:p='urn:p'",
    b"p:",
    b' xml:lang="de"',
    b"stream:",
    b"\r\n",
]
NAMESPACES = ["", "jabber:client", "urn:other", "http://www.w3.org/XML/1998/namespace", 'a"&b', " "]


class Mutator:
    """A custom mutator for atheris.

    :param corpus: examples whose elements, attributes and texts are inserted into others.
    """

    def __init__(self, corpus: Sequence[bytes]) -> None:
        self.corpus = corpus
        self.elements = [part for xml in corpus if (root := _root(xml)) is not None for part in root.iter()]
        self.tags = sorted({part.tag for part in self.elements})
        self.attributes = sorted({item for part in self.elements for item in part.items()})
        self.texts = sorted({part.text for part in self.elements if part.text} | set(TEXTS))

    def __call__(self, data: bytes, max_size: int, seed: int) -> bytes:
        random = Random(seed)
        root = _root(data) if random.random() < 0.5 else None
        found = self.text(data, random) if root is None else self.tree(root, random)
        return found[:max_size]

    def text(self, data: bytes, random: Random) -> bytes:
        """Insert, remove or change bytes."""
        start = random.randrange(len(data) + 1)
        end = min(len(data), start + random.choice((0, 1, 1, 2, 4, 16)))
        match random.randrange(4):
            case 0:
                middle = bytes([random.randrange(256)])
            case 1:
                middle = random.choice(PIECES)
            case 2:
                middle = data[start:end] * 2
            case _:
                other = random.choice(self.corpus)
                middle = other[random.randrange(len(other)) :][: random.choice((4, 16, 64))]
        return data[:start] + middle + data[end:]

    def tree(self, root: ET.Element, random: Random) -> bytes:
        """Insert, remove or change elements, attributes and texts."""
        for _ in range(random.choice((1, 1, 1, 2, 4))):
            self.change(root, random)
        try:
            return ET.tostring(root)
        except ValueError:
            return b""

    def change(self, root: ET.Element, random: Random) -> None:
        parts = list(root.iter())
        part = random.choice(parts)
        other = random.choice(parts)
        match random.randrange(9):
            case 0 if len(part):
                part.remove(random.choice(list(part)))
            case 1:
                part.insert(random.randrange(len(part) + 1), deepcopy(random.choice(self.elements)))
            case 2:
                part.append(deepcopy(other))
            case 3:
                part.tag = random.choice(self.tags)
            case 4:
                local = part.tag.rpartition("}")[2]
                part.tag = f"{{{random.choice(NAMESPACES)}}}{local}" if random.random() < 0.5 else local
            case 5:
                part.set(*random.choice(self.attributes))
            case 6 if part.attrib:
                name = random.choice(list(part.attrib))
                value = part.attrib.pop(name)
                if random.random() < 0.7:
                    part.set(name, random.choice(self.texts))
                elif random.random() < 0.5:
                    part.set(f"{{{random.choice(NAMESPACES[1:])}}}{random.choice(NAMES)}", value)
            case 7:
                part.text = random.choice(self.texts)
            case _:
                child = ET.SubElement(part, random.choice(NAMES) if random.random() < 0.3 else random.choice(self.tags))
                child.text = random.choice(self.texts)
                child.tail = random.choice((None, None, "tail"))


def _root(data: bytes) -> ET.Element | None:
    try:
        return ET.fromstring(data)
    except (ET.ParseError, ValueError, LookupError):
        return None
