"""How much memory a gateway takes for each connection."""

from __future__ import annotations

import os
import resource
import time
from pathlib import Path

from tests.fleet.server import NatsServer

from ..report import Table
from ..sandbox import cpu_seconds, megabytes
from .people import Dialog
from .roles import Fleet, Role, serving_fleet

BAR = 100.0
LOGINS = 100.0
"""Logins per second, at most."""
AT_ONCE = 50
"""Users who write at the same time."""


async def greet(fleet: Fleet, talks: list[Dialog]) -> None:
    """Let each account answer a message: this shows that it is online, and makes use of its connection."""
    for start in range(0, len(talks), AT_ONCE):
        await fleet.greet(talks[start : start + AT_ONCE])


async def online(fleet: Fleet, gateway: Role, talks: list[Dialog]) -> tuple[float, float]:
    """Start a gateway; return the seconds until it holds all accounts, and its MiB when each has answered."""
    begun = time.monotonic()
    await gateway.start()
    await fleet.settled("account")
    seconds = time.monotonic() - begun
    await greet(fleet, talks)
    return seconds, megabytes(gateway.pid)


async def measure(table: Table, folder: Path, count: int) -> None:
    """Run it with one gateway and one worker, and add its rows."""
    with NatsServer(folder / "nats") as nats:
        async with serving_fleet(folder, nats.url, count, 20) as fleet:
            everything = fleet.accounts
            await fleet.worker().start()
            fleet.accounts = dict([next(iter(everything.items()))])
            fleet.serve(fleet.accounts)
            single = fleet.gateway(logins=LOGINS)
            _, least = await online(fleet, single, fleet.dialogs(1))
            await single.stop()
            fleet.accounts = everything
            fleet.serve(everything)
            gateway = fleet.gateway(logins=LOGINS)
            seconds, most = await online(fleet, gateway, fleet.dialogs(1))
            files, used = len(os.listdir(f"/proc/{gateway.pid}/fd")), cpu_seconds(gateway.pid)
            sandbox = megabytes(fleet.sandbox_pid)
    each = (most - least) * 1024 / (count - 1)
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    table.row(f"one gateway with {count:,} connections, each", f"{each:.0f} KiB", f"{BAR:g} KiB", each <= BAR)
    table.row("  in all; with one connection", f"{most:,.0f} MiB; {least:,.0f} MiB")
    table.row("  leases taken in; CPU of the gateway", f"{seconds:.0f} s; {used:.0f} s")
    table.row("  open files, of the limit; the sandbox's memory", f"{files:,} of {limit:,}; {sandbox:,.0f} MiB")
