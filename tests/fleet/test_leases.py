"""Leases in a real bucket: shares, releases, deaths, and the fence."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import aclosing, asynccontextmanager

import pytest

from connectycube.bots.fleet.bucket import EngineBucket
from connectycube.bots.fleet.engine import Address, Engine
from connectycube.bots.fleet.leases import Lease, Leases, boot_clock, decode_holder
from tests.integration.support import Seen, eventually, run

from .server import NatsServer

NAMES = [str(number) for number in range(6)]


class Member:
    """A member, and what happened to its leases."""

    def __init__(self, engine: Engine, member_id: str, names: Iterable[str] = NAMES, pace: float = 1000) -> None:
        self.engine = engine
        self.taken = Seen[str]()
        self.given_up = Seen[tuple[str, bool, bool]]()
        self.ahead = 0.0
        self.leases = Leases(
            EngineBucket(engine),
            "account",
            "gateway",
            member_id,
            names,
            take=self.take,
            give_up=self.give_up,
            pace=pace,
            clock=lambda: boot_clock() + self.ahead,
        )
        self.task = asyncio.ensure_future(self.leases.serve())

    async def take(self, lease: Lease) -> None:
        assert lease.valid
        self.taken.append(lease.name)

    async def give_up(self, lease: Lease, lost: bool) -> None:
        self.given_up.append((lease.name, lost, lease.valid))

    @property
    def valid(self) -> set[str]:
        return {name for name, lease in self.leases.held.items() if lease.valid}

    async def die(self) -> None:
        """End without releasing anything."""
        self.task.cancel()
        await asyncio.wait([self.task])


class Fleet:
    """Members with a connection each."""

    def __init__(self, url: str, ttl: float) -> None:
        self._url = f"{url}?ttl={ttl}"
        self._members: list[Member] = []

    async def engine(self) -> Engine:
        engine = Engine(Address.parse(self._url))
        await engine.open()
        return engine

    async def join(self, member_id: str, names: Iterable[str] = NAMES, pace: float = 1000) -> Member:
        member = Member(await self.engine(), member_id, names, pace)
        self._members.append(member)
        return member

    async def holders(self) -> dict[str, str]:
        """What the bucket holds."""
        found = {}
        async with aclosing(EngineBucket(self._members[0].engine).watch()) as changes:
            while (change := await anext(changes)) is not None:
                if change.value is not None:
                    holder = decode_holder(change.value)
                    found[change.key] = f"{holder.holder}{'' if holder.problem is None else f': {holder.problem}'}"
        return found

    async def close(self) -> None:
        for member in self._members:
            if not member.task.done():
                await member.leases.stop()
            await member.engine.close()


@asynccontextmanager
async def fleet_at(server: NatsServer, ttl: float = 1.2) -> AsyncIterator[Fleet]:
    fleet = Fleet(server.url, ttl)
    try:
        yield fleet
    finally:
        await fleet.close()


def test_shares_are_fair_and_what_is_released_is_taken_at_once(nats_server: NatsServer) -> None:
    async def main() -> None:
        async with fleet_at(nats_server) as fleet:
            one = await fleet.join("one")
            await one.taken.wait(6)
            two = await fleet.join("two")
            await two.taken.wait(3)
            assert await eventually(lambda: len(one.leases.held) == 3)
            assert one.valid | two.valid == set(NAMES)
            # Those that moved were given up in order, while they were valid.
            assert [what[1:] for what in one.given_up.items] == [(False, True)] * 3
            await two.leases.stop()
            assert two.leases.held == {}
            await one.taken.wait(9)
            assert one.valid == set(NAMES)
            assert await fleet.holders() == {f"account.{name}": "one" for name in NAMES} | {"member.gateway.one": "one"}

    run(main())


def test_the_leases_of_a_dead_member_are_taken_when_they_expire(nats_server: NatsServer) -> None:
    async def main() -> None:
        async with fleet_at(nats_server) as fleet:
            one, two = await fleet.join("one"), await fleet.join("two")
            await eventually(lambda: len(one.valid) == len(two.valid) == 3)
            leases = list(one.leases.held.values())
            await one.die()
            assert not any(lease.valid for lease in leases)
            await eventually(lambda: two.valid == set(NAMES))

    run(main())


def test_members_with_other_names_take_what_is_left(nats_server: NatsServer) -> None:
    async def main() -> None:
        async with fleet_at(nats_server) as fleet:
            one = await fleet.join("one", NAMES[:4])
            await one.taken.wait(4)
            two = await fleet.join("two", [*NAMES, "bot@example.com"])
            await two.taken.wait(3)
            assert two.valid == {"4", "5", "bot@example.com"}
            assert one.given_up.items == []

    run(main())


def test_a_member_that_was_stopped_for_too_long_gives_all_up(nats_server: NatsServer) -> None:
    async def main() -> None:
        async with fleet_at(nats_server) as fleet:
            one = await fleet.join("one")
            await one.taken.wait(6)
            lease = one.leases.held["0"]
            one.ahead = 1.2 * 0.95
            assert not lease.valid
            # Once invalid, it stays so, even if a renewal is on its way.
            one.ahead = 0.0
            assert not lease.valid
            assert (await one.given_up.one())[1:] == (True, False)
            await one.taken.wait(7)
            assert one.leases.held["0"] is not lease

    run(main())


def test_leases_end_while_the_server_is_away_and_are_taken_when_it_is_back(nats_server: NatsServer) -> None:
    async def main() -> None:
        async with fleet_at(nats_server) as fleet:
            one = await fleet.join("one")
            await one.taken.wait(6)
            nats_server.kill()
            assert {what[1:] for what in await one.given_up.wait(6)} == {(True, False)}
            nats_server.start()
            await one.taken.wait(12)
            assert one.valid == set(NAMES)

    run(main())


def test_leases_survive_a_short_restart_of_the_server(nats_server: NatsServer) -> None:
    async def main() -> None:
        async with fleet_at(nats_server, ttl=30) as fleet:
            one = await fleet.join("one")
            await one.taken.wait(6)
            reconnected = one.engine.reconnected
            nats_server.kill()
            nats_server.start()
            await reconnected.wait()
            two = await fleet.join("two")
            await two.taken.wait(3)
            await one.given_up.wait(3)
            assert {what[1:] for what in one.given_up.items} == {(False, True)}

    run(main())


def test_a_take_is_cancelled_when_its_lease_ends_and_an_error_is_shown(
    nats_server: NatsServer, caplog: pytest.LogCaptureFixture
) -> None:
    class Failing(Member):
        async def take(self, lease: Lease) -> None:
            self.taken.append(lease.name)
            if lease.name == "0":
                raise ValueError("no password")
            try:
                await asyncio.Event().wait()
            finally:
                self.given_up.append((lease.name, False, False))

        async def give_up(self, lease: Lease, lost: bool) -> None:
            await super().give_up(lease, lost)
            raise ValueError("in disorder")

    async def main() -> None:
        async with fleet_at(nats_server) as fleet:
            one = Failing(await fleet.engine(), "one", ["0", "1"])
            fleet._members.append(one)
            await one.taken.wait(2)
            while "one: no password" not in (await fleet.holders()).values():
                await asyncio.sleep(0.02)
            await one.leases.stop()
            assert sorted(one.given_up.items) == [("0", False, True), ("1", False, False), ("1", False, True)]
            assert await fleet.holders() == {}

    run(main())
    assert "account.0 was leased, but can't be used" in caplog.text
    assert "account.1 is no longer leased, but giving it up failed" in caplog.text
