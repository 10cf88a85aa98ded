"""Messages to a bot that is killed while its connection is cut, and while the sandbox itself is killed."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from pathlib import Path

from tests.integration.proxy import Direction, FaultProxy, How

from ..report import Table
from .trial import PARTS, Trial
from .world import Killable, Server, User, serving


class Ordeal(Trial):
    """A bot that suffers while users write to it."""

    def __init__(self, server: Server, bot: Killable, proxy: FaultProxy, users: list[User], each: int) -> None:
        super().__init__(users, each)
        self.server = server
        self.bot = bot
        self.proxy = proxy
        self.cuts = 0

    async def kill_bot(self) -> None:
        """Kill the bot; one time in three again while it starts."""
        await self.bot.kill()
        await self.bot.spawn()
        if self.chance.random() < 0.33:
            await asyncio.sleep(self.chance.random())
            return
        await self.bot.online()

    async def cut(self) -> None:
        """Cut the bot's connection: at once, or in the middle of what passes next."""
        before = self.proxy.cuts
        how: How = self.chance.choice(("reset", "fin"))
        where: Direction | None = self.chance.choice(("up", "down", None))
        if where is not None:
            fault = self.proxy.halve(where, how)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(fault.happened(), 0.3)
            self.proxy.calm()
        while self.proxy.cuts == before:
            await self.proxy.until(lambda: self.proxy.open > 0)
            self.proxy.cut(how)
        self.cuts += 1

    async def kill_sandbox(self) -> None:
        await self.server.process.kill()
        await self.server.start()

    async def watch(self) -> None:
        while True:
            await self.bot.exit()
            await asyncio.sleep(0.5)
            if self.bot.has_exited and not self.bot.starting and not self.bot.killed:
                self.bot.ended += 1
                await self.bot.spawn()

    async def restart(self) -> None:
        await self.bot.stop()
        await self.bot.start()


async def ordeal(
    table: Table, title: str, *, users: int, each: int, kills: int, cuts: int, sandbox_kills: int = 0
) -> None:
    """Run it, and add its rows."""
    names = [f"user{number:02}" for number in range(users)]
    with tempfile.TemporaryDirectory(prefix="connectycube-bench-") as name:
        folder = Path(name)
        async with (
            serving(folder, names, durable=True) as server,
            server.users() as people,
            FaultProxy("127.0.0.1", server.addresses["chat_tls_port"]) as proxy,
        ):
            bot = server.bot(str(folder / "bot.db"), PARTS, port=proxy.port)
            await bot.start()
            trial = Ordeal(server, bot, proxy, people, each)
            blows = {
                "bot": (kills, trial.kill_bot),
                "connection": (cuts, trial.cut),
                "sandbox": (sandbox_kills, trial.kill_sandbox),
            }
            seconds = await trial.run(blows)
            await bot.stop()
            histories = [await person.history() for person in people]
    words = f"bot killed {bot.kills} x, connection cut {trial.cuts} x"
    if sandbox_kills := server.process.kills:
        words += f", sandbox killed {sandbox_kills} x"
    trial.report(table, title, words, seconds, histories)
    table.row("  times that the bot ended by itself", f"{bot.ended}")
