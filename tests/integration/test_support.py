"""The proxy proves itself with an echo server, and the helpers with tasks that do wrong."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.integration.proxy import Direction, FaultProxy, How
from tests.integration.support import dialled, run

# The proxy


@asynccontextmanager
async def echo() -> AsyncIterator[int]:
    """A server that sends back what it gets, and the end too."""
    tasks: set[asyncio.Task[None]] = set()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with contextlib.suppress(OSError):
                while data := await reader.read(65536):
                    writer.write(data)
                    await writer.drain()
        finally:
            writer.close()

    def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.ensure_future(answer(reader, writer)))

    server = await asyncio.start_server(accepted, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@asynccontextmanager
async def proxied() -> AsyncIterator[FaultProxy]:
    async with echo() as port, FaultProxy("127.0.0.1", port) as proxy:
        yield proxy


async def ending(reader: asyncio.StreamReader) -> tuple[bytes, How]:
    """What still comes, and how it ends."""
    data = b""
    try:
        while more := await reader.read(65536):
            data += more
    except ConnectionResetError:
        return data, "reset"
    return data, "fin"


def test_proxy_forwards_and_counts() -> None:
    async def main() -> None:
        async with proxied() as proxy, dialled(proxy.port) as (reader, writer):
            await proxy.connected()
            big = os.urandom(1_000_000)
            writer.write(big)
            writer.write_eof()
            assert await ending(reader) == (big, "fin")
            assert proxy.received == proxy.forwarded == {"up": len(big), "down": len(big)}
            await proxy.idle()
            assert (proxy.connections, proxy.cuts, proxy.open) == (1, 0, 0)

    run(main())


@pytest.mark.parametrize("how", ["reset", "fin"])
def test_proxy_cuts_all_connections(how: How) -> None:
    async def main() -> None:
        async with proxied() as proxy, dialled(proxy.port) as (one, _), dialled(proxy.port) as (other, _):
            await proxy.connected(2)
            assert proxy.cut(how) == 2
            await proxy.was_cut(2)
            assert await ending(one) == (b"", how)
            assert await ending(other) == (b"", how)
            await proxy.idle()

    run(main())


def test_proxy_refuses_and_accepts_again() -> None:
    async def main() -> None:
        async with proxied() as proxy, dialled(proxy.port) as (reader, writer):
            await proxy.connected()
            proxy.refuse()
            with pytest.raises(ConnectionRefusedError):
                await asyncio.open_connection("127.0.0.1", proxy.port)
            # Who is connected stays so.
            writer.write(b"still")
            assert await reader.readexactly(5) == b"still"
            await proxy.accept()
            async with dialled(proxy.port) as (reader, writer):
                writer.write(b"again")
                assert await reader.readexactly(5) == b"again"

    run(main())


@pytest.mark.parametrize("direction", ["up", "down"])
def test_proxy_stalls_and_resumes(direction: Direction) -> None:
    async def main() -> None:
        async with proxied() as proxy, dialled(proxy.port) as (reader, writer):
            proxy.stall(direction)
            writer.write(b"held")
            await proxy.until(lambda: proxy.received[direction] == 4)
            assert (proxy.forwarded[direction], proxy.open) == (0, 1)
            proxy.resume()
            assert await reader.readexactly(4) == b"held"
            # In the end nothing is lost either, were it more than fits into all buffers.
            proxy.stall(direction)
            big = os.urandom(30_000_000)
            writer.write(big)
            await proxy.until(lambda: proxy.received[direction] > 4)
            proxy.resume(direction)
            assert await reader.readexactly(len(big)) == big

    run(main())


def test_proxy_cuts_a_stalled_connection() -> None:
    async def main() -> None:
        async with proxied() as proxy, dialled(proxy.port) as (reader, writer):
            proxy.stall()
            writer.write(b"held")
            await proxy.until(lambda: proxy.received["up"] == 4)
            assert proxy.cut() == 1
            assert await ending(reader) == (b"", "reset")
            await proxy.idle()

    run(main())


def test_proxy_delays() -> None:
    async def main() -> None:
        async with proxied() as proxy, dialled(proxy.port) as (reader, writer):
            proxy.delay("down", 0.02)
            writer.write(b"late")
            assert await reader.readexactly(4) == b"late"
            proxy.delay("down", 3600)
            writer.write(b"tomorrow")
            await proxy.until(lambda: proxy.received["down"] == 12)
            assert (proxy.forwarded["up"], proxy.forwarded["down"]) == (12, 4)

    run(main())


@pytest.mark.parametrize("direction", ["up", "down"])
@pytest.mark.parametrize("how", ["reset", "fin"])
def test_proxy_splits_chunks(direction: Direction, how: How) -> None:
    async def main() -> None:
        async with proxied() as proxy, dialled(proxy.port) as (reader, writer):
            fault = proxy.halve(direction, how)
            writer.write(b"12345678")
            await fault.happened()
            assert proxy.forwarded[direction] == 4
            expected = b"1234" if direction == "down" else b""
            assert await ending(reader) == (expected, how)
            # It is used up.
            async with dialled(proxy.port) as (reader, writer):
                writer.write(b"12345678")
                assert await reader.readexactly(8) == b"12345678"

    run(main())


def test_proxy_corrupts() -> None:
    async def main() -> None:
        async with proxied() as proxy, dialled(proxy.port) as (reader, writer):
            fault = proxy.corrupt("up")
            writer.write(b"12345")
            assert await reader.readexactly(5) == b"12\xcc45"
            assert fault.done.is_set()
            proxy.corrupt("down", lambda data: data.replace(b"cat", b"<dog>"))
            writer.write(b"a cat")
            assert await reader.readexactly(7) == b"a <dog>"
            writer.write(b"a cat")
            assert await reader.readexactly(5) == b"a cat"

    run(main())


def test_proxy_cuts_after_bytes() -> None:
    async def main() -> None:
        async with proxied() as proxy, dialled(proxy.port) as (reader, writer):
            fault = proxy.cut_after("down", 7)
            writer.write(b"12345")
            assert await reader.readexactly(5) == b"12345"
            assert not fault.done.is_set()
            writer.write(b"67890")
            assert await ending(reader) == (b"67", "reset")
            assert fault.done.is_set()

    run(main())


@pytest.mark.parametrize(("include", "expected"), [(True, b"a<enabled/>"), (False, b"a<ena")])
def test_proxy_cuts_at_a_pattern(include: bool, expected: bytes) -> None:
    async def main() -> None:
        async with proxied() as proxy, dialled(proxy.port) as (reader, writer):
            fault = proxy.cut_when("down", b"<enabled/>", "fin", include=include)
            # The pattern comes in two pieces.
            writer.write(b"a<ena")
            assert await reader.readexactly(5) == b"a<ena"
            writer.write(b"bled/>rest")
            data, how = await ending(reader)
            assert (b"a<ena" + data, how) == (expected, "fin")
            assert fault.done.is_set()

    run(main())


def test_random_proxy_cuts_are_reproducible() -> None:
    async def lengths(seed: int) -> list[int]:
        found = []
        async with proxied() as proxy:
            proxy.cut_randomly(seed, 10_000)
            for _ in range(5):
                before = sum(proxy.forwarded.values())
                async with dialled(proxy.port) as (reader, writer):
                    writer.write(bytes(500_000))
                    await ending(reader)
                await proxy.idle()
                found.append(sum(proxy.forwarded.values()) - before)
            assert proxy.cuts == 5
            proxy.calm()
            async with dialled(proxy.port) as (reader, writer):
                writer.write(bytes(100_000))
                await reader.readexactly(100_000)
        return found

    async def main() -> None:
        first = await lengths(7)
        assert len(set(first)) == 5
        assert await lengths(7) == first
        assert await lengths(8) != first

    run(main())


def test_proxy_without_a_target_resets() -> None:
    async def main() -> None:
        async with echo() as port:
            pass
        async with FaultProxy("127.0.0.1", port) as proxy, dialled(proxy.port) as (reader, _):
            assert await ending(reader) == (b"", "reset")

    run(main())


# The helpers


def test_hanging_coroutine_is_reported_with_its_stack() -> None:
    async def hangs() -> None:
        await asyncio.Event().wait()

    with pytest.raises(AssertionError, match=r"(?s)not done after 0.05 s:.*in hangs"):
        run(hangs(), timeout=0.05)


def test_leftover_task_is_reported() -> None:
    async def forgotten() -> None:
        await asyncio.Event().wait()

    async def main() -> Any:
        return asyncio.ensure_future(forgotten())

    with pytest.raises(AssertionError, match=r"(?s)left behind:.*forgotten"):
        run(main())


def test_blocked_loop_is_interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.integration.support.GRACE", 0.05)

    async def blocks() -> None:
        time.sleep(60)

    with pytest.raises(AssertionError, match="blocked for"):
        run(blocks(), timeout=0.05)
