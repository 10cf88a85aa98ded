"""What becomes of handlers that fail, hang, are cancelled or block, and of answers that are refused."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import time
from typing import Any

import pytest

from connectycube.bots import Context
from connectycube.chat import (
    MessageTooLong,
    RecipientBlocked,
)
from connectycube.rest import InvalidArgument
from tests.bots.conftest import World
from tests.integration.support import Seen, drained, eventually, run


def test_failing_handler_is_retried_and_then_kept(world: World, quick: None) -> None:
    async def main() -> None:
        async with world.bot(attempts=3) as bot:
            attempts: list[tuple[str, bool]] = []
            errors: Seen[tuple[str, str]] = Seen()
            working = False

            @bot.message()
            async def work(ctx: Context) -> None:
                attempts.append((ctx.text, ctx.redelivered))
                await ctx.reply(f"begun: {ctx.text}")
                if ctx.text == "bad" and not working:
                    raise ValueError("no")
                await ctx.reply(f"done: {ctx.text}")

            @bot.error
            async def report(ctx: Context, error: Exception) -> None:
                errors.append((ctx.text, str(error)))
                await ctx.reply("sorry")

            async with world.friends("ada") as (ada,), bot.running():
                await ada.chat.send(bot.chat.user_id, "bad")
                await ada.chat.send(bot.chat.user_id, "good")
                # An answer that a later attempt gives again has its old id, and is sent once.
                assert await ada.texts.wait(4) == ["begun: bad", "sorry", "begun: good", "done: good"]
                assert attempts == [("bad", False), ("bad", True), ("bad", True), ("good", False)]
                assert errors.items == [("bad", "no")]
                [failure] = bot.failed()
                assert (failure.kind, failure.dialog, failure.error) == ("message", str(ada.id), "ValueError: no")
                assert (bot.stats.retried, bot.stats.failed) == (2, 1)
                working = True
                bot.retry(failure.id)
                assert bot.failed() == ()
                assert (await ada.texts.wait(5))[4] == "done: bad"
                with pytest.raises(InvalidArgument, match="is not the id of a failure"):
                    bot.retry(failure.id)

    run(main())


def test_failures_outlive_the_process(world: World, quick: None) -> None:
    async def main() -> None:
        for good in (False, True):
            async with world.bot(attempts=1) as bot:
                seen: Seen[str] = Seen()

                @bot.message()
                async def work(ctx: Context, good: bool = good, seen: Seen[str] = seen) -> None:
                    seen.append(ctx.text)
                    if not good:
                        raise ValueError("no")

                async with bot.running():
                    if not good:
                        async with world.friends("ada") as (ada,):
                            await ada.chat.send(bot.chat.user_id, "hello")
                            await eventually(bot.failed)
                    [failure] = bot.failed()
                    if good:
                        bot.retry(failure.id)
                        assert await seen.one() == "hello"
                        await eventually(lambda: bot.stats.handled == 1)

    run(main())


def test_hanging_handler_is_cancelled_and_others_go_on(world: World, quick: None) -> None:
    async def main() -> None:
        async with world.bot(attempts=2, handler_timeout=1) as bot:
            errors: Seen[Exception] = Seen()
            over = asyncio.Event()

            @bot.message("hang")
            async def hang(ctx: Context) -> None:
                await asyncio.Event().wait()

            @bot.message("stubborn")
            async def stubborn(ctx: Context) -> None:
                while not over.is_set():
                    with contextlib.suppress(asyncio.CancelledError):
                        await over.wait()

            @bot.message("cancelled")
            async def cancelled(ctx: Context) -> None:
                inner = asyncio.ensure_future(asyncio.sleep(60))
                inner.cancel()
                await inner

            @bot.message()
            async def other(ctx: Context) -> None:
                await ctx.reply(ctx.text)

            @bot.error
            async def report(ctx: Context, error: Exception) -> None:
                errors.append(error)

            try:
                async with world.friends("ada", "mary", "joe", "sue") as (ada, mary, joe, sue), bot.running():
                    await ada.chat.send(bot.chat.user_id, "hang")
                    await mary.chat.send(bot.chat.user_id, "stubborn")
                    await joe.chat.send(bot.chat.user_id, "cancelled")
                    for friend in (ada, mary, joe, sue):
                        await friend.chat.send(bot.chat.user_id, "still there?")
                    assert await sue.texts.one() == "still there?"
                    for friend in (ada, mary, joe):
                        assert await friend.texts.one() == "still there?"
            finally:
                over.set()
                await drained()
            assert {str(error) for error in errors.items} == {
                f"the handler {hang.__qualname__} did not finish within 1 s",
                f"the handler {stubborn.__qualname__} did not finish within 1 s",
                f"the handler {cancelled.__qualname__} was cancelled",
            }

    run(main())


def test_blocked_event_loop_is_reported(world: World, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        async with world.bot() as bot:

            @bot.message()
            async def block(ctx: Context) -> None:
                time.sleep(1.6)
                await ctx.reply("done")

            async with world.friends("ada") as (ada,), bot.running():
                await ada.chat.send(bot.chat.user_id, "block")
                assert await ada.texts.one() == "done"
                await eventually(lambda: bot.stats.blocked)

    with caplog.at_level(logging.WARNING, "connectycube.bots"):
        run(main())
    assert re.search(r"the event loop was blocked for \d\.\d seconds \(handlers running: .*block", caplog.text)


def test_refused_replies_are_reported_and_kept(world: World) -> None:
    async def main() -> None:
        async with world.bot() as bot:
            errors: Seen[tuple[str, Exception]] = Seen()

            @bot.message()
            async def work(ctx: Context) -> None:
                await ctx.reply("x" * 300_000 if ctx.text == "long" else "hello")

            @bot.error
            async def report(ctx: Context, error: Exception) -> None:
                errors.append((ctx.text, error))
                await ctx.reply("this is refused, too, and not reported")

            async with world.friends("ada", "mary") as (ada, mary), bot.running():
                await ada.chat.privacy.block(bot.chat.user_id)
                await ada.chat.send(bot.chat.user_id, "blocks")
                text, error = await errors.one()
                assert text == "blocks"
                assert isinstance(error, RecipientBlocked)
                await mary.chat.send(bot.chat.user_id, "long")
                _, too_long = (await errors.wait(2))[1]
                assert isinstance(too_long, MessageTooLong)
                await mary.chat.send(bot.chat.user_id, "short")
                assert (await mary.texts.wait(2))[1] == "hello"
                failures = await eventually(lambda: bot.failed() if len(bot.failed()) == 3 else ())
                assert {failure.kind for failure in failures} == {"reply"}
                assert len(errors.items) == 2
                # A reply can be sent once more, when the user does not block the bot any more.
                await ada.chat.privacy.unblock(bot.chat.user_id)
                bot.retry(next(failure.id for failure in failures if failure.dialog == str(ada.id)))
                assert await ada.texts.one() == "hello"

    run(main())


def test_invalid_replies_fail_in_the_handler(world: World) -> None:
    async def main() -> None:
        async with world.bot(attempts=1) as bot:

            @bot.message()
            async def work(ctx: Context) -> None:
                with pytest.raises(InvalidArgument, match="body is empty"):
                    await ctx.reply()
                with pytest.raises(InvalidArgument, match="can't be stored"):
                    await ctx.reply("x", extra={"a": object()})
                unknown: Any = {"colour": "red"}
                with pytest.raises(InvalidArgument, match="is not an argument"):
                    await ctx.reply("x", **unknown)
                nobody: Any = None
                with pytest.raises(InvalidArgument, match="to must be"):
                    await ctx.send(nobody, "x")
                await ctx.reply("all refused")

            async with world.friends("ada") as (ada,), bot.running():
                await ada.chat.send(bot.chat.user_id, "hello")
                assert await ada.texts.one() == "all refused"

    run(main())


class Outcome(BaseException):
    """What test frameworks raise: it is no Exception."""


def test_other_exceptions_are_failures_too(world: World, quick: None) -> None:
    async def main() -> None:
        async with world.bot(attempts=2) as bot:
            errors: Seen[Exception] = Seen()

            @bot.message("bad")
            async def bad(ctx: Context) -> None:
                raise Outcome("odd")

            @bot.message()
            async def other(ctx: Context) -> None:
                await ctx.reply(ctx.text)

            @bot.error
            async def report(ctx: Context, error: Exception) -> None:
                errors.append(error)

            async with world.friends("ada") as (ada,), bot.running():
                await ada.chat.send(bot.chat.user_id, "bad")
                await ada.chat.send(bot.chat.user_id, "next")
                assert await ada.texts.one() == "next"
                [error] = errors.items
                assert str(error) == f"the handler {bad.__qualname__} raised Outcome: odd"
                assert isinstance(error.__cause__, Outcome)

    run(main())


def test_reports_do_not_change_the_ids_of_answers(world: World, quick: None) -> None:
    """A handler is at work while two of its answers are reported as refused, fails, and runs again."""

    async def main() -> None:
        async with world.bot() as bot:
            reports: Seen[str] = Seen()

            @bot.message()
            async def work(ctx: Context) -> None:
                for friend in (ada, joe):
                    await ctx.send(friend.id, "refused")
                await reports.wait(2)
                await ctx.reply("once")
                if not ctx.redelivered:
                    raise ValueError("runs again")
                await ctx.reply("done")

            @bot.error
            async def report(ctx: Context, error: Exception) -> None:
                reports.append(str(error))
                await ctx.reply("reported")

            async with world.friends("ada", "joe", "mary") as (ada, joe, mary), bot.running():
                for friend in (ada, joe):
                    await friend.chat.privacy.block(bot.chat.user_id)
                await mary.chat.send(bot.chat.user_id, "hello")
                texts = await mary.texts.wait(4)
                assert sorted(texts) == ["done", "once", "reported", "reported"]
                assert texts[-1] == "done"

    run(main())


def test_error_handlers_can_retry(world: World, quick: None) -> None:
    async def main() -> None:
        async with world.bot(attempts=1) as bot:
            attempts: list[str] = []

            @bot.message()
            async def work(ctx: Context) -> None:
                attempts.append(ctx.text)
                if len(attempts) == 1:
                    raise ValueError("no")
                await ctx.reply("done")

            @bot.error
            async def again(ctx: Context, error: Exception) -> None:
                [failure] = bot.failed()
                bot.retry(failure.id)
                await eventually(lambda: bot.stats.waiting == 1)

            async with world.friends("ada") as (ada,), bot.running():
                await ada.chat.send(bot.chat.user_id, "hello")
                assert await ada.texts.one() == "done"
                assert attempts == ["hello", "hello"]
                assert bot.failed() == ()

    run(main())


def test_jobs_that_are_cancelled_from_within_go_on(world: World) -> None:
    async def main() -> None:
        async with world.bot() as bot:
            calls: Seen[str] = Seen()

            @bot.every(0.01)
            async def job() -> None:
                calls.append("called")
                inner = asyncio.ensure_future(asyncio.Event().wait())
                inner.cancel()
                await inner

            async with bot.running():
                await calls.wait(3)

    run(main())


def test_parameters_may_have_any_name(world: World) -> None:
    async def main() -> None:
        async with world.bot(attempts=1) as bot:

            @bot.command("wait")
            async def wait(ctx: Context, call: int, *, timeout: str) -> None:
                await ctx.reply(f"{call} {timeout}")

            async with world.friends("ada") as (ada,), bot.running():
                await ada.chat.send(bot.chat.user_id, "/wait 2 a minute or so")
                assert await ada.texts.one() == "2 a minute or so"

    run(main())
