"""How a new session begins, and when `connect` returns."""

from __future__ import annotations

import asyncio
import logging
from xml.etree import ElementTree as ET

import pytest

from connectycube.chat import Connected, Reconnected, Reconnecting
from connectycube.rest import InvalidArgument
from tests.chat.fake import CLIENT, IQ, PRESENCE, Fake, Peer, chat_with, online, plays_along, stream_error
from tests.integration.chats import Told
from tests.integration.support import eventually, run

CARBONS = "{urn:xmpp:carbons:2}enable"
TIME = "{urn:xmpp:time}time"
FOLLOW = "{https://connectycube.com/protocol/status_streaming}subscribe"
ROSTER = "{jabber:iq:roster}query"


def test_session_is_reported_after_the_server_has_handled_the_presence() -> None:
    """Otherwise, someone who writes to the user at once might find the user offline."""

    async def main() -> None:
        connecting: list[asyncio.Task[None]] = []

        async def script(peer: Peer) -> None:
            await peer.session(set_up=False)
            assert (await peer.expect(IQ))[0].tag == TIME  # Nothing waits for the answer.
            roster = await peer.expect(IQ)
            assert roster[0].tag == ROSTER
            peer.answer(roster)
            await peer.expect(PRESENCE)
            last = await peer.expect(IQ)
            assert last[0].tag == CARBONS
            assert not connecting[0].done()
            assert not told.seen.items
            peer.answer(last)
            await peer.serve()

        async with Fake(script) as fake:
            chat = chat_with(fake)
            told = Told(chat)
            connecting.append(asyncio.ensure_future(chat.connect()))
            await connecting[0]
            assert told.seen.items == [Connected(jid=chat.jid)]
            await chat.disconnect()

    run(main())


def test_new_session_is_reported_once_it_is_restored() -> None:
    async def main() -> None:
        restored: list[bool] = []

        async def script(peer: Peer) -> None:
            await peer.session()
            while (element := await peer.next()).find(FOLLOW) is None:
                peer.answer(element)
            restored.append(not told.of(Reconnected))
            peer.answer(element)
            await peer.serve()

        async with Fake(script) as fake:
            chat = chat_with(fake)
            told = Told(chat)
            async with chat:
                await chat.subscribe_last_activity(5)
                (await fake.peers.one()).hang_up()
                assert await told.one(Reconnected) == Reconnected(resumed=False)
                assert restored == [True, True]

    run(main())


def test_session_that_is_lost_while_it_is_set_up_is_not_reported() -> None:
    async def main() -> None:
        async def script(peer: Peer) -> None:
            await peer.session()
            peer.hang_up()

        async with Fake(script, plays_along) as fake:
            chat = chat_with(fake)
            told = Told(chat)
            async with chat:
                assert [type(event) for event in told.seen.items] == [Reconnecting, Connected]

    run(main())


def test_presence_set_later_is_restored_after_a_reconnect() -> None:
    """A presence is kept across reconnects, but only until the chat is disconnected."""

    async def main() -> None:
        async def script(peer: Peer) -> None:
            await peer.session(set_up=False)
            await peer.serve()

        def is_presence(element: ET.Element) -> bool:
            return element.tag == PRESENCE and element.get("type") is None

        async with Fake(script) as fake:
            chat = chat_with(fake, initial_presence=False)
            await chat.connect()
            await chat.set_presence(status="at the wall")
            first = await fake.peers.one()
            assert (await first.seen.one(is_presence))[0].text == "at the wall"
            first.hang_up()
            second = (await fake.peers.wait(2))[1]
            assert (await second.seen.one(is_presence))[0].text == "at the wall"
            await chat.disconnect()
            await chat.connect()
            await chat.ping()
            third = (await fake.peers.wait(3))[2]
            assert not [element for element in third.seen.items if element.tag == PRESENCE]
            await chat.disconnect()

    run(main())


@pytest.mark.parametrize("initial", [True, False])
def test_presence_over_which_the_server_closes_the_stream_is_dropped(
    initial: bool, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        def is_long(element: ET.Element) -> bool:
            return element.tag == PRESENCE and len(element.findtext(f"{CLIENT}status", "")) > 1000

        async def script(peer: Peer) -> None:
            await peer.session(set_up=False)
            while not is_long(element := await peer.next()):
                peer.answer(element)
            peer.send(stream_error("policy-violation", "XML stanza is too big"))

        async with Fake(script) as fake:
            chat = chat_with(fake, initial_presence=initial)
            async with chat:
                await chat.set_presence(status="x" * 50_000)
                third = (await fake.peers.wait(3))[2]
                await eventually(lambda: chat.online and chat.state.error is None)
                await chat.ping()
                assert not [element for element in third.seen.items if is_long(element)]
                assert any(element.tag == PRESENCE for element in third.seen.items) == initial
                await chat.set_presence(status="short")
                assert await third.seen.one(lambda element: element.findtext(f"{CLIENT}status") == "short") is not None
                assert fake.attempts == 3
        assert [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR] == [
            "the presence that was set is dropped: the server closes the stream over it: policy-violation"
        ]

    run(main())


def test_requests_over_which_the_server_closes_the_stream_are_not_restored(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        async def forgiving(peer: Peer) -> None:
            await peer.session(set_up=False)
            await peer.serve()

        async def strict(peer: Peer) -> None:
            await peer.session(set_up=False)
            while (element := await peer.next()).find(FOLLOW) is None:
                peer.answer(element)
            peer.send(stream_error("unsupported-stanza-type"))

        async with online(forgiving, strict, strict) as (chat, told, peer):
            await chat.subscribe_last_activity(5)
            await chat.set_presence(status="here")
            peer.hang_up()
            # The second session was lost while it was restored.
            assert await told.one(Reconnected) == Reconnected(resumed=False)
            assert len(told.of(Reconnecting)) == 2
            await chat.ping()
        assert "not restored any more: unsupported-stanza-type" in caplog.text

    run(main())


def test_presence_has_a_priority() -> None:
    async def main() -> None:
        async with online() as (chat, _, peer):
            await chat.set_presence(priority=-5)
            found = await peer.seen.one(lambda element: element.find(f"{CLIENT}priority") is not None)
            assert found.findtext(f"{CLIENT}priority") == "-5"
            for priority in (-129, 128, True):
                with pytest.raises(InvalidArgument, match="priority"):
                    await chat.set_presence(priority=priority)

    run(main())
