"""The connection to NATS, and what a fleet keeps there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from nats.js.api import StreamConfig

from connectycube.bots.fleet.engine import Address, Engine, FleetError
from tests.integration.support import free_ports, run

from .server import Cluster, NatsServer


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[Engine]:
    engine = Engine(Address.parse(url))
    await engine.open()
    try:
        yield engine
    finally:
        await engine.close()


async def open_and_close(url: str) -> None:
    async with opened(url):
        pass


def test_streams_are_created_once_and_then_checked(nats_server: NatsServer) -> None:
    async def main() -> list[int]:
        found = []
        for _ in range(2):
            async with opened(nats_server.url) as engine:
                await engine.publish(engine.layout.of("out", "bot", "1"), b"{}", "1")
                found.append((await engine.js.stream_info("connectycube-out")).state.messages)
        return found

    assert run(main()) == [1, 1]


def test_a_copy_is_refused_by_its_id_and_by_its_subject(nats_server: NatsServer) -> None:
    async def main() -> list[bool]:
        async with opened(nats_server.url) as engine:
            subject = engine.layout.of("out", "bot", "1")
            return [await engine.publish(subject, b"{}", one) for one in ("1", "1", "2")]

    assert run(main()) == [True, False, False]


def test_what_is_published_while_the_server_is_down_is_stored_later(nats_server: NatsServer) -> None:
    async def main() -> bool:
        async with opened(nats_server.url) as engine:
            nats_server.kill()
            publishing = asyncio.ensure_future(engine.publish(engine.layout.of("out", "bot", "1"), b"{}", "1"))
            await asyncio.sleep(0)
            nats_server.start()
            return await publishing

    assert run(main()) is True


def test_a_cluster_keeps_three_copies(tmp_path: Path) -> None:
    async def main(url: str) -> int | None:
        async with opened(url) as engine:
            return (await engine.js.stream_info("connectycube-in")).config.num_replicas

    with Cluster(tmp_path) as cluster:
        assert run(main(cluster.url)) == 3


def test_no_server() -> None:
    (port,) = free_ports(1)
    with pytest.raises(FleetError, match=r"can't be reached: .*check its address"):
        run(open_and_close(f"nats://127.0.0.1:{port}"))


def test_wrong_credentials(tmp_path: Path) -> None:
    with NatsServer(tmp_path, config="authorization { user: bot, password: right }") as server:
        url = f"nats://bot:wrong-secret@127.0.0.1:{server.port}"
        with pytest.raises(FleetError, match="Authorization Violation") as found:
            run(open_and_close(url))
        assert "wrong-secret" not in str(found.value) + repr(Address.parse(url))
        run(open_and_close(url.replace("wrong-secret", "right")))


def test_no_jetstream(tmp_path: Path) -> None:
    with (
        NatsServer(tmp_path, config="jetstream: disabled") as server,
        pytest.raises(FleetError, match="has no JetStream"),
    ):
        run(open_and_close(server.url))


def test_streams_with_other_limits_or_of_another_version(nats_server: NatsServer) -> None:
    async def main() -> None:
        async with opened(nats_server.url) as engine:
            with pytest.raises(FleetError, match="connectycube-partitions is 32, not 4"):
                await open_and_close(f"{nats_server.url}?partitions=4")
            await engine.js.delete_stream("connectycube-done")
            other = StreamConfig(name="connectycube-done", subjects=["connectycube.done.>"], max_msgs=10)
            await engine.js.add_stream(other)
            with pytest.raises(FleetError, match="stream connectycube-done whose"):
                await open_and_close(nats_server.url)

    run(main())


@pytest.mark.parametrize(
    "url", ["http://host:4222", "nats://", "nats://host:port", "nats://host?partitions=x", "nats://host?colour=red"]
)
def test_invalid_addresses(url: str) -> None:
    with pytest.raises(FleetError, match=r"has (no valid address|an invalid option)"):
        Address.parse(url)


def test_several_servers_with_passwords_are_named_without_them() -> None:
    address = Address.parse("nats://u:p@a:4222,u:p@b:4222?replicas=3&ca=/ca.pem")
    assert (address.name, address.layout.replicas) == ("nats://a:4222,nats://b:4222", 3)
    assert address.servers == ("nats://u:p@a:4222", "nats://u:p@b:4222")
