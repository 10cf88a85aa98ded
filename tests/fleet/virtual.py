"""A virtual clock, processes that die or freeze, and a bucket of leases, all in one thread."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextvars import Context, ContextVar, copy_context
from random import Random
from typing import Any

from attrs import define, field

from connectycube.bots.fleet.bucket import Change
from connectycube.bots.fleet.engine import FleetError

__all__ = ["VirtualBucket", "VirtualLoop", "VirtualProcess"]

LATENCY = 0.01
"""Seconds until the bucket has what is sent to it, at most; and until its answers and changes arrive."""


@define(eq=False)
class VirtualProcess:
    """What runs in its context stops when it is frozen or dies."""

    name: str
    frozen: bool = False
    dead: bool = False
    parked: list[Callable[[], None]] = field(factory=list)

    def run(self, main: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        context = copy_context()
        context.run(_process.set, self)
        return asyncio.get_running_loop().create_task(main, name=self.name, context=context)

    def thaw(self) -> None:
        self.frozen = False
        parked, self.parked = self.parked, []
        for callback in parked:
            asyncio.get_running_loop().call_soon(callback, context=Context())


_process: ContextVar[VirtualProcess | None] = ContextVar("_process", default=None)


class _Selector(selectors.SelectSelector):
    """Lets the time pass at once whenever there is nothing to do."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        assert timeout is not None, "all wait for each other"
        self.now += timeout
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """Runs on a virtual clock, and holds back what belongs to a frozen process."""

    def __init__(self) -> None:
        self._virtual = _Selector()
        super().__init__(self._virtual)

    def time(self) -> float:
        return self._virtual.now

    def call_soon(  # type: ignore[override]
        self, callback: Any, *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        handle: asyncio.Handle = self._held_back(super().call_soon, callback, args, context)
        return handle

    def call_at(  # type: ignore[override]
        self, when: float, callback: Any, *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        handle: asyncio.TimerHandle = self._held_back(
            lambda *rest, context: super(VirtualLoop, self).call_at(when, *rest, context=context),
            callback,
            args,
            context,
        )
        return handle

    def _held_back(self, call: Callable[..., Any], callback: Any, args: Any, context: Context | None) -> Any:
        # An empty context is false.
        context = copy_context() if context is None else context
        process = context.get(_process)
        if process is None:
            return call(callback, *args, context=context)

        def run() -> None:
            if process.frozen or process.dead:
                process.parked.append(lambda: None if handle.cancelled() else context.run(run))
            else:
                callback(*args)

        handle = call(run, context=context)
        return handle


class VirtualBucket:
    """A bucket as NATS keeps it: compare-and-set, keys that expire, marks of their end that expire too, latencies.

    :ivar ttl: seconds after which a key expires.
    """

    def __init__(self, ttl: float, random: Random) -> None:
        self.ttl = ttl
        self._random = random
        self._is_online = True
        self._backlog: list[Callable[[], None]] = []
        self._revision = 0
        self._keys: dict[str, tuple[bytes | None, int, asyncio.TimerHandle]] = {}
        self._watchers: dict[asyncio.Queue[Change | None], None] = {}

    @property
    def is_online(self) -> bool:
        return self._is_online

    def go_offline(self) -> None:
        """Answer no more. What is sent arrives later; the answers on their way are lost."""
        self._is_online = False
        self._watchers.clear()

    def go_online(self) -> None:
        self._is_online = True
        arrived, self._backlog = self._backlog, []
        for arrive in arrived:
            arrive()

    def forget_watchers(self) -> None:
        """Send no more changes to those who watch, and don't tell them."""
        self._watchers.clear()

    async def put(self, key: str, value: bytes, last: int) -> int | None:
        return await self._write(key, value, last)

    async def delete(self, key: str, last: int) -> None:
        await self._write(key, None, last)

    async def watch(self) -> AsyncGenerator[Change | None, None]:
        if not self._is_online:
            raise FleetError("virtual", "does not answer")
        queue: asyncio.Queue[Change | None] = asyncio.Queue()
        for key, (value, revision, _) in sorted(self._keys.items(), key=lambda item: item[1][1]):
            queue.put_nowait(Change(key, value, revision))
        queue.put_nowait(None)
        self._watchers[queue] = None
        try:
            while True:
                yield await queue.get()
        finally:
            self._watchers.pop(queue, None)

    async def _write(self, key: str, value: bytes | None, last: int) -> int | None:
        """What was sent arrives even if the sender freezes or dies."""
        answer: asyncio.Future[int | None] = asyncio.get_running_loop().create_future()

        def reply(revision: int | None) -> None:
            if not answer.done() and self._is_online:
                answer.set_result(revision)

        def arrive() -> None:
            if not self._is_online:
                self._backlog.append(arrive)
                return
            current = self._keys[key][1] if key in self._keys else 0
            revision = self._apply(key, value) if current == last else None
            _later(LATENCY, reply, revision)

        _later(self._random.uniform(0, LATENCY), arrive)
        try:
            # `wait_for` can lose a cancellation before Python 3.12.
            async with asyncio.timeout(self.ttl / 3):
                return await answer
        except TimeoutError:
            raise FleetError("virtual", "does not answer") from None

    def _apply(self, key: str, value: bytes | None) -> int:
        self._revision += 1
        if key in self._keys:
            self._keys[key][2].cancel()
        self._keys[key] = (value, self._revision, _later(self.ttl, self._expire, key))
        for watcher in self._watchers:
            # The same latency for all keeps them in order.
            _later(LATENCY, watcher.put_nowait, Change(key, value, self._revision))
        return self._revision

    def _expire(self, key: str) -> None:
        value = self._keys.pop(key)[0]
        if value is not None:
            self._apply(key, None)


def _later(seconds: float, call: Callable[..., object], *args: object) -> asyncio.TimerHandle:
    """Call it outside of all processes."""
    return asyncio.get_running_loop().call_later(seconds, call, *args, context=Context())
