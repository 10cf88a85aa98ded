"""Handlers and iterators: which events they get, in which order, and that none blocks another."""

from __future__ import annotations

import asyncio
import functools
import gc
import logging
import weakref

import pytest

from connectycube.chat import (
    AsyncChat,
    AuthenticationFailed,
    Connected,
    ConnectionFailed,
    Disconnected,
    Event,
    MessageReceived,
    MessageSent,
    SystemMessageReceived,
)
from connectycube.rest import InvalidArgument
from tests.integration.chats import Users, chat_of, people
from tests.integration.server import Server, User
from tests.integration.support import Seen, run

# Handlers


def test_handlers_receive_their_events_in_order(server: Server, users: Users) -> None:
    async def main() -> None:
        async with people(server, users(), users()) as (one, other):
            plain: list[Event] = []
            order: list[str] = []
            awaited: Seen[MessageReceived] = Seen()

            @other.chat.on(MessageReceived, SystemMessageReceived)
            def take(event: Event) -> None:
                plain.append(event)
                order.append("first")

            @other.chat.on(MessageReceived)
            async def take_later(event: MessageReceived) -> None:
                await asyncio.sleep(0)
                awaited.append(event)

            @other.chat.on()
            def after(event: Event) -> None:
                order.append("second")

            for number in range(20):
                await one.chat.send(other.id, str(number))
            found = await awaited.wait(20)
            assert [event.message.body for event in found] == [str(number) for number in range(20)]
            assert plain == list(found)
            assert order == ["first", "second"] * 20
            await one.caught_up(other)
            assert isinstance(plain[-1], SystemMessageReceived)
            assert len(awaited.items) == 20

    run(main())


def test_unregistered_handler_receives_no_events(server: Server, users: Users) -> None:
    async def main() -> None:
        async with people(server, users(), users()) as (one, other):
            seen: list[Event] = []

            @other.chat.on(MessageReceived)
            @other.chat.on(SystemMessageReceived)
            def take(event: Event) -> None:
                seen.append(event)

            await one.chat.send(other.id, "first")
            await one.caught_up(other)
            assert [type(event) for event in seen] == [MessageReceived, SystemMessageReceived]
            other.chat.off(take)
            other.chat.off(take)  # Nothing happens.
            await one.chat.send(other.id, "second")
            await one.caught_up(other)
            assert len(seen) == 2

    run(main())


@pytest.mark.parametrize("concurrency", [1, 3])
def test_concurrent_handling_is_limited(server: Server, users: Users, concurrency: int) -> None:
    async def main() -> None:
        async with people(server, users(), users()) as (one, other):
            begun: Seen[str] = Seen()
            done: Seen[str] = Seen()
            may_end = asyncio.Event()

            async def work(event: MessageReceived) -> None:
                begun.append(event.message.body)
                await may_end.wait()
                done.append(event.message.body)

            other.chat.on(MessageReceived, concurrency=concurrency)(functools.partial(work))
            texts = [str(number) for number in range(7)]
            for text in texts:
                await one.chat.send(other.id, text)
            await one.caught_up(other)
            assert await begun.wait(concurrency) == texts[:concurrency]
            assert len(begun.items) == concurrency
            may_end.set()
            assert sorted(await done.wait(7)) == texts
            assert begun.items == texts

    run(main())


def test_handler_exception_does_not_stop_others(server: Server, users: Users, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        async with people(server, users(), users()) as (one, other):
            seen: Seen[str] = Seen()

            @other.chat.on(MessageReceived)
            def fails(event: MessageReceived) -> None:
                raise ValueError("of the plain one")

            @other.chat.on(MessageReceived)
            async def fails_later(event: MessageReceived) -> None:
                seen.append(event.message.body)
                if event.message.body == "2":
                    raise asyncio.CancelledError("of what it waited for")
                raise ValueError("of the awaited one")

            for text in "123":
                await one.chat.send(other.id, text)
            assert await seen.wait(3) == ["1", "2", "3"]
            assert len(await other.told.all(MessageReceived, 3)) == 3
            assert other.chat.online
            await other.chat.disconnect()
        errors = [record for record in caplog.records if record.levelno >= logging.ERROR]
        assert len(errors) == 6
        for record in errors:
            assert record.name == "connectycube.chat"
            assert "fails" in record.getMessage()
            assert record.exc_info is not None

    run(main())


def test_handler_can_use_the_chat(server: Server, users: Users) -> None:
    async def main() -> None:
        async with people(server, users(), users()) as (one, other):

            @other.chat.on(MessageReceived)
            async def answer(event: MessageReceived) -> None:
                assert event.message.sender_id is not None
                await other.chat.send(event.message.sender_id, event.message.body.upper())
                await other.chat.disconnect()

            await one.chat.send(other.id, "hello")
            assert (await one.told.one(MessageReceived)).message.body == "HELLO"
            assert await other.told.one(Disconnected) == Disconnected()

    run(main())


def test_disconnect_waits_for_handlers_up_to_a_limit(server: Server, users: Users) -> None:
    async def main() -> None:
        async with people(server, users(), users()) as (one, other):
            begun, ended = asyncio.Event(), asyncio.Event()

            @other.chat.on(MessageReceived)
            async def hangs(event: MessageReceived) -> None:
                begun.set()
                try:
                    await asyncio.Event().wait()
                finally:
                    ended.set()

            await one.chat.send(other.id, "hello")
            await begun.wait()
            await other.chat.disconnect(timeout=0.05)
            assert ended.is_set()

    run(main())


def test_iterator_yields_all_events_since_its_creation(server: Server, users: Users) -> None:
    async def main() -> None:
        user = users()
        chat: AsyncChat = chat_of(server, user, mark_delivered="never")
        everything, messages = chat.events(), chat.events(MessageSent, MessageReceived)
        async with chat, people(server, users(), mark_delivered="never") as (other,):
            sent = await chat.send(other.id, "hello")
            await other.chat.send(user.id, "back")
            assert await anext(messages) == MessageSent(message=sent)
            received = await anext(messages)
        assert isinstance(received, MessageReceived)
        assert [event async for event in messages] == []
        assert [type(event) async for event in everything] == [Connected, MessageSent, MessageReceived, Disconnected]
        # It is over, also for a chat that connects again.
        later = chat.events(Connected)
        async with chat:
            assert [event async for event in everything] == []
            assert isinstance(await anext(later), Connected)
        with pytest.raises(StopAsyncIteration):
            await anext(later)

    run(main())


def test_iterator_ends_when_the_chat_gives_up(server: Server, users: Users) -> None:
    async def main() -> None:
        chat = chat_of(server, User(users().id, "wrong"))
        async with chat.events() as events:
            with pytest.raises(AuthenticationFailed) as failed:
                await chat.connect()
            assert await anext(events) == ConnectionFailed(error=failed.value)
            with pytest.raises(AuthenticationFailed):
                await anext(events)

    run(main())


def test_waiting_iterator_is_released(server: Server, users: Users) -> None:
    async def main() -> None:
        async with people(server, users()) as (one,):
            events = one.chat.events(MessageReceived)
            waiting = [asyncio.ensure_future(anext(events)) for _ in range(2)]
            await one.chat.ping()
            await one.chat.disconnect()
            for result in await asyncio.gather(*waiting, return_exceptions=True):
                assert isinstance(result, StopAsyncIteration | RuntimeError)
            # Closed by hand, it gives what it has and no more.
            closed = one.chat.events()
            await one.chat.connect()
            closed.close()
            assert [type(event) async for event in closed] == [Connected]

    run(main())


def test_slow_iterator_is_bounded_and_blocks_nobody(
    server: Server, users: Users, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        async with people(server, users(), users()) as (one, other):
            slow = other.chat.events(MessageReceived, limit=5)
            quick = other.chat.events(MessageReceived)
            texts = [str(number) for number in range(200)]
            await asyncio.gather(*(one.chat.send(other.id, text) for text in texts))
            assert [(await anext(quick)).message.body for _ in texts] == texts
            assert await other.chat.ping() >= 0
            assert (slow.dropped, quick.dropped) == (195, 0)
            assert [(await anext(slow)).message.body for _ in range(5)] == texts[-5:]
            await one.chat.send(other.id, "after")
            assert (await anext(slow)).message.body == "after"
            assert slow.dropped == 195
            assert [record.levelname for record in caplog.records if "too slow" in record.getMessage()] == ["WARNING"]

    run(main())


def test_abandoned_iterator_is_collected(server: Server, users: Users) -> None:
    async def main() -> None:
        async with people(server, users(), users()) as (one, other):
            events = other.chat.events(MessageReceived)
            await one.chat.send(other.id, "hello")
            async for event in events:
                assert event.message.body == "hello"
                break
            gone = weakref.ref(events)
            del events
            gc.collect()
            assert gone() is None

    run(main())


# What is asked wrongly


def test_invalid_arguments(server: Server) -> None:
    chat = chat_of(server, User(5, "password"))
    for types in ((int,), ("MessageReceived",), (MessageReceived, Exception), (Connected(jid=""),)):
        with pytest.raises(InvalidArgument, match="types"):
            chat.on(*types)
        with pytest.raises(InvalidArgument, match="types"):
            chat.events(*types)
    for number in (0, -1, True, 1.5, "3"):
        with pytest.raises(InvalidArgument, match="concurrency"):
            chat.on(MessageReceived, concurrency=number)  # type: ignore[arg-type]
        with pytest.raises(InvalidArgument, match="limit"):
            chat.events(MessageReceived, limit=number)  # type: ignore[arg-type]
    with pytest.raises(InvalidArgument, match="handler"):
        chat.on(MessageReceived)(None)  # type: ignore[type-var]
