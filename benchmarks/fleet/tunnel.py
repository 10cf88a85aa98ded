"""A TCP tunnel that counts what a client writes, connection by connection."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.integration.support import free_ports

CHUNK = 64 * 1024


class Connection:
    """A client's connection.

    :ivar written: bytes that the client has written.
    :ivar is_open: whether the client has not closed it.
    """

    def __init__(self) -> None:
        self.written = 0
        self.is_open = True


class Tunnel:
    """Forwards a port of loopback to another.

    :ivar connections: all that there were.
    """

    def __init__(self, target: int) -> None:
        (self.port,) = free_ports(1)
        self.connections: list[Connection] = []
        self._target = target
        self._tasks: set[asyncio.Task[None]] = set()

    def accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = Connection()
        self.connections.append(connection)
        with contextlib.suppress(OSError):
            back, forth = await asyncio.open_connection("127.0.0.1", self._target)
            # What the server sends must not stop what the client writes from being read, and counted.
            down = asyncio.ensure_future(_pass(back, writer, None))
            await _pass(reader, forth, connection)
            connection.is_open = False
            await down
        connection.is_open = False
        writer.close()

    async def quiet(self, seconds: float) -> None:
        """Wait until the clients have written nothing for so many seconds."""
        before = -1
        while (written := sum(one.written for one in self.connections)) != before:
            before = written
            await asyncio.sleep(seconds)

    async def close(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, counted: Connection | None) -> None:
    """Forward until the end, and pass that on. What a dead end can't take is still read and counted."""
    with contextlib.suppress(OSError):
        while data := await reader.read(CHUNK):
            if counted is not None:
                counted.written += len(data)
            with contextlib.suppress(OSError):
                writer.write(data)
                # What a client writes is counted as soon as it is there, even while the server does not read.
                if counted is None:
                    await writer.drain()
    writer.close()


@asynccontextmanager
async def tunnel(target: int) -> AsyncIterator[Tunnel]:
    """Run a tunnel to a port."""
    found = Tunnel(target)
    async with await asyncio.start_server(found.accepted, "127.0.0.1", found.port):
        try:
            yield found
        finally:
            await found.close()
