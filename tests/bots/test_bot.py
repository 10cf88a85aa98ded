"""A bot and its users: which handler gets a message, what it can do, and what becomes of failures."""

from __future__ import annotations

import asyncio
import logging
import re
from typing import Any, cast

import pytest

from connectycube.bots import Bot, Context
from connectycube.chat import (
    Connected,
    ConnectError,
    ContactAccepted,
    ContactRequested,
    MessageDelivered,
    MessageEdited,
    MessageRead,
    MessageReceived,
    NotConnected,
    ReactionsChanged,
    TypingStarted,
    TypingStopped,
)
from connectycube.rest import ConfigurationError, InvalidArgument
from tests.bots.conftest import PASSWORD, World
from tests.integration.support import Seen, eventually, run


def test_first_matching_handler_answers(world: World) -> None:
    async def main() -> None:
        async with world.bot() as bot:

            @bot.message(re.compile(r"\bp(\w+)g\b"))
            async def ping(ctx: Context) -> None:
                await ctx.reply(f"pattern {ctx.match[1]}")

            @bot.message(lambda message: message.body == "attached" and message.attachments)
            async def attached(ctx: Context) -> None:
                await ctx.reply(f"predicate {ctx.match[0].name}")

            @bot.message()
            async def other(ctx: Context) -> None:
                await ctx.reply(f"other {ctx.text} {ctx.args} {ctx.match}")

            @bot.command("add")
            async def add(ctx: Context, one: int, two: int = 2) -> None:
                await ctx.reply(f"command {one + two} {ctx.args} {ctx.match}")

            async with bot.running(), world.friends("ada") as (ada,):
                await ada.chat.send(bot.chat.user_id, "a ping")
                await ada.chat.send(bot.chat.user_id, "attached", attachments=[{"type": "file", "name": "a.txt"}])
                await ada.chat.send(bot.chat.user_id, "/add 40")
                await ada.chat.send(bot.chat.user_id, "/add forty")
                await ada.chat.send(bot.chat.user_id, "/unknown")
                assert await ada.texts.wait(5) == [
                    "pattern in",
                    "predicate a.txt",
                    "command 42 (40,) None",
                    "One must be a whole number, not 'forty'.\nUsage: /add <one> [two]",
                    "other /unknown () True",
                ]

    run(main())


def test_group_is_answered_in_the_group(world: World) -> None:
    async def main() -> None:
        async with world.bot() as bot:

            @bot.message()
            async def echo(ctx: Context) -> None:
                await ctx.reply(f"{ctx.sender_id} in {ctx.dialog_id}: {ctx.text}")

            async with world.friends("ada", "mary") as (ada, mary), bot.running():
                group = world.group(ada.id, mary.id)
                await bot.chat.join(group)
                await ada.chat.join(group)
                await mary.chat.join(group)
                await ada.chat.send(group, "hello")
                expected = f"{ada.id} in {group}: hello"
                assert await ada.texts.wait(1) == [expected]
                assert await mary.texts.wait(2) == ["hello", expected]

    run(main())


def test_context_sends_marks_types_and_reacts(world: World) -> None:
    async def main() -> None:
        async with world.bot() as bot:

            @bot.message()
            async def work(ctx: Context) -> None:
                assert (ctx.bot, ctx.chat, ctx.cube) == (bot, bot.chat, bot.cube)
                assert not ctx.from_history
                assert not ctx.redelivered
                async with ctx.typing():
                    await ctx.mark_read()
                await ctx.react("like")
                await ctx.send(mary.id, "elsewhere")
                await ctx.reply(ctx.text, extra={"mood": "happy"})

            async with world.friends("ada", "mary") as (ada, mary), bot.running():
                seen: Seen[object] = Seen()
                ada.chat.on(TypingStarted, TypingStopped, MessageRead, ReactionsChanged)(seen.append)
                dialog = world.private(ada.id)
                sent = await ada.chat.send(bot.chat.user_id, "hello", dialog_id=dialog)
                assert await mary.texts.one() == "elsewhere"
                reply = await ada.events.one()
                assert (reply.message.extra, reply.message.dialog_id) == ({"mood": "happy"}, dialog)
                started, read, stopped, reacted = await seen.wait(4)
                assert isinstance(started, TypingStarted)
                assert isinstance(stopped, TypingStopped)
                assert isinstance(read, MessageRead)
                assert isinstance(reacted, ReactionsChanged)
                assert read.message_id == reacted.message_id == sent.id
                assert reacted.added == ("like",)

    run(main())


def test_edits_follow_their_answer(world: World) -> None:
    async def main() -> None:
        async with world.bot() as bot:

            @bot.message()
            async def stream(ctx: Context) -> None:
                answer = await ctx.reply("one")
                await ctx.edit(answer, "one two")
                await ctx.edit(answer, "one two three", last=False, extra={"mood": "happy"})

            async with bot.running(), world.friends("ada") as (ada,):
                group, seen = world.group(ada.id), Seen[MessageReceived | MessageEdited]()
                ada.chat.on(MessageReceived, MessageEdited)(seen.append)
                await ada.chat.join(group)
                for to in (bot.chat.user_id, group) * 2:  # The second time, the chat knows the dialogs.
                    seen.items.clear()
                    await ada.chat.send(to, "count")
                    answer, *edits = await seen.wait(3)
                    assert isinstance(answer, MessageReceived)
                    changes = [
                        (edit.message_id, edit.body, edit.last, edit.extra)
                        for edit in edits
                        if isinstance(edit, MessageEdited)
                    ]
                    assert changes == [
                        (answer.message.id, "one two", True, {}),
                        (answer.message.id, "one two three", False, {"mood": "happy"}),
                    ]

    run(main())


def test_dialogs_are_worked_on_in_parallel_and_each_in_order(world: World) -> None:
    async def main() -> None:
        async with world.bot(concurrency=2) as bot:
            running: list[str] = []
            most: list[int] = []
            release = asyncio.Event()

            @bot.message()
            async def work(ctx: Context) -> None:
                running.append(ctx.text)
                most.append(len(running))
                await release.wait()
                running.remove(ctx.text)
                await ctx.reply(ctx.text)

            async with world.friends("ada", "mary", "joe") as friends, bot.running():
                for friend in friends:
                    for number in range(5):
                        await friend.chat.send(bot.chat.user_id, f"{number}")
                await eventually(lambda: bot.stats.received == 15)
                assert (bot.stats.running, bot.stats.waiting) == (2, 13)
                release.set()
                for friend in friends:
                    assert await friend.texts.wait(5) == ["0", "1", "2", "3", "4"]
            assert max(most) == 2
            assert bot.stats.handled == bot.stats.sent == 15

    run(main())


def test_events_jobs_and_messages_from_anywhere(world: World) -> None:
    async def main() -> None:
        async with world.bot() as bot:
            seen: Seen[str] = Seen()

            @bot.on(Connected)
            async def connected(event: Connected) -> None:
                seen.append(event.jid)

            @bot.on(ContactRequested)
            async def welcome(event: ContactRequested) -> None:
                await bot.chat.contacts.accept(event.user_id)
                await bot.send(event.user_id, "welcome")

            @bot.every(0.01)
            async def tick() -> None:
                seen.append("tick")
                raise ValueError("reported, and called again")

            async with world.friends("ada") as (ada,), bot.running():
                assert (await seen.wait(3))[1:] == ["tick", "tick"]
                accepted: Seen[ContactAccepted] = Seen()
                ada.chat.on(ContactAccepted)(accepted.append)
                await ada.chat.contacts.request(bot.chat.user_id)
                assert await ada.texts.one() == "welcome"
                assert (await accepted.one()).user_id == world.bot_id
                twice = "0123456789abcdef01234567"
                assert (await bot.send(ada.id, "once", message_id=twice)).id == twice
                await bot.send(ada.id, "once", message_id=twice)
                await bot.send(ada.id, "last")
                assert await ada.texts.wait(3) == ["welcome", "once", "last"]

    run(main())


def test_given_chat_leaves_marks_to_the_bot(world: World) -> None:
    async def main() -> None:
        chat = world.chat(world.bot_id, mark_delivered="always")
        bot = Bot(chat=chat, store=world.path)
        async with world.friends("ada") as (ada,), bot.running():
            marks: Seen[MessageDelivered] = Seen()
            ada.chat.on(MessageDelivered)(marks.append)
            dialog = world.private(ada.id)
            first = await ada.chat.send(world.bot_id, "one", dialog_id=dialog)
            last = await ada.chat.send(world.bot_id, "two", dialog_id=dialog)
            assert [mark.message_id for mark in await marks.wait(2)] == [first.id, last.id]
            assert len(marks.items) == 2

    run(main())


def test_memory_store_warns_once(world: World, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        async with world.bot(store="memory") as bot:

            @bot.message()
            async def echo(ctx: Context) -> None:
                await ctx.reply(ctx.text)

            async with world.friends("ada") as (ada,), bot.running():
                for text in ("one", "two"):
                    await ada.chat.send(bot.chat.user_id, text)
                assert await ada.texts.wait(2) == ["one", "two"]

    with caplog.at_level(logging.WARNING, "connectycube.bots"):
        run(main())
    assert caplog.text.count("keeps messages in memory") == 1


def test_own_messages_are_not_handled(world: World) -> None:
    async def main() -> None:
        async with world.bot() as bot:
            seen: Seen[str] = Seen()

            @bot.message()
            async def echo(ctx: Context) -> None:
                seen.append(ctx.text)

            async with world.friends("ada") as (ada,), bot.running(), world.chat(world.bot_id) as device:
                await device.send(ada.id, "from another device")
                await device.send(world.bot_id, "to myself")
                await ada.chat.send(world.bot_id, "from ada")
                assert await seen.wait(1) == ["from ada"]

    run(main())


# -- the life of a bot


def test_stop_lets_handlers_finish_and_keeps_the_rest(world: World) -> None:
    async def main() -> None:
        begun, release, seen = asyncio.Event(), asyncio.Event(), Seen[str]()
        async with world.friends("ada") as (ada,):
            async with world.bot() as bot:

                @bot.message()
                async def work(ctx: Context) -> None:
                    begun.set()
                    await release.wait()
                    await ctx.reply(f"one: {ctx.text}")

                serving = asyncio.ensure_future(bot.serve())
                await ada.chat.send(world.bot_id, "first")
                await ada.chat.send(world.bot_id, "second")
                await begun.wait()
                await eventually(lambda: bot.stats.received == 2)
                stopping = asyncio.ensure_future(bot.stop())
                await asyncio.sleep(0)
                release.set()
                await stopping
                await serving
                assert bot.stats.handled == 1
                assert await ada.texts.wait(1) == ["one: first"]
            async with world.bot() as bot:

                @bot.message()
                async def again(ctx: Context) -> None:
                    seen.append(f"{ctx.text} {ctx.redelivered}")
                    await ctx.reply(f"two: {ctx.text}")
                    await ctx.bot.stop()

                await bot.serve()
                assert seen.items == ["second True"]
                assert await ada.texts.wait(2) == ["one: first", "two: second"]

    run(main())


@pytest.mark.parametrize("from_handler", [False, True])
def test_stop_ends_a_running_block_early(world: World, from_handler: bool) -> None:
    async def main() -> None:
        async with world.friends("ada") as (ada,), world.bot() as bot:

            @bot.message()
            async def work(ctx: Context) -> None:
                await ctx.reply("bye")
                if from_handler:
                    await ctx.bot.stop()

            async with bot.running():
                await ada.chat.send(world.bot_id, "hello")
                assert await ada.texts.one() == "bye"
                await bot.stop()
                with pytest.raises(NotConnected, match="the bot is not running"):
                    await bot.send(ada.id, "too late")
                async with bot.running():
                    assert bot.stats.handled == 1

    run(main())


def test_chat_that_ends_for_good_ends_the_bot(world: World) -> None:
    async def main() -> None:
        bot = Bot(chat={**world.chat_options, "user_id": world.bot_id, "password": "wrong", "app_id": 7001})
        with pytest.raises(ConnectError):
            await bot.serve()
        with pytest.raises(ConnectError):
            async with bot.running():
                pass

    run(main())


def test_environment_names_the_account(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        with pytest.raises(ConfigurationError, match="the bot has no account"):
            await Bot().serve()
        monkeypatch.setenv("CONNECTYCUBE_APP_ID", str(world.sandbox.app_id))
        monkeypatch.setenv("CONNECTYCUBE_PASSWORD", PASSWORD)
        monkeypatch.setenv("CONNECTYCUBE_USER_ID", str(world.bot_id))
        bot = Bot(chat=world.chat_options)
        async with bot.running():
            assert bot.chat.user_id == world.bot_id
            with pytest.raises(ConfigurationError, match="has no REST client"):
                bot.cube  # noqa: B018
        monkeypatch.setenv("CONNECTYCUBE_LOGIN", "bot")
        monkeypatch.setenv("CONNECTYCUBE_AUTH_KEY", world.sandbox.auth_key)
        monkeypatch.setenv("CONNECTYCUBE_BASE_URL", world.sandbox.api_url)
        bot = Bot(chat=world.chat_options)
        async with bot.running():
            assert (await bot.cube.users.me()).id == world.bot_id

    for name in ("APP_ID", "PASSWORD", "USER_ID", "LOGIN", "AUTH_KEY"):
        monkeypatch.delenv(f"CONNECTYCUBE_{name}", raising=False)
    run(main())


def test_bot_that_is_not_at_work(world: World) -> None:
    async def main() -> None:
        async with world.bot() as bot:
            assert bot.failed() == ()
            await bot.stop()
            for call in (lambda: bot.chat, lambda: bot.retry("x")):
                with pytest.raises(Exception, match="the bot is not running"):
                    call()
            async with bot.running():
                with pytest.raises(ConfigurationError, match="already running"):
                    await bot.serve()

    run(main())


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"store": ""}, "store must be"),
        ({"store": "http://localhost"}, "store must be"),
        ({"catch_up": 5}, "catch_up must be a timedelta"),
        ({"concurrency": 0}, "concurrency must be a positive whole number"),
        ({"attempts": True}, "attempts must be a positive whole number"),
        ({"prefix": 1}, "prefix must be a string"),
        ({"handler_timeout": 0}, "handler_timeout must be more than 0 seconds"),
        ({"chat": 1}, "chat must be an AsyncChat or its arguments"),
        ({"chat": {"cube": None}}, "chat can't contain cube"),
        ({"cube": 1}, "cube must be an AsyncConnectyCube"),
    ],
)
def test_invalid_arguments(options: dict[str, Any], problem: str) -> None:
    with pytest.raises(InvalidArgument, match=problem):
        Bot(**options)


def test_invalid_handlers() -> None:
    bot, blocking = Bot(), cast(Any, print)
    with pytest.raises(InvalidArgument, match="must be a coroutine function"):
        bot.message()(blocking)
    with pytest.raises(InvalidArgument, match="is not a regular expression"):
        bot.message("(")
    with pytest.raises(InvalidArgument, match="types must be event or stanza classes"):
        bot.on()
    with pytest.raises(InvalidArgument, match="seconds must be more than 0"):
        bot.every(0)

    async def bare(ctx: Context) -> None: ...

    for decorator in (bot.message, bot.command, bot.on, bot.every):
        with pytest.raises(InvalidArgument):
            cast(Any, decorator)(bare)

    @bot.command("one")
    async def one(ctx: Context) -> None: ...

    with pytest.raises(InvalidArgument, match="is already registered"):
        bot.command("ONE")(one)
