"""End calls at their deadlines.

An async call is cancelled. A sync call can't be, so each step of it gets only the time that is left: httpx's timeouts
are for each read and write, and a server that sends a byte now and then never exceeds them.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncGenerator, Generator
from contextvars import ContextVar

import httpx

from . import errors


class Deadline:
    """When a call must have ended.

    :param call: the call's name.
    :param seconds: the time it has from now.
    """

    __slots__ = ("call", "ends", "seconds")

    def __init__(self, call: str, seconds: float) -> None:
        self.call = call
        self.seconds = seconds
        self.ends = time.monotonic() + seconds

    def left(self) -> float:
        """Return the seconds that are left, 0 if it has passed."""
        return max(0.0, self.ends - time.monotonic())

    def error(self) -> errors.RequestTimeout:
        error = errors.RequestTimeout(f"{self.call} did not end within its deadline of {self.seconds:g} seconds")
        error.operation = self.call
        return error


_current: ContextVar[Deadline | None] = ContextVar("deadline", default=None)


def earliest(call: str, seconds: float | None) -> Deadline | None:
    """Return a call's own deadline, or that of the call it is part of if that one passes first."""
    outer = _current.get()
    own = None if seconds is None else Deadline(call, seconds)
    return own if outer is None or (own is not None and own.ends < outer.ends) else outer


@contextlib.contextmanager
def within(deadline: Deadline | None) -> Generator[None]:
    """Let the steps of the network end at a deadline.

    :raises RequestTimeout: if the deadline has ended the block.
    """
    if deadline is None:
        yield
        return
    token = _current.set(deadline)
    try:
        yield
    except errors.RequestTimeout as error:
        if deadline.left():
            raise
        raise deadline.error() from error
    finally:
        _current.reset(token)


@contextlib.asynccontextmanager
async def awithin(deadline: Deadline | None) -> AsyncGenerator[None]:
    """Cancel the block at a deadline.

    :raises RequestTimeout: if that was necessary.
    """
    # Imported late: the sync client does not need it.
    import asyncio

    limit = asyncio.timeout(None if deadline is None else deadline.left())
    try:
        async with limit:
            yield
    except TimeoutError as error:
        if deadline is None or not limit.expired():
            raise
        raise deadline.error() from error


def shorter(timeout: float | None, expired: type[Exception]) -> float | None:
    """Return the time that a step may take.

    :param timeout: the step's own limit.
    :param expired: raised if the deadline has passed: to the network functions, no time means not to block.
    """
    deadline = _current.get()
    if deadline is None:
        return timeout
    left = deadline.ends - time.monotonic()
    if left <= 0:
        raise expired
    return left if timeout is None or left < timeout else timeout


def shorten(request: httpx.Request) -> None:
    """Give the steps of a request no more time than is left, whatever HTTP client sends it."""
    left = shorter(None, httpx.PoolTimeout)
    if left is not None:
        limits = request.extensions["timeout"]
        request.extensions["timeout"] = {
            step: left if limit is None or left < limit else limit for step, limit in limits.items()
        }
