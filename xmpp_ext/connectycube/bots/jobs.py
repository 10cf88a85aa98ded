"""Periodic jobs, and a watch for code that blocks the event loop."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final

from .handling import Handling, name_of
from .models import Stats

__all__ = ["Jobs", "Watch"]

TICK: Final = 0.5
BLOCKED: Final = 1.0
"""Seconds after which the event loop counts as blocked."""

logger = logging.getLogger("connectycube.bots")


class Jobs:
    """Calls functions periodically."""

    def __init__(self, handling: Handling) -> None:
        self._handling = handling
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, seconds: float, call: Callable[[], Awaitable[object]]) -> None:
        """Call a coroutine function periodically. Exceptions are logged, and calls never overlap."""
        loop = asyncio.get_running_loop()
        task = loop.create_task(self._repeat(seconds, call), name="connectycube bot job")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _repeat(self, seconds: float, call: Callable[[], Awaitable[object]]) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            due = max(due + seconds, loop.time())
            await asyncio.sleep(due - loop.time())
            error = await self._handling.call(call, name_of(call))
            if error is not None:
                logger.error("the job %s failed", name_of(call), exc_info=error)

    async def stop(self, grace: float) -> None:
        """Cancel all jobs."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=grace)


class Watch:
    """Reports how long the event loop was blocked, and which handlers were running."""

    def __init__(self, handling: Handling, stats: Stats) -> None:
        self._handling = handling
        self._stats = stats
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin to watch."""
        loop = asyncio.get_running_loop()
        self._handling.recent = set(self._handling.working.values())
        self._timer = loop.call_at(loop.time() + TICK, self._tick, loop.time() + TICK)

    def _tick(self, due: float) -> None:
        late = asyncio.get_running_loop().time() - due
        if late >= BLOCKED:
            self._stats.blocked += 1
            names = ", ".join(sorted(self._handling.recent)) or "none"
            logger.warning(
                "the event loop was blocked for %.1f seconds (handlers running: %s): "
                "move what blocks into a thread with asyncio.to_thread",
                late, names,
            )  # fmt: skip
        self.start()

    def stop(self) -> None:
        """Stop watching."""
        if self._timer is not None:
            self._timer.cancel()
