"""Messages to a fleet whose gateways, workers and NATS server are killed."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from tests.fleet.server import NatsServer

from ..bots.trial import PARTS, Blow, Talk, Trial
from ..report import Table
from .people import histories
from .roles import Role, serving_fleet

DOWN = 3.0
"""Seconds, at most, until the NATS server is started again."""


class FleetTrial(Trial):
    """A fleet that suffers while users write to its accounts."""

    def __init__(self, nats: NatsServer, roles: Sequence[Role], talks: Sequence[Talk], each: int) -> None:
        super().__init__(talks, each)
        self.nats = nats
        self.roles = roles

    def kill(self, role: Role) -> Blow:
        async def blow() -> None:
            """Kill a process; one time in three again while it starts."""
            await role.kill()
            await role.spawn()
            if self.chance.random() < 0.33:
                await asyncio.sleep(self.chance.random())
                return
            await role.online()

        return blow

    async def kill_nats(self) -> None:
        self.nats.kill()
        await asyncio.sleep(self.chance.random() * DOWN)
        await asyncio.to_thread(self.nats.start)

    async def watch(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            for role in self.roles:
                tasks.create_task(role.supervise())

    async def restart(self) -> None:
        await asyncio.gather(*(role.stop() for role in self.roles))
        await asyncio.gather(*(role.start() for role in self.roles))


async def ordeal(
    table: Table, folder: Path, *, accounts: int, users: int, dialogs: int, each: int, kills: int, nats_kills: int
) -> None:
    """Run it with three gateways and three workers, and add its rows.

    :param dialogs: dialogs of each account, with different users.
    :param each: messages of each dialog.
    :param kills: how often each process is killed.
    """
    with NatsServer(folder / "nats") as nats:
        async with serving_fleet(folder, nats.url, accounts, users) as fleet:
            talks = fleet.dialogs(dialogs)
            roles = [fleet.gateway() for _ in range(3)] + [fleet.worker(parts=PARTS) for _ in range(3)]
            await asyncio.gather(*(role.start() for role in roles))
            await fleet.settled("account")
            trial = FleetTrial(nats, roles, talks, each)
            blows: dict[str, tuple[int, Blow]] = {role.name: (kills, trial.kill(role)) for role in roles}
            blows["NATS"] = nats_kills, trial.kill_nats
            seconds = await trial.run(blows)
            await fleet.stop()
            found = await histories(talks, fleet.people)
        killed = sum(role.kills for role in roles)
        words = f"3 gateways, 3 workers killed {killed} x, NATS {nats_kills} x"
        trial.report(table, f"{accounts} accounts", words, seconds, found)
        table.row("  times that a process ended by itself", f"{sum(role.ended for role in roles)}")
        table.row("  tracebacks in the logs", f"{fleet.tracebacks}")
