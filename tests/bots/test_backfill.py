"""Missed messages are read from the history: each once, in order, without needless requests."""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Any

import pytest

from connectycube import stanzas
from connectycube.bots import Bot, Context, backfill
from connectycube.chat import Connected, MessageDelivered, Reconnecting, _history
from connectycube.rest import Dialog, Message
from connectycube.sandbox.domain.message_model import Draft
from connectycube.stanzas import ExtraParams
from tests.bots.conftest import World
from tests.integration.proxy import FaultProxy
from tests.integration.support import Seen, eventually, run

Texts = Seen[str]


@asynccontextmanager
async def listening(world: World, **options: Any) -> AsyncIterator[tuple[Bot, Texts]]:
    """A bot at work that notes what it handles."""
    async with world.bot(**options) as bot:
        seen: Texts = Seen()

        @bot.message()
        async def note(ctx: Context) -> None:
            seen.append(f"{ctx.text}{' from history' if ctx.from_history else ''}")

        async with bot.running():
            yield bot, seen


async def write(world: World, sender: int, *texts: str, to: int | str, ago: int = 0) -> None:
    """Store messages in the history of a private dialog or a group. No device gets them."""
    core, sent = world.sandbox.core, int(time.time()) - ago

    def store() -> None:
        dialog = core.dialogs.private(sender, to) if isinstance(to, int) else core.dialogs.get(to)
        for text in texts:
            core.messages.store(dialog, Draft(sender_id=sender, body=text, markable=True, date_sent=sent))

    await asyncio.to_thread(world.sandbox.call, store)


def texts_of(world: World, user_id: int) -> list[str]:
    """The texts in the private dialog of the bot and a user."""
    core, dialog_id = world.sandbox.core, world.private(user_id)
    found, _ = world.sandbox.call(core.messages.search, [], dialog_id=dialog_id, viewer=None, skip=0, limit=1000)
    return [message.body or "" for message in found]


def requests(world: World, path: str) -> list[dict[str, str]]:
    """The queries of the requests to a path so far."""
    return [dict(one.query) for one in world.sandbox.journal.exchanges() if one.path == path and one.method == "GET"]


def test_only_dialogs_with_new_messages_are_read(world: World) -> None:
    async def main() -> None:
        ada, mary = world.register("ada"), world.register("mary")
        group = world.group(ada, mary)
        async with listening(world) as (_, seen):
            await write(world, mary, "old", to=world.bot_id)
        await write(world, ada, "first", to=world.bot_id)
        async with listening(world) as (_, seen):
            assert sorted(await seen.wait(2)) == ["first from history", "old from history"]
        await write(world, ada, *(f"{number}" for number in range(230)), to=world.bot_id)
        await write(world, mary, "to all", to=group)
        known = len(requests(world, "/chat/Message"))
        async with listening(world) as (bot, seen):
            found = await seen.wait(231)
            assert [text for text in found if text != "to all from history"] == [
                f"{number} from history" for number in range(230)
            ]
            assert (bot.stats.received, bot.stats.backfilled) == (231, 231)
        queries = requests(world, "/chat/Message")[known:]
        assert {query["chat_dialog_id"] for query in queries} == {world.private(ada), group}
        assert len(queries) <= 5  # Three pages, one of the group, and perhaps a look whether there is another.
        assert {(query["limit"], query["mark_as_read"]) for query in queries} == {("100", "0")}
        known = len(requests(world, "/chat/Message"))
        async with listening(world) as (bot, seen):
            assert seen.items == []
            assert bot.stats.received == 0
        assert len(requests(world, "/chat/Message")) == known

    run(main())


def test_each_message_is_answered_once_with_few_requests(world: World) -> None:
    """The bot is down while hundreds of messages arrive in several dialogs."""
    busy, each = 4, 120

    async def main() -> None:
        users = [world.register(f"user{number}") for number in range(busy + 3)]
        quiet = users[busy:]
        for user in quiet:
            await write(world, user, "hello", to=world.bot_id)
        async with listening(world) as (_, seen):
            await seen.wait(len(quiet))
        for user in users[:busy]:
            await write(world, user, *(f"{number}" for number in range(each)), to=world.bot_id)
        before = world.sandbox.journal.last_number
        async with world.bot() as bot:

            @bot.message()
            async def answer(ctx: Context) -> None:
                await ctx.reply(f"re: {ctx.text}")

            async with bot.running():
                await eventually(lambda: bot.stats.sent == busy * each)
                assert (bot.stats.received, bot.stats.backfilled) == (busy * each, busy * each)
        made = [one for one in world.sandbox.journal.exchanges(after=before) if one.path.startswith("/chat")]
        assert len([one for one in made if one.path == "/chat/Dialog"]) == 1
        read = [dict(one.query)["chat_dialog_id"] for one in made if one.path == "/chat/Message"]
        assert sorted(read) == sorted([world.private(user) for user in users[:busy]] * 2)  # Two pages of 100.
        for user in users[:busy]:
            assert [text for text in texts_of(world, user) if text.startswith("re")] == [
                f"re: {number}" for number in range(each)
            ]

    run(main())


def test_message_with_a_foreign_id_is_known_in_the_history(world: World) -> None:
    """Its stanza has an id of another format; the history, and a parameter of the stanza, have the platform's."""

    async def main() -> None:
        async with world.friends("ada") as (ada,):
            dialog = world.private(ada.id)
            to = f"{world.bot_id}-{world.sandbox.app_id}@{world.sandbox.chat_host}"
            params = ExtraParams(dialog_id=dialog, save_to_history=True)
            async with listening(world) as (_, seen):
                await ada.chat.send_stanza(
                    stanzas.ChatMessage(id="purple1", to=to, type="chat", body="hello", extra=params)
                )
                assert await seen.wait(1) == ["hello"]
            await write(world, ada.id, "missed", to=world.bot_id)
            known = len(requests(world, "/chat/Message"))
            async with listening(world) as (bot, seen):
                assert await seen.wait(1) == ["missed from history"]
                assert bot.stats.received == 1
            assert len(requests(world, "/chat/Message")) > known

    run(main())


def test_clock_that_is_ahead_loses_no_message(world: World) -> None:
    """What arrives while the bot is down is dated by the server, long before what the bot takes for its end."""

    async def main() -> None:
        world.sandbox.call(world.sandbox.clock.set, time.time() - 3600)
        ada = world.register("ada")
        async with listening(world):
            pass
        await write(world, ada, "missed", to=world.bot_id, ago=3590)
        async with listening(world) as (_, seen):
            assert await seen.wait(1) == ["missed from history"]

    run(main())


def test_live_messages_come_after_those_that_were_missed(world: World) -> None:
    async def main() -> None:
        async with world.friends("ada") as (ada,):
            async with listening(world):
                pass
            await write(world, ada.id, "1", "2", to=world.bot_id)
            await ada.chat.send(world.bot_id, "3")
            async with world.bot() as bot:
                seen: Texts = Seen()

                @bot.message()
                async def note(ctx: Context) -> None:
                    seen.append(ctx.text)
                    await ctx.reply(f"you said {ctx.text}")

                world.sandbox.faults.delay_next(0.3, path="/chat/Message")
                online = asyncio.Event()

                @bot.on(Connected)
                async def connected(event: Connected) -> None:
                    online.set()

                serving = asyncio.ensure_future(bot.serve())
                await online.wait()
                await ada.chat.send(world.bot_id, "4")
                assert await ada.texts.wait(4) == [f"you said {number}" for number in "1234"]
                # "3" came over the chat, since it had waited for the bot there, and was in the history as well.
                assert seen.items == ["1", "2", "3", "4"]
                assert bot.stats.received == 4
                await eventually(lambda: bot.stats.handled == 4)
                await bot.stop()
                await serving

    run(main())


def test_messages_that_arrive_while_pages_are_read_keep_their_order(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some are on the pages as well, one on each; the last one is written, and stored, after they were read."""
    pages, begun, is_read = _history.History.pages, asyncio.Event(), asyncio.Event()
    may_read, may_go_on = asyncio.Event(), asyncio.Event()

    async def slow(history: _history.History, dialog: Dialog, since: dt.datetime) -> AsyncGenerator[list[Message]]:
        begun.set()
        await may_read.wait()
        async with aclosing(pages(history, dialog, since)) as found:
            async for page in found:
                is_read.set()
                await may_go_on.wait()
                for message in page:
                    yield [message]

    monkeypatch.setattr(_history.History, "pages", slow)

    async def main() -> None:
        async with listening(world):
            pass
        async with world.friends("ada") as (ada,), world.bot() as bot:
            seen: Texts = Seen()

            @bot.message()
            async def note(ctx: Context) -> None:
                seen.append(ctx.text)

            await write(world, ada.id, "1", to=world.bot_id)
            serving = asyncio.ensure_future(bot.serve())
            await begun.wait()
            for text in "234":
                await ada.chat.send(world.bot_id, text)
            await eventually(lambda: bot.stats.received == 3)
            may_read.set()
            await is_read.wait()
            await ada.chat.send(world.bot_id, "5")
            await eventually(lambda: bot.stats.received == 4)
            may_go_on.set()
            assert await seen.wait(5) == ["1", "2", "3", "4", "5"]
            await bot.stop()
            await serving

    run(main())


def test_bot_whose_first_attempt_to_connect_fails_is_at_work_afterwards(world: World) -> None:
    async def main() -> None:
        async with (
            world.friends("ada") as (ada,),
            FaultProxy("127.0.0.1", world.sandbox.chat_tls_port) as proxy,
            world.bot(chat={"port": proxy.port}) as bot,
        ):
            seen: Texts = Seen()

            @bot.message()
            async def note(ctx: Context) -> None:
                seen.append(ctx.text)

            failed = asyncio.Event()

            @bot.on(Reconnecting)
            async def reconnecting(event: Reconnecting) -> None:
                failed.set()

            proxy.refuse()
            serving = asyncio.ensure_future(bot.serve())
            await failed.wait()
            await proxy.accept()
            await ada.chat.send(world.bot_id, "hello")
            assert await seen.wait(1) == ["hello"]
            await bot.stop()
            await serving

    run(main())


def test_new_session_after_a_lost_one(world: World) -> None:
    async def main() -> None:
        ada = world.register("ada")
        async with listening(world, chat={"stream_management": False}) as (_, seen):
            await write(world, ada, "missed", to=world.bot_id)
            world.sandbox.drop_connections(world.bot_id)
            assert await seen.wait(1) == ["missed from history"]

    run(main())


def test_resumed_session_reads_no_history(world: World) -> None:
    async def main() -> None:
        async with world.friends("ada") as (ada,), listening(world) as (_, seen):
            known = len(requests(world, "/chat/Dialog"))
            world.sandbox.drop_connections(world.bot_id)
            await ada.chat.send(world.bot_id, "hello")
            assert await seen.wait(1) == ["hello"]
            assert len(requests(world, "/chat/Dialog")) == known

    run(main())


def test_new_store_begins_after_the_last_answer(world: World) -> None:
    async def main() -> None:
        ada = world.register("ada")
        await write(world, ada, "answered", "answered, too", to=world.bot_id)
        await write(world, world.bot_id, "an answer", to=ada)
        await write(world, ada, "not answered", to=world.bot_id)
        async with listening(world) as (_, seen):
            assert await seen.wait(1) == ["not answered from history"]
        await write(world, ada, "new", to=world.bot_id)
        async with listening(world) as (_, seen):
            assert await seen.wait(1) == ["new from history"]
            assert len(seen.items) == 1

    run(main())


def test_new_store_begins_after_an_answer_on_a_later_page(world: World) -> None:
    async def main() -> None:
        ada = world.register("ada")
        await write(world, ada, *(f"answered {number}" for number in range(130)), to=world.bot_id)
        await write(world, world.bot_id, "an answer", to=ada)
        await write(world, ada, *(f"{number}" for number in range(130)), to=world.bot_id)
        async with listening(world) as (bot, seen):
            assert await seen.wait(130) == [f"{number} from history" for number in range(130)]
            assert bot.stats.backfilled == 130
        async with listening(world) as (bot, seen):
            assert bot.stats.received == 0

    run(main())


def test_own_answers_do_not_make_a_store_look_old(world: World) -> None:
    async def main() -> None:
        async with world.friends("ada") as (ada,):
            await write(world, ada.id, "missed", to=world.bot_id)
            # The first process answers what is live, and ends before it has read the history.
            world.sandbox.faults.fail_next(400, 1000, path="/chat/Dialog")
            async with world.bot() as bot:

                @bot.message()
                async def answer(ctx: Context) -> None:
                    await ctx.reply("an answer")

                serving = asyncio.ensure_future(bot.serve())
                await ada.chat.send(world.bot_id, "live")
                assert await ada.texts.one() == "an answer"
                await bot.stop()
                await serving
            world.sandbox.faults.clear()
            async with listening(world) as (_, seen):
                assert await seen.wait(1) == ["missed from history"]

    run(main())


def test_catch_up_bounds_how_far_back_it_looks(world: World) -> None:
    async def main() -> None:
        ada = world.register("ada")
        await write(world, ada, "long ago", to=world.bot_id, ago=7200)
        await write(world, ada, "lately", to=world.bot_id, ago=1800)
        async with listening(world, catch_up=dt.timedelta(hours=1)) as (_, seen):
            assert await seen.wait(1) == ["lately from history"]
        assert len(seen.items) == 1

    run(main())


def test_missed_messages_are_marked_as_delivered_but_not_read(world: World) -> None:
    async def main() -> None:
        async with world.friends("ada") as (ada,):
            marks: Seen[MessageDelivered] = Seen()
            ada.chat.on(MessageDelivered)(marks.append)
            await write(world, ada.id, "hello", to=world.bot_id)
            async with listening(world) as (bot, seen):
                await seen.wait(1)
                assert (await marks.one()).user_id == world.bot_id
                counts = await bot.cube.messages.unread_count(chat_dialog_ids=[world.private(ada.id)])
                assert counts.total == 1

    run(main())


def test_failing_rest_does_not_stop_the_chat(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(backfill, "FIRST_PAUSE", 0.01)

    async def main() -> None:
        async with world.friends("ada") as (ada,):
            async with listening(world):
                pass
            await write(world, ada.id, "missed", to=world.bot_id)
            world.sandbox.faults.fail_next(400, 3, path="/chat/Dialog")
            async with listening(world) as (_, seen):
                await ada.chat.send(world.bot_id, "live")
                assert sorted(await seen.wait(2)) == ["live", "missed from history"]

    with caplog.at_level(logging.WARNING, "connectycube.bots"):
        run(main())
    assert caplog.text.count("missed messages can't be read") == 3


def test_dialog_that_moves_while_dialogs_are_listed_is_read(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_history, "PAGE", 1)

    async def main() -> None:
        ada, mary = world.register("ada"), world.register("mary")
        async with listening(world):
            pass
        await write(world, ada, "1", to=world.bot_id, ago=60)
        await write(world, mary, "first", to=world.bot_id)
        async with world.bot() as bot:
            seen: Texts = Seen()

            @bot.message()
            async def note(ctx: Context) -> None:
                seen.append(ctx.text)

            dialogs = type(bot.cube.dialogs)
            listed = dialogs.list

            async def moving(self: Any, **options: Any) -> AsyncIterator[Any]:
                pages = 0
                async for dialog in listed(self, **options):
                    yield dialog
                    pages += 1
                    if pages == 1:
                        await write(world, ada, "2", to=world.bot_id)

            with monkeypatch.context() as patch:
                patch.setattr(dialogs, "list", moving)
                async with bot.running():
                    assert sorted(await seen.wait(3)) == ["1", "2", "first"]

    run(main())
