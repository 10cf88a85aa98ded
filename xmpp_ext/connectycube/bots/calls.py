"""Calls the user's functions and watches them: they may fail, hang, ignore cancellation or block the event loop."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from contextvars import ContextVar
from typing import Any, Final

from .models import Stats

__all__ = ["INSIDE", "Calls", "finish", "name_of", "text_of"]

LAST_WORDS: Final = 1.0
"""Seconds that a cancelled function has to finish."""
TICK: Final = 0.5
BLOCKED: Final = 1.0
"""Seconds after which the event loop counts as blocked."""

INSIDE: Final[ContextVar[bool]] = ContextVar("INSIDE", default=False)
"""Whether the bot called the current code, which must then not wait for the bot to stop."""

logger = logging.getLogger("connectycube.bots")


class Calls:
    """Calls coroutine functions, and reports code that blocks the event loop."""

    def __init__(self, stats: Stats) -> None:
        self._stats = stats
        self._running: dict[asyncio.Task[object], str] = {}
        self._recent: set[str] = set()
        """The names of the functions that have run since the last tick."""
        self._background: set[asyncio.Task[None]] = set()
        self._jobs: list[asyncio.Task[None]] = []
        self._timer: asyncio.TimerHandle | None = None

    async def call(
        self, call: Callable[..., Awaitable[object]], *args: Any, timeout: float | None = None, **kwargs: Any
    ) -> Exception | None:
        """Call a coroutine function, and return what it raises; a `TimeoutError` if it takes too long."""

        async def work() -> object:
            INSIDE.set(True)
            return await call(*args, **kwargs)

        name = name_of(call)
        task = asyncio.get_running_loop().create_task(work(), name=f"connectycube handler {name}")
        self._running[task] = name
        self._recent.add(name)
        task.add_done_callback(self._ended)
        try:
            await asyncio.wait([task], timeout=timeout)
        except asyncio.CancelledError:
            await _cancel(task, name)
            raise
        if not task.done():
            await _cancel(task, name)
            return TimeoutError(f"the handler {name} did not finish within {timeout:g} s")
        if task.cancelled():
            return RuntimeError(f"the handler {name} was cancelled")
        error = task.exception()
        if error is None or isinstance(error, Exception):
            return error
        # SystemExit and KeyboardInterrupt have ended the loop by now. Others must not block the dialog.
        wrapped = RuntimeError(f"the handler {name} raised {text_of(error)}")
        wrapped.__cause__ = error
        return wrapped

    def _ended(self, task: asyncio.Task[object]) -> None:
        del self._running[task]
        if not task.cancelled():
            task.exception()  # Nothing else retrieves it if the function was left behind.

    def begin(self, work: Coroutine[Any, Any, None]) -> None:
        """Do something in the background."""
        task = asyncio.get_running_loop().create_task(work, name="connectycube bot work")
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    def repeat(self, seconds: float, call: Callable[[], Awaitable[object]]) -> None:
        """Call a coroutine function periodically. Exceptions are logged, and calls never overlap."""
        work = self._repeat(seconds, call)
        self._jobs.append(asyncio.get_running_loop().create_task(work, name="connectycube bot job"))

    async def _repeat(self, seconds: float, call: Callable[[], Awaitable[object]]) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            due = max(due + seconds, loop.time())
            await asyncio.sleep(due - loop.time())
            error = await self.call(call)
            if error is not None:
                logger.error("the job %s failed", name_of(call), exc_info=error)

    def watch(self) -> None:
        """Report from now on how long the event loop was blocked, and which functions were running."""
        loop = asyncio.get_running_loop()
        self._recent = set(self._running.values())
        self._timer = loop.call_at(loop.time() + TICK, self._tick, loop.time() + TICK)

    def _tick(self, due: float) -> None:
        late = asyncio.get_running_loop().time() - due
        if late >= BLOCKED:
            self._stats.blocked += 1
            logger.warning(
                "the event loop was blocked for %.1f seconds (handlers running: %s): "
                "move blocking code into a thread with asyncio.to_thread",
                late, ", ".join(sorted(self._recent)) or "none",
            )  # fmt: skip
        self.watch()

    async def stop_jobs(self) -> None:
        """Cancel what is called periodically, and stop watching."""
        if self._timer is not None:
            self._timer.cancel()
        await finish(self._jobs, 0)

    async def stop(self, grace: float) -> None:
        """Let what runs in the background finish."""
        await finish(self._background, grace)


async def finish(tasks: Iterable[asyncio.Task[Any]], grace: float) -> None:
    """Wait for tasks other than the current one, and cancel those that take too long."""
    others = {task for task in tasks if task is not asyncio.current_task()}
    if others:
        _, late = await asyncio.wait(others, timeout=grace)
        for task in late:
            task.cancel()
        if late:
            await asyncio.wait(late)


async def _cancel(task: asyncio.Task[object], name: str) -> None:
    task.cancel()
    await asyncio.wait([task], timeout=LAST_WORDS)
    if not task.done():
        logger.error("the handler %s ignores its cancellation and is left behind", name)


def name_of(call: Callable[..., object]) -> str:
    """Return what logs call a function."""
    return getattr(call, "__qualname__", type(call).__name__)


def text_of(error: BaseException) -> str:
    """Return an exception as text, as failures keep it."""
    return f"{type(error).__name__}: {error}"[:1000]
