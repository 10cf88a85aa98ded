"""Slow consumers: what waits for them is bounded, and nothing is lost while they go on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from connectycube.chat import MessageReceived, Reconnecting, _bus
from connectycube.chat.connection import driver, flow
from tests.chat.fake import APP_ID, HOST, JID, Fake, Peer, chat_with, online, plays_along
from tests.integration.chats import Told
from tests.integration.support import Seen, run

SENDER = f"81002-{APP_ID}@{HOST}"
COUNT = 4000
CHUNK = 256 * 1024
"""How much asyncio reads at once."""


@pytest.fixture
def bound(monkeypatch: pytest.MonkeyPatch) -> int:
    bound = 64 * _bus.OVERHEAD
    monkeypatch.setattr(_bus, "BOUND", bound)
    return bound


def flood(peer: Peer) -> None:
    for number in range(COUNT):
        body = str(number).ljust(500)
        peer.send(f"<message type='chat' from='{SENDER}' to='{JID}' id='{number:024x}'><body>{body}</body></message>")


def number_of(event: MessageReceived) -> int:
    return int(event.message.body)


def test_slow_iterator_gets_everything_and_keeps_little(bound: int) -> None:
    async def main() -> None:
        async with online(keepalive=0.2) as (chat, told, peer):
            events, largest = chat.events(MessageReceived), 0
            flood(peer)
            await told.one(MessageReceived)
            await asyncio.sleep(1)  # Several intervals of the keep-alive: nothing may happen meanwhile.
            for number in range(COUNT):
                largest = max(largest, events._queue.size)
                assert number_of(await anext(events)) == number
                await asyncio.sleep(0)
            # A stanza of 600 bytes takes 1,500 as an event.
            assert bound < largest < 2 * bound + 3 * CHUNK < COUNT * _bus.OVERHEAD
            assert events.dropped == events._queue.size == 0
            assert not told.of(Reconnecting)

    run(main())


def test_connection_that_a_slow_consumer_holds_back_is_alive(bound: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driver, "CHECK_TIME", 0.5)

    async def main() -> None:
        async with online() as (chat, told, peer):
            events = chat.events(MessageReceived)
            flood(peer)
            await told.one(MessageReceived, lambda event: events._queue.size > bound)
            await chat.reconnect_now()
            assert not told.of(Reconnecting)
            for number in range(COUNT):
                assert number_of(await anext(events)) == number

    run(main())


def test_handler_that_waits_for_the_server_does_not_block_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_bus, "BOUND", COUNT * _bus.OVERHEAD)  # The acknowledgement comes after all messages.

    async def main() -> None:
        async with online() as (chat, _, peer):
            seen: Seen[int] = Seen()

            @chat.on(MessageReceived)
            async def echo(event: MessageReceived) -> None:
                if len(seen.items) % 500 == 0:
                    await chat.send(81002, "back")
                seen.append(number_of(event))

            flood(peer)
            assert await seen.wait(COUNT) == list(range(COUNT))

    run(main())


def test_abandoned_iterator_holds_up_nobody(bound: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flow, "PATIENCE", 0.1)

    async def main() -> None:
        async with online() as (chat, told, peer):
            abandoned = chat.events(MessageReceived)
            flood(peer)
            await told.all(MessageReceived, COUNT)
            assert abandoned.dropped > 0
            assert abandoned._queue.size <= bound
            assert number_of(await anext(abandoned)) == abandoned.dropped

    run(main())


def test_limit_of_an_iterator_drops_the_oldest() -> None:
    async def main() -> None:
        async with online() as (chat, told, peer):
            latest = chat.events(MessageReceived, limit=2)
            flood(peer)
            await told.all(MessageReceived, COUNT)
            assert [number_of(await anext(latest)) for _ in range(2)] == [COUNT - 2, COUNT - 1]
            assert latest.dropped == COUNT - 2

    run(main())


def test_slow_handler_is_noticed_in_the_next_event_loop(bound: int, monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        async with Fake(plays_along) as fake:
            chat, loop = chat_with(fake), asyncio.get_running_loop()

            @chat.on(MessageReceived)
            async def stuck(event: MessageReceived) -> None:
                await asyncio.Event().wait()

            async def session(enough: Callable[[], bool]) -> None:
                """Let the handler get more than it takes, then end the event loop."""
                await chat.connect()
                told = Told(chat)
                loop.call_soon_threadsafe(flood, fake.peers.items[-1])
                await told.one(MessageReceived, lambda event: enough())
                await chat.disconnect(timeout=0.01)

            queue = chat._bus._handlers[0].queue
            assert queue is not None
            await asyncio.to_thread(asyncio.run, session(lambda: queue.size > bound))
            monkeypatch.setattr(flow, "PATIENCE", 0.1)
            await asyncio.to_thread(asyncio.run, session(lambda: queue.dropped > 0))

    run(main())
