"""Many members that join, leave, die and freeze, on a virtual clock and a modelled bucket."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Coroutine
from random import Random
from typing import Any

import pytest

from connectycube.bots.fleet.leases import Lease, Leases
from tests.properties import seeds

from .virtual import VirtualBucket, VirtualLoop, VirtualProcess

TTL = 10.0
LATE = TTL + 3.0
"""Seconds after which a lease must be held again."""
LOOK = 0.25
"""Seconds between two checks."""


class Member:
    """A process with leases, whose clock is a little fast or slow."""

    def __init__(self, fleet: Fleet, name: str) -> None:
        loop, drift, offset = asyncio.get_running_loop(), fleet.random.uniform(0.98, 1.02), fleet.random.uniform(0, 1e6)
        self._fleet = fleet
        self.process = VirtualProcess(name)
        self.all: list[Lease] = []
        self.given_up: list[bool] = []
        self.leases = Leases(
            fleet.bucket,
            "account",
            "gateway",
            name,
            fleet.names,
            take=self._take,
            give_up=self._give_up,
            pace=fleet.pace,
            clock=lambda: offset + loop.time() * drift,
        )
        self.task = self.process.run(self.leases.serve())
        self._tasks = [self.task]

    @property
    def works(self) -> bool:
        return not self.process.frozen and not self.process.dead and not self.task.done()

    async def _take(self, lease: Lease) -> None:
        self.all.append(lease)
        self._fleet.taken(self, lease)
        await asyncio.sleep(self._fleet.random.uniform(0, 2))

    async def _give_up(self, lease: Lease, lost: bool) -> None:
        self.given_up.append(lost)
        await asyncio.sleep(self._fleet.random.uniform(0, 1))
        self.all.remove(lease)

    def valid(self) -> list[str]:
        """What it may work with, even if it is frozen now."""
        return [lease.name for lease in self.all if lease.valid]

    def stop(self) -> None:
        self._tasks.append(self.process.run(self.leases.stop()))

    async def clean_up(self) -> None:
        self.process.dead = False
        self.process.thaw()
        for task in self._tasks:
            task.cancel()
        await asyncio.wait(self._tasks)
        for task in self._tasks:
            if not task.cancelled():
                task.result()


class Fleet:
    """The members, and checks of who holds what."""

    def __init__(self, seed: int, names: int, pace: float) -> None:
        self.random = Random(seed)
        self.names = [f"bot{number}" for number in range(names)]
        self.pace = pace
        self.bucket = VirtualBucket(TTL, self.random)
        self.members: list[Member] = []
        self.most_free = 0
        self._held_at = dict.fromkeys(self.names, 0.0)
        self._disturbed_at = 0.0

    @property
    def working(self) -> list[Member]:
        return [member for member in self.members if member.works]

    def join(self) -> Member:
        member = Member(self, f"m{len(self.members)}")
        self.members.append(member)
        self.disturbed()
        return member

    def disturbed(self) -> None:
        """The time in which all must be held again begins anew."""
        self._disturbed_at = asyncio.get_running_loop().time()

    def taken(self, by: Member, lease: Lease) -> None:
        holders = [one.process.name for one in self.members if lease.name in one.valid()]
        assert holders == [by.process.name], f"{lease.name} has the holders {holders}"

    def look(self) -> None:
        now, held = asyncio.get_running_loop().time(), set[str]()
        for member in self.members:
            valid = member.valid()
            assert held.isdisjoint(valid), f"{member.process.name} shares {held & set(valid)}"
            held.update(valid)
            if member.works:
                self._held_at.update(dict.fromkeys(valid, now))
        self.most_free = max(self.most_free, len(self.names) - len(held))
        if not self.working or not self.bucket.is_online:
            self._disturbed_at = now
        late = [name for name, at in self._held_at.items() if now > max(at, self._disturbed_at) + LATE]
        assert not late, f"at {now:.1f} s, no one holds {late}"

    async def go_on(self, seconds: float) -> None:
        until = asyncio.get_running_loop().time() + seconds
        while asyncio.get_running_loop().time() < until:
            self.look()
            await asyncio.sleep(LOOK)

    def shares(self) -> list[int]:
        return sorted(len(member.valid()) for member in self.working)

    def is_fair(self) -> bool:
        shares = self.shares()
        return sum(shares) == len(self.names) and shares[-1] <= math.ceil(len(self.names) / len(shares))


def simulate(
    main: Callable[[Fleet], Coroutine[Any, Any, None]], *, seed: int, names: int = 24, pace: float = 50
) -> None:
    async def guarded() -> None:
        fleet = Fleet(seed, names, pace)
        try:
            await main(fleet)
        finally:
            for member in fleet.members:
                await member.clean_up()

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(guarded())


async def thawed(fleet: Fleet, member: Member, seconds: float) -> None:
    member.process.frozen = True
    fleet.disturbed()
    await asyncio.sleep(seconds)
    member.process.thaw()
    fleet.disturbed()


async def outage(fleet: Fleet, seconds: float) -> None:
    fleet.bucket.go_offline()
    await asyncio.sleep(seconds)
    fleet.bucket.go_online()
    fleet.disturbed()


async def disturb(fleet: Fleet, background: asyncio.TaskGroup) -> None:
    """Let something happen."""
    working, random = fleet.working, fleet.random
    match random.choice(["join", "die", "freeze", "freeze", "stop", "outage"]):
        case "join" if len(working) < 6:
            fleet.join()
        case "die" if len(working) > 1:
            random.choice(working).process.dead = True
            fleet.disturbed()
        case "freeze" if len(working) > 1:
            background.create_task(thawed(fleet, random.choice(working), random.uniform(0.1, 2.5 * TTL)))
        case "stop" if len(working) > 1:
            random.choice(working).stop()
        case "outage" if fleet.bucket.is_online:
            background.create_task(outage(fleet, random.choice([0.5, 5.0, 1.5 * TTL])))


@pytest.mark.parametrize("seed", seeds(4))
def test_no_lease_has_two_holders_and_none_is_free_for_long(seed: int) -> None:
    async def main(fleet: Fleet) -> None:
        for _ in range(3):
            fleet.join()
        async with asyncio.TaskGroup() as background:
            for _ in range(15):
                await fleet.go_on(fleet.random.uniform(0.1, TTL))
                await disturb(fleet, background)
            await fleet.go_on(4 * TTL)
        assert fleet.is_fair()

    simulate(main, seed=seed)


def test_leases_move_gradually_to_a_member_that_joins() -> None:
    async def main(fleet: Fleet) -> None:
        for _ in range(3):
            fleet.join()
        await fleet.go_on(20)
        assert fleet.shares() == [16, 16, 16]
        fleet.most_free = 0
        before = [len(member.given_up) for member in fleet.members]
        joined = fleet.join()
        await fleet.go_on(1.9)
        assert 0 < len(joined.all) <= 4
        await fleet.go_on(20)
        assert fleet.shares() == [12, 12, 12, 12]
        assert fleet.most_free <= 3 * 2
        assert [len(member.given_up) for member in fleet.members[:3]] == [count + 4 for count in before]
        assert not any(lost for member in fleet.members for lost in member.given_up)

    simulate(main, seed=1, names=48, pace=2)


def test_what_a_member_releases_is_taken_before_the_ttl() -> None:
    async def main(fleet: Fleet) -> None:
        for _ in range(3):
            fleet.join()
        await fleet.go_on(20)
        fleet.members[0].stop()
        await fleet.go_on(1.0)
        assert fleet.shares() == [12, 12]

    simulate(main, seed=1)


def test_watchers_that_were_forgotten_are_made_again() -> None:
    async def main(fleet: Fleet) -> None:
        for _ in range(2):
            fleet.join()
        await fleet.go_on(20)
        fleet.bucket.forget_watchers()
        fleet.join()
        await fleet.go_on(2 * TTL)
        assert len(fleet.working) == 3
        assert fleet.is_fair()

    simulate(main, seed=1)


def test_each_member_alone_takes_everything() -> None:
    async def main(fleet: Fleet) -> None:
        first, second = fleet.join(), fleet.join()
        await fleet.go_on(20)
        first.process.dead = True
        fleet.disturbed()
        await fleet.go_on(LATE)
        assert sorted(second.valid()) == sorted(fleet.names)

    simulate(main, seed=1)
