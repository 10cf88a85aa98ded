"""Notices a connection that is dead although it looks open, such as one whose network is gone."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from connectycube.stanzas import Ping, PingRequest

from .traffic import Traffic

__all__ = ["Keepalive"]

SHARE: Final = 3
"""An answer may take this part of the interval: 10 of the default 30 seconds."""
SLOWEST: Final = 2048
"""Bytes a second of the slowest line. ejabberd's stock configuration limits each client to 3,000."""


class Keepalive:
    """Asks a server that is silent for an interval, and gives up the connection if an answer is overdue.

    Each message asks for an acknowledgement, so a dead connection is usually noticed soon after a `send`. The answer
    stands behind everything that was written before the question. On a slow line that takes long, but earlier answers
    come in meanwhile. Anything that comes in shows that the connection is alive, except white space.
    """

    def __init__(self, traffic: Traffic, give_up: Callable[[float], None]) -> None:
        """:param give_up: called with the seconds of silence once the connection is dead."""
        self._traffic = traffic
        self._give_up = give_up
        self._timer: asyncio.TimerHandle | None = None
        self._unsent = 0
        self._sent_at = 0.0

    def start(self) -> None:
        """Watch the current connection."""
        self.stop()
        interval = self._traffic.settings.keepalive
        if interval is not None:
            self._unsent = 0
            self._traffic.on_asked = self._asked
            self._check_in(interval / SHARE if self._traffic.asked_at is not None else interval)

    def stop(self) -> None:
        """Stop watching."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _check_in(self, seconds: float) -> None:
        self.stop()
        self._timer = self._traffic.loop.call_later(max(seconds, 0.001), self._check)

    def _asked(self, now: float) -> None:
        interval = self._traffic.settings.keepalive
        if interval is not None and self._timer is not None and self._timer.when() > now + interval / SHARE:
            self._check_in(interval / SHARE)

    def _check(self) -> None:
        traffic, interval = self._traffic, self._traffic.settings.keepalive
        due = self._timer.when() if self._timer is not None else 0.0
        self._timer = None
        stream = traffic.stream
        if interval is None or stream is None or not traffic.online:
            return
        now = traffic.loop.time()
        unsent = stream.unsent
        if unsent < self._unsent:
            self._sent_at = now
        self._unsent = unsent
        alive = max(stream.last_data, self._sent_at)
        if traffic.asked_at is None:
            if alive + interval <= now:
                traffic.post(PingRequest(id=traffic.ids.request(), to=traffic.settings.addresses.host, ping=Ping()))
                traffic.flush()
                alive = now
            self._check_in(alive + interval / (1 if traffic.asked_at is None else SHARE) - now)
            return
        patience = interval / SHARE
        overdue = max(alive, traffic.asked_at) + patience + traffic.burden / SLOWEST - now
        if overdue <= 0 and now - due > patience / 2:
            overdue = patience / 2  # The loop was blocked: the answer may be there, unread.
        if overdue <= 0:
            self._give_up(now - stream.last_data)
        else:
            # With data still unsent, look often enough to see whether it becomes less.
            self._check_in(min(overdue, patience / 2) if unsent else overdue)
