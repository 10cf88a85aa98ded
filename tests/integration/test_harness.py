"""The harness proves itself: the server with raw slixmpp and bare sockets, the proxy with an echo server."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.integration.proxy import FaultProxy, How
from tests.integration.support import run


@asynccontextmanager
async def echo() -> AsyncIterator[int]:
    """A server that sends back what it gets, and the end too."""
    tasks: set[asyncio.Task[None]] = set()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        finally:
            writer.close()

    def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(answer(reader, writer))
        tasks.add(task)

    server = await asyncio.start_server(accepted, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@asynccontextmanager
async def dialled(port: int) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield reader, writer
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


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
            assert proxy.forwarded == {"up": len(big), "down": len(big)}
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
