"""A TCP proxy on loopback that does to a connection what networks do. It knows nothing of what passes."""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Literal, Self

from tests.integration.support import free_ports

Direction = Literal["up", "down"]
"""`up` is from the client to the server."""

How = Literal["reset", "fin"]

CHUNK = 64 * 1024

Apply = Callable[["Connection", bytes], tuple[bytes, How | None] | None]


@dataclass(eq=False)
class Fault:
    """Something that waits to happen to the bytes of a direction.

    :ivar apply: gets a connection's next chunk, and gives what is forwarded and how the connection then ends, if it
        does; `None` when the time has not come.
    :ivar done: set when it has happened.
    """

    apply: Apply
    done: asyncio.Event = field(default_factory=asyncio.Event)

    async def happened(self) -> None:
        await self.done.wait()


@dataclass(eq=False)
class Connection:
    """One client, and the connection to the server that was made for it.

    :ivar budget: bytes after which it is cut in the random mode.
    :ivar tails: the last bytes of each direction, in which a pattern may have begun.
    """

    writers: dict[Direction, asyncio.StreamWriter]
    tasks: list[asyncio.Task[None]] = field(default_factory=list)
    budget: int | None = None
    tails: dict[Fault, bytes] = field(default_factory=dict)
    ended: bool = False

    def end(self, how: How) -> None:
        """End it on both sides."""
        if self.ended:
            return
        self.ended = True
        for writer in self.writers.values():
            if how == "reset":
                reset(writer)
            else:
                writer.close()
        for task in self.tasks:
            if task is not asyncio.current_task():
                task.cancel()


class FaultProxy:
    """Forwards `port` of loopback to a server, and breaks what it is told to.

    Faults that wait for bytes hit any connection, once, and only that one; `cut`, `stall` and `delay` are for all.

    :ivar port: where clients connect.
    :ivar connections: how many there were.
    :ivar cuts: how many were ended by a fault.
    :ivar received: bytes of each direction that came in.
    :ivar forwarded: bytes of each direction that were passed on.
    """

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        (self.port,) = free_ports(1)
        self.connections = 0
        self.cuts = 0
        self.received: dict[Direction, int] = {"up": 0, "down": 0}
        self.forwarded: dict[Direction, int] = {"up": 0, "down": 0}
        self._server: asyncio.Server | None = None
        self._open: set[Connection] = set()
        self._serving: set[asyncio.Task[None]] = set()
        self._gates: dict[Direction, asyncio.Event] = {"up": asyncio.Event(), "down": asyncio.Event()}
        self._delays: dict[Direction, float] = {"up": 0.0, "down": 0.0}
        self._faults: dict[Direction, list[Fault]] = {"up": [], "down": []}
        self._random: random.Random | None = None
        self._mean = 0
        self._changed = asyncio.Event()

    async def __aenter__(self) -> Self:
        self.resume()
        await self.accept()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.refuse()
        for connection in list(self._open):
            connection.end("reset")
        for task in self._serving:
            task.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)

    # What happens at once

    def cut(self, how: How = "reset") -> int:
        """End all connections, on both sides; how many."""
        standing = list(self._open)
        for connection in standing:
            self._cut(connection, how)
        return len(standing)

    def refuse(self) -> None:
        """Let new clients be refused, as by a host where nobody listens; connections that stand are kept."""
        if self._server is not None:
            # Without waiting for its connections, as `wait_closed` would.
            self._server.close()
            self._server = None

    async def accept(self) -> None:
        """Take new clients again, on the same port."""
        if self._server is None:
            self._server = await asyncio.start_server(self._accepted, "127.0.0.1", self.port, limit=CHUNK)

    def stall(self, *directions: Direction) -> None:
        """Forward nothing more, in both directions if none is named, and keep the connections open."""
        for direction in directions or ("up", "down"):
            self._gates[direction].clear()

    def resume(self, *directions: Direction) -> None:
        """End `stall`: what was held back is forwarded."""
        for direction in directions or ("up", "down"):
            self._gates[direction].set()

    def delay(self, direction: Direction, seconds: float) -> None:
        """Forward each byte so much later, as a long line does; 0 ends that."""
        self._delays[direction] = seconds

    # What happens to bytes that are still to come

    def halve(self, direction: Direction, how: How = "reset") -> Fault:
        """Forward the first half of the next chunk, then cut."""
        return self._arm(direction, lambda connection, data: (data[: len(data) // 2], how))

    def corrupt(self, direction: Direction, change: Callable[[bytes], bytes] | None = None) -> Fault:
        """Change the next chunk; by default a byte in its middle is flipped."""

        def flip(data: bytes) -> bytes:
            middle = len(data) // 2
            return data[:middle] + bytes([data[middle] ^ 0xFF]) + data[middle + 1 :]

        changed = change or flip
        return self._arm(direction, lambda connection, data: (changed(data), None))

    def cut_after(self, direction: Direction, count: int, how: How = "reset") -> Fault:
        """Cut the connection with which so many bytes more, of all connections, were forwarded."""
        left = count

        def apply(connection: Connection, data: bytes) -> tuple[bytes, How | None] | None:
            nonlocal left
            if len(data) < left:
                left -= len(data)
                return None
            return data[:left], how

        return self._arm(direction, apply)

    def cut_when(self, direction: Direction, pattern: bytes, how: How = "reset", *, include: bool = True) -> Fault:
        """Cut where a pattern passes: behind it, or before it and then as much as has not passed yet."""

        def apply(connection: Connection, data: bytes) -> tuple[bytes, How | None] | None:
            before = connection.tails.get(fault, b"")
            joined = before + data
            start = joined.find(pattern)
            if start < 0:
                connection.tails[fault] = joined[-(len(pattern) - 1) :] if len(pattern) > 1 else b""
                return None
            end = start + len(pattern) if include else start
            return data[: max(end - len(before), 0)], how

        fault = self._arm(direction, apply)
        return fault

    def cut_randomly(self, seed: int, mean: int) -> None:
        """Cut each connection after a random number of bytes, `mean` of them on average, until `calm`."""
        self._random = random.Random(seed)
        self._mean = mean
        for connection in self._open:
            connection.budget = self._draw()

    def calm(self) -> None:
        """Take back everything: no fault waits, nothing is stalled or delayed."""
        self._random = None
        for connection in self._open:
            connection.budget = None
        for direction in self._faults:
            self._faults[direction].clear()
            self._delays[direction] = 0.0
        self.resume()

    # What can be waited for

    async def connected(self, count: int = 1) -> None:
        """Wait until so many connections were made, from the beginning."""
        await self.until(lambda: self.connections >= count)

    async def was_cut(self, count: int = 1) -> None:
        """Wait until so many connections were cut, from the beginning."""
        await self.until(lambda: self.cuts >= count)

    async def idle(self) -> None:
        """Wait until no connection is open."""
        await self.until(lambda: not self._open)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait for something about the counters."""
        while not condition():
            self._changed.clear()
            await self._changed.wait()

    @property
    def open(self) -> int:
        """How many connections are open."""
        return len(self._open)

    # How it is done

    def _arm(self, direction: Direction, apply: Apply) -> Fault:
        fault = Fault(apply)
        self._faults[direction].append(fault)
        return fault

    def _draw(self) -> int | None:
        return None if self._random is None else 1 + int(self._random.expovariate(1 / self._mean))

    def _cut(self, connection: Connection, how: How) -> None:
        if not connection.ended:
            connection.end(how)
            self._open.discard(connection)
            self.cuts += 1
            self._changed.set()

    def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(self._serve(reader, writer))
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            server_reader, server_writer = await asyncio.open_connection(*self._target, limit=CHUNK)
        except BaseException as error:
            reset(writer)
            await gone(writer)
            if isinstance(error, OSError):
                return
            raise
        for each in (writer, server_writer):
            # `drain` waits until nothing is left.
            each.transport.set_write_buffer_limits(high=0)
        connection = Connection({"up": server_writer, "down": writer}, budget=self._draw())
        connection.tasks += [
            asyncio.ensure_future(self._forward("up", reader, connection)),
            asyncio.ensure_future(self._forward("down", server_reader, connection)),
        ]
        self._open.add(connection)
        self.connections += 1
        self._changed.set()
        try:
            await asyncio.gather(*connection.tasks, return_exceptions=True)
            connection.end("fin")
            await asyncio.gather(gone(writer), gone(server_writer))
        finally:
            connection.end("reset")
            for each in connection.writers.values():
                each.transport.abort()
                await gone(each)
            self._open.discard(connection)
            self._changed.set()

    async def _forward(self, direction: Direction, reader: asyncio.StreamReader, connection: Connection) -> None:
        """One direction of a connection: a reader, and behind a line that takes its time a writer."""
        loop = asyncio.get_running_loop()
        line: asyncio.Queue[tuple[float, bytes | OSError]] = asyncio.Queue(16)

        async def read() -> None:
            more: bytes | OSError = b"-"
            while isinstance(more, bytes) and more:
                try:
                    more = await reader.read(CHUNK)
                except OSError as error:
                    more = error
                await line.put((loop.time() + self._delays[direction], more))
                self.received[direction] += len(more) if isinstance(more, bytes) else 0
                self._changed.set()

        reading = asyncio.ensure_future(read())
        try:
            more = True
            while more:
                due, data = await line.get()
                if due > loop.time():
                    await asyncio.sleep(due - loop.time())
                await self._gates[direction].wait()
                if isinstance(data, OSError):
                    raise data
                more = await self._pass(direction, connection, data)
        except OSError:
            connection.end("reset")
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)

    async def _pass(self, direction: Direction, connection: Connection, data: bytes) -> bool:
        """Forward a chunk, or the end, with the faults that wait for it; whether there may be more."""
        writer = connection.writers[direction]
        if not data:
            with contextlib.suppress(OSError):
                writer.write_eof()
            return False
        end: How | None = None
        for fault in list(self._faults[direction]):
            if (result := fault.apply(connection, data)) is not None:
                data, how = result
                end = end or how
                self._faults[direction].remove(fault)
                fault.done.set()
        if connection.budget is not None:
            connection.budget -= len(data)
            if connection.budget <= 0:
                data = data[: len(data) + connection.budget]
                assert self._random is not None
                end = end or self._random.choice(("reset", "fin"))
        writer.write(data)
        self.forwarded[direction] += len(data)
        self._changed.set()
        if end is not None:
            # A reset takes back what was not sent yet.
            await writer.drain()
            self._cut(connection, end)
            return False
        await writer.drain()
        return True


def reset(writer: asyncio.StreamWriter) -> None:
    """Close without a farewell."""
    raw = writer.get_extra_info("socket")
    with contextlib.suppress(OSError):
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def gone(writer: asyncio.StreamWriter) -> None:
    """Wait until a connection is closed, however."""
    with contextlib.suppress(OSError):
        await writer.wait_closed()
