"""The server's time (XEP-0202), to date messages correctly although the local clock is wrong."""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
import time
from collections.abc import Awaitable
from functools import partial
from typing import Final

from connectycube.rest import DecodeError
from connectycube.stanzas import Stanza, TimeQuery, TimeRequest, TimeResult

from ..connection.traffic import Traffic
from ..errors import NotConnected, RequestRefused, RequestUnanswered

__all__ = ["ServerTime"]

logger = logging.getLogger("connectycube.chat")

SLOWEST: Final = 10.0
"""Seconds that an answer may take. The time is off by up to half of them: most local clocks are better than that."""
EARLIEST: Final = dt.datetime(2020, 1, 1, tzinfo=dt.UTC).timestamp()
LATEST: Final = dt.datetime(2100, 1, 1, tzinfo=dt.UTC).timestamp()
"""A server whose time is not between these has no clock."""

# A clock that nobody sets, and that goes on while the machine sleeps: a session may be resumed after that.
_clock = getattr(time, "CLOCK_BOOTTIME", getattr(time, "CLOCK_MONOTONIC", None))
_ticks = time.monotonic if _clock is None else partial(time.clock_gettime, _clock)


class ServerTime:
    """The server's clock, as far as it is known; otherwise the local one."""

    def __init__(self, traffic: Traffic) -> None:
        self._traffic = traffic
        self._zero: float | None = None
        """The server's Unix time when the ticks were 0."""
        self._asking: asyncio.Task[None] | None = None

    def now(self) -> int:
        """Return the time in Unix seconds."""
        return int(time.time() if self._zero is None else self._zero + _ticks())

    def ask(self) -> None:
        """Ask the server for its time, without waiting for the answer.

        :raises NotConnected: if there is no connection.
        """
        traffic = self._traffic
        request = TimeRequest(id=traffic.ids.request(), to=traffic.settings.addresses.host, time=TimeQuery())
        answer = traffic.request(request, "the server's time", then=partial(self._answered, _ticks()))
        self._asking = traffic.loop.create_task(self._wait(answer), name="connectycube time")

    async def _wait(self, answer: Awaitable[Stanza]) -> None:
        try:
            await answer
        except (NotConnected, RequestRefused, RequestUnanswered, DecodeError) as error:
            logger.debug("the server's time is not known: %s", error)

    def _answered(self, asked: float, answer: Stanza) -> None:
        if not isinstance(answer, TimeResult):
            return
        now, found = _ticks(), answer.time.utc.timestamp()
        if now - asked > SLOWEST or not EARLIEST < found < LATEST:
            logger.debug("the server's time is ignored: %s after %.1f s", answer.time.utc, now - asked)
            return
        self._zero = found + (now - asked) / 2 - now
