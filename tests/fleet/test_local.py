"""`Bot(store="nats://...")`: one account, a gateway and a worker in one process."""

from __future__ import annotations

import datetime as dt
import subprocess
import sys

import pytest

from connectycube.bots import Bot, Context, StoreError
from connectycube.bots.fleet import engine
from connectycube.chat import AuthenticationFailed, Connected, MessageEdited, MessageRead, TypingStarted, TypingStopped
from connectycube.rest import InvalidArgument
from tests.bots.conftest import World
from tests.integration.support import Seen, free_ports, run

from .server import NatsServer


def test_what_handlers_can_do(world: World, nats_server: NatsServer) -> None:
    async def main() -> None:
        async with world.bot(store=nats_server.url) as bot:
            connected: Seen[Connected] = Seen()

            @bot.on(Connected)
            async def online(event: Connected) -> None:
                connected.append(event)

            @bot.message()
            async def work(ctx: Context) -> None:
                assert (ctx.bot, ctx.chat, ctx.cube) == (bot, bot.chat, bot.cube)
                async with ctx.typing():
                    await ctx.mark_read()
                await ctx.edit(await ctx.reply("one"), "two")
                await bot.send(mary.id, "elsewhere")

            async with world.friends("ada", "mary") as (ada, mary), bot.running():
                assert "running" in repr(bot)
                seen: Seen[object] = Seen()
                ada.chat.on(TypingStarted, TypingStopped, MessageRead, MessageEdited)(seen.append)
                await connected.one()
                await ada.chat.send(bot.chat.user_id, "hello")
                assert await ada.texts.one() == "one"
                assert await mary.texts.one() == "elsewhere"
                kinds = [type(one) for one in await seen.wait(4)]
                assert kinds == [TypingStarted, MessageRead, TypingStopped, MessageEdited]
            assert (bot.stats.handled, bot.failed()) == (1, ())

    run(main())


def test_missed_messages_are_handled(world: World, nats_server: NatsServer) -> None:
    async def main() -> None:
        async with world.friends("ada") as (ada,):
            for number in range(3):
                await ada.chat.send(world.bot_id, f"missed {number}")
                async with world.bot(store=nats_server.url, catch_up=dt.timedelta(hours=1)) as bot:

                    @bot.message()
                    async def echo(ctx: Context) -> None:
                        await ctx.reply(ctx.text)

                    async with bot.running():
                        await ada.chat.send(world.bot_id, f"live {number}")
                        await ada.texts.wait(2 * number + 2)
            assert ada.texts.items == [f"{kind} {number}" for number in range(3) for kind in ("missed", "live")]

    run(main())


def test_what_prevents_a_start(world: World, nats_server: NatsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "OPENING", 1.0)

    async def main() -> None:
        (port,) = free_ports(1)
        async with world.bot(store=f"nats://127.0.0.1:{port}") as bot:
            with pytest.raises(StoreError, match="can't be reached"):
                await bot.serve()
        options = {**world.chat_options, "user_id": world.bot_id, "password": "wrong", "app_id": world.sandbox.app_id}
        bot = Bot(store=nats_server.url, chat=options)
        with pytest.raises(AuthenticationFailed):
            await bot.serve()

    run(main())


def test_invalid_urls() -> None:
    with pytest.raises(StoreError, match="has no valid address"):
        Bot(store="nats://")
    with pytest.raises(InvalidArgument, match="nats://HOST:PORT"):
        Bot(store="redis://localhost")


def test_an_account_can_be_chosen_only_in_a_fleet(world: World) -> None:
    async def main() -> None:
        async with world.bot() as bot, bot.running():
            with pytest.raises(InvalidArgument, match="only in a fleet"):
                await bot.send(1, "hello", account="bot")

    run(main())


def test_the_extra_is_required_only_for_a_fleet() -> None:
    program = """
import sys
sys.modules["nats"] = None
from connectycube.bots import Bot
Bot()
try:
    Bot(store="nats://localhost")
except ImportError as error:
    print(error)
"""
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "connectycube[fleet]" in found.stdout
