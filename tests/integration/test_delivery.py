"""Messages arrive once and in order or are reported as not sent, despite cuts and callers that give up."""

from __future__ import annotations

import asyncio
import random

import pytest

from connectycube.chat import (
    AsyncChat,
    Backoff,
    Disconnected,
    MessageDelivered,
    MessageFailed,
    MessageNotSent,
    MessageReceived,
    MessageSent,
    Reconnected,
    Reconnecting,
    SentMessage,
)
from connectycube.rest import InvalidArgument
from tests.integration.chats import Person, Users, private
from tests.integration.lines import NEVER, back, behind, bodies, present, unplug, wait_body
from tests.integration.proxy import FaultProxy
from tests.integration.server import Server
from tests.integration.support import eventually, run
from tests.properties import CI

ID = "5356c64ab35c12bd3b10ba41"


def begin(chat: AsyncChat, to: int, *texts: str) -> list[asyncio.Task[SentMessage]]:
    """Send without waiting."""
    return [asyncio.ensure_future(chat.send(to, text)) for text in texts]


# Acknowledgements


def test_send_waits_only_for_the_acknowledgement(server: Server, users: Users) -> None:
    async def main() -> None:
        async with behind(server, users()) as (sender, proxy), present(server, users()) as (reader,):
            proxy.stall("down")
            (sending,) = begin(sender.chat, reader.id, "x")
            await wait_body(reader, "x")
            held = proxy.forwarded["down"]
            await proxy.until(lambda: proxy.received["down"] > held)
            assert not sending.done()
            assert sender.told.of(MessageSent) == []
            proxy.resume()
            sent = await sending
            assert sender.told.of(MessageSent) == [MessageSent(message=sent)]

    run(main())


@pytest.mark.parametrize("managed", [True, False])
def test_send_timeout_reports_the_message_id(server: Server, users: Users, managed: bool) -> None:
    async def main() -> None:
        options = {"send_timeout": 1, "stream_management": managed}
        async with behind(server, users(), **options) as (sender, proxy), present(server, users()) as (reader,):
            proxy.stall("down")
            with pytest.raises(MessageNotSent, match="1 seconds") as caught:
                await sender.chat.send(reader.id, "x", message_id=ID)
            assert caught.value.message_id == ID
            # The late acknowledgement is harmless, and the id is free again.
            proxy.resume()
            await sender.caught_up(reader)
            assert sender.told.of(MessageSent) == []
            await sender.chat.send(reader.id, "x", message_id=ID)
            await sender.caught_up(reader)
            assert bodies(reader) == ["x"]

    run(main())


def test_abandoned_send_is_not_sent_in_the_next_session(server: Server, users: Users) -> None:
    async def main() -> None:
        one, other = behind(server, users(), send_timeout=0.05), present(server, users())
        async with one as (sender, proxy), other as (reader,):
            await unplug(sender, proxy)
            with pytest.raises(MessageNotSent):
                await sender.chat.send(reader.id, "too late")
            (cancelled,) = begin(sender.chat, reader.id, "cancelled")
            await asyncio.sleep(0)
            cancelled.cancel()
            await asyncio.wait([cancelled])
            assert cancelled.cancelled()
            await proxy.accept()
            await back(sender, 1)
            await eventually(lambda: sender.chat.online)
            await sender.chat.ping()
            await reader.chat.ping()
            assert bodies(reader) == []
            assert await sender.chat.disconnect() == ()

    run(main())


def test_cancel_send_while_awaiting_acknowledgement(server: Server, users: Users) -> None:
    async def main() -> None:
        async with behind(server, users()) as (sender, proxy), present(server, users()) as (reader,):
            proxy.stall("down")
            before, cancelled, after = begin(sender.chat, reader.id, "before", "cancelled", "after")
            await wait_body(reader, "after")
            cancelled.cancel()
            await asyncio.wait([cancelled])
            assert cancelled.cancelled()
            proxy.resume()
            sent = [await before, await after]
            assert sender.told.of(MessageSent) == [MessageSent(message=message) for message in sent]
            assert bodies(reader) == ["before", "cancelled", "after"]

    run(main())


def test_message_id_in_flight_is_unique(server: Server, users: Users) -> None:
    async def main() -> None:
        async with behind(server, users()) as (sender, proxy), present(server, users()) as (reader,):
            await unplug(sender, proxy)
            first = asyncio.ensure_future(sender.chat.send(reader.id, "one", message_id=ID))
            await asyncio.sleep(0)
            with pytest.raises(InvalidArgument, match=ID):
                await sender.chat.send(reader.id, "two", message_id=ID)
            await proxy.accept()
            assert (await first).id == ID
            await sender.caught_up(reader)
            assert bodies(reader) == ["one"]

    run(main())


# Disconnecting


def test_disconnect_waits_for_acknowledgements(server: Server, users: Users) -> None:
    async def main() -> None:
        async with behind(server, users()) as (sender, proxy), present(server, users()) as (reader,):
            proxy.stall("down")
            sending = begin(sender.chat, reader.id, *map(str, range(50)))
            await wait_body(reader, "49")
            closing = asyncio.ensure_future(sender.chat.disconnect(timeout=3600))
            await asyncio.sleep(0)
            assert not closing.done()
            proxy.resume()
            assert await closing == ()
            assert len(await asyncio.gather(*sending)) == 50
            assert sender.told.of(Disconnected) == [Disconnected()]

    run(main())


def test_disconnect_right_after_send_flushes(server: Server, users: Users) -> None:
    async def main() -> None:
        async with present(server, users(), users()) as (sender, reader):
            sending = begin(sender.chat, reader.id, *map(str, range(200)))
            await asyncio.sleep(0)
            assert await sender.chat.disconnect() == ()
            assert len(await asyncio.gather(*sending)) == 200
            await wait_body(reader, "199")
            assert bodies(reader) == [str(number) for number in range(200)]

    run(main())


def test_disconnect_reports_unacknowledged_messages(server: Server, users: Users) -> None:
    async def main() -> None:
        async with behind(server, users()) as (sender, proxy), present(server, users()) as (reader,):
            await sender.chat.send(reader.id, "first")
            proxy.stall("down")
            sending = begin(sender.chat, reader.id, "a", "b", "c")
            await asyncio.sleep(0)
            left = await sender.chat.disconnect(timeout=0.05)
            results = await asyncio.gather(*sending, return_exceptions=True)
            errors = [result for result in results if isinstance(result, MessageNotSent)]
            assert tuple(error.message_id for error in errors) == left
            assert len(set(left)) == 3
            assert sender.told.of(Disconnected) == [Disconnected(unacknowledged=left)]
            assert tuple(event.message_id for event in sender.told.of(MessageFailed)) == left
            assert isinstance(sender.told.seen.items[-1], Disconnected)

    run(main())


def test_flush_survives_a_cut(server: Server, users: Users) -> None:
    async def main() -> None:
        async with behind(server, users()) as (sender, proxy), present(server, users()) as (reader,):
            proxy.stall("up")
            sending = begin(sender.chat, reader.id, *map(str, range(20)))
            await proxy.until(lambda: proxy.received["up"] > proxy.forwarded["up"])
            closing = asyncio.ensure_future(sender.chat.disconnect(timeout=3600))
            await asyncio.sleep(0)
            proxy.cut()
            proxy.resume()
            assert await closing == ()
            assert len(await asyncio.gather(*sending)) == 20
            await wait_body(reader, "19")
            assert bodies(reader) == [str(number) for number in range(20)]

    run(main())


@pytest.mark.parametrize("managed", [True, False])
def test_flush_ends_when_no_acknowledgement_can_arrive(server: Server, users: Users, managed: bool) -> None:
    """Nothing can be acknowledged during the wait for the next attempt."""

    async def main() -> None:
        options = {"backoff": NEVER, "stream_management": managed}
        async with behind(server, users(), **options) as (sender, proxy), present(server, users()) as (reader,):
            proxy.stall()
            (sending,) = begin(sender.chat, reader.id, "x")
            await proxy.until(lambda: proxy.received["up"] > proxy.forwarded["up"])
            closing = asyncio.ensure_future(sender.chat.disconnect(timeout=0.5))
            await asyncio.sleep(0)
            proxy.cut()
            left = await closing
            with pytest.raises(MessageNotSent) as caught:
                await sending
            assert left == (caught.value.message_id,)

    run(main())


# Over cuts


def test_sends_during_reconnect_wait_and_keep_order(server: Server, users: Users) -> None:
    async def main() -> None:
        async with behind(server, users()) as (sender, proxy), present(server, users()) as (reader,):
            proxy.stall("up")
            sending = begin(sender.chat, reader.id, *map(str, range(10)))
            await proxy.until(lambda: proxy.received["up"] > proxy.forwarded["up"])
            await unplug(sender, proxy)
            proxy.resume()
            sending += begin(sender.chat, reader.id, *map(str, range(10, 30)))
            await sender.told.all(Reconnecting, 3)
            assert not any(task.done() for task in sending)
            await proxy.accept()
            await asyncio.gather(*sending)
            await wait_body(reader, "29")
            assert bodies(reader) == [str(number) for number in range(30)]
            told = [event.message.id for event in sender.told.of(MessageSent)]
            assert told == [event.message.id for event in reader.told.of(MessageReceived)]

    run(main())


def test_delivered_marks_survive_a_cut(server: Server, users: Users) -> None:
    async def main() -> None:
        async with behind(server, users()) as (reader, proxy), present(server, users()) as (sender,):
            dialog = private(server, sender, reader)
            ids = []
            for number in range(10):
                proxy.stall("up")
                ids.append((await sender.chat.send(dialog, f"{number}")).id)
                await wait_body(reader, f"{number}")
                proxy.cut()
                proxy.resume()
                await back(reader, number + 1)
            marks = await sender.told.all(MessageDelivered, 10)
            assert [mark.message_id for mark in marks] == ids
            await reader.caught_up(sender)
            assert len(sender.told.of(MessageDelivered)) == 10

    run(main())


CUTS = 20
LEAD = 30
"""Messages that are in flight where a line is cut."""


def moments(seed: int, messages: int, proxies: list[FaultProxy]) -> dict[int, FaultProxy]:
    """Behind which message which line is cut: at random, each so often, and not within `LEAD` of each other."""
    chance = random.Random(seed)
    lines = proxies * CUTS
    chance.shuffle(lines)
    part = messages // len(lines)
    return {number * part + LEAD + chance.randrange(part - LEAD): proxy for number, proxy in enumerate(lines)}


async def stream(
    sender: Person, reader: Person, messages: int, cuts: dict[int, FaultProxy], *, settle: bool
) -> list[SentMessage]:
    """Send with a window of some messages while lines are cut.

    :param settle: before each cut wait until all that came before is delivered.
    """
    window = asyncio.Semaphore(100)
    sending: list[asyncio.Task[SentMessage]] = []

    async def send(number: int) -> SentMessage:
        try:
            return await sender.chat.send(reader.id, f"{number}")
        finally:
            window.release()

    for number in range(messages):
        if settle and number + LEAD in cuts:
            await asyncio.gather(*sending)
            await reader.told.all(MessageReceived, number)
        await window.acquire()
        sending.append(asyncio.ensure_future(send(number)))
        if number in cuts:
            # The chat may be connecting still, or the session be there: both must do.
            await cuts[number].until(lambda number=number: cuts[number].open > 0)  # type: ignore[misc]
            cuts[number].cut("fin" if number % 2 else "reset")
    return await asyncio.gather(*sending)


@pytest.mark.parametrize(("ordered", "seed"), [(True, 1), (False, 2), (False, 3)][: 3 if CI else 2])
def test_two_thousand_messages_and_twenty_cuts_on_either_side(
    server: Server, users: Users, ordered: bool, seed: int
) -> None:
    """All are acknowledged, each is delivered once, and in order.

    ejabberd 23.01 gives up the order where messages come in just while it lets a reader resume. So that is looked at
    where the lines are cut one after the other, and not where they are cut at the same time.
    """
    messages = 2000
    backoff = Backoff(first=0.05, factor=1, spread=0)

    async def main() -> None:
        options = {"backoff": backoff} if ordered else {}
        one, other = behind(server, users(), **options), behind(server, users(), **options)
        async with one as (sender, up), other as (reader, down):
            cuts = moments(seed, messages, [up, down])
            there = asyncio.ensure_future(stream(sender, reader, messages, cuts, settle=ordered))
            back_again = [asyncio.ensure_future(reader.chat.send(sender.id, f"{number}")) for number in range(100)]
            sent = [message.id for message in await there]
            await asyncio.gather(*back_again)
            await sender.caught_up(reader)
            await reader.caught_up(sender)
            texts = bodies(reader)
            assert (texts if ordered else sorted(texts, key=int)) == [f"{number}" for number in range(messages)]
            assert sorted(bodies(sender), key=int) == [f"{number}" for number in range(100)]
            assert {event.message.id for event in reader.told.of(MessageReceived)} == set(sent)
            assert [event.message.id for event in sender.told.of(MessageSent)] == sent
            assert (up.cuts, down.cuts) == (CUTS, CUTS)

    run(main())


def test_cuts_without_stream_management(server: Server, users: Users) -> None:
    """What is acknowledged by pings is not lost either, and a repeat is dropped, as long as the reader's line holds."""
    messages = 1000

    async def main() -> None:
        options = {"stream_management": False}
        async with behind(server, users(), **options) as (sender, up), present(server, users()) as (reader,):
            sent = await stream(sender, reader, messages, moments(3, messages, [up]), settle=False)
            await sender.caught_up(reader)
            assert bodies(reader) == [f"{number}" for number in range(messages)]
            assert [event.message.id for event in sender.told.of(MessageSent)] == [message.id for message in sent]
            assert up.cuts == CUTS
            assert not any(event.resumed for event in sender.told.of(Reconnected))

    run(main())
