"""`connectycube-bots status` tells who is there, who holds what, and what waits."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import io
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec
import pytest
from rich.console import Console

from connectycube.bots.fleet.engine import Address, Engine, FleetError
from connectycube.bots.fleet.leases import Holder
from connectycube.bots.fleet.records import FailedItem, Inbound, Outbound, encode_record
from connectycube.bots.fleet.status import read_status, show, shown
from tests.integration.support import eventually, run

from .fleet import opened
from .server import NatsServer

CONTENT = msgspec.Raw(b'{"body": "hello"}')
MESSAGE = Inbound(account="weather", user_id=1, key="1:1:0a", dialog="1", message=CONTENT)
REPLY = Outbound(account="weather", id="0b", dialog="1", content=CONTENT)


async def lease(engine: Engine, key: str, holder: str, name: str, problem: str = "", names: str = "") -> None:
    value = Holder(
        holder=holder, name=name, host="box", pid=7, since=time.time() - 7200, problem=problem or None, names=names
    )
    await (await engine.bucket("leases")).put(key, encode_record(value))


async def fill(engine: Engine) -> None:
    """Store what two gateways and a worker would."""
    layout = engine.layout
    await lease(engine, "member.gateway.g1", "g1", "gateway", names="all")
    await lease(engine, "member.gateway.g2", "g2", "gateway", names="some")
    await lease(engine, "member.worker.w1", "w1", "worker")
    await lease(engine, "account.weather", "g1", "weather")
    await lease(engine, "account.=0123", "g2", "news@x.y", problem="Unauthorized: the [password] is wrong")
    for number in range(layout.partitions):
        if number not in (4, 31):
            await lease(engine, f"partition.{number}", "w1", str(number))
    # What has ended is not shown.
    await lease(engine, "account.gone", "g1", "gone")
    await (await engine.bucket("leases")).delete("account.gone")
    for key in "abc":
        await engine.publish(layout.waiting("weather", "1", key), encode_record(MESSAGE))
    await engine.publish(layout.of("held", "weather", "d"), encode_record(MESSAGE))
    await engine.publish(layout.of("out", "weather", "0b"), encode_record(REPLY))
    item = FailedItem(error="ValueError: no", failed_at=dt.datetime.now(dt.UTC), inbound=MESSAGE)
    await engine.publish(layout.of("failed", "weather", "x"), encode_record(item))


def text_of(renderable: object) -> str:
    console = Console(file=io.StringIO(), width=120)
    console.print(renderable)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_status_of_a_fleet(nats_server: NatsServer) -> None:
    async def main() -> None:
        async with opened(nats_server.url) as engine:
            await fill(engine)
            status = await read_status(engine)
            assert [(one.role, one.id, one.holds) for one in status.members] == [
                ("gateway", "g1", 1),
                ("gateway", "g2", 1),
                ("worker", "w1", 30),
            ]
            # Those with a problem come first.
            problem = "Unauthorized: the [password] is wrong"
            assert [(one.name, one.gateway, one.problem) for one in status.accounts] == [
                ("news@x.y", "g2", problem),
                ("weather", "g1", None),
            ]
            place = engine.layout.partition("weather", "1")
            waiting = {part.number: part.waiting for part in status.partitions}
            assert waiting == {number: 3 * (number == place) for number in range(32)}
            assert status.partitions[place].oldest > 0
            assert (status.waiting, status.held, status.unsent, status.failed) == (3, 1, 1, 1)
            assert status.notes == ["the gateways have different accounts: start all of them with the same --accounts"]
            lines = [line.split() for line in text_of(shown(status)).splitlines()]
            assert ["gateway", "g1", "box", "7", "2h", "1"] in lines
            assert ["news@x.y", "g2", "2h", *problem.split()] in lines
            assert ["none", "4,", "31", "0"] in lines
            assert any(line[:4] == ["w1", "0-3,", "5-30", "3"] for line in lines)
            assert "waiting 3 held 1 unsent 1 failed 1".split() in lines

    run(main())


def test_fleet_without_members(nats_server: NatsServer) -> None:
    async def main() -> None:
        async with opened(nats_server.url) as engine:
            status = await read_status(engine)
            assert status.notes == ["there is no gateway", "there is no worker"]
            assert "none" in text_of(shown(status))

    run(main())


def test_long_lists_of_accounts_are_cut(nats_server: NatsServer) -> None:
    async def main() -> None:
        async with opened(nats_server.url) as engine:
            for number in range(60):
                await lease(engine, f"account.bot{number}", "g1", f"bot{number}")
            status = await read_status(engine)
            text = text_of(shown(status))
            assert (len(status.accounts), text.count("bot")) == (60, 50)
            assert "and 10 more: --json lists all" in text

    run(main())


@asynccontextmanager
async def watching(url: str, console: Console) -> AsyncIterator[None]:
    task = asyncio.ensure_future(
        show(Engine(Address.parse(url)), watch=True, as_json=False, console=console, pause=0.05)
    )
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def test_watch_follows_the_fleet_on_a_terminal(nats_server: NatsServer) -> None:
    async def main() -> None:
        printed = io.StringIO()
        async with opened(nats_server.url) as engine:
            async with watching(nats_server.url, Console(file=printed, force_terminal=True, width=120, height=50)):
                await eventually(lambda: "there is no gateway" in printed.getvalue())
                await lease(engine, "member.gateway.g1", "g1", "gateway")
                await eventually(lambda: "g1" in printed.getvalue())
            # The cursor, which was hidden, is back.
            assert printed.getvalue().rstrip().endswith("\x1b[?25h")

    run(main())


def test_watch_survives_the_server(nats_server: NatsServer) -> None:
    async def main() -> None:
        printed = io.StringIO()
        async with opened(nats_server.url), watching(nats_server.url, Console(file=printed)):
            await eventually(lambda: "waiting 0" in printed.getvalue())
            nats_server.kill()
            await eventually(lambda: "does not answer" in printed.getvalue())
            nats_server.start()
            seen = printed.getvalue().count("waiting 0")
            await eventually(lambda: printed.getvalue().count("waiting 0") > seen)

    run(main())


def test_json_is_a_line_with_everything(nats_server: NatsServer) -> None:
    printed = io.StringIO()

    async def main() -> None:
        async with opened(nats_server.url) as engine:
            await fill(engine)
        reader = Engine(Address.parse(nats_server.url))
        await show(reader, watch=False, as_json=True, console=Console(file=printed, width=40))

    run(main())
    (line,) = printed.getvalue().splitlines()
    found = json.loads(line)
    assert (found["failed"], len(found["partitions"]), len(found["accounts"])) == (1, 32, 2)


def test_server_without_a_fleet_stays_as_it_is(nats_server: NatsServer) -> None:
    async def main() -> int:
        reader = Engine(Address.parse(nats_server.url))
        with pytest.raises(FleetError, match="has no fleet with the prefix connectycube: start a gateway or a worker"):
            await show(reader, watch=False, as_json=False)
        bare = Engine(Address.parse(nats_server.url))
        await bare.nc.connect(nats_server.url)
        try:
            return (await bare.js.account_info()).streams
        finally:
            await bare.close()

    assert run(main()) == 0
