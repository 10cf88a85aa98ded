"""A gateway is frozen until others have its accounts, and then goes on: what it still writes, counted from outside."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from pathlib import Path

from tests.fleet.server import NatsServer

from ..bots.trial import judge
from ..report import Table
from .people import histories
from .roles import TTL, Fleet, Role, serving_fleet
from .takeover import moved
from .tunnel import Connection, Tunnel, tunnel

WATCHED = 10.0
"""Seconds after it goes on in which its writes are counted."""
SETTLING = 1.0
"""Seconds of silence after which all that it wrote before the freeze has reached the tunnel."""
BURST = 5
"""Messages to each account just before, whose answers are on their way when it is frozen."""
LIMIT = 120.0


class Frozen:
    """The connections that a process had when it was frozen, and how much had been written to them."""

    def __init__(self, line: Tunnel) -> None:
        self._before: dict[Connection, int] = {one: one.written for one in line.connections if one.is_open}

    @property
    def count(self) -> int:
        return len(self._before)

    @property
    def open(self) -> int:
        """How many of them the process has not closed."""
        return sum(one.is_open for one in self._before)

    @property
    def written(self) -> int:
        """Bytes written to them since."""
        return sum(one.written - before for one, before in self._before.items())


async def without_fence(fleet: Fleet, name: str, account: int) -> int:
    """Return what a bot of its own writes to its old connection after the same, to show that it is counted."""
    talk = fleet.people[0].with_account(account)
    async with tunnel(fleet.chat_port) as line:
        bot = fleet.single(name, line.port)
        await bot.start()
        await fleet.greet([talk])
        os.kill(bot.pid, signal.SIGSTOP)
        await line.quiet(SETTLING)
        frozen = Frozen(line)
        await talk.say("frozen")
        os.kill(bot.pid, signal.SIGCONT)
        await talk.answer("frozen a")
        await bot.stop()
        return frozen.written


async def freeze(fleet: Fleet, gateway: Role, line: Tunnel) -> tuple[float, Frozen]:
    """Freeze a gateway until another one has answered what its accounts missed; return for how long."""
    talks = fleet.dialogs(1)
    held = await gateway.accounts()
    # Some answers are on their way to it.
    for number in range(BURST):
        await asyncio.gather(*(talk.say(f"{number}") for talk in talks))
    gateway.freeze()
    begun = time.monotonic()
    try:
        await line.quiet(SETTLING)
        frozen = Frozen(line)
        await asyncio.gather(*(talk.say("frozen") for talk in talks))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LIMIT):
                await moved(fleet, held, gateway.pid)
                await asyncio.gather(*(talk.answer("frozen a") for talk in talks))
    finally:
        gateway.thaw()
    return time.monotonic() - begun, frozen


async def measure(table: Table, folder: Path, accounts: int) -> None:
    """Run it with two gateways and a worker, and add its rows."""
    with NatsServer(folder / "nats") as nats:
        async with serving_fleet(folder, nats.url, accounts + 1, min(accounts, 20)) as fleet:
            control = fleet.accounts.popitem()
            fleet.serve(fleet.accounts)
            unfenced = await without_fence(fleet, *control)
            talks = fleet.dialogs(1)
            async with tunnel(fleet.chat_port) as line:
                gateway, other, worker = fleet.gateway(port=line.port), fleet.gateway(), fleet.worker()
                await asyncio.gather(*(role.start() for role in (gateway, other, worker)))
                await fleet.settled("account")
                await fleet.greet(talks)
                seconds, frozen = await freeze(fleet, gateway, line)
                await asyncio.sleep(WATCHED)
                still_open = frozen.open
                written = frozen.written
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(LIMIT):
                        await fleet.greet(talks, "last")
                        await fleet.settled("account")
                        await fleet.greet(talks, "shared again")
                await fleet.stop()
            found = await histories(talks, fleet.people)
    table.row(f"a gateway is frozen for {seconds:.0f} s (TTL {TTL:g} s), 1 of 2", f"{frozen.count} of its connections")
    table.row(f"  bytes written to them in {WATCHED:g} s when it goes on", f"{written}", "0", written == 0)
    table.row("  of them still open", f"{still_open}", "0", still_open == 0)
    counted = f"{unfenced} bytes"
    table.row("  the same by a bot without leases, for comparison", counted, "more than 0", unfenced > 0)
    words = ["hello", *(f"{number}" for number in range(BURST)), "frozen", "last", "shared again"]
    judge(table, talks, [f"{word} a" for word in words], found)
