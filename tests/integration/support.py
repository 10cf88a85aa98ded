"""What all tests here share: a way to run a coroutine that ends, and to wait for what happens in place of sleeping."""

from __future__ import annotations

import asyncio
import contextlib
import io
import random
import signal
import socket
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from types import FrameType
from typing import Any, Generic, TypeVar

T = TypeVar("T")

PORTS = range(20_000, 32_000)
"""Where free ports are sought: below those that the kernel gives to clients, so none is lost during a restart."""

GRACE = 15.0
"""Seconds that a cancelled coroutine has, before the thread itself is interrupted."""


def free_ports(count: int) -> list[int]:
    """Return ports that are currently free."""
    found: list[int] = []
    for port in random.sample(PORTS, k=len(PORTS)):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            found.append(port)
        if len(found) == count:
            return found
    raise OSError("no free ports")


def run(main: Coroutine[Any, Any, T], timeout: float = 180) -> T:
    """Run a coroutine to its end; after too many seconds fail, with what each task was waiting for.

    A task that it leaves behind is a failure too.
    """

    async def guarded() -> T:
        stuck: list[str] = []
        task = asyncio.ensure_future(main)

        def give_up() -> None:
            stuck.extend(map(stack_of, asyncio.all_tasks() - {this}))
            task.cancel()

        this = asyncio.current_task()
        alarm = asyncio.get_running_loop().call_later(timeout, give_up)
        try:
            result = await task
        except BaseException as error:
            if stuck:
                raise AssertionError(f"not done after {timeout} s:\n" + "\n".join(stuck)) from error
            raise
        finally:
            alarm.cancel()
        left = [stack_of(other) for other in asyncio.all_tasks() - {this}]
        assert not left, "tasks are left behind:\n" + "\n".join(left)
        return result

    with interrupted_after(timeout + GRACE):
        return asyncio.run(guarded())


def stack_of(task: asyncio.Task[Any]) -> str:
    text = io.StringIO()
    task.print_stack(file=text)
    return text.getvalue()


@contextlib.contextmanager
def interrupted_after(seconds: float) -> Iterator[None]:
    """Break off a block that hangs without an await, with its own traceback."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise AssertionError(f"blocked for {seconds} s")

    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


class Seen(Generic[T]):
    """Things in the order in which they happened, to be waited for. Its `append` is a callback."""

    def __init__(self) -> None:
        self.items: list[T] = []
        self._changed = asyncio.Event()

    def append(self, item: T) -> None:
        self.items.append(item)
        self._changed.set()

    async def wait(self, count: int = 1, matches: Callable[[T], bool] = lambda item: True) -> list[T]:
        """The first `count` items that match, as soon as there are as many."""
        while len(found := [item for item in self.items if matches(item)]) < count:
            self._changed.clear()
            await self._changed.wait()
        return found[:count]

    async def one(self, matches: Callable[[T], bool] = lambda item: True) -> T:
        """The first item that matches."""
        return (await self.wait(1, matches))[0]


async def eventually(condition: Callable[[], T], interval: float = 0.02) -> T:
    """What a condition gives as soon as that is true: for what the server tells only if asked. `run` ends it."""
    while not (result := condition()):
        await asyncio.sleep(interval)
    return result


@asynccontextmanager
async def dialled(port: int) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield reader, writer
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def drained() -> None:
    """Let callbacks run that are due already: sockets are closed in one."""
    for _ in range(5):
        await asyncio.sleep(0)
