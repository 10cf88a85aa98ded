"""Calls the user's functions and watches them: they may fail, hang, ignore cancellation or block the event loop."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Coroutine
from contextvars import Context, ContextVar
from functools import wraps
from inspect import iscoroutinefunction
from typing import Any, Final, TypeAlias

from connectycube.rest import InvalidArgument

from .models import Stats
from .store import StoreError

__all__ = ["INSIDE", "Calls", "Handler", "Tasks", "checked", "end", "name_of", "text_of"]

Handler: TypeAlias = Callable[..., Coroutine[Any, Any, object]]

LAST_WORDS: Final = 1.0
"""Seconds that a cancelled function has to finish."""
AGAIN: Final = 3.0
"""Seconds until a task that has not ended is cancelled again."""
TICK: Final = 0.5
BLOCKED: Final = 1.0
"""Seconds after which the event loop counts as blocked."""

INSIDE: Final[ContextVar[bool]] = ContextVar("INSIDE", default=False)
"""Whether the bot called the current code, which must then not wait for the bot to stop."""

logger = logging.getLogger("connectycube.bots")


class Tasks:
    """Tasks that end before the bot does."""

    def __init__(self, name: str, over: Callable[[], object] = lambda: None) -> None:
        """:param over: called after each task."""
        self._name = f"connectycube {name}"
        self._over = over
        self._tasks: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        return len(self._tasks)

    def begin(self, work: Coroutine[Any, Any, None], context: Context | None = None) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work, name=self._name, context=context)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._over()
        # A store fails only once it has been closed, and whoever runs the bot learns that anyway.
        if not task.cancelled() and not isinstance(task.exception(), StoreError):
            task.result()  # An error is a bug of ours: the loop reports it.

    async def finish(self, grace: float) -> None:
        """Wait for all but the current task, and cancel those that take too long."""
        if others := self._tasks - {asyncio.current_task()}:
            _, late = await asyncio.wait(others, timeout=grace)
            await end(late)


async def end(tasks: Collection[asyncio.Task[Any]]) -> None:
    """Cancel tasks until they have ended: before Python 3.12, `asyncio.wait_for` can lose a cancellation."""
    while tasks:
        for task in tasks:
            task.cancel()
        _, tasks = await asyncio.wait(tasks, timeout=AGAIN)


class Calls:
    """Calls coroutine functions, and reports code that blocks the event loop.

    :ivar jobs: what is called periodically.
    :ivar background: what else has begun.
    """

    def __init__(self, stats: Stats) -> None:
        self._stats = stats
        self._running: dict[asyncio.Task[object], str] = {}
        self._recent: set[str] = set()
        """The names of the functions that have run since the last tick."""
        self.jobs = Tasks("bot job")
        self.background = Tasks("bot work")

    async def call(self, work: Coroutine[Any, Any, object], timeout: float | None = None) -> Exception | None:
        """Run a coroutine, and return what it raises; a `TimeoutError` if it takes too long."""
        name = name_of(work)
        task = asyncio.get_running_loop().create_task(work, name=f"connectycube handler {name}")
        self._running[task] = name
        self._recent.add(name)
        task.add_done_callback(self._ended)
        try:
            in_time, _ = await asyncio.wait([task], timeout=timeout)
        finally:
            if not task.done():
                task.cancel()
                await asyncio.wait([task], timeout=LAST_WORDS)
                if not task.done():
                    logger.error("the handler %s ignores its cancellation and is left behind", name)
        if not in_time:
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

    async def repeat(self, seconds: float, call: Handler) -> None:
        """Call a coroutine function periodically. Exceptions are logged, and calls never overlap."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            due = max(due + seconds, loop.time())
            await asyncio.sleep(due - loop.time())
            error = await self.call(call())
            if error is not None:
                logger.error("the job %s failed", name_of(call), exc_info=error)

    async def watch(self) -> None:
        """Report how long the event loop was blocked, and which functions were running."""
        loop = asyncio.get_running_loop()
        while True:
            self._recent = set(self._running.values())
            due = loop.time() + TICK
            await asyncio.sleep(TICK)
            late = loop.time() - due
            if late >= BLOCKED:
                self._stats.blocked += 1
                names = ", ".join(sorted(self._recent)) or "none"
                logger.warning(
                    "the event loop was blocked for %.1f seconds (handlers running: %s): "
                    "move blocking code into a thread with asyncio.to_thread",
                    late,
                    names,
                )


def checked(call: Callable[..., Awaitable[object]]) -> Handler:
    """Return a handler as the bot calls it.

    :raises InvalidArgument: if it is not a coroutine function, or an object whose call is one.
    """
    if not iscoroutinefunction(call) and not iscoroutinefunction(getattr(call, "__call__", None)):  # noqa: B004
        raise InvalidArgument("handler", f"must be a coroutine function (async def): {name_of(call)} is not")

    @wraps(call)
    async def handler(*args: Any, **kwargs: Any) -> object:
        INSIDE.set(True)
        return await call(*args, **kwargs)

    handler.__qualname__ = name_of(call)
    return handler


def name_of(call: object) -> str:
    """Return what logs call a function or coroutine."""
    return getattr(call, "__qualname__", type(call).__name__)


def text_of(error: BaseException) -> str:
    """Return an exception as text, as failures keep it."""
    return f"{type(error).__name__}: {error}"[:1000]
