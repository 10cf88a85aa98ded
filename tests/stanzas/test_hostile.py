"""Hostile input gives a stanza or `StanzaError`, and nothing else."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from slixmpp import Message

from connectycube.stanzas import MAX_SIZE, ChatMessage, HeadlineMessage, StanzaError, _xml, parse

GOOD = '<message xmlns="jabber:client" type="chat"><body>hi</body></message>'


def chat(inner: str) -> str:
    return f'<message xmlns="jabber:client" type="chat"><body>hi</body>{inner}</message>'


def body(xml: str | bytes | ET.Element) -> str | None:
    found = parse(xml)
    assert isinstance(found, ChatMessage)
    return found.body


@pytest.fixture(autouse=True)
def _reads_on() -> Any:
    """Check after every hostile input that the next stanza is read as usual."""
    yield
    assert body(GOOD) == "hi"


LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
REFUSED = {
    "dtd": "<!DOCTYPE message>" + GOOD,
    "billion laughs": f'<!DOCTYPE m [<!ENTITY l0 "lol">{LAUGHS}]><message><body>&l9;</body></message>',
    "external entity": '<!DOCTYPE m [<!ENTITY e SYSTEM "file:///etc/passwd">]><message><body>&e;</body></message>',
    "external dtd": '<!DOCTYPE m SYSTEM "http://127.0.0.1:9/m.dtd">' + GOOD,
    "parameter entity": '<!DOCTYPE m [<!ENTITY % p "x"> %p;]>' + GOOD,
    "dtd inside": chat("<!DOCTYPE a>"),
    "unknown entity": chat("<x>&nbsp;</x>"),
    "comment": chat("<!-- c -->"),
    "comment before": "<!-- c -->" + GOOD,
    "comment after cdata": chat("<x><![CDATA[a]]></x><!-- c --><x><![CDATA[b]]></x>"),
    "instruction": chat("<?php evil ?>"),
    "declaration": "<?xml version='1.0'?>" + GOOD,
    "declaration of utf-7": "<?xml version='1.0' encoding='utf-7'?>" + GOOD,
    "open cdata": chat("<x><![CDATA[a</x>"),
    "two": GOOD + GOOD,
    "none": "",
    "space": " \n ",
    "text": "hello",
    "junk before": "x" + GOOD,
    "junk after": GOOD + "x",
    "cut": GOOD[:-3],
    "cut in a tag": GOOD[:20],
    "only an end": "</message>",
    "end of the stream": GOOD + "</stream>",
    "end and new stream": "</stream><stream>" + GOOD,
    "end of the stream first": "</stream>" + GOOD,
    "mark": "<mark/>",
    "mark after": GOOD + "<mark/>",
    "open, mark": "<message><mark/>",
    "undeclared prefix": chat("<p:x/>"),
    "undeclared prefix of an attribute": chat('<x p:a="1"/>'),
    "undeclared prefix of the root": "<p:message/>",
    "duplicate attribute": '<message type="chat" type="chat"><body>a</body></message>',
    "duplicate by namespace": chat('<x xmlns:p="urn:p" xmlns:q="urn:p" p:a="1" q:a="2"/>'),
    "rebound xml": chat('<x xmlns:xml="urn:x"/>'),
    "bound xmlns": chat('<x xmlns:xmlns="urn:x"/>'),
    "nul": chat("<x>\0</x>"),
    "nul at the end": GOOD + "\0",
    "nul reference": chat("<x>&#0;</x>"),
    "control character": chat("<x>\x01</x>"),
    "U+FFFE reference": chat("<x>&#xFFFE;</x>"),
    "surrogate reference": chat("<x>&#xD800;</x>"),
    "lone surrogate": chat("<x>\ud800</x>"),
    "lone surrogate in a name": chat("<x\udfff/>"),
    "less-than in an attribute": chat('<x a="<"/>'),
    "other root": "<html/>",
    "other namespace": '<message xmlns="urn:other"/>',
    "no namespace": '<message xmlns=""/>',
    "prefix of another namespace": '<p:message xmlns:p="jabber:server"/>',
}


@pytest.mark.parametrize("text", REFUSED.values(), ids=REFUSED)
def test_is_rejected(text: str) -> None:
    with pytest.raises(StanzaError):
        parse(text)
    with pytest.raises(StanzaError):
        parse(text.encode("utf-8", "surrogatepass"))


@pytest.mark.parametrize(
    "data",
    [GOOD.encode(name) for name in ("utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le")]
    + [GOOD.encode() + tail for tail in (b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xf5\x80\x80\x80", b"\xe2\x82")]
    + [
        GOOD.encode().replace(b"hi", bad)
        for bad in (b"\xff", b"\xc0\xbc", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe9")
    ],
)
def test_other_encodings_are_rejected(data: bytes) -> None:
    with pytest.raises(StanzaError):
        parse(data)


def test_byte_order_mark_is_rejected() -> None:
    with pytest.raises(StanzaError):
        parse("\ufeff" + GOOD)


def test_utf_7_is_text() -> None:
    assert body(GOOD.replace("hi", "+ADw-x+AD4-")) == "+ADw-x+AD4-"


def test_cdata_is_text() -> None:
    assert body(GOOD.replace("hi", "<![CDATA[<!-- & <?x?> <!DOCTYPE a>]]>")) == "<!-- & <?x?> <!DOCTYPE a>"


def test_escaped_declarations_are_text() -> None:
    assert body(GOOD.replace("hi", "&lt;!DOCTYPE a> ?> !")) == "<!DOCTYPE a> ?> !"


def test_prefixed_names_are_equivalent() -> None:
    assert body('<p:message xmlns:p="jabber:client" type="chat"><p:body>hi</p:body></p:message>') == "hi"


def test_surrounding_space_is_ignored() -> None:
    assert body(f"\r\n {GOOD}\n") == "hi"


def test_xml_attributes_are_kept() -> None:
    found = parse('<message type="chat" xml:lang="de" xml:space="preserve"><body>hi</body></message>')
    assert isinstance(found, ChatMessage)
    assert found.lang == "de"
    assert found.unknown_attributes == (("{http://www.w3.org/XML/1998/namespace}space", "preserve"),)
    assert parse(found.to_xml()) == found


def test_many_attributes() -> None:
    attributes = " ".join(f'a{number}="{number}"' for number in range(20_000))
    found = parse(GOOD.replace("type=", f"{attributes} type="))
    assert len(found.unknown_attributes) == 20_000  # type: ignore[attr-defined]
    assert parse(found.to_xml()) == found


# -- nesting and size


def carbons(levels: int) -> str:
    around = '<message from="1-2@c"><{0} xmlns="urn:xmpp:carbons:2"><forwarded xmlns="urn:xmpp:forward:0">'
    starts = [around.format("sent" if level % 2 else "received") for level in range(levels)]
    ends = ["</forwarded></%s></message>" % ("sent" if level % 2 else "received") for level in reversed(range(levels))]
    return "".join([*starts, GOOD, *ends]).replace("<message from", '<message xmlns="jabber:client" from')


# `{}` is the place; the number counts the elements around it.
PLACES = {
    "unknown child": (1, chat("{}")),
    "params": (2, chat("<extraParams>{}</extraParams>")),
    "a param": (3, chat("<extraParams><p>{}</p></extraParams>")),
    "text child": (2, '<message type="chat"><body>{}</body></message>'),
    "text child of params": (3, chat("<extraParams><dialog_id>{}</dialog_id></extraParams>")),
    "flag": (
        4,
        '<iq id="1" type="set"><query xmlns="jabber:iq:privacy"><list name="a">'
        '<item action="deny" order="1">{}</item></list></query></iq>',
    ),
    "attachment": (3, chat('<extraParams><attachment type="a">{}</attachment></extraParams>')),
    "headline": (1, '<message type="headline">{}</message>'),
    "result": (1, '<iq id="1" type="result">{}</iq>'),
    "presence": (1, "<presence>{}</presence>"),
    "error": (2, '<message type="error"><error type="cancel">{}</error></message>'),
}


@pytest.mark.parametrize(("around", "place"), PLACES.values(), ids=PLACES)
def test_nesting_is_limited(around: int, place: str) -> None:
    def nested(levels: int) -> str:
        return place.format("<a>" * levels + "</a>" * levels)

    deepest = parse(nested(100 - around))
    assert parse(deepest.to_xml()) == deepest
    for levels in (101 - around, 5_000, 100_000):
        for given in (nested(levels), nested(levels).encode()):
            with pytest.raises(StanzaError, match="deeper than 100"):
                parse(given)
    element = ET.fromstring(f'<stream xmlns="jabber:client">{nested(101 - around)}</stream>')[0]
    with pytest.raises(StanzaError, match="deeper than 100"):
        parse(element)


def test_carbons_inside_carbons() -> None:
    fits = parse(carbons(32))
    assert parse(fits.to_xml()) == fits
    for levels in (33, 34, 1_000, 4_000):
        with pytest.raises(StanzaError, match="deeper than 100"):
            parse(carbons(levels))


def test_wide_is_not_deep() -> None:
    found = parse(chat("<x><y/></x>" * 10_000))
    assert len(found.unknown) == 10_000  # type: ignore[attr-defined]


@pytest.mark.parametrize("given", [GOOD, GOOD.encode()], ids=["text", "bytes"])
def test_size_is_limited(given: str | bytes) -> None:
    assert body(given) == "hi"
    assert parse(given, max_size=len(given)) == parse(given)
    with pytest.raises(StanzaError, match=f"larger than {len(given) - 1}"):
        parse(given, max_size=len(given) - 1)
    with pytest.raises(StanzaError, match="larger than"):
        ChatMessage.parse(given, max_size=10)


def test_default_size_limit_can_be_raised() -> None:
    large = GOOD.replace("hi", "a" * MAX_SIZE)
    with pytest.raises(StanzaError, match="larger than"):
        parse(large)
    assert len(ChatMessage.parse(large, max_size=2 * MAX_SIZE).body or "") == MAX_SIZE


# -- what is given


def test_elements_of_element_tree() -> None:
    assert body(ET.fromstring(GOOD)) == "hi"
    with pytest.raises(StanzaError):
        parse(ET.Element("message"))


def test_elements_of_slixmpp() -> None:
    message = Message()  # type: ignore[no-untyped-call]
    message["type"] = "chat"
    message["body"] = "hi"
    message["to"] = "81001-7001@chat.connectycube.com"
    found = parse(message.xml)
    assert isinstance(found, ChatMessage)
    assert (found.body, found.to) == ("hi", "81001-7001@chat.connectycube.com")
    message["type"] = "headline"
    assert isinstance(parse(message.xml), HeadlineMessage)


@pytest.mark.parametrize("given", [None, 5, 1.5, [GOOD], {"xml": GOOD}, object(), ET.ElementTree(ET.Element("a"))])
def test_other_types_are_rejected(given: Any) -> None:
    with pytest.raises(TypeError):
        parse(given)


# -- the parser behind


def test_threads_read_in_parallel() -> None:
    def read(number: int) -> bool:
        if number % 3 == 0:
            with pytest.raises(StanzaError):
                parse(GOOD[: number % len(GOOD)])
            return True
        return body(GOOD.replace("hi", str(number))) == str(number)

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(read, range(5_000)))


def test_parsers_are_renewed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Expat keeps each name that it has seen, so a parser is replaced before they fill the memory."""
    made: list[int] = []

    class Counted(_xml._Stream):
        __slots__ = ()

        def __init__(self) -> None:
            super().__init__()
            made.append(0)

        def read(self, text: bytes) -> ET.Element:
            made[-1] += 1
            return super().read(text)

    monkeypatch.setattr(_xml, "_Stream", Counted)
    _xml._streams.clear()
    for number in range(200_000):
        _xml.read(f"<n{number} a{number}='1'/>", 100)
    _xml._streams.clear()
    assert sum(made) == 200_000
    assert max(made) <= 250
    assert len(made) <= 1_000


def test_broken_parsers_are_not_kept() -> None:
    body(GOOD)
    kept = len(_xml._streams)
    for text in REFUSED.values():
        with pytest.raises(StanzaError):
            parse(text)
    assert len(_xml._streams) <= kept
