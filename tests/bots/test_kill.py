"""A bot that is killed again and again answers each message once, and in order."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.bots.conftest import PASSWORD, Friend, World
from tests.integration.support import run

USERS = ("ada", "mary", "joe", "sue")
EACH = 50
KILLS = 8
WINDOW = 12
"""Messages that a user sends before the first of them is answered."""

BOT = """
import sys
from connectycube.bots import Bot, Context
from connectycube.chat import Connected

bot = Bot(store=sys.argv[1])

@bot.on(Connected)
async def connected(event: Connected) -> None:
    print("online", flush=True)

@bot.message()
async def echo(ctx: Context) -> None:
    await ctx.reply(f"{ctx.text} a")
    await ctx.reply(f"{ctx.text} b")

bot.run()
"""


POISON = """
import os, sys
from connectycube.bots import Bot, Context

bot = Bot(store=sys.argv[1], attempts=2)

@bot.message("poison")
async def end(ctx: Context) -> None:
    print("ends", flush=True)
    os._exit(1)

@bot.message()
async def echo(ctx: Context) -> None:
    await ctx.reply(ctx.text)

@bot.error
async def report(ctx: Context, error: Exception) -> None:
    print(f"{ctx.text}: {error}", flush=True)

bot.run()
"""


STUBBORN = """
import asyncio, contextlib, sys
from connectycube.bots import Bot, Context

bot = Bot(store=sys.argv[1])

@bot.message()
async def hang(ctx: Context) -> None:
    await ctx.reply("hanging")
    while True:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()

@bot.every(0.01)
async def report() -> None:
    print("online", flush=True)
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        print("stopping", flush=True)

bot.run()
"""


class Killed:
    """The bot's process, which can be killed and started again."""

    def __init__(self, world: World, program: str = BOT) -> None:
        sandbox = world.sandbox
        self._program = program
        self._path = str(world.path)
        self._environment = os.environ | {
            "CONNECTYCUBE_APP_ID": str(sandbox.app_id),
            "CONNECTYCUBE_AUTH_KEY": sandbox.auth_key,
            "CONNECTYCUBE_BASE_URL": sandbox.api_url,
            "CONNECTYCUBE_LOGIN": "bot",
            "CONNECTYCUBE_PASSWORD": PASSWORD,
            "CONNECTYCUBE_CHAT_HOST": sandbox.chat_host,
            "CONNECTYCUBE_CHAT_PORT": str(sandbox.chat_tls_port),
            "SSL_CERT_FILE": str(sandbox.ca_file),
        }
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Start it, and return when it is online."""
        assert await self.started() == "online"

    async def started(self) -> str:
        """Start it, and return the first line that it prints."""
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", self._program, self._path, stdout=asyncio.subprocess.PIPE, env=self._environment
        )
        assert self._process.stdout is not None
        return (await self._process.stdout.readline()).decode().strip()

    async def kill(self) -> None:
        """Kill it."""
        assert self._process is not None
        self._process.kill()
        await self._process.communicate()

    async def signalled_twice(self, number: signal.Signals) -> int:
        """Send a signal again while the first one is being obeyed; its exit status."""
        assert self._process is not None
        assert self._process.stdout is not None
        self._process.send_signal(number)
        assert await self._process.stdout.readline() == b"stopping\n"
        self._process.send_signal(number)
        return await self._process.wait()

    async def terminate(self) -> int:
        """Let it end in order; its exit status."""
        assert self._process is not None
        self._process.terminate()
        await self._process.communicate()
        assert self._process.returncode is not None
        return self._process.returncode


async def talk(friend: Friend, bot_id: int) -> None:
    """Write to the bot, as it answers."""
    for number in range(EACH):
        await friend.texts.wait(max(0, 2 * (number - WINDOW)))
        await friend.chat.send(bot_id, f"{number}")


@asynccontextmanager
async def killed_at_random(bot: Killed, friends: list[Friend], chance: random.Random) -> AsyncIterator[None]:
    """Kill the bot while it works, in some places of its start, too."""

    async def kill() -> None:
        for _ in range(KILLS):
            if chance.random() < 0.7:
                friend = chance.choice(friends)
                answers = min(len(friend.texts.items) + chance.randint(1, 16), 2 * EACH)
                await friend.texts.wait(answers)
            await bot.kill()
            await bot.start()

    killing = asyncio.ensure_future(kill())
    try:
        yield
        await killing
    finally:
        killing.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await killing


def test_each_message_is_answered_once_and_in_order(world: World) -> None:
    async def main() -> None:
        seed = random.randrange(1_000_000)
        print(f"random seed {seed}")
        bot = Killed(world)
        await bot.start()
        try:
            async with world.friends(*USERS) as friends:
                async with killed_at_random(bot, friends, random.Random(seed)):
                    await asyncio.gather(*(talk(friend, world.bot_id) for friend in friends))
                expected = [f"{number} {part}" for number in range(EACH) for part in "ab"]
                for friend in friends:
                    assert await friend.texts.wait(2 * EACH) == expected
                assert await bot.terminate() == 0
                for friend in friends:
                    assert friend.texts.items == expected
        finally:
            with contextlib.suppress(ProcessLookupError):
                await bot.kill()

    run(main())


def test_message_that_ends_the_process_fails_in_the_end(world: World) -> None:
    async def main() -> None:
        bot = Killed(world, POISON)
        async with world.friends("ada", "mary") as (ada, mary):
            await ada.chat.send(world.bot_id, "poison")
            await ada.chat.send(world.bot_id, "after it")
            await mary.chat.send(world.bot_id, "hello")
            try:
                # The first attempt may not have been noted: a process does not know yet which message will end it.
                lines = [await bot.started()]
                while lines[-1] == "ends" and len(lines) < 10:
                    await bot.kill()
                    lines.append(await bot.started())
                assert lines == ["ends"] * 3 + ["poison: the process ended during attempt 2"]
                assert await mary.texts.one() == "hello"
                assert await ada.texts.one() == "after it"
                assert await bot.terminate() == 0
            finally:
                with contextlib.suppress(ProcessLookupError):
                    await bot.kill()
        async with world.bot() as again, again.running():
            [failure] = again.failed()
            assert (failure.kind, failure.dialog) == ("message", str(ada.id))

    run(main())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_second_signal_ends_the_process_at_once(world: World, number: signal.Signals) -> None:
    async def main() -> None:
        bot = Killed(world, STUBBORN)
        await bot.start()
        try:
            async with world.friends("ada") as (ada,):
                await ada.chat.send(world.bot_id, "hello")
                assert await ada.texts.one() == "hanging"
                assert await bot.signalled_twice(number) == -number
        finally:
            with contextlib.suppress(ProcessLookupError):
                await bot.kill()

    run(main())
