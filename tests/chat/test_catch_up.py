"""`catch_up` yields what was missed, from the history: each message once, in order, with the fewest requests."""

from __future__ import annotations

import datetime as dt
import time
from contextlib import AsyncExitStack

import pytest

from connectycube.chat import Attachment, MessageReceived, MessageSentElsewhere
from connectycube.sandbox import Sandbox
from tests.chat.histories import HOUR, World, numbers, rest, texts
from tests.integration.chats import Told
from tests.integration.support import run


@pytest.fixture
def world(connectycube_sandbox: Sandbox) -> World:
    return World(connectycube_sandbox)


# -- what it yields


def test_message_equals_its_live_copy(world: World) -> None:
    async def main() -> None:
        async with AsyncExitStack() as stack:
            ann, bob = [await stack.enter_async_context(world.chat(name)) for name in ("ann", "bob")]
            told = Told(ann)
            for chat in (ann, bob):
                await stack.enter_async_context(chat)
            group = world.group(world.ann, world.bob)
            await ann.join(group)
            place = Attachment(type="place", latitude=52.5, longitude=13.25, data={"street": "Am Ring 1"})
            image = {"type": "image", "uid": "9f0c1b7e", "size": 2048, "width": 16, "content_type": "image/png"}
            await bob.send(world.ann, "hello", extra={"tour": "bridge", "count": 3, "open": True})
            await bob.send(world.ann, attachments=[image, place])
            await bob.send(group, '<to> & "all" 🚧')
            fields = {"kind": "note", "level": 2, "seen": False}
            await rest(bob).messages.create(
                chat_dialog_id=group, message="over REST", extra=fields, send_to_chat=True, markable=True
            )
            live = [event.message for event in await told.all(MessageReceived, 4)]
            missed = [message async for message in ann.catch_up(since=HOUR)]
            assert sorted(missed, key=lambda one: one.id or "") == sorted(live, key=lambda one: one.id or "")
            assert {one.dialog_id for one in missed} == {world.private(world.ann, world.bob), group}

    run(main())


def test_oldest_message_of_each_dialog_comes_first(world: World) -> None:
    async def main() -> None:
        one, other = world.private(world.ann, world.bob), world.group(world.ann, world.bob, world.carl)
        world.write(other, world.bob, "b2", ago=20)
        world.write(one, world.bob, "a2", "a3", ago=30)
        world.write(one, world.bob, "a1", ago=40)
        world.write(other, world.carl, "b1", ago=50)
        async with world.chat() as chat:
            assert await texts(chat) == ["a1", "a2", "a3", "b1", "b2"]

    run(main())


def test_since_is_inclusive_and_may_be_a_time_or_a_duration(world: World) -> None:
    async def main() -> None:
        dialog = world.private(world.ann, world.bob)
        second = int(time.time()) - 1800
        world.write(dialog, world.bob, "before", date_sent=second - 1)
        world.write(dialog, world.bob, "on time", date_sent=second)
        since = dt.datetime.fromtimestamp(second, dt.UTC)
        async with world.chat() as chat:
            assert await texts(chat, since) == ["on time"]
            assert await texts(chat, since.astimezone(dt.timezone(dt.timedelta(hours=5)))) == ["on time"]
            assert await texts(chat, since + dt.timedelta(microseconds=500_000)) == ["on time"]
            assert await texts(chat, since + dt.timedelta(seconds=1)) == []
            assert await texts(chat, dt.timedelta(minutes=31)) == ["before", "on time"]
            assert await texts(chat, dt.timedelta(minutes=29)) == []
            assert await texts(chat, dt.timedelta.max) == ["before", "on time"]
            assert await texts(chat, dt.datetime.min.replace(tzinfo=dt.UTC)) == ["before", "on time"]

    run(main())


def test_own_messages_are_yielded_on_request(world: World) -> None:
    async def main() -> None:
        dialog = world.private(world.ann, world.bob)
        world.write(dialog, world.bob, "question")
        world.write(dialog, world.ann, "answer")
        async with world.chat() as chat:
            assert await texts(chat) == ["question"]
            found = [message async for message in chat.catch_up(since=HOUR, include_own=True)]
            assert [(one.body, one.sender_id, one.recipient_id) for one in found] == [
                ("question", world.bob, world.ann),
                ("answer", world.ann, world.bob),
            ]

    run(main())


def test_edited_messages_have_their_new_text_and_deleted_ones_are_left_out(world: World) -> None:
    async def main() -> None:
        ids = world.write(world.private(world.ann, world.bob), world.bob, "first", "seccond", "third")
        world.delete(ids[2])
        async with world.chat("bob") as bob:
            await rest(bob).messages.update(
                ids[1], chat_dialog_id=world.private(world.ann, world.bob), message="second"
            )
        async with world.chat() as chat:
            assert await texts(chat) == ["first", "second"]

    run(main())


def test_dates_in_milliseconds_are_understood(world: World) -> None:
    async def main() -> None:
        dialog, silent = world.private(world.ann, world.bob), world.private(world.ann, world.carl)
        now = int(time.time())
        world.write(dialog, world.bob, "in seconds", date_sent=now - 60)
        world.write(dialog, world.bob, "long ago", date_sent=(now - 7200) * 1000)
        world.write(dialog, world.bob, "in milliseconds", date_sent=(now - 30) * 1000)
        world.write(silent, world.carl, "long ago, too", date_sent=(now - 7200) * 1000)
        async with world.chat() as chat:
            assert await texts(chat) == ["in seconds", "in milliseconds"]
        assert {query["chat_dialog_id"] for query in world.queries()} == {dialog}

    run(main())


# -- requests


def test_dialogs_without_new_messages_cost_no_request(world: World) -> None:
    async def main() -> None:
        busy, quiet = world.private(world.ann, world.bob), world.group(world.ann, world.carl)
        world.private(world.ann, world.carl)
        world.write(quiet, world.carl, "long ago", ago=7200)
        world.write(busy, world.bob, "hello")
        async with world.chat() as chat:
            assert await texts(chat) == ["hello"]
            unread = await rest(chat).messages.unread_count(chat_dialog_ids=[busy])
        assert unread.total == 1
        assert [(query["chat_dialog_id"], query["limit"], query["mark_as_read"]) for query in world.queries()] == [
            (busy, "100", "0")
        ]
        (query,) = world.queries("/chat/Dialog")
        assert query["sort_asc"] == "last_message_date_sent"

    run(main())


@pytest.mark.parametrize(("count", "requests"), [(99, 1), (100, 2), (199, 3), (230, 3)])
def test_pages_have_100_messages(world: World, count: int, requests: int) -> None:
    async def main() -> None:
        # All in the same second, so that each page ends between messages with the same date.
        world.write(world.private(world.ann, world.bob), world.bob, *numbers(count))
        async with world.chat() as chat:
            assert await texts(chat) == numbers(count)
        assert len(world.queries()) == requests

    run(main())


def test_all_of_more_than_100_dialogs_are_read(world: World) -> None:
    async def main() -> None:
        groups = [world.group(world.ann, world.bob) for _ in range(120)]
        for number, group in enumerate(groups):
            # Most have the same last date.
            world.write(group, world.bob, f"{number}", ago=60)
        async with world.chat() as chat:
            assert sorted(await texts(chat), key=int) == numbers(120)
        assert len(world.queries()) == 120
        assert len(world.queries("/chat/Dialog")) == 2

    run(main())


# -- what changes meanwhile


def test_changes_while_pages_are_read_lose_and_repeat_nothing(world: World) -> None:
    async def main() -> None:
        dialog = world.private(world.ann, world.bob)
        ids = [world.write(dialog, world.bob, f"{number}", ago=1000 - number)[0] for number in range(250)]
        found: list[str] = []
        async with world.chat() as chat:
            async for message in chat.catch_up(since=HOUR):
                found.append(message.body)
                if found[-1] == "50":
                    world.delete(*ids[10:20], ids[150])
                elif found[-1] == "120":
                    world.write(dialog, world.bob, "late", ago=2000)
                elif found[-1] == "249":
                    world.write(dialog, world.bob, "250")
        assert [text for text in found if text not in ("late", "250")] == [
            text for text in numbers(250) if text != "150"
        ]
        assert len(found) == len(set(found))

    run(main())


def test_dialog_that_the_user_has_left_meanwhile_is_left_out(world: World) -> None:
    async def main() -> None:
        first, left, gone = (world.group(world.bob, world.ann) for _ in range(3))
        for number, group in enumerate((first, left, gone)):
            world.write(group, world.bob, f"{number}", ago=60 - number)
        last = world.private(world.ann, world.bob)
        world.write(last, world.bob, "last")
        found: list[str] = []
        async with world.chat() as chat, world.chat("bob") as bob:
            async for message in chat.catch_up(since=HOUR):
                found.append(message.body)
                if message.body == "0":
                    await rest(bob).dialogs.remove_occupants(left, [world.ann])
                    await rest(bob).dialogs.delete(gone, force=True)
        assert found == ["0", "last"]

    run(main())


def test_session_is_renewed_between_two_pages(world: World) -> None:
    async def main() -> None:
        world.write(world.private(world.ann, world.bob), world.bob, *numbers(150))
        async with world.chat() as chat:
            found: list[str] = []
            async for message in chat.catch_up(since=HOUR):
                if not found:
                    assert world.sandbox.expire_sessions(world.ann) == 1
                found.append(message.body)
        assert found == numbers(150)

    run(main())


def test_messages_that_also_arrive_live_are_known_by_their_ids(world: World) -> None:
    async def main() -> None:
        async with world.chat() as ann, world.chat("bob") as bob:
            world.write(world.private(world.ann, world.bob), world.bob, "missed")
            seen: dict[str | None, str] = {}
            events = ann.events(MessageReceived)
            async with ann, bob:
                await bob.send(world.ann, "both")
                async for message in ann.catch_up(since=HOUR):
                    seen.setdefault(message.id, message.body)
                await bob.send(world.ann, "live")
                async for event in events:
                    seen.setdefault(event.message.id, event.message.body)
                    if event.message.body == "live":
                        break
            assert list(seen.values()) == ["missed", "both", "live"]

    run(main())


def test_own_message_of_another_device_equals_its_live_copy(world: World) -> None:
    async def main() -> None:
        async with world.chat() as ann, world.chat("ann") as phone:
            told = Told(ann)
            async with ann, phone:
                await phone.send(world.bob, "from the phone", extra={"tour": "bridge"})
                live = (await told.one(MessageSentElsewhere)).message
                (missed,) = [message async for message in ann.catch_up(since=HOUR, include_own=True)]
            assert (missed.id, missed.extra, missed.recipient_id) == (live.id, live.extra, world.bob)

    run(main())


# -- clocks


def test_duration_counts_back_from_the_time_of_the_server(world: World) -> None:
    async def main() -> None:
        world.sandbox.advance(86_400)
        world.write(world.private(world.ann, world.bob), world.bob, "a day ahead", ago=-86_000)
        async with world.chat() as chat:
            assert await texts(chat, dt.timedelta(hours=25)) == ["a day ahead"]
            async with chat:
                assert await texts(chat, dt.timedelta(minutes=1)) == []
                assert await texts(chat, dt.timedelta(minutes=10)) == ["a day ahead"]

    run(main())
