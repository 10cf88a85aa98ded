"""Calls a message's handler, retries it when it fails, and reports permanent failures."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from contextvars import ContextVar
from functools import partial
from typing import Any, Final

from .context import Context, Tools
from .dispatch import Job
from .models import Stats
from .persistence import Persistence
from .routes import Routes
from .store import Failure

__all__ = ["FIRST_DELAY", "INSIDE", "Failures", "Handling", "name_of"]

FIRST_DELAY: Final = 1.0
"""Seconds before a failed handler is called again; doubled each time."""
LONGEST_DELAY: Final = 60.0
LAST_WORDS: Final = 1.0
"""Seconds that a cancelled handler has to finish."""
MOST_FAILURES: Final = 1000
"""How many failures are kept in memory; the store holds more."""

logger = logging.getLogger("connectycube.bots")

INSIDE: Final[ContextVar[bool]] = ContextVar("INSIDE", default=False)
"""Whether the bot called the current code, which must then not wait for the bot to stop."""


class Failures:
    """The latest failures, as the store has them."""

    def __init__(self) -> None:
        self._found: dict[str, Failure] = {}

    async def load(self, persistence: Persistence) -> None:
        """Read them from the store."""
        self._found = {failure.id: failure for failure in await persistence.store.failures(MOST_FAILURES)}

    def add(self, failure: Failure) -> None:
        """Add one, and forget the oldest if there are too many."""
        self._found.pop(failure.id, None)
        self._found[failure.id] = failure
        if len(self._found) > MOST_FAILURES:
            del self._found[next(iter(self._found))]

    def pop(self, failure_id: str) -> Failure | None:
        """Remove one."""
        return self._found.pop(failure_id, None)

    def all(self) -> tuple[Failure, ...]:
        """Return all, oldest first."""
        return tuple(self._found.values())


class Handling:
    """Calls handlers.

    :param attempts: how often a handler is called for a message.
    :param timeout: seconds that a handler may take; `None` for no limit.
    :ivar working: the names of the running handlers, by task.
    :ivar recent: the names of the handlers that have run since it was last cleared.
    """

    def __init__(
        self,
        routes: Routes,
        tools: Tools,
        persistence: Persistence,
        stats: Stats,
        failures: Failures,
        attempts: int,
        timeout: float | None,
    ) -> None:
        self._routes = routes
        self._tools = tools
        self._persistence = persistence
        self._stats = stats
        self._failures = failures
        self._attempts = attempts
        self._timeout = timeout
        self._reports: set[asyncio.Task[None]] = set()
        self.working: dict[asyncio.Task[object], str] = {}
        self.recent: set[str] = set()

    async def handle(self, job: Job) -> float | None:
        """Call the handler of a message.

        :returns: seconds after which to call it again; `None` if it succeeded or has failed permanently.
        """
        job.attempts += 1
        context = Context(self._tools, job)
        error = await self._try(context)
        job.redelivered = True
        store = self._persistence.store
        if error is None:
            self._stats.handled += 1
            return None
        if job.attempts < self._attempts:
            self._stats.retried += 1
            delay: float = min(FIRST_DELAY * 2 ** (job.attempts - 1), LONGEST_DELAY)
            logger.warning(
                "attempt %d for message %s failed, the next follows in %g s: %s",
                job.attempts, job.key, delay, _text(error),
            )  # fmt: skip
            return delay
        logger.error("message %s can't be handled", job.key, exc_info=error)
        failure = await self._persistence.insist(partial(store.fail, job.key, _text(error)))
        job.failed = True
        self._stats.failed += 1
        if failure is not None:
            self._failures.add(failure)
        await self._report(context, error, "message")
        return None

    async def _try(self, context: Context) -> Exception | None:
        try:
            found = self._routes.find(context.message)
        except Exception as error:
            return error
        if found is None:
            return None
        context.args, context.match = (*found.args, *found.kwargs.values()), found.match
        if found.usage is not None:
            return await self._call(context.reply, found.usage)
        return await self._call(found.call, context, *found.args, **found.kwargs)

    async def _call(self, call: Callable[..., Awaitable[object]], *args: Any, **kwargs: Any) -> Exception | None:
        return await self.call(partial(call, *args, **kwargs), name_of(call), self._timeout)

    async def call(
        self, call: Callable[[], Awaitable[object]], name: str, timeout: float | None = None
    ) -> Exception | None:
        """Call a coroutine function, and return what it raises; a `TimeoutError` if it takes too long."""

        async def work() -> object:
            INSIDE.set(True)
            return await call()

        task = asyncio.get_running_loop().create_task(work(), name=f"connectycube handler {name}")
        self.working[task] = name
        self.recent.add(name)
        task.add_done_callback(self._ended)
        try:
            await asyncio.wait([task], timeout=timeout)
        except asyncio.CancelledError:
            await self._cancel(task, name)
            raise
        if not task.done():
            await self._cancel(task, name)
            return TimeoutError(f"the handler {name} did not finish within {timeout:g} s")
        if task.cancelled():
            return RuntimeError(f"the handler {name} was cancelled")
        error = task.exception()
        if error is None or isinstance(error, Exception):
            return error
        # SystemExit and KeyboardInterrupt have ended the loop by now. Others must not block the dialog.
        wrapped = RuntimeError(f"the handler {name} raised {_text(error)}")
        wrapped.__cause__ = error
        return wrapped

    def _ended(self, task: asyncio.Task[object]) -> None:
        del self.working[task]
        if not task.cancelled():
            task.exception()  # Nothing else retrieves it if the handler was left behind.

    async def _cancel(self, task: asyncio.Task[object], name: str) -> None:
        task.cancel()
        await asyncio.wait([task], timeout=LAST_WORDS)
        if not task.done():
            logger.error("the handler %s ignores its cancellation and is left behind", name)

    # -- failures

    def refused(self, reply_id: str, failure: Failure | None, error: Exception, origin: object) -> None:
        """Report a reply that can't be sent.

        :param failure: the reply; `None` if the server took it before it refused it, so that it can't be sent again.
        """
        logger.warning("%s", error)
        self._stats.failed += 1
        if failure is not None:
            self._failures.add(failure)
        if isinstance(origin, Context):
            self._begin(self._report(origin, error, reply_id))

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work, name="connectycube bot error")
        self._reports.add(task)
        task.add_done_callback(self._reports.discard)

    async def _report(self, context: Context, error: Exception, failed: str) -> None:
        """Call the error handlers.

        :param failed: the id of the reply that failed, or `message`.
        """
        # The handler may still be at work: the ids of its answers must not depend on what is answered here.
        context = context._within(f"error {type(error).__name__} {failed}")
        for handler in self._routes.errors:
            problem = await self._call(handler, context, error)
            if problem is not None:
                logger.error("an error handler failed", exc_info=problem)

    async def stop(self, grace: float) -> None:
        """Let error handlers finish."""
        if self._reports:
            _, late = await asyncio.wait(self._reports, timeout=grace)
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late)


def name_of(call: Callable[..., object]) -> str:
    """Return what logs call a function."""
    return getattr(call, "__qualname__", type(call).__name__)


def _text(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"[:1000]
