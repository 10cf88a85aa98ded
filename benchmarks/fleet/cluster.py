"""One of three NATS servers is killed: the one that leads the stream of inbound messages."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Sequence
from pathlib import Path

from nats.errors import Error as NatsError
from nats.js.errors import APIError

from tests.fleet.server import Cluster, NatsServer

from ..bots.trial import judge
from ..bots.world import ended
from ..report import Table
from .people import Dialog, histories
from .roles import Fleet, serving_fleet

BAR = 10.0
STREAMS = ("in", "out", "done", "leases")
"""What it takes to serve."""
PAUSE = 0.5
"""Seconds between two messages of a dialog."""
CALM = 5.0
"""Seconds of operation before each kill, and after each recovery."""
LIMIT = 120.0


class Steady:
    """Users who write all the time, whether they are answered or not.

    :ivar sent: when each message was sent.
    """

    def __init__(self, talks: Sequence[Dialog]) -> None:
        self.sent: list[float] = []
        self._talks = talks
        self._sending = True

    async def write(self) -> None:
        """Write until `stop` is called."""
        while self._sending:
            number = len(self.sent)
            self.sent.append(time.monotonic())
            await asyncio.gather(*(talk.say(f"{number}") for talk in self._talks))
            await asyncio.sleep(PAUSE)

    def stop(self) -> None:
        self._sending = False

    async def served(self, since: float) -> float:
        """Wait until each dialog has the answer to a message that was sent since, and return when."""
        while True:
            later = [f"{number} a" for number, when in enumerate(self.sent) if when >= since]
            firsts = [
                min((talk.arrived[text] for text in later if text in talk.arrived), default=None)
                for talk in self._talks
            ]
            if None not in firsts:
                return max(first for first in firsts if first is not None)
            await asyncio.sleep(0.1)


async def leader(fleet: Fleet, cluster: Cluster) -> NatsServer:
    """Return the server that leads the stream of inbound messages, once all servers are up to date."""
    while True:
        with contextlib.suppress(NatsError, APIError):
            found = await fleet.view.cluster("in")
            if found is not None and found.leader and found.replicas and all(one.current for one in found.replicas):
                return next(one for one in cluster.servers if one.name == found.leader)
        await asyncio.sleep(PAUSE)


async def elected(fleet: Fleet, victim: NatsServer) -> float:
    """Wait until each stream has another leader, and return when the last one has: this is the servers' own work."""
    for stream in STREAMS:
        while True:
            with contextlib.suppress(NatsError, APIError):
                found = await fleet.view.cluster(stream)
                if found is not None and found.leader and found.leader != victim.name:
                    break
            await asyncio.sleep(0.1)
    return time.monotonic()


async def measure(table: Table, folder: Path, accounts: int, times: int) -> None:
    """Run it with two gateways and two workers, and add its rows."""
    gaps: list[float] = []
    elections: list[float] = []
    with Cluster(folder / "nats") as cluster:
        async with serving_fleet(folder, cluster.url, accounts, min(accounts, 20)) as fleet:
            talks = fleet.dialogs(2)
            roles = [fleet.gateway(), fleet.gateway(), fleet.worker(), fleet.worker()]
            await asyncio.gather(*(role.start() for role in roles))
            await fleet.settled("account")
            steady = Steady(talks)
            writing = asyncio.ensure_future(steady.write())
            for _ in range(times):
                await steady.served(time.monotonic())
                await asyncio.sleep(CALM)
                victim = await leader(fleet, cluster)
                begun = time.monotonic()
                victim.kill()
                electing = asyncio.ensure_future(elected(fleet, victim))
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(LIMIT):
                        gaps.append(await steady.served(begun) - begun)
                        elections.append(await electing - begun)
                await ended(electing)
                await asyncio.sleep(CALM)
                await asyncio.to_thread(victim.start)
            steady.stop()
            await writing
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LIMIT):
                    await asyncio.gather(*(talk.answers(len(steady.sent)) for talk in talks))
            await fleet.stop()
            found = await histories(talks, fleet.people)
    each = ", ".join(f"{gap:.1f}" for gap in gaps)
    worst = max(gaps) if len(gaps) == times else LIMIT
    sent = len(steady.sent) * len(talks)
    table.row(f"the leader of 3 NATS servers dies, {times} x", f"{sent:,} messages")
    table.row("  until the servers have elected others, longest", f"{max(elections, default=LIMIT):.1f} s")
    table.row("  until all dialogs are served again, longest", f"{worst:.1f} s of {each}", f"{BAR:g} s", worst <= BAR)
    judge(table, talks, [f"{number} a" for number in range(len(steady.sent))], found)
