"""Messages to a bot that is killed while its connection is cut, and while the sandbox itself is killed."""

from __future__ import annotations

import asyncio
import contextlib
import random
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

from tests.integration.proxy import Direction, FaultProxy, How

from ..report import Table
from .world import Killable, Server, User, ended, serving

PARTS = "ab"
WINDOW = 12
"""Messages that a user sends before the first of them is answered."""
SLACK = 0.1
"""The part of the messages that may be sent before the next blow has fallen."""
PATIENCE = 180.0
"""Seconds without any new answer after which what is unanswered counts as lost."""


class Ordeal:
    """A bot that suffers while users write to it."""

    def __init__(self, server: Server, bot: Killable, proxy: FaultProxy, users: list[User], each: int) -> None:
        self.server = server
        self.bot = bot
        self.proxy = proxy
        self.users = users
        self.each = each
        self.cuts = 0
        self.struck: dict[str, float] = {}
        seed = random.randrange(1_000_000)
        print(f"random seed {seed}", flush=True)
        self.chance = random.Random(seed)

    @property
    def total(self) -> int:
        """Answers that are due in all."""
        return len(self.users) * self.each * len(PARTS)

    @property
    def answered(self) -> int:
        """Different answers that have arrived."""
        return sum(len(user.texts) for user in self.users)

    async def talk(self, user: User) -> None:
        """Write to the bot as it answers, and no faster than the blows fall."""
        for number in range(self.each):
            await user.answers(max(0, len(PARTS) * (number - WINDOW)))
            while min(self.struck.values()) < number / self.each - SLACK:
                await asyncio.sleep(0.01)
            await user.say(f"{number}")

    async def strike(self, times: int, blow: Callable[[], Awaitable[None]]) -> None:
        """Deal blows while the answers arrive, evenly spread and each at a random moment."""
        for number in range(times):
            self.struck[blow.__name__] = (number + 1) / times
            due = int((number + self.chance.random()) / times * self.total * (1 - SLACK))
            while self.answered < due:
                await asyncio.sleep(0.01)
            await blow()
        self.struck[blow.__name__] = 1.0

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
        """Start the bot again whenever it has ended by itself."""
        while True:
            await self.bot.exit()
            await asyncio.sleep(0.5)
            if self.bot.has_exited and not self.bot.starting:
                self.bot.ended += 1
                await self.bot.spawn()

    async def work(self, blows: list[asyncio.Task[None]], watch: asyncio.Future[None]) -> None:
        """Let the users write, and wait for all answers."""
        await asyncio.gather(*(self.talk(user) for user in self.users), *blows)
        await asyncio.gather(*(user.answers(self.each * len(PARTS)) for user in self.users))
        # A copy of an earlier answer would come before those that follow.
        await ended(watch)
        await self.bot.stop()
        await self.bot.start()
        await asyncio.gather(*(user.say("last") for user in self.users))
        await asyncio.gather(*(user.answers((self.each + 1) * len(PARTS)) for user in self.users))

    async def run(self, kills: int, cuts: int, sandbox_kills: int) -> float:
        """Return the seconds until everything is answered, or nothing more is."""
        begun = asyncio.get_running_loop().time()
        self.struck = {"": 1.0}
        blows = [
            asyncio.ensure_future(self.strike(times, blow))
            for times, blow in ((kills, self.kill_bot), (cuts, self.cut), (sandbox_kills, self.kill_sandbox))
        ]
        watch = asyncio.ensure_future(self.watch())
        work = asyncio.ensure_future(self.work(blows, watch))
        known = -1
        while not work.done() and known < (known := self.answered):
            await asyncio.wait([work], timeout=PATIENCE)
        await ended(work, watch, *blows)
        return asyncio.get_running_loop().time() - begun


def in_order(texts: list[str], expected: list[str]) -> bool:
    """Return whether texts have the order that is expected, even if some are missing."""
    places = [expected.index(text) for text in texts]
    return places == sorted(places)


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
            seconds = await trial.run(kills, cuts, sandbox_kills)
            await bot.stop()
            histories = [await person.history() for person in people]
    report(table, title, trial, seconds, histories)


def report(table: Table, title: str, trial: Ordeal, seconds: float, histories: list[list[tuple[str, str]]]) -> None:
    words = [*(f"{number}" for number in range(trial.each)), "last"]
    expected = [f"{word} {part}" for word in words for part in PARTS]
    unanswered = twice = disordered = 0
    for user, history in zip(trial.users, histories, strict=True):
        for text, message_id in history:
            user.texts.setdefault(text, set()).add(message_id)
        unanswered += sum(text not in user.texts for text in expected)
        twice += sum(len(ids) - 1 for ids in user.texts.values())
        disordered += not in_order(user.live, expected) or not in_order([text for text, _ in history], expected)
    total = trial.each * len(trial.users)
    blows = f"bot killed {trial.bot.kills} x, connection cut {trial.cuts} x"
    if kills := trial.server.process.kills:
        blows += f", sandbox killed {kills} x"
    table.row(f"{title}: {total:,} messages from {len(trial.users)} users", blows)
    table.row("  unanswered, of two answers to each message", f"{unanswered}", "0", unanswered == 0)
    table.row("  answers seen twice", f"{twice}", "0", twice == 0)
    table.row("  dialogs out of order", f"{disordered}", "0", disordered == 0)
    table.row("  duration; times that the bot ended by itself", f"{seconds:.0f} s; {trial.bot.ended}")
