"""The connection to NATS, and what a fleet keeps there."""

from __future__ import annotations

import asyncio
import os
import re
import signal
from pathlib import Path
from typing import Any

import pytest
from nats.aio.msg import Msg
from nats.js.api import ConsumerConfig, StreamConfig

from connectycube.bots.fleet.bucket import EngineBucket
from connectycube.bots.fleet.engine import Address, Engine, FleetError
from tests.integration.support import drained, eventually, free_ports, run

from .fleet import fail_to_send, opened
from .server import Cluster, NatsServer


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


def test_a_lost_answer_is_not_waited_for_once_the_connection_is_back(
    nats_server: NatsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("connectycube.bots.fleet.engine.FIRST_PATIENCE", 3600.0)

    async def main() -> bool:
        async with opened(nats_server.url) as engine:
            os.kill(nats_server.pid, signal.SIGSTOP)
            publishing = asyncio.ensure_future(engine.publish(engine.layout.of("out", "bot", "1"), b"{}", "1"))
            await drained()
            nats_server.kill()
            nats_server.start()
            return await publishing

    assert run(main()) is True


def test_what_is_not_stored_fails_when_the_connection_is_closed(nats_server: NatsServer) -> None:
    async def main() -> None:
        async with opened(nats_server.url) as engine:
            subject = engine.layout.of("out", "bot", "1")
            nats_server.kill()
            publishing = asyncio.ensure_future(engine.publish(subject, b"{}", "1"))
            await asyncio.sleep(0)
            await engine.close()
            for waiting in (publishing, engine.publish(subject, b"{}", "1")):
                with pytest.raises(FleetError, match="was closed before it could store a message"):
                    await waiting
            await engine.close()

    run(main())


def test_closing_a_dead_connection_leaves_nothing_behind(
    nats_server: NatsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        async with opened(nats_server.url) as engine:
            await fail_to_send(engine, monkeypatch)
            await engine.close()
            assert not engine.nc._subs

    run(main())


class Slow:
    """Delays the answers to a connection's requests.

    :ivar count: of the requests.
    """

    def __init__(self, engine: Engine, monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
        self.count = 0
        self._request, self._seconds = engine.nc.request, seconds
        monkeypatch.setattr(engine.nc, "request", self._answer_late)

    async def _answer_late(self, *arguments: Any, **options: Any) -> Msg:
        self.count += 1
        answer = await self._request(*arguments, **options)
        await asyncio.sleep(self._seconds)
        return answer


def test_messages_wait_longer_for_a_server_that_is_slow(
    nats_server: NatsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("connectycube.bots.fleet.engine.FIRST_PATIENCE", 0.2)

    async def main() -> None:
        async with opened(nats_server.url) as engine:
            slow = Slow(engine, monkeypatch, 0.4)
            for number in range(10):
                await engine.publish(engine.layout.of("out", "bot", f"{number}"), b"{}", f"{number}")
            # If each message began anew, there would be five attempts for each.
            assert slow.count < 30

    run(main())


def test_leases_wait_longer_for_a_server_that_is_slow(nats_server: NatsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        async with opened(f"{nats_server.url}?ttl=6") as engine:
            bucket = EngineBucket(engine)
            first = await bucket.put("account.bot", b"{}", 0)
            assert first is not None
            Slow(engine, monkeypatch, 1.5)
            with pytest.raises(FleetError, match="does not answer for the leases"):
                await bucket.put("account.bot", b"{}", first)
            assert await bucket.put("account.bot", b"{}", first) is None  # It was written.
            assert await bucket.put("account.bot", b"{}", first + 1) == first + 2

    run(main())


def test_a_connection_that_the_server_ends_for_good_is_reported(
    nats_server: NatsServer, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        async with opened(nats_server.url) as engine:
            await engine.nc._send_command(b"NO SUCH COMMAND\r\n")
            await engine.nc._flush_pending()
            await eventually(lambda: engine.nc.is_closed)
            with pytest.raises(FleetError, match="was closed"):
                await engine.publish(engine.layout.of("out", "bot", "1"), b"{}", "1")

    run(main())
    assert "has ended the connection: nats: unknown protocol operation" in caplog.text


def test_more_than_a_thousand_accounts_have_consumers(nats_server: NatsServer) -> None:
    async def main() -> int:
        async with opened(nats_server.url) as engine:
            layout, slots = engine.layout, asyncio.Semaphore(100)

            async def add(name: str) -> None:
                wanted = ConsumerConfig(durable_name=f"out-{name}", filter_subject=layout.subject("out", name, ">"))
                async with slots:
                    await engine.js.add_consumer(layout.stream("out"), wanted)

            await asyncio.gather(*(add(str(number)) for number in range(1001)))
            return (await engine.js.stream_info(layout.stream("out"))).state.consumer_count

    assert run(main()) == 1001


def test_a_cluster_keeps_three_copies(tmp_path: Path) -> None:
    async def main(url: str) -> int | None:
        async with opened(url) as engine:
            return (await engine.js.stream_info("connectycube-in")).config.num_replicas

    with Cluster(tmp_path) as cluster:
        assert run(main(cluster.url)) == 3


def test_no_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("connectycube.bots.fleet.engine.OPENING", 0.2)
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


@pytest.mark.parametrize("option", ["creds", "nkey", "ca"])
def test_missing_files_are_named_at_once(nats_server: NatsServer, tmp_path: Path, option: str) -> None:
    with pytest.raises(FleetError, match=rf"needs the file .*missing \({option}\): No such file"):
        run(open_and_close(f"{nats_server.url}?{option}={tmp_path / 'missing'}"))


def test_invalid_certificates(nats_server: NatsServer, tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("not a certificate")
    with pytest.raises(FleetError, match="needs valid certificates"):
        run(open_and_close(f"{nats_server.url}?ca={tmp_path / 'ca.pem'}"))


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


@pytest.mark.parametrize("url", ["http://host:4222", "nats://", "nats://host:port"])
def test_invalid_addresses(url: str) -> None:
    with pytest.raises(FleetError, match="has no valid address"):
        Address.parse(url)


@pytest.mark.parametrize(
    ("option", "problem"),
    [
        ("colour=red", "has an unknown option: colour; known are prefix, partitions"),
        ("prefix=a.b", "prefix must be letters, digits, - and _, not 'a.b'"),
        ("prefix=", "prefix must be letters, digits, - and _, not ''"),
        ("partitions=x", "partitions must be a number from 1 to 1024, not 'x'"),
        ("partitions=0", "partitions must be a number from 1 to 1024, not '0'"),
        ("ttl=nan", "ttl must be seconds from 1 to 3600, not 'nan'"),
        ("replicas=2", "replicas must be 1, 3 or 5, not '2'"),
    ],
)
def test_invalid_options(option: str, problem: str) -> None:
    with pytest.raises(FleetError, match=re.escape(problem)):
        Address.parse(f"nats://host:4222?{option}")


def test_server_that_takes_only_small_messages(tmp_path: Path) -> None:
    with (
        NatsServer(tmp_path, config="max_payload: 4096") as server,
        pytest.raises(FleetError, match="at most 4,096 bytes: set its max_payload to 1,048,576"),
    ):
        run(open_and_close(server.url))


def test_several_servers_with_passwords_are_named_without_them() -> None:
    address = Address.parse("nats://u:p@a:4222,u:p@b:4222?replicas=3&ca=/ca.pem")
    assert (address.name, address.layout.replicas) == ("nats://a:4222,nats://b:4222", 3)
    assert address.servers == ("nats://u:p@a:4222", "nats://u:p@b:4222")
