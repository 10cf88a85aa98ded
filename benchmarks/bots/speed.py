"""How many messages a bot echoes per second, and how soon it answers after its start."""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from ..report import Table
from ..sandbox import cpu_seconds
from .trial import Talk
from .world import Killable, User, World, serving

USERS = 16
"""As many dialogs as a bot handles in parallel."""
WINDOW = 16
"""Messages of each user that are not answered yet."""


async def talk(user: Talk, label: str, count: int) -> None:
    """Write to the bot, as it answers."""
    known = len(user.texts)
    for number in range(count):
        await user.answers(known + number + 1 - WINDOW)
        await user.say(f"{label} {number}")
    await user.answers(known + count)


async def echoes(
    bots: Sequence[Killable], users: Sequence[Talk], label: str, count: int, others: Sequence[int] = ()
) -> tuple[float, float]:
    """Return how many messages a bot, or the processes of a fleet, echo per second, and per second of their own CPU.

    :param others: ids of other processes whose CPU counts.
    """
    for bot in bots:
        await bot.start()
    pids = [*(bot.pid for bot in bots), *others]
    await asyncio.gather(*(talk(user, f"warm {label}", 10) for user in users))
    cpu, begun = sum(map(cpu_seconds, pids)), time.perf_counter()
    await asyncio.gather(*(talk(user, label, count // len(users)) for user in users))
    seconds, used = time.perf_counter() - begun, sum(map(cpu_seconds, pids)) - cpu
    for bot in bots:
        await bot.stop()
    return count / seconds, count / used


async def rate(table: Table, messages: int, rounds: int) -> None:
    """Compare a bot with a file, one without and a loop without a bot, in turns."""
    names = [f"user{number:02}" for number in range(USERS)]
    with tempfile.TemporaryDirectory(prefix="connectycube-bench-") as folder:
        async with serving(Path(folder), names) as server, server.users() as users:
            found: dict[str, list[tuple[float, float]]] = {}
            for number in range(rounds):
                for name, bot in {
                    "file": server.bot(str(Path(folder) / f"{number}.db")),
                    "memory": server.bot("memory"),
                    "loop": server.bot("spawn", program="loop.py"),
                    "waiting loop": server.bot("wait", program="loop.py"),
                }.items():
                    result = await echoes([bot], users, f"{name} {number}", messages)
                    found.setdefault(name, []).append(result)
    each, cpu = ({name: [one[column] for one in values] for name, values in found.items()} for column in (0, 1))

    def words(name: str) -> str:
        return f"{statistics.median(each[name]):,.0f}/s ({statistics.median(cpu[name]):,.0f}/CPU s)"

    def ratio(name: str, other: str) -> float:
        return statistics.median(one / two for one, two in zip(each[name], each[other], strict=True))

    table.row(f"echo rate, {USERS} dialogs: AsyncChat loop that waits for each send", words("waiting loop"))
    table.row("  AsyncChat loop that does not wait", words("loop"))
    table.row('  bot with store="memory"', words("memory"))
    of_loop = ratio("memory", "loop")
    table.row("    of the loop that does not wait", f"{of_loop:.2f} x", "0.8 x", of_loop >= 0.8)
    table.row("  bot with a file, full sync", words("file"))
    of_memory = ratio("file", "memory")
    table.row('    of the bot with store="memory"', f"{of_memory:.2f} x", "0.5 x", of_memory >= 0.5)


async def first_answer(world: World, user: User, store: str) -> tuple[float, float]:
    """Return the seconds from the start of a bot's process until a user has the answer, and those of its CPU."""
    bot = world.bot(store)
    known = len(user.texts)
    await user.say(f"{known}")
    begun = time.perf_counter()
    await bot.spawn()
    await user.answers(known + 1)
    seconds, cpu = time.perf_counter() - begun, cpu_seconds(bot.pid)
    await bot.online()
    await bot.stop()
    return seconds, cpu


async def start(table: Table, times: int) -> None:
    """Measure the start to the first answer, of a new store and one that is there already."""
    with tempfile.TemporaryDirectory(prefix="connectycube-bench-") as folder:
        async with serving(Path(folder), ["ada"]) as server, server.users() as (ada,):
            store = str(Path(folder) / "bot.db")
            await first_answer(server, ada, store)
            found = [await first_answer(server, ada, store) for _ in range(times)]
    seconds, cpu = (statistics.median(column) for column in zip(*found, strict=True))
    table.row("process start to first answer, median", f"{seconds:.2f} s", "1.5 s", seconds < 1.5)
    table.row("  the bot's own CPU until then, median", f"{cpu:.2f} s")
