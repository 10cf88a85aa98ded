"""Bounds on what a server can make the chat hold: one stanza, a stream's header, names, unsent answers."""

from __future__ import annotations

import asyncio
import tracemalloc

import pytest

from connectycube.chat import (
    MessageReceived,
    MessageSent,
    Reason,
    Reconnected,
    Reconnecting,
    StreamFailed,
    StreamRefused,
)
from connectycube.chat.connection.parser import RENEWAL, StreamParser
from connectycube.chat.features import roster
from tests.chat.fake import APP_ID, HEADER, HOST, MESSAGE, Peer, given_up, online, plays_along
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
            # The session with the endless stanza was lost before it was set up, and so is not reported.
            await told.one(Reconnected)
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
        assert tracemalloc.get_traced_memory()[0] < found * 100
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


def test_a_large_tag_is_not_read_anew_for_each_small_piece() -> None:
    parser, pieces = StreamParser(), 0
    parser.feed(HEADER.encode())
    feed = parser._feed

    def count(data: bytes) -> None:
        nonlocal pieces
        pieces += 1
        feed(data)

    parser._feed = count
    text = b"<message id='" + b"x" * 256 * 1024 + b"'/>"
    stanzas = [stanza for start in range(0, len(text), 4096) for stanza in parser.feed(text[start : start + 4096])]
    assert [len(stanza.get("id", "")) for stanza in stanzas] == [256 * 1024]
    assert pieces < 100


@pytest.mark.parametrize("kind", ["", "unavailable", "subscribed", "unsubscribe", "unsubscribed"])
def test_presences_of_strangers_leave_nothing(kind: str) -> None:
    async def main() -> None:
        async with online() as (chat, _, peer):
            for number in range(100):
                peer.send(f"<presence from='{number + 1}-{APP_ID}@{HOST}/x'{f' type={kind!r}' if kind else ''}/>")
            peer.send(f"<iq type='get' id='last' from='{OTHER}'><ping xmlns='urn:xmpp:ping'/></iq>")
            await peer.seen.one(lambda element: element.get("id") == "last")
            assert not chat._features.roster._entries

    run(main())


def test_number_of_requests_that_wait_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(roster, "MOST_REQUESTS", 5)

    async def main() -> None:
        async with online() as (chat, _, peer):
            for number in range(20):
                peer.send(f"<presence from='{number + 1}-{APP_ID}@{HOST}' type='subscribe'/>")
            peer.send(f"<iq type='get' id='last' from='{OTHER}'><ping xmlns='urn:xmpp:ping'/></iq>")
            await peer.seen.one(lambda element: element.get("id") == "last")
            assert len(chat.contacts.incoming) == 5

    run(main())


def test_long_ids_are_not_remembered() -> None:
    async def main() -> None:
        async with online() as (chat, told, peer):
            for number in range(10):
                long = "x" * 50_000 + str(number)
                peer.send(f"<message from='{OTHER}' type='chat' id='{long}'><body>hello</body></message>")
            await eventually(lambda: len(told.of(MessageReceived)) == 10)
            assert not chat._features.messages.heard.get((5, long))

    run(main())


@pytest.mark.parametrize("keeps_open", ["", " "])
def test_owed_answer_that_does_not_come_means_a_dead_connection(keeps_open: str) -> None:
    async def main() -> None:
        async def falls_silent(peer: Peer) -> None:
            await peer.session()
            while (element := await peer.next()).tag != MESSAGE:
                peer.answer(element)
            peer.acking = peer.answering = False
            serving = asyncio.ensure_future(peer.serve())
            while not serving.done():
                peer.send(keeps_open)
                await asyncio.sleep(0.01)

        async with online(falls_silent, plays_along, keepalive=0.6) as (chat, told, _):
            await chat.send(5, "hello")
            assert (await told.one(Reconnecting)).error.reason is Reason.TIMEOUT
            assert len(told.of(MessageSent)) == 1

    run(main())


def test_any_stanza_shows_that_a_connection_is_alive() -> None:
    async def main() -> None:
        async def acknowledges_late(peer: Peer) -> None:
            await peer.session()
            while (element := await peer.next()).tag != MESSAGE:
                peer.answer(element)
            for _ in range(10):  # Together they take longer than an answer may.
                await asyncio.sleep(0.06)
                peer.send(f"<message from='{OTHER}' type='chat'><body>busy</body></message>")
            peer.ack()

        async with online(acknowledges_late, keepalive=1.2) as (chat, told, _):
            await chat.send(5, "hello")
            assert not told.of(Reconnecting)

    run(main())
