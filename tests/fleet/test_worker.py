"""Workers: order, redelivery, failures, and what handlers can do."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import pytest

from connectycube.bots import Bot, Context, dispatch
from connectycube.bots.content import key_of, reply_id
from connectycube.bots.fleet import inbox
from connectycube.bots.fleet.accounts import Account
from connectycube.bots.fleet.records import problem_of
from connectycube.chat import MessageNotSent, MessageRefused, NotConnected
from connectycube.rest import ConfigurationError, Unauthorized
from tests.bots.conftest import PASSWORD, World, quick  # noqa: F401
from tests.integration.support import Seen, eventually, run

from .desk import BOT_ID, desk, process, working
from .server import NatsServer


def echo_bot(**options: object) -> Bot:
    bot = Bot(**options)  # type: ignore[arg-type]

    @bot.message()
    async def echo(ctx: Context) -> None:
        await ctx.reply(ctx.text)

    return bot


def in_order(replies: list[tuple[str, str, str | None]], dialogs: range, count: int) -> bool:
    """Return whether each dialog got each answer once, in order."""
    return all(
        [text for _, one, text in replies if one == str(dialog)] == [f"{n}" for n in range(count)] for dialog in dialogs
    )


def test_order_per_dialog_while_partitions_move_to_another_worker(nats_server: NatsServer) -> None:
    async def main() -> None:
        url, dialogs = nats_server.url, range(100, 120)
        first, second = echo_bot(), echo_bot()
        async with desk(url) as gateway, working(url, first):
            for number in range(5):
                for dialog in dialogs:
                    await gateway.say(dialog, f"{number}")
            await gateway.replies.wait(50)
            async with working(url, second):
                for number in range(5, 10):
                    for dialog in dialogs:
                        await gateway.say(dialog, f"{number}")
                await gateway.replies.wait(200)
                number = 9
                while not second.stats.handled:
                    number += 1
                    for dialog in dialogs:
                        await gateway.say(dialog, f"{number}")
                    await gateway.replies.wait((number + 1) * len(dialogs))
        assert in_order(gateway.replies.items, dialogs, number + 1)
        assert first.stats.handled + second.stats.handled == len(gateway.replies.items)

    run(main())


def test_a_hung_handler_does_not_stop_other_dialogs_of_its_partition(nats_server: NatsServer) -> None:
    async def main() -> None:
        url = f"{nats_server.url}?partitions=1"
        bot, hung = Bot(), asyncio.Event()

        @bot.message("hang")
        async def hang(ctx: Context) -> None:
            await hung.wait()

        @bot.message()
        async def echo(ctx: Context) -> None:
            await ctx.reply(ctx.text)

        async with desk(url) as gateway, working(url, bot):
            await gateway.say(1, "hang")
            await gateway.say(1, "behind it")
            await gateway.say(2, "another")
            assert await gateway.replies.one() == ("bot", "2", "another")
            hung.set()
            assert (await gateway.replies.wait(2))[1] == ("bot", "1", "behind it")

    run(main())


def test_order_when_memory_is_full(nats_server: NatsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatch, "MOST", 4)
    monkeypatch.setattr(dispatch, "PAGE", 3)
    monkeypatch.setattr(inbox, "MOST_KEPT", 2)

    async def main() -> None:
        url = f"{nats_server.url}?partitions=2"
        async with desk(url) as gateway:
            for number in range(10):
                for dialog in range(1, 4):
                    await gateway.say(dialog, f"{number}")
            async with working(url, echo_bot()):
                for number in range(10, 30):
                    for dialog in range(1, 4):
                        await gateway.say(dialog, f"{number}")
                await gateway.replies.wait(90)
        assert in_order(gateway.replies.items, range(1, 4), 30)

    run(main())


HANGS = """
bot = Bot()

@bot.message("hang")
async def hang(ctx: Context) -> None:
    await ctx.reply("before")
    print("hangs", flush=True)
    await asyncio.Event().wait()

@bot.message()
async def echo(ctx: Context) -> None:
    await ctx.reply(ctx.text)
"""


def test_redelivery_after_a_worker_is_killed(nats_server: NatsServer, tmp_path: Path) -> None:
    async def main() -> None:
        url = f"{nats_server.url}?ttl=1.5"
        bot, found = Bot(), Seen[tuple[str, bool]]()

        @bot.message()
        async def echo(ctx: Context) -> None:
            found.append((ctx.text, ctx.redelivered))
            await ctx.reply("before")
            await ctx.reply("after")

        async with desk(url) as gateway:
            async with process(tmp_path, url, HANGS) as worker:
                await gateway.say(1, "done")
                await gateway.replies.one()
                await gateway.handled()
                await gateway.say(1, "hang")
                assert await worker.line() == "hangs"
                await gateway.replies.wait(2)
                await gateway.say(1, "next")
                await worker.kill()
            async with working(url, bot):
                replies = await gateway.replies.wait(5)
        assert [text for _, _, text in replies] == ["done", "before", "after", "before", "after"]
        assert found.items == [("hang", True), ("next", True)]

    run(main())


FROZEN = """
bot = Bot()

@bot.message()
async def work(ctx: Context) -> None:
    print("begun", flush=True)
    try:
        while not os.path.exists(sys.argv[1].partition("?")[0].rpartition("/")[2]):
            await asyncio.sleep(0.01)
        await ctx.reply("one")
        await ctx.reply("two")
    finally:
        print("over", flush=True)
"""


def test_a_frozen_worker_writes_nothing_for_what_it_has_lost(
    nats_server: NatsServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    async def main() -> None:
        url, bot = f"{nats_server.url}?ttl=1", Bot()

        @bot.message()
        async def work(ctx: Context) -> None:
            await ctx.reply("taken over")

        async with desk(url) as gateway, process(tmp_path, url, FROZEN) as worker:
            await gateway.say(1, "hello")
            assert await worker.line() == "begun"
            worker.signal(signal.SIGSTOP)
            async with working(url, bot):
                await gateway.replies.one()
                Path(url.partition("?")[0].rpartition("/")[2]).touch()
                worker.signal(signal.SIGCONT)
                assert await worker.line() == "over"
                # What follows in the stream shows that nothing came before it.
                await gateway.say(2, "hello")
                await gateway.replies.one(lambda reply: reply[1] == "2")
        assert [text for _, dialog, text in gateway.replies.items if dialog == "1"] == ["taken over"]

    run(main())


POISON = """
bot = Bot(attempts=1)

@bot.message("poison")
async def end(ctx: Context) -> None:
    os._exit(1)

@bot.message()
async def echo(ctx: Context) -> None:
    await ctx.reply(ctx.text)

@bot.error
async def report(ctx: Context, error: Exception) -> None:
    print(f"{ctx.text}: {error}", flush=True)
"""


def test_a_message_that_ends_the_process_is_given_up(nats_server: NatsServer, tmp_path: Path) -> None:
    async def main() -> None:
        url = f"{nats_server.url}?ttl=1"
        async with desk(url) as gateway:
            await gateway.say(1, "poison")
            await gateway.say(1, "harmless")
            line = ""
            while not line:
                async with process(tmp_path, url, POISON) as worker:
                    line = await worker.line()
                    if line:
                        await gateway.replies.one()
        assert line == "poison: the process ended during attempt 1"
        assert gateway.replies.items == [("bot", "1", "harmless")]

    run(main())


@pytest.mark.usefixtures("quick")
def test_failures_are_kept_and_retried(nats_server: NatsServer) -> None:
    async def main() -> None:
        url, works = nats_server.url, False
        bot, reported = Bot(attempts=2), Seen[str]()

        @bot.message("bad")
        async def fail(ctx: Context) -> None:
            await ctx.reply("trying")
            if not works:
                raise ValueError("nothing works")
            await ctx.reply("works")

        @bot.message()
        async def echo(ctx: Context) -> None:
            await ctx.reply(ctx.text)

        @bot.error
        async def report(ctx: Context, error: Exception) -> None:
            reported.append(str(error))
            await ctx.reply("sorry")

        async with desk(url) as gateway, working(url, bot):
            await gateway.say(1, "bad")
            await gateway.say(1, "next")
            assert [text for _, _, text in await gateway.replies.wait(3)] == ["trying", "sorry", "next"]
            assert reported.items == ["nothing works"]
            (failure,) = await eventually(bot.failed)
            assert (failure.kind, failure.dialog, failure.error) == ("message", "1", "ValueError: nothing works")
            works = True
            bot.retry(failure.id)
            assert bot.failed() == ()
            assert (await gateway.replies.wait(4))[3] == ("bot", "1", "works")
            await gateway.handled()
            assert (await gateway.engine.js.stream_info(gateway.layout.stream("failed"))).state.messages == 0
        assert (bot.stats.handled, bot.stats.retried, bot.stats.failed) == (2, 1, 1)

    run(main())


def test_what_was_done_before_is_not_done_again(nats_server: NatsServer) -> None:
    async def main() -> None:
        url, bot = nats_server.url, Bot()

        @bot.message()
        async def work(ctx: Context) -> None:
            await ctx.reply(f"{ctx.text} first")
            await ctx.reply(f"{ctx.text} second")

        async with desk(url) as gateway:
            # Handled, but its acknowledgement was lost; and begun, with a reply that was sent.
            handled, begun = await gateway.say(1, "handled"), await gateway.say(1, "begun")
            for key in (key_of(handled), reply_id(BOT_ID, f"bot:{key_of(begun)}", "handler", 0)):
                await gateway.engine.publish(gateway.layout.of("done", "bot", key), b"")
            async with working(url, bot):
                assert await gateway.replies.one() == ("bot", "1", "begun second")
                await gateway.handled()
                assert not await gateway.publish(begun)
                await gateway.say(1, "new")
                await gateway.replies.wait(3)
        assert [text for _, _, text in gateway.replies.items] == ["begun second", "new first", "new second"]

    run(main())


def test_a_restart_of_the_server_in_between(nats_server: NatsServer) -> None:
    async def main() -> None:
        url = nats_server.url
        bot, dialogs = echo_bot(), range(1, 11)
        async with desk(url) as gateway, working(url, bot):
            for number in range(20):
                for dialog in dialogs:
                    await gateway.say(dialog, f"{number}")
                if number in (5, 12):
                    nats_server.kill()
                    nats_server.start()
            await gateway.handled()
            await gateway.replies.wait(200)
        assert in_order(gateway.replies.items, dialogs, 20)

    run(main())


def test_periodic_functions_run_in_one_worker(nats_server: NatsServer) -> None:
    async def main() -> None:
        url, calls = f"{nats_server.url}?partitions=2", Seen[str]()

        def bot(name: str) -> Bot:
            found = Bot()

            @found.every(0.01)
            async def job() -> None:
                calls.append(name)

            return found

        async with working(url, bot("first")):
            await calls.one()
            async with working(url, bot("second")):
                await calls.wait(50)
        before = len(calls.items)
        turns = [one for one, other in zip(calls.items, [None, *calls.items], strict=False) if one != other]
        assert len(turns) <= 3
        async with working(url, bot("third")):
            await calls.wait(before + 1)
        assert calls.items[-1] == "third"

    run(main())


def test_refused_replies_are_reported(nats_server: NatsServer) -> None:
    async def main() -> None:
        url, bot, reported = nats_server.url, echo_bot(), Seen[tuple[str, Exception]]()

        @bot.error
        async def report(ctx: Context, error: Exception) -> None:
            reported.append((ctx.text, error))
            await ctx.reply("instead")

        async with desk(url) as gateway, working(url, bot):
            await gateway.say(1, "hello")
            record = await gateway.records.one()
            await gateway.tell(record, problem_of(MessageRefused(record.id, None), record.id))
            text, error = await reported.one()
            assert (text, type(error)) == ("hello", MessageRefused)
            # What the error handler sends is not reported to it again.
            record = (await gateway.records.wait(2))[1]
            await gateway.tell(record, problem_of(MessageRefused(record.id, None), record.id))
            await gateway.say(1, "more")
            await gateway.replies.wait(3)
        assert len(reported.items) == 1
        assert bot.stats.failed == 2

    run(main())


def test_what_handlers_ask_of_the_gateway(nats_server: NatsServer) -> None:
    async def main() -> None:
        url, bot, problems = nats_server.url, Bot(), Seen[Exception]()

        @bot.message()
        async def work(ctx: Context) -> None:
            async with ctx.typing():
                await ctx.mark_read()
            sent = await ctx.reply("one")
            await ctx.edit(sent, "two", extra={"mood": "happy"})
            assert ctx.chat.user_id == BOT_ID
            for call in (lambda: ctx.chat.join("x"), lambda: ctx.cube, lambda: bot.chat, lambda: bot.cube):
                try:
                    call()
                except ConfigurationError as error:
                    problems.append(error)
            await ctx.send(3, "elsewhere")
            await bot.send(4, "by the bot")

        async with desk(url) as gateway, working(url, bot):
            message = await gateway.say(1, "hello")
            started, read, stopped, edited = await gateway.requests.wait(4)
            assert [one.call for one in (started, read, stopped)] == ["start_typing", "mark_read", "stop_typing"]
            assert started.place == stopped.place == edited.place == 1
            assert message.id is not None
            assert message.id.encode() in bytes(read.message)
            record = await gateway.records.one()
            assert (edited.call, edited.message_id, edited.body, edited.extra) == (
                "edit_message",
                record.id,
                "two",
                {"mood": "happy"},
            )
            assert (await gateway.replies.wait(3))[1:] == [("bot", "3", "elsewhere"), ("bot", "4", "by the bot")]
            texts = [str(one) for one in await problems.wait(4)]
            assert "chat.join is not available in a worker" in texts[0]
            assert "add it to --accounts to use ctx.cube" in texts[1]

    run(main())


def test_no_gateway_holds_the_account(nats_server: NatsServer) -> None:
    async def main() -> None:
        url, bot, problems = nats_server.url, Bot(attempts=1), Seen[Exception]()

        @bot.message()
        async def work(ctx: Context) -> None:
            for call in (ctx.mark_read(), ctx.chat.start_typing(1)):
                try:
                    await call
                except (MessageNotSent, NotConnected) as error:
                    problems.append(error)
            async with ctx.typing():
                await ctx.reply("without a connection")

        async with desk(url) as gateway, working(url, bot):
            await gateway.say(1, "hello", "other")
            assert await gateway.replies.one() == ("other", "1", "without a connection")
        assert [type(one) for one in problems.items] == [MessageNotSent, NotConnected]

    run(main())


def test_messages_from_anywhere_in_the_program(nats_server: NatsServer) -> None:
    async def main() -> None:
        url, bot, message_id = nats_server.url, Bot(), "a" * 24
        async with desk(url) as gateway, working(url, bot):
            with pytest.raises(ConfigurationError, match="pass account="):
                await eventually_send(bot)
            for text in ("one", "two"):
                await bot.send(5, text, account="bot", message_id=message_id)
                await gateway.replies.one()
            await bot.send(5, "three", account="other")
            assert (await gateway.replies.wait(2)) == [("bot", "5", "one"), ("other", "5", "three")]

    async def eventually_send(bot: Bot) -> None:
        while True:
            try:
                await bot.send(5, "one")
            except NotConnected:
                await asyncio.sleep(0)

    run(main())


def test_rest_clients_of_the_accounts(nats_server: NatsServer, world: World) -> None:
    async def main() -> None:
        bot, found = Bot(), Seen[object]()
        sandbox = world.sandbox
        rest = {"app_id": sandbox.app_id, "auth_key": sandbox.auth_key, "base_url": sandbox.api_url}

        @bot.message()
        async def work(ctx: Context) -> None:
            assert ctx.cube is ctx.cube
            try:
                found.append((await ctx.cube.users.me()).id)
            except Unauthorized as error:
                found.append(type(error))

        users = {"bot": world.bot_id, "ada": world.register("ada")}
        accounts = [Account("bot", PASSWORD), Account("ada", "wrong")]
        async with desk(nats_server.url) as gateway, working(nats_server.url, bot, accounts=accounts, rest=rest):
            for account, user_id in users.items():
                await gateway.say(1, "hello", account, user_id)
            assert set(await found.wait(2)) == {world.bot_id, Unauthorized}

    run(main())
