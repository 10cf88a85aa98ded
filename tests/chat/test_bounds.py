"""Bounds on what a server can make the chat hold: one stanza, a stream's header, names, unsent answers."""

from __future__ import annotations

import tracemalloc

import pytest

from connectycube.chat import Reconnected, StreamFailed, StreamRefused
from connectycube.chat.connection.parser import RENEWAL, StreamParser
from tests.chat.fake import HEADER, Peer, given_up, online, plays_along
from tests.integration.support import eventually, run

OTHER = "5-7001@localhost/x"


@pytest.mark.parametrize(
    ("start", "more"),
    [
        (f"<message from='{OTHER}'><body>", "x" * 65536),
        (f"<message from='{OTHER}'>", "<a/>" * 16384),
        (f"<message from='{OTHER}'>", "<a>" * 16384),
        ("<message from='", "x" * 65536),
        ("<message ", "".join(f"a{number}='' " for number in range(8192))),
        ("<message><!--", "x" * 65536),
        ("", " " * 65536),
    ],
)
def test_endless_stanza_makes_the_chat_reconnect(start: str, more: str) -> None:
    async def main() -> None:
        async def endless(peer: Peer) -> None:
            await peer.session()
            peer.send(start)
            while True:
                peer.send(more)
                await peer._writer.drain()

        async with online(plays_along, endless, plays_along) as (chat, told, peer):
            peer.hang_up()
            failed = await told.one(StreamFailed)
            assert failed.condition == "policy-violation"
            await eventually(lambda: len(told.of(Reconnected)) == 2)
            await chat.ping()

    run(main())


@pytest.mark.parametrize("start", ["<stream:stream a='", "", "<?xml version='1.0' "])
def test_endless_header_ends_the_stream(start: str) -> None:
    async def main() -> None:
        async def endless(peer: Peer) -> None:
            await peer.session(at="header", fault=start)
            while True:
                peer.send(" " * 4096)
                await peer._writer.drain()

        error = await given_up(endless)
        assert (type(error), error.condition) == (StreamRefused, "policy-violation")

    run(main())


@pytest.mark.parametrize(
    "stanza",
    [
        "<message><body>x</body><extraParams><n{0}/></extraParams></message>",
        "<message n{0}=''><body/></message>",
        "<presence n{0}=''/>",
        "<message><x xmlns='urn:n{0}'/></message>",
        "<message><received xmlns='urn:c'><message xmlns='jabber:client'><n{0}/></message></received></message>",
        "<c:message xmlns:c='jabber:client'><n{0}/></c:message>",
    ],
)
def test_names_of_past_stanzas_are_not_kept(stanza: str) -> None:
    parser = StreamParser()
    parser.feed(HEADER.encode())
    number = 0

    def feed(size: int) -> int:
        """Feed stanzas with new names, in pieces that end anywhere, and return how many came out."""
        nonlocal number
        found, rest = 0, b""
        while size > 0:
            text = rest + "".join(stanza.format(f"{number + each:010}") for each in range(1000)).encode()
            number += 1000
            rest = text[-37:]
            found += len(parser.feed(text[:-37]))
            size -= len(text)
        parser.feed(rest)
        assert not parser.fault
        return found

    feed(RENEWAL)
    tracemalloc.start()
    try:
        found = feed(4 * RENEWAL)
        # Each name takes some 200 bytes of Python's alone.
        assert tracemalloc.get_traced_memory()[0] < found * 50
    finally:
        tracemalloc.stop()


def test_stanzas_are_read_alike_however_they_arrive() -> None:
    stanzas = [
        "<r xmlns='urn:xmpp:sm:3'/>",
        "<message from='a&gt;b/>' to='/>'><body>message> &lt;/message></body></message>",
        "<message><forwarded><message><body>inner</body></message></forwarded></message> \n",
        "<s:presence xmlns:s='jabber:client'/>",
        "<iq><q xmlns='urn:q'>" + "x" * 3000 + "</q></iq>",
    ]
    text = (HEADER + "".join(stanzas) * 200 + "</stream:stream>junk").encode()
    for size in (7, 100, 1009, 20_000, RENEWAL + 1, len(text)):
        parser = StreamParser()
        tags = []
        for start in range(0, len(text), size):
            tags += [element.tag.partition("}")[2] for element in parser.feed(text[start : start + size])]
            assert not parser.fault
            if parser.ended:
                break
        assert tags == ["r", "message", "message", "presence", "iq"] * 200
        assert parser.ended
