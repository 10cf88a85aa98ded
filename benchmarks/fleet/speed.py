"""How many messages a fleet echoes per second: beside a single bot, and with two workers beside one."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Sequence
from pathlib import Path

from tests.fleet.server import NatsServer

from ..bots.speed import echoes
from ..report import Table
from .people import Dialog
from .roles import serving_fleet

USERS = 16
"""As many dialogs as a bot handles in parallel."""
HANDLER = 0.02
"""Seconds that the slow handler takes."""
CONCURRENCY = 2
"""Dialogs that a worker with the slow handler handles in parallel: few, so that workers are what limits the rate, and
not the two cores that they share with the sandbox and the users."""
DIALOGS = 96
"""Dialogs that write to workers with the slow handler: many more than they can handle in parallel."""
WINDOW = 2
"""Messages of each of them that are not answered yet."""
WARM = 3.0


async def rate(table: Table, folder: Path, messages: int, rounds: int) -> None:
    """Compare a gateway and a worker with a bot that has a file, in turns."""
    found: dict[str, list[tuple[float, float]]] = {"file": [], "fleet": []}
    with NatsServer(folder / "nats") as nats:
        async with serving_fleet(folder, nats.url, 2, USERS) as fleet:
            # Each has an account of its own, so neither finds the other's answers in the history.
            name, account = fleet.accounts.popitem()
            fleet.serve(fleet.accounts)
            single = [person.with_account(account) for person in fleet.people]
            shared = fleet.dialogs(USERS)
            for number in range(rounds):
                bot = fleet.single(name)
                found["file"].append(await echoes([bot], single, f"file {number}", messages))
                roles = [fleet.gateway(), fleet.worker()]
                found["fleet"].append(await echoes(roles, shared, f"fleet {number}", messages, [nats.pid]))
    each, cpu = ({name: [one[column] for one in values] for name, values in found.items()} for column in (0, 1))

    def words(name: str) -> str:
        return f"{statistics.median(each[name]):,.0f}/s ({statistics.median(cpu[name]):,.0f}/CPU s)"

    ratio = statistics.median(one / two for one, two in zip(each["fleet"], each["file"], strict=True))
    table.row(f"echo rate, {USERS} dialogs: bot with a file", words("file"))
    table.row("  one gateway and one worker (CPU with NATS)", words("fleet"))
    table.row("    of the bot with a file", f"{ratio:.2f} x", "0.5 x", ratio >= 0.5)


async def pump(talk: Dialog) -> None:
    """Write for ever, as it is answered."""
    number = 0
    while True:
        await talk.answers(number + 1 - WINDOW)
        await talk.say(f"{number}")
        number += 1


async def answered(talks: Sequence[Dialog], seconds: float) -> float:
    """Return the answers per second."""
    await asyncio.sleep(WARM)
    before, begun = sum(len(talk.texts) for talk in talks), time.perf_counter()
    await asyncio.sleep(seconds)
    return (sum(len(talk.texts) for talk in talks) - before) / (time.perf_counter() - begun)


async def workers(table: Table, folder: Path, seconds: float, rounds: int) -> None:
    """Compare two workers with one, in turns, while users keep both busy."""
    found: list[tuple[float, float]] = []
    with NatsServer(folder / "nats") as nats:
        async with serving_fleet(folder, nats.url, DIALOGS // USERS, USERS) as fleet:
            talks = fleet.dialogs(USERS)
            settings = {"seconds": HANDLER, "concurrency": CONCURRENCY}
            gateway, first, second = fleet.gateway(), fleet.worker(**settings), fleet.worker(**settings)
            await asyncio.gather(gateway.start(), first.start())
            await fleet.settled("partition")
            writing = [asyncio.ensure_future(pump(talk)) for talk in talks]
            for _ in range(rounds):
                one = await answered(talks, seconds)
                await second.start()
                await fleet.settled("partition")
                two = await answered(talks, seconds)
                await second.stop()
                await fleet.settled("partition")
                found.append((one, two))
            for task in writing:
                task.cancel()
            await asyncio.gather(*writing, return_exceptions=True)
    one, two = (statistics.median(column) for column in zip(*found, strict=True))
    ratio = statistics.median(after / before for before, after in found)
    most = CONCURRENCY / HANDLER
    table.row(
        f"handler of {HANDLER * 1000:g} ms, {CONCURRENCY} at a time: one worker", f"{one:,.0f}/s of {most:,.0f}/s"
    )
    table.row("  two workers", f"{two:,.0f}/s of {2 * most:,.0f}/s")
    table.row("    of one", f"{ratio:.2f} x", "1.8 x", ratio >= 1.8)
