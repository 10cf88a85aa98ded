"""Handlers that fail in every way, and answers that can't be sent."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections import Counter
from pathlib import Path

from connectycube.bots import Context
from connectycube.sandbox import Sandbox
from tests.bots.conftest import Friend, World
from tests.integration.support import eventually

from ..report import Table

ATTEMPTS = 2
TIMEOUT = 2.0
LIMIT = 120.0
CASES = {
    "raises": "ValueError",
    "hangs": "TimeoutError",
    "is cancelled": "RuntimeError",
    "blocks the loop": None,
    "replies with 300,000 characters": "MessageTooLong",
    "replies to a user who blocks the bot": "RecipientBlocked",
}
"""What the handler does, and the error that is reported."""


class Trouble:
    """A bot with such handlers, and what becomes of them.

    :ivar calls: how often the handler was called, by text.
    :ivar errors: the names of the errors that are reported, by text.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        self.calls: Counter[str] = Counter()
        self.errors: dict[str, str] = {}
        self.blocked = asyncio.Event()

    async def misbehave(self, ctx: Context) -> None:
        self.calls[ctx.text] += 1
        match ctx.text:
            case "raises":
                raise ValueError("no")
            case "hangs":
                await asyncio.Event().wait()
            case "is cancelled":
                inner = asyncio.ensure_future(asyncio.sleep(60))
                inner.cancel()
                await inner
            case "blocks the loop":
                time.sleep(1.6)
            case "replies with 300,000 characters":
                await ctx.reply("x" * 300_000)
            case "replies to a user who blocks the bot":
                await self.blocked.wait()
                await ctx.reply("can you hear me?")

    async def tell(self, friend: Friend, text: str) -> None:
        """Send a message to a handler that misbehaves, and then one to another."""
        await friend.chat.send(self.world.bot_id, text)
        if "who blocks" in text:
            await eventually(lambda: self.calls[text])
            await friend.chat.privacy.block(self.world.bot_id)
            self.blocked.set()
            await eventually(lambda: text in self.errors)
            await friend.chat.privacy.unblock(self.world.bot_id)
        await friend.chat.send(self.world.bot_id, "fine")
        await friend.texts.one(lambda answer: answer == "fine, too")

    async def run(self, table: Table) -> None:
        async with self.world.bot(attempts=ATTEMPTS, handler_timeout=TIMEOUT) as bot:
            bot.message("fine")(self.answer)
            bot.message()(self.misbehave)
            bot.error(self.report)
            async with self.world.friends(*(f"user{number}" for number in range(len(CASES)))) as friends, bot.running():
                talks = [asyncio.ensure_future(self.tell(*pair)) for pair in zip(friends, CASES, strict=True)]
                await asyncio.wait(talks, timeout=LIMIT)
                await eventually(lambda: bot.stats.running == 0)
                carried_on = [talk.done() and talk.exception() is None for talk in talks]
                for talk in talks:
                    talk.cancel()
                blocked = bot.stats.blocked
        for (text, expected), goes_on in zip(CASES.items(), carried_on, strict=True):
            found = self.errors.get(text)
            if expected is None:
                found, expected = ("a warning", "a warning") if blocked else (found, "a warning")
            words = f"{found} after {self.calls[text]} call{'s' * (self.calls[text] > 1)}"
            met = found == expected and self.calls[text] <= ATTEMPTS and goes_on
            table.row(f"a handler that {text}", words, f"{expected}, at most {ATTEMPTS} calls, others go on", met)

    async def answer(self, ctx: Context) -> None:
        await ctx.reply("fine, too")

    async def report(self, ctx: Context, error: Exception) -> None:
        self.errors[ctx.text] = type(error).__name__


async def measure(table: Table) -> None:
    """Run it, and add its rows."""
    with tempfile.TemporaryDirectory(prefix="connectycube-bench-") as folder, Sandbox() as sandbox:
        await Trouble(World(sandbox, Path(folder))).run(table)
