"""Messages on their way: what the server takes, what becomes of one that it does not, and how many may wait."""

from __future__ import annotations

import asyncio
import socket
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from connectycube.chat import (
    MessageFailed,
    MessageRefused,
    MessageTooLong,
    OutboxFull,
    Reconnected,
    Reconnecting,
)
from connectycube.chat.connection import outbox, stream
from connectycube.rest import InvalidArgument
from tests.chat.fake import BIND_FEATURE, MESSAGE, SM, SM_FEATURE, Peer, Script, online, stream_error
from tests.integration.support import eventually, run

DIALOG = "66f1a7c2e4b0d93a51c8e201"


def announces(limit: int) -> Script:
    async def script(peer: Peer) -> None:
        limits = f"<limits xmlns='urn:xmpp:stream-limits:0'><max-bytes>{limit}</max-bytes></limits>"
        await peer.session(BIND_FEATURE, SM_FEATURE, limits)
        await peer.serve()

    return script


@pytest.mark.parametrize(
    ("announced", "configured", "limit"), [(20_000, None, 20_000), (20_000, 15_000, 15_000), (50, 20_000, 10_000)]
)
def test_message_that_is_too_long_is_not_sent(announced: int, configured: int | None, limit: int) -> None:
    async def main() -> None:
        async with online(announces(announced), max_stanza_size=configured) as (chat, told, peer):
            with pytest.raises(MessageTooLong) as failed:
                await chat.send(5, "ä" * (limit // 2))
            assert failed.value.limit == limit < failed.value.size < limit + 1000
            with pytest.raises(InvalidArgument, match="stanza"):
                await chat.set_presence(status="x" * limit)
            await chat.send(5, "ä" * (limit // 2 - 500))
            assert len([element for element in peer.seen.items if element.tag == MESSAGE]) == 1
            assert not told.of(Reconnecting)

    run(main())


@pytest.mark.parametrize("size", [0, -1, True, 1.5])
def test_invalid_max_stanza_size_is_rejected(size: object) -> None:
    async def main() -> None:
        with pytest.raises(InvalidArgument, match="max_stanza_size"):
            async with online(max_stanza_size=size):
                pass

    run(main())


@pytest.mark.parametrize("condition", ["not-well-formed", "policy-violation", "resource-constraint"])
def test_only_the_message_that_ends_the_stream_fails(condition: str) -> None:
    async def main() -> None:
        received: list[str] = []

        async def refuses(peer: Peer) -> None:
            await peer.session()
            while True:
                element = await peer.next()
                body = element.findtext("{jabber:client}body") or ""
                if body.startswith("bad"):
                    peer.send(stream_error(condition))
                    return
                if element.tag == MESSAGE:
                    received.append(body)
                peer.answer(element)

        async with online(refuses) as (chat, told, _):
            bodies = ["one", "bad two", "three", "bad four", "five"]
            sent = await asyncio.gather(*(chat.send(5, body) for body in bodies), return_exceptions=True)
            assert [type(result) for result in sent if isinstance(result, Exception)] == [MessageRefused] * 2
            for result in (sent[1], sent[3]):
                assert isinstance(result, MessageRefused)
                assert result.condition == condition
            # What came before the culprit was received, though not acknowledged: it comes again with the same id.
            assert [body for at, body in enumerate(received) if body not in received[:at]] == ["one", "three", "five"]
            await chat.send(5, "six")
            assert [(failed.user_id, failed.error) for failed in told.of(MessageFailed)] == [(5, sent[1]), (5, sent[3])]

    run(main())


def test_stream_that_ends_for_another_reason_fails_no_message() -> None:
    async def main() -> None:
        count = 0

        async def refuses_twice(peer: Peer) -> None:
            nonlocal count
            await peer.session()
            while True:
                element = await peer.next()
                if element.tag == MESSAGE and (count := count + 1) in (3, 4):
                    peer.send(stream_error("resource-constraint" if count == 3 else "system-shutdown"))
                    return
                peer.answer(element)

        async with online(refuses_twice) as (chat, _, _peer):
            await asyncio.gather(*(chat.send(5, f"{number}") for number in range(3)))

    run(main())


def test_full_outbox_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "MOST_ITEMS", 3)

    async def main() -> None:
        async with online() as (chat, _, peer):
            await chat.ping()
            peer.acking = False
            sending = [asyncio.ensure_future(chat.send(5, text)) for text in "abcd"]
            with pytest.raises(OutboxFull) as full:
                await sending.pop()
            assert full.value.waiting == 3
            await chat.ping()
            peer.acking = True
            peer.ack()
            await asyncio.gather(*sending)
            await chat.send(5, "e")

    run(main())


def test_long_messages_fill_the_outbox_sooner(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "MOST_BYTES", 5000)

    async def main() -> None:
        async with online() as (chat, _, peer):
            await chat.ping()
            peer.acking = False
            first = asyncio.ensure_future(chat.send(5, "x" * 4000))
            await asyncio.sleep(0)
            with pytest.raises(OutboxFull):
                await chat.send(5, "x" * 1000)
            await chat.ping()
            peer.acking = True
            peer.ack()
            await first
            await chat.send(5, "x" * 4000)

    run(main())


def mark_of(element: ET.Element) -> str:
    found = element.find("{urn:xmpp:chat-markers:0}received")
    return "" if found is None else found.get("id", "")


def test_oldest_automatic_marks_are_dropped(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(outbox, "MOST_MARKS", 3)
    peers: list[Peer] = []

    async def main() -> None:
        async def script(peer: Peer) -> None:
            peers.append(peer)
            await peer.session()
            peer.acking = len(peers) > 1
            await peer.serve()

        async with online(script) as (chat, told, first):
            extra = f"<extraParams><dialog_id>{DIALOG}</dialog_id></extraParams>"
            content = f"<body>x</body><markable xmlns='urn:xmpp:chat-markers:0'/>{extra}"
            for number in range(10):
                first.send(f"<message from='5-7001@localhost' type='chat' id='m{number}'>{content}</message>")
            await first.seen.wait(10, lambda element: bool(mark_of(element)))
            first.hang_up()
            await told.one(Reconnected)
            await chat.send(5, "next")
            again = [mark_of(element) for element in peers[1].seen.items if mark_of(element)]
            assert again == ["m7", "m8", "m9"]
        assert caplog.text.count("the oldest are dropped") == 1

    run(main())


def test_server_that_reads_nothing_is_not_read_either(monkeypatch: pytest.MonkeyPatch) -> None:
    most = 100_000
    monkeypatch.setattr(stream, "MOST_UNSENT", most)

    async def main() -> None:
        stopped = asyncio.Event()

        async def asks_without_reading(peer: Peer) -> None:
            await peer.session()
            while (element := await peer.next()).tag != MESSAGE:
                peer.answer(element)
            pings = "".join(f"<iq type='get' id='p{n}' from='x'><ping xmlns='urn:xmpp:ping'/></iq>" for n in range(500))
            peer._writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32_768)
            while not stopped.is_set():
                if peer._writer.transport.get_write_buffer_size() < 100_000:
                    peer.send(pings)
                await asyncio.sleep(0.001)

        async with online(asks_without_reading) as (chat, _, _peer):
            current = chat._traffic.stream
            assert current is not None
            transport: Any = current.transport
            transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 32_768)
            sending = asyncio.ensure_future(chat.send(5, "go"))
            await eventually(lambda: not transport.is_reading())
            assert most < current.unsent < 10 * most
            stopped.set()
            await sending
            await chat.ping()
            assert transport.is_reading()

    run(main())


def test_slow_line_shows_its_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each few kilobytes ask for an acknowledgement, so that the last answer is not the first sign of life."""

    async def main() -> None:
        async with online() as (chat, _, peer):
            await chat.ping()
            acks: list[int] = []
            monkeypatch.setattr(peer, "ack", lambda: acks.append(peer.count))
            sending = [asyncio.ensure_future(chat.send(5, "x" * 1000)) for _ in range(40)]
            await peer.seen.wait(40, lambda element: element.tag == MESSAGE)
            await eventually(lambda: len(acks) >= 4)
            peer.send(f"<a xmlns='{SM}' h='{peer.count}'/>")
            await asyncio.gather(*sending)
            monkeypatch.undo()

    run(main())
