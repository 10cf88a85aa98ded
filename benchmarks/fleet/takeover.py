"""A gateway dies: the seconds until its accounts are online elsewhere, and have answered what they missed."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Sequence
from pathlib import Path

from tests.fleet.server import NatsServer

from ..report import Table
from .people import Dialog
from .roles import LOOK, TTL, Fleet, Role, serving_fleet

BAR = TTL + 3
LIMIT = 120.0
"""Seconds after which what is unanswered counts as lost."""


async def moved(fleet: Fleet, names: set[str], dead: int) -> float:
    """Wait until others hold these accounts, and return when."""
    while names - {one.name for one in await fleet.view.holders("account.") if one.pid != dead}:
        await asyncio.sleep(LOOK)
    return time.monotonic()


async def death(fleet: Fleet, role: Role, label: str, talks: Sequence[Dialog]) -> tuple[int, float, float, int]:
    """Kill a gateway.

    :returns: how many accounts it had, the seconds until others hold them and until the last one has answered, and how
        many never do.
    """
    held = await role.accounts()
    concerned = [talk for talk in talks if talk.account in {fleet.accounts[name] for name in held}]
    dead, begun = role.pid, time.monotonic()
    moving = asyncio.ensure_future(moved(fleet, held, dead))
    await role.kill()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(LIMIT):
            await fleet.greet(concerned, label)
            await moving
    moving.cancel()
    answered = [talk.arrived[f"{label} a"] - begun for talk in concerned if f"{label} a" in talk.arrived]
    lost = len(concerned) - len(answered)
    elsewhere = moving.result() - begun if moving.done() and not moving.cancelled() else LIMIT
    return len(held), elsewhere, LIMIT if lost else max(answered), lost


async def measure(table: Table, folder: Path, accounts: int, times: int) -> None:
    """Run it with three gateways and a worker, and add its rows."""
    with NatsServer(folder / "nats") as nats:
        async with serving_fleet(folder, nats.url, accounts, users=20 if accounts > 20 else accounts) as fleet:
            talks = fleet.dialogs(1)
            gateways, worker = [fleet.gateway() for _ in range(3)], fleet.worker()
            await asyncio.gather(*(role.start() for role in (*gateways, worker)))
            found = []
            for number in range(times):
                await fleet.settled("account")
                await fleet.greet(talks, f"warm {number}")
                victim = gateways[number % len(gateways)]
                found.append(await death(fleet, victim, f"missed {number}", talks))
                await victim.start()
            await fleet.stop()
    counts, elsewhere, caught_up, lost = zip(*found, strict=True)
    table.row(f"a gateway dies, one of 3 with {accounts} accounts, {times} x", f"{max(counts)} accounts at most")
    table.row("  until others hold its accounts, longest", f"{max(elsewhere):.1f} s")
    slowest = max(caught_up)
    table.row("  until all have answered what they missed, longest", f"{slowest:.1f} s", f"{BAR:g} s", slowest <= BAR)
    table.row("  unanswered", f"{sum(lost)}", "0", sum(lost) == 0)
